package grpcguard_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/patterns"
)

// What an interceptor outside makes of a refusal does not hide from a tap that there was one.
func TestATapKnowsOfARefusalInsideWhateverIsMadeOfIt(t *testing.T) {
	guards := registry(t)
	inner, outer := newLimiter(t, guards, "1/minute"), newBreaker(t, guards)
	inner.Allow("")
	reword := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		resp, err := h(ctx, req)
		if err != nil {
			err = status.Error(codes.Unavailable, "in other words")
		}
		return resp, err
	})
	s := serve(t, &service{unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
		return nil, patterns.Run(ctx, inner, func(context.Context) error { return nil })
	}}, append([]grpc.ServerOption{reword}, newTap(t, outer).Options()...)...)
	_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
	wantCode(t, err, codes.Unavailable)
	s.close()
	if c := settled(t, outer); c.Ignored != 1 {
		t.Errorf("%+v", c)
	}
}
