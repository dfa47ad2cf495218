package grpcguard_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	echo "google.golang.org/grpc/interop/grpc_testing"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

func TestAllocsOfAGuardThatLetsCallsThrough(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 100})
	server, err := grpcguard.NewUnaryServer(r)
	if err != nil {
		t.Fatal(err)
	}
	client, err := grpcguard.NewUnaryClient(r)
	if err != nil {
		t.Fatal(err)
	}
	ctx, resp := t.Context(), &echo.SimpleResponse{}
	info := &grpc.UnaryServerInfo{FullMethod: unaryMethod}
	handler := func(context.Context, any) (any, error) { return resp, nil }
	invoker := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	for name, f := range map[string]func() error{
		"server": func() error { _, err := server(ctx, nil, info, handler); return err },
		"client": func() error { return client(ctx, unaryMethod, nil, resp, nil, invoker) },
	} {
		t.Run(name, func(t *testing.T) {
			n := testing.AllocsPerRun(1000, func() {
				if err := f(); err != nil {
					t.Fatal(err)
				}
			})
			if n > 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
