package snippets

import (
	"context"
	"errors"
	"log"
	"net"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

var (
	errBusy    = errors.New("busy")
	errTimeout = errors.New("timeout")
)

func onceMore(ctx context.Context, guards *actors.Registry, charge func(context.Context) (receipt, error)) (receipt, error) {
	// region: retry
	again, err := retry.Spawn(guards, "bank", retry.Config{
		Attempts: 3,
		Backoff:  retry.Exponential(100*time.Millisecond, 5*time.Second).EqualJitter(),
	}, actors.WithJudge(patterns.FailOn(errBusy, errTimeout))) // what is retried; without, every failure
	if err != nil {
		return receipt{}, err
	}
	paid, err := patterns.Do(ctx, again, charge)
	if gaveUp, ok := errors.AsType[*retry.ExhaustedError](err); ok {
		log.Printf("after %d attempts in %v (%s): %v", gaveUp.Attempts, gaveUp.Elapsed, gaveUp.Cause, gaveUp.Last)
	}
	return paid, err
	// endregion
}

func byError(guards *actors.Registry) (*retry.Retry, error) {
	// region: retry-overrides
	again, err := retry.Spawn(guards, "bank", retry.Config{
		Overrides: retry.NewOverrides(
			retry.For(retry.Override{Attempts: 6, Backoff: retry.Constant(time.Second)}, errBusy),
			retry.ForType[*net.DNSError](retry.Override{Attempts: 1}),
		),
	})
	// endregion
	return again, err
}

func withinABudget(guards *actors.Registry, use func(reads, writes *retry.Retry)) error {
	// region: retry-budget
	budget, err := retry.SpawnBudget(guards, "bank-budget", retry.BudgetConfig{
		Ratio: 0.2, MinPerSecond: 10, // a retry for every fifth call, and ten a second besides
	})
	if err != nil {
		return err
	}
	reads, err := retry.Spawn(guards, "bank-reads", retry.Config{Budget: budget})
	if err != nil {
		return err
	}
	writes, err := retry.Spawn(guards, "bank-writes", retry.Config{Attempts: 2, Budget: budget})
	// endregion
	if err == nil {
		use(reads, writes)
	}
	return err
}
