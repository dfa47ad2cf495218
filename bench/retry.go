package main

import (
	"context"

	"github.com/failsafe-go/failsafe-go"
	fsretry "github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

func retries() family {
	const name = "retry/first"
	bare := func() func(context.Context, task) (int, error) {
		return func(ctx context.Context, fn task) (int, error) { return fn(ctx) }
	}
	subjects := subjectsOf([]candidate{
		ours("bulwark", func(r *actors.Registry) (*retry.Retry, error) { return retry.Spawn(r, "bank", retry.Config{}) }),
		ours("bulwark-budget", func(r *actors.Registry) (*retry.Retry, error) {
			b, err := retry.SpawnBudget(r, "budget", retry.BudgetConfig{})
			if err != nil {
				return nil, err
			}
			return retry.Spawn(r, "bank", retry.Config{Budget: b})
		}),
		rival("bare", bare),
		rival("failsafe", failsafeRetry),
	}, true)
	budgets := make([]budget, 0, 2*len(calledAt))
	for _, g := range calledAt {
		budgets = append(budgets,
			budget{
				what: "what a retry adds to a call that succeeds at once", of: point{name, "bulwark", g}, to: point{name, "bare", g},
				metric: nsPerOp, compare: difference, is: atMost, limit: 60,
			},
			budget{of: point{name, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 0.01})
	}
	return family{
		cases: []benchCase{{
			name: name, baseline: "bare", how: tight{}, goroutines: calledAt, subjects: subjects,
			about: "A function that does nothing succeeds at its first attempt; bare, nothing is around it.",
		}},
		budgets: budgets,
	}
}

func failsafeRetry() func(context.Context, task) (int, error) {
	e := failsafe.With(fsretry.NewBuilder[int]().Build())
	return func(ctx context.Context, fn task) (int, error) {
		return e.Get(func() (int, error) { return fn(ctx) })
	}
}
