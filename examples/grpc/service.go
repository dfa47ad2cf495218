package main

import (
	"context"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
)

// service is what a compiler would have made of a .proto: methods from nothing to nothing.
var service = grpc.ServiceDesc{
	ServiceName: "shop.Shop",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		method("Order", (*shop).order), method("Pay", (*shop).pay), method("Rates", (*shop).getRates), method("Quote", (*shop).quote),
	},
	Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: watch}},
}

func method(name string, f func(*shop, context.Context) error) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(emptypb.Empty)
		if err := dec(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, _ any) (any, error) { return &emptypb.Empty{}, f(srv.(*shop), ctx) }
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/shop.Shop/" + name}, handler)
	}}
}

func watch(srv any, ss grpc.ServerStream) error {
	if err := ss.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	return srv.(*shop).watch(ss)
}

// client calls the shop.
type client struct{ *grpc.ClientConn }

func (c client) call(ctx context.Context, name string) error {
	return c.Invoke(ctx, "/shop.Shop/"+name, &emptypb.Empty{}, &emptypb.Empty{})
}

func (c client) health(ctx context.Context) error {
	_, err := healthpb.NewHealthClient(c).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// watch opens a stream, and returns when it has begun. It ends with ctx.
func (c client) watch(ctx context.Context) error {
	s, err := c.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/shop.Shop/Watch")
	if err != nil {
		return err
	}
	if err := s.SendMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.RecvMsg(&emptypb.Empty{})
}
