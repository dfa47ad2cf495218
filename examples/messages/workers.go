package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// What a worker is told.
type (
	// takePermits is answered with how many the worker holds then.
	takePermits struct{ n int }
	crash       struct{}
)

// worker takes permits and does not give them back.
type worker struct {
	payments patterns.Guard
	permits  []patterns.Permit
}

// Receive implements actor.Actor.
func (w *worker) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case takePermits:
		for range m.n {
			// As Request(Acquire{…}), but the answer comes as a call in a later turn.
			actors.AcquireThen(c, w.payments, func(p patterns.Permit, err error) {
				if err != nil {
					c.Respond(err)
					return
				}
				if w.permits = append(w.permits, p); len(w.permits) == m.n {
					c.Respond(len(w.permits))
				}
			})
		}
	case crash:
		panic("a bug in the worker")
	}
}

// loseWorkers has one worker stop and another restart, both with permits. That the
// first is gone the breaker sees by itself; that the second is a new instance which
// knows of no permit, the middleware tells it.
func loseWorkers(ctx context.Context, guards *actors.Registry, payments *circuitbreaker.Breaker) error {
	system := guards.System()
	reclaimed, stop := guards.Subscribe(actors.Only[actors.PermitReclaimed]())
	defer stop()
	newWorker := func() actor.Actor { return &worker{payments: payments} }

	first := system.Root.Spawn(actor.PropsFromProducer(newWorker))
	if err := take(ctx, system, first, payments, 2); err != nil {
		return err
	}
	system.Root.Stop(first)
	if err := back(ctx, reclaimed, payments, "stopped", 2); err != nil {
		return err
	}

	second := system.Root.Spawn(actor.PropsFromProducer(newWorker,
		actor.WithReceiverMiddleware(actors.ReleaseOnRestart(guards))))
	if err := take(ctx, system, second, payments, 3); err != nil {
		return err
	}
	system.Root.Send(second, crash{})
	return back(ctx, reclaimed, payments, "restarted", 3)
}

func take(ctx context.Context, system *actor.ActorSystem, w *actor.PID, payments *circuitbreaker.Breaker, n int) error {
	if _, err := actors.Ask[int](ctx, system, w, takePermits{n}); err != nil {
		return err
	}
	return show(ctx, payments, fmt.Sprintf("took %d", n))
}

// back waits for word of n permits that came back.
func back(ctx context.Context, reclaimed <-chan actors.Event, payments *circuitbreaker.Breaker, what string, n int) error {
	for range n {
		select {
		case <-reclaimed:
		case <-ctx.Done():
			return errors.New("the permits did not come back")
		}
	}
	return show(ctx, payments, what)
}

func show(ctx context.Context, payments *circuitbreaker.Breaker, what string) error {
	s, ok := payments.Snapshot(ctx)
	if !ok {
		return ctx.Err()
	}
	fmt.Printf("worker %-10s in flight %d, reclaimed %d\n", what+":", s.InFlight, s.Reclaimed)
	return nil
}
