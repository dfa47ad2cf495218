package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
)

// fewest and most bound the limits that adapt: there are fewer callers than that, so that
// none is refused whatever is learned from a function that does nothing.
const (
	fewest = 200
	most   = 1000
)

func adapters() family {
	const name = "adaptive/call"
	return admission{
		pattern: "adaptive", baseline: "failsafe-bare", title: "Adaptive limiters",
		about: "An adaptive limiter, whose limit stays above the number of callers, times every call and learns from it.",
		ours: []candidate{
			ours("bulwark", spawnAdaptive(patterns.Strict)),
			ours("bulwark-leased", spawnAdaptive(patterns.Leased(0, 0))),
		},
		rivals: []candidate{
			aside(rival("failsafe", failsafeAdaptive)),
			rival("failsafe-bare", failsafeAdaptiveBare),
			rival("mutex", func() func(context.Context, task) (int, error) {
				return (&adapting{gate: gate{limit: fewest}, least: fewest, most: most, slow: time.Second}).do
			}),
		},
		budgets: []budget{
			atMostTimes(name, 1, "bulwark", 0.6, "failsafe-bare"),
			atMostTimes(name, 64, "bulwark", 0.6, "failsafe-bare"),
		},
	}.family()
}

func spawnAdaptive(mode patterns.Mode) func(*actors.Registry) (*adaptive.Limiter, error) {
	return func(r *actors.Registry) (*adaptive.Limiter, error) {
		return adaptive.Spawn(r, "a", adaptive.Config{Min: fewest, Initial: fewest, Max: most, Mode: mode})
	}
}

func newFailsafeAdaptive() adaptivelimiter.AdaptiveLimiter[int] {
	return adaptivelimiter.NewBuilder[int]().WithLimits(fewest, most, fewest).Build()
}

func failsafeAdaptive() func(context.Context, task) (int, error) {
	e := failsafe.With(newFailsafeAdaptive())
	return func(ctx context.Context, fn task) (int, error) {
		return e.Get(func() (int, error) { return fn(ctx) })
	}
}

func failsafeAdaptiveBare() func(context.Context, task) (int, error) {
	l := newFailsafeAdaptive()
	return func(ctx context.Context, fn task) (int, error) {
		permit, ok := l.TryAcquirePermit()
		if !ok {
			return 0, adaptivelimiter.ErrExceeded
		}
		v, err := fn(ctx)
		permit.Record()
		return v, err
	}
}
