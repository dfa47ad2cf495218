package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
	fshedge "github.com/failsafe-go/failsafe-go/hedgepolicy"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/hedge"
)

func hedges() family {
	const name = "hedge/fast"
	budgets := make([]budget, 0, 2*len(calledAt))
	for _, g := range calledAt {
		budgets = append(
			budgets,
			atMostTimes(name, g, "bulwark", 1, "failsafe"),
			budget{of: point{name, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 3.01},
		)
	}
	return family{
		cases: []benchCase{{
			name: name, baseline: "failsafe", how: tight{}, goroutines: calledAt,
			about: "A call that would be made once more after a minute does nothing and succeeds.",
			subjects: subjectsOf([]candidate{
				ours("bulwark", spawnHedge(hedge.Config{Delay: patience})),
				ours("bulwark-quantile", spawnHedge(hedge.Config{Delay: patience, Quantile: 0.95})),
				rival("failsafe", failsafeHedge),
			}, true),
		}},
		budgets: budgets,
	}
}

func spawnHedge(c hedge.Config) func(*actors.Registry) (*hedge.Hedge, error) {
	return func(r *actors.Registry) (*hedge.Hedge, error) { return hedge.Spawn(r, "twice", c) }
}

func failsafeHedge() func(context.Context, task) (int, error) {
	return through(failsafe.With(fshedge.NewWithDelay[int](patience)))
}
