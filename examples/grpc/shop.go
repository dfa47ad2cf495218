package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/bulwark-go/bulwark/actors"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

const (
	// places are what the tap has.
	places = 10
	// comeAgain is when the rates are there.
	comeAgain = 50 * time.Millisecond
)

// shop is the server, and its guards.
type shop struct {
	server *grpc.Server

	door    *bulkhead.Bulkhead // of everything
	orders  *ratelimiter.Limiter
	watches *bulkhead.Bulkhead
	bank    *circuitbreaker.Breaker

	bankIsDown    atomic.Bool
	rates, quotes atomic.Int32
	left          chan struct{} // a watcher has
}

func open(guards *actors.Registry) (*shop, error) {
	s := &shop{left: make(chan struct{}, places)}
	var errs [4]error
	s.door, errs[0] = bulkhead.Spawn(guards, "door", bulkhead.Config{MaxConcurrent: places, MaxWaiting: places})
	s.orders, errs[1] = ratelimiter.Spawn(guards, "orders", ratelimiter.Config{Rate: ratelimiter.MustParse("2/minute")})
	s.watches, errs[2] = bulkhead.Spawn(guards, "watches", bulkhead.Config{MaxConcurrent: 2})
	s.bank, errs[3] = circuitbreaker.Spawn(guards, "bank", circuitbreaker.Config{ConsecutiveFailures: 2})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	tap, err := grpcguard.NewTap(s.door)
	if err != nil {
		return nil, err
	}
	s.server = grpc.NewServer(append(tap.Options(),
		grpcguard.UnaryServer(s.orders, grpcguard.PerClient(),
			grpcguard.Exclude("/shop.Shop/Pay", "/shop.Shop/Rates", "/shop.Shop/Quote", "/grpc.health.v1.Health/...")),
		grpc.ChainStreamInterceptor(s.leaving),
		grpcguard.StreamServer(s.watches),
	)...)
	s.server.RegisterService(&service, s)
	healthpb.RegisterHealthServer(s.server, health.NewServer())
	return s, nil
}

// order is there at once.
func (*shop) order(context.Context) error { return nil }

// pay asks the bank, through a breaker. What that refuses it returns as it is.
func (s *shop) pay(ctx context.Context) error {
	return patterns.Run(ctx, s.bank, func(context.Context) error {
		if s.bankIsDown.Load() {
			return status.Error(codes.Internal, "The payment failed.")
		}
		return nil
	})
}

// getRates are there at the second call.
func (s *shop) getRates(context.Context) error {
	if s.rates.Add(1) > 1 {
		return nil
	}
	return later()
}

// quote is never there.
func (s *shop) quote(context.Context) error {
	s.quotes.Add(1)
	return later()
}

func later() error {
	busy := status.New(codes.Unavailable, "Not yet.")
	with, err := busy.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(comeAgain)})
	if err != nil {
		return busy.Err()
	}
	return with.Err()
}

// watch says that it is there, and streams until its client leaves.
func (s *shop) watch(ss grpc.ServerStream) error {
	if err := ss.SendMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	<-ss.Context().Done()
	return ss.Context().Err()
}

// leaving tells when a watcher has left, and given its place back.
func (s *shop) leaving(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := handler(srv, ss)
	if _, refused := errors.AsType[*grpcguard.Error](err); !refused {
		s.left <- struct{}{}
	}
	return err
}

// fill takes all places of the door, and waits for those that calls still have.
func (s *shop) fill(ctx context.Context) (permits []patterns.Permit, err error) {
	for len(permits) < places {
		p, err := s.door.Acquire(ctx)
		if err != nil {
			return permits, err
		}
		permits = append(permits, p)
	}
	return permits, nil
}

func (s *shop) books(ctx context.Context) error {
	door, ok1 := s.door.Snapshot(ctx)
	watches, ok2 := s.watches.Snapshot(ctx)
	bank, ok3 := s.bank.Snapshot(ctx)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("a guard tells nothing")
	}
	fmt.Println("\nAll books balance, and no permit is out:",
		door.Balanced() && watches.Balanced() && bank.Balanced() && door.InFlight+watches.InFlight+bank.InFlight == 0)
	return nil
}
