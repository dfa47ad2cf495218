package main

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/actors/pool"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/supervisor"
)

// shop is the system: desk and bank under a supervisor, and a pool of packers.
type shop struct {
	system     *actor.ActorSystem
	guards     *actors.Registry
	tree       *supervisor.Root
	packers    *pool.Pool
	desk, bank *actor.PID
	tables     *tables
}

func open(ctx context.Context, guards *actors.Registry) (*shop, error) {
	s := &shop{system: guards.System(), guards: guards, tables: &tables{}}
	packer, err := s.packer()
	if err != nil {
		return nil, err
	}
	s.packers, err = pool.Spawn(guards, "packers", packer, pool.Config{
		Size:    3,
		Breaker: circuitbreaker.Config{ConsecutiveFailures: 1, OpenFor: time.Minute},
	})
	if err != nil {
		return nil, err
	}
	desk, err := s.deskProps()
	if err != nil {
		return nil, err
	}
	s.tree, err = supervisor.Start(ctx, s.system, supervisor.Spec{
		Name:     "shop",
		Children: []supervisor.Child{{Name: "bank", Props: answering(newBank)}, {Name: "desk", Props: desk}},
	})
	if err != nil {
		return nil, err
	}
	s.bank, s.desk = s.system.NewLocalPID("shop/bank"), s.system.NewLocalPID("shop/desk")
	return s, nil
}

// deskProps puts a rate limiter in front of the desk, and a breaker between it and the bank.
func (s *shop) deskProps() (*actor.Props, error) {
	limiter, err := ratelimiter.Spawn(s.guards, "customers", ratelimiter.Config{Rate: ratelimiter.MustParse("5/hour")})
	if err != nil {
		return nil, err
	}
	payments, err := circuitbreaker.Spawn(s.guards, "payments", circuitbreaker.Config{
		ConsecutiveFailures: 3, OpenFor: 2 * time.Second, Probes: 1,
	})
	if err != nil {
		return nil, err
	}
	orders, err := middleware.NewReceiver(limiter, middleware.ReceiveConfig{},
		middleware.Key(func(msg any) string { return msg.(order).customer }))
	if err != nil {
		return nil, err
	}
	bank, err := middleware.Guarded(s.system.NewLocalPID("shop/bank"), payments, middleware.RequestConfig{Timeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	// The packers' pool has breakers of its own: the dock bounds how many parcels are there.
	dock, err := bulkhead.Spawn(s.guards, "dock", bulkhead.Config{MaxConcurrent: 50})
	if err != nil {
		return nil, err
	}
	packing, err := middleware.Guarded(s.packers.PID(), dock, middleware.RequestConfig{Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	return answering(func() actor.Actor { return &desk{bank, packing} }, orders.Guard), nil
}

// packer has a packer wait until one of two tables is free.
func (s *shop) packer() (*actor.Props, error) {
	room, err := bulkhead.Spawn(s.guards, "tables", bulkhead.Config{MaxConcurrent: 2, MaxWaiting: 10})
	if err != nil {
		return nil, err
	}
	parcels, err := middleware.NewReceiver(room, middleware.ReceiveConfig{Refused: middleware.Stash, Stash: 100, TTL: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	return answering(func() actor.Actor { return &packer{s.tables} }, parcels.Guard), nil
}

// answering returns props of an actor whose mailbox answers for it when it does not.
func answering(produce actor.Producer, opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromProducer(produce, append(opts, actor.WithMailbox(mailbox.MustNew()))...)
}

func (s *shop) close(ctx context.Context) error {
	if err := s.tree.Shutdown(ctx); err != nil {
		return err
	}
	return s.packers.Stop(ctx)
}

// countsOf returns the counts that every guard has.
func countsOf(snapshot any) (patterns.Counts, bool) {
	switch s := snapshot.(type) {
	case bulkhead.Snapshot:
		return s.Counts, true
	case circuitbreaker.Snapshot:
		return s.Counts, true
	case ratelimiter.Snapshot:
		return s.Counts, true
	}
	return patterns.Counts{}, false
}
