package main

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
)

func valves() family {
	return admission{
		pattern: "backpressure", baseline: "xsync", title: "Backpressure",
		about: "A valve with 1,000 places stays below its marks, so that nobody waits although all would.",
		ours: []candidate{
			ours("bulwark", spawnValve(patterns.Strict)),
			ours("bulwark-leased", spawnValve(patterns.Leased(0, 0))),
		},
		rivals: []candidate{
			rival("xsync", semaphoreWait),
			rival("chan", channelWait),
			rival("mutex", func() func(context.Context, task) (int, error) {
				return (&valve{gate: gate{limit: slots}, high: slots * 8 / 10, low: slots * 2 / 10}).do
			}),
		},
	}.family()
}

func spawnValve(mode patterns.Mode) func(*actors.Registry) (*backpressure.Valve, error) {
	return func(r *actors.Registry) (*backpressure.Valve, error) {
		return backpressure.Spawn(r, "b", backpressure.Config{MaxPending: slots, Mode: mode})
	}
}

func semaphoreWait() func(context.Context, task) (int, error) {
	s := semaphore.NewWeighted(slots)
	return func(ctx context.Context, fn task) (int, error) {
		if err := s.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer s.Release(1)
		return fn(ctx)
	}
}

func channelWait() func(context.Context, task) (int, error) {
	s := make(chan struct{}, slots)
	return func(ctx context.Context, fn task) (int, error) {
		select {
		case s <- struct{}{}:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		defer func() { <-s }()
		return fn(ctx)
	}
}
