package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	fsretry "github.com/failsafe-go/failsafe-go/retrypolicy"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// patience is the limit of every timeout: nobody reaches it.
const patience = time.Minute

func timeouts() family {
	const fast, three = "timeout/fast", "pipeline/retry-breaker-timeout"
	budgets := make([]budget, 0, 3*len(calledAt))
	for _, g := range calledAt {
		budgets = append(
			budgets,
			budget{of: point{fast, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 2.01},
			atMostTimes(three, g, "bulwark", 0.35, "failsafe"),
			budget{of: point{three, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 4.01},
		)
	}
	return family{
		cases: []benchCase{
			{
				name: fast, baseline: "context", how: tight{}, goroutines: calledAt,
				about: "A call under a timeout of a minute does nothing and succeeds; context is `context.WithTimeout` alone.",
				subjects: subjectsOf([]candidate{
					ours("bulwark", spawnTimeout(timeout.Config{PerAttempt: patience})),
					ours("bulwark-quantile", spawnTimeout(timeout.Config{PerAttempt: patience, Quantile: 0.99})),
					ours("bulwark-abandon", spawnTimeout(timeout.Config{PerAttempt: patience, Abandon: true})),
					rival("context", contextTimeout),
					rival("failsafe", failsafeTimeout),
				}, true),
			},
			{
				name: three, baseline: "failsafe", how: tight{}, goroutines: calledAt,
				about: "A function that does nothing succeeds within a retry, a breaker and a timeout, outermost first.",
				subjects: subjectsOf([]candidate{
					ours("bulwark", spawnThree),
					rival("failsafe", failsafeThree),
				}, true),
			},
		},
		budgets: budgets,
	}
}

func spawnTimeout(c timeout.Config) func(*actors.Registry) (*timeout.Timeout, error) {
	return func(r *actors.Registry) (*timeout.Timeout, error) { return timeout.Spawn(r, "soon", c) }
}

func contextTimeout() func(context.Context, task) (int, error) {
	return func(ctx context.Context, fn task) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return fn(ctx)
	}
}

func failsafeTimeout() func(context.Context, task) (int, error) {
	return through(failsafe.With(fstimeout.New[int](patience)))
}

// through calls with the context that the policies make.
func through(e failsafe.Executor[int]) func(context.Context, task) (int, error) {
	return func(ctx context.Context, fn task) (int, error) {
		return e.WithContext(ctx).GetWithExecution(func(x failsafe.Execution[int]) (int, error) { return fn(x.Context()) })
	}
}

func spawnThree(r *actors.Registry) (patterns.Guard, error) {
	again, err := retry.Spawn(r, "again", retry.Config{})
	if err != nil {
		return nil, err
	}
	breaker, err := circuitbreaker.Spawn(r, "breaker", circuitbreaker.Config{})
	if err != nil {
		return nil, err
	}
	soon, err := timeout.Spawn(r, "soon", timeout.Config{PerAttempt: patience})
	if err != nil {
		return nil, err
	}
	return pipeline.New("bank", again, breaker, soon)
}

func failsafeThree() func(context.Context, task) (int, error) {
	return through(failsafe.With[int](
		fsretry.NewBuilder[int]().Build(), fsbreaker.NewBuilder[int]().Build(), fstimeout.New[int](patience)))
}
