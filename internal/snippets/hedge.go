package snippets

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

func beside(ctx context.Context, guards *actors.Registry, search func(context.Context) (pdf, error)) (pdf, error) {
	// region: hedge
	twice, err := hedge.Spawn(guards, "search", hedge.Config{Delay: 50 * time.Millisecond})
	if err != nil {
		return pdf{}, err
	}
	// search runs on a goroutine of its own, and after 50 ms on another one beside it.
	return patterns.Do(ctx, twice, search)
	// endregion
}

func besideTheSlowest(guards *actors.Registry) (*hedge.Hedge, error) {
	// region: hedge-quantile
	budget, err := retry.SpawnBudget(guards, "search-budget", retry.BudgetConfig{Ratio: 0.1})
	if err != nil {
		return nil, err
	}
	twice, err := hedge.Spawn(guards, "search", hedge.Config{
		Delay:    100 * time.Millisecond, // until it has seen a hundred calls
		Quantile: 0.95,                   // then what 95 of 100 took lately
		Min:      5 * time.Millisecond,   // and no less than this
		Budget:   budget,                 // which may be that of the retries, too
	})
	// endregion
	return twice, err
}
