package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsfallback "github.com/failsafe-go/failsafe-go/fallback"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

func fallbacks() family {
	const name = "fallback/primary"
	budgets := make([]budget, 0, len(calledAt))
	for _, g := range calledAt {
		budgets = append(budgets, budget{of: point{name, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 1.01})
	}
	return family{
		cases: []benchCase{{
			name: name, baseline: "failsafe", how: tight{}, goroutines: calledAt,
			about: "A call that has a fallback value does nothing and succeeds; kept, its value is the last good one.",
			subjects: subjectsOf([]candidate{
				ours("bulwark", spawnFallback(fallback.Config[int]{Steps: fallback.Chain(fallback.Value(7))})),
				ours("bulwark-kept", spawnFallback(fallback.Config[int]{LastGood: time.Minute})),
				rival("failsafe", failsafeFallback),
			}, true),
		}},
		budgets: budgets,
	}
}

func spawnFallback(c fallback.Config[int]) func(*actors.Registry) (*fallback.Fallback[int], error) {
	return func(r *actors.Registry) (*fallback.Fallback[int], error) { return fallback.Spawn(r, "instead", c) }
}

func failsafeFallback() func(context.Context, task) (int, error) {
	e := failsafe.With[int](fsfallback.NewWithResult(7))
	return func(ctx context.Context, fn task) (int, error) {
		return e.Get(func() (int, error) { return fn(ctx) })
	}
}
