package main

import (
	"context"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// task is what is guarded.
type task func(context.Context) (int, error)

func succeed(context.Context) (int, error) { return 1, nil }

// guarded is a guard made ready. do is kept in a field so that no subject's guard is
// inlined into the loop that measures it.
type guarded struct {
	do      func(context.Context, task) (int, error)
	task    task
	refusal error // what a refusal matches
	stop    func()
}

// passing is an instance whose calls are let through.
func (g *guarded) passing() *instance {
	ctx := context.Background()
	op := func() bool {
		v, err := g.do(ctx, g.task)
		return v == 1 && err == nil
	}
	return &instance{op: op, stop: g.stop}
}

// openRegistry starts an actor system with a registry in it; stop stops both.
func openRegistry() (r *actors.Registry, stop func(), err error) {
	system := newSystem()
	r, err = actors.NewRegistry(system)
	if err != nil {
		system.Shutdown()
		return nil, nil, err
	}
	return r, func() {
		_ = r.Shutdown(context.Background()) // no permit is out
		system.Shutdown()
	}, nil
}

// does calls through one of our guards.
func does(g patterns.Guard) func(context.Context, task) (int, error) {
	return func(ctx context.Context, fn task) (int, error) { return patterns.Do(ctx, g, fn) }
}

// spawned is a guard of ours in a registry of its own.
func spawned[G patterns.Guard](spawn func(*actors.Registry) (G, error)) (g G, stop func(), err error) {
	registry, stop, err := openRegistry()
	if err != nil {
		return g, nil, err
	}
	if g, err = spawn(registry); err != nil {
		stop()
		return g, nil, err
	}
	return g, stop, nil
}
