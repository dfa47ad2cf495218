package grpcguard_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// BenchmarkUnary is a whole call through memory: alone, and with one guard on either side.
func BenchmarkUnary(b *testing.B) {
	r := newRoom(b, registry(b), bulkhead.Config{MaxConcurrent: 100})
	for _, bb := range []struct {
		name string
		of   []grpc.ServerOption
		with []grpc.DialOption
	}{
		{"none", nil, nil},
		{"server", []grpc.ServerOption{grpcguard.UnaryServer(r)}, nil},
		{"tap", newTap(b, r).Options(), nil},
		{"client", nil, []grpc.DialOption{grpcguard.UnaryClient(r)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			l := bufconn.Listen(1 << 20)
			s := grpc.NewServer(bb.of...)
			echo.RegisterTestServiceServer(s, answers(nil))
			go func() { _ = s.Serve(l) }()
			defer s.Stop()
			cc, err := grpc.NewClient("passthrough:///bufconn", append(bb.with, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))...)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = cc.Close() }()
			c, ctx := echo.NewTestServiceClient(cc), b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.UnaryCall(ctx, &echo.SimpleRequest{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInterceptor is one without the call around it.
func BenchmarkInterceptor(b *testing.B) {
	r := newRoom(b, registry(b), bulkhead.Config{MaxConcurrent: 100})
	server, err := grpcguard.NewUnaryServer(r)
	if err != nil {
		b.Fatal(err)
	}
	info, resp := &grpc.UnaryServerInfo{FullMethod: unaryMethod}, &echo.SimpleResponse{}
	handler := func(context.Context, any) (any, error) { return resp, nil }
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := server(ctx, nil, info, handler); err != nil {
			b.Fatal(err)
		}
	}
}
