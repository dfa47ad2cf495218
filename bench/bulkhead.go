package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
	fsbulkhead "github.com/failsafe-go/failsafe-go/bulkhead"
	"golang.org/x/sync/semaphore"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// slots is how many calls may be in at once: more than there are callers, also where the
// scheduler stops each of them in the middle of its call.
const slots = 1000

func bulkheads() family {
	const name = "bulkhead/call"
	return admission{
		pattern: "bulkhead", baseline: "xsync", title: "Bulkheads",
		about: "A bulkhead of 1,000 slots, where nobody waits, is never full.",
		ours: []candidate{
			ours("bulwark", spawnBulkhead(patterns.Strict)),
			ours("bulwark-leased", spawnBulkhead(patterns.Leased(0, 0))),
		},
		rivals: []candidate{
			rival("xsync", semaphoreTry),
			rival("chan", channelTry),
			aside(rival("failsafe", failsafeBulkhead)),
			rival("failsafe-bare", failsafeBulkheadBare),
			rival("mutex", func() func(context.Context, task) (int, error) { return (&gate{limit: slots}).do }),
		},
		budgets: []budget{
			atMostTimes(name, 1, "bulwark", 2.5, "xsync"),
			atMostTimes(name, 64, "bulwark", 0.6, "xsync"),
			atMostTimes(name, 64, "bulwark-leased", 0.1, "xsync"),
		},
	}.family()
}

func spawnBulkhead(mode patterns.Mode) func(*actors.Registry) (*bulkhead.Bulkhead, error) {
	return func(r *actors.Registry) (*bulkhead.Bulkhead, error) {
		return bulkhead.Spawn(r, "b", bulkhead.Config{MaxConcurrent: slots, Mode: mode})
	}
}

func semaphoreTry() func(context.Context, task) (int, error) {
	s := semaphore.NewWeighted(slots)
	return func(ctx context.Context, fn task) (int, error) {
		if !s.TryAcquire(1) {
			return 0, errRefused
		}
		defer s.Release(1)
		return fn(ctx)
	}
}

// channelTry is the semaphore that Go programs have without any library.
func channelTry() func(context.Context, task) (int, error) {
	s := make(chan struct{}, slots)
	return func(ctx context.Context, fn task) (int, error) {
		select {
		case s <- struct{}{}:
		default:
			return 0, errRefused
		}
		defer func() { <-s }()
		return fn(ctx)
	}
}

func failsafeBulkhead() func(context.Context, task) (int, error) {
	e := failsafe.With(fsbulkhead.New[int](slots))
	return func(ctx context.Context, fn task) (int, error) {
		return e.Get(func() (int, error) { return fn(ctx) })
	}
}

func failsafeBulkheadBare() func(context.Context, task) (int, error) {
	b := fsbulkhead.New[int](slots)
	return func(ctx context.Context, fn task) (int, error) {
		if !b.TryAcquirePermit() {
			return 0, fsbulkhead.ErrFull
		}
		defer b.ReleasePermit()
		return fn(ctx)
	}
}
