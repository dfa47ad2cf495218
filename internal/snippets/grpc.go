package snippets

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/actors"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func grpcServer(guards *actors.Registry) (*grpc.Server, error) {
	// region: grpc-server
	shedder, err := loadshedder.Spawn(guards, "edge", loadshedder.Config{MaxInFlight: 1000})
	if err != nil {
		return nil, err
	}
	return grpc.NewServer(grpcguard.UnaryServer(shedder), grpcguard.StreamServer(shedder)), nil // but for the health service
	// endregion
}

func grpcClient(guards *actors.Registry, target string, creds grpc.DialOption) (*grpc.ClientConn, error) {
	// region: grpc-client
	again, err := retry.Spawn(guards, "again", retry.Config{Attempts: 3})
	if err != nil {
		return nil, err
	}
	soon, err := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: 300 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	down, err := circuitbreaker.Spawn(guards, "down", circuitbreaker.Config{FailureRatio: 0.5})
	if err != nil {
		return nil, err
	}
	bank, err := pipeline.New("bank", again, down, soon)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(
		target, creds,
		grpcguard.UnaryClient(bank, grpcguard.Idempotent("/bank.Rates/...")), // others are made once
		grpcguard.StreamClient(down),
	)
	// endregion
}

func grpcLimit(guards *actors.Registry) (grpc.ServerOption, error) {
	// region: grpc-ratelimit
	limiter, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: ratelimiter.MustParse("100/minute burst 20")})
	if err != nil {
		return nil, err
	}
	limit, err := grpcguard.NewUnaryServer(
		limiter,
		grpcguard.PerClient(), // an address, and an IPv6 client's is its /64
		grpcguard.Key(grpcguard.ByMethod()),
		grpcguard.TrustProxies(grpcguard.Proxies{Trusted: []string{"10.0.0.0/8"}}),
		grpcguard.Exclude("/grpc.health.v1.Health/...", "/shop.Catalog/List"),
	)
	if err != nil {
		return nil, err // names every bad option
	}
	return grpc.ChainUnaryInterceptor(limit), nil
	// endregion
}

func grpcTap(shedder *loadshedder.Shedder) (*grpc.Server, error) {
	// region: grpc-tap
	tap, err := grpcguard.NewTap(shedder, grpcguard.NeedTime(5*time.Millisecond))
	if err != nil {
		return nil, err
	}
	return grpc.NewServer(tap.Options()...), nil
	// endregion
}

func grpcPerMethod(guards *actors.Registry) (grpc.DialOption, error) {
	// region: grpc-per
	breakers, err := grpcguard.PerMethod(func(method string) (patterns.Guard, error) {
		return circuitbreaker.GetOrSpawn(guards, "bank"+method, circuitbreaker.Config{})
	})
	if err != nil {
		return nil, err
	}
	return grpcguard.UnaryClient(breakers), nil
	// endregion
}

func grpcPriority(shedder *loadshedder.Shedder) grpc.ServerOption {
	// region: grpc-priority
	return grpcguard.UnaryServer(shedder, grpcguard.Priority(grpcguard.Priorities{
		Header: grpcguard.DefaultPriorityKey,
		Most:   patterns.Normal, // what anybody may claim: only less than is normal
		Caps:   []grpcguard.Cap{{From: []string{"10.0.0.0/8"}, Most: patterns.Critical}},
	}))
	// endregion
}

func grpcOutcomes(bank patterns.Guard) grpc.DialOption {
	// region: grpc-outcomes
	return grpcguard.UnaryClient(bank, grpcguard.Outcomes(map[codes.Code]patterns.Outcome{
		codes.Aborted:  patterns.Failure, // its conflicts go away by themselves: try again
		codes.NotFound: patterns.Ignored,
	}))
	// endregion
}

func grpcRecover(shedder *loadshedder.Shedder) grpc.ServerOption {
	// region: grpc-recover
	return grpcguard.UnaryServer(shedder, grpcguard.Recover(func(ctx context.Context, c grpcguard.Call, panicked any) error {
		slog.ErrorContext(ctx, "panic", "method", c.Method, "value", panicked)
		return status.Error(codes.Internal, "The call could not be completed.")
	}))
	// endregion
}
