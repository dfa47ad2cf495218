package snippets

import (
	"context"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func bank(
	ctx context.Context, quota *ratelimiter.Limiter, breaker *circuitbreaker.Breaker, rooms *bulkhead.Bulkhead,
	charge func(context.Context) (pdf, error),
) (pdf, error) {
	// region: pipeline
	bank, err := pipeline.New("bank", quota, breaker, rooms) // outermost first
	if err != nil {
		return pdf{}, err
	}
	return patterns.Do(ctx, bank, charge) // through all three, or through none
	// endregion
}

func lint(bank *pipeline.Pipeline) {
	// region: pipeline-lint
	for _, w := range pipeline.Lint(bank) {
		fmt.Println(w) // retry outside fallback: the fallback succeeds, so nothing is ever retried
	}
	// endregion
}
