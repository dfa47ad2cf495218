package snippets

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func inTime(ctx context.Context, guards *actors.Registry, charge func(context.Context) (pdf, error)) (pdf, error) {
	// region: timeout
	soon, err := timeout.Spawn(guards, "bank", timeout.Config{PerAttempt: 300 * time.Millisecond})
	if err != nil {
		return pdf{}, err
	}
	result, err := patterns.Do(ctx, soon, charge)
	if late, ok := errors.AsType[*timeout.Error](err); ok {
		log.Printf("%s took %v, limit %v", late.Name, late.Elapsed, late.After)
	}
	return result, err
	// endregion
}

func following(guards *actors.Registry) (*timeout.Timeout, error) {
	// region: timeout-quantile
	soon, err := timeout.Spawn(guards, "search", timeout.Config{
		PerAttempt: time.Second,           // until it has seen a hundred calls, and at most
		Quantile:   0.99,                  // then twice what 99 of 100 took lately
		Min:        20 * time.Millisecond, // and no less than this
	})
	// endregion
	return soon, err
}

func leftBehind(guards *actors.Registry) (*timeout.Timeout, error) {
	// region: timeout-abandon
	soon, err := timeout.Spawn(guards, "legacy", timeout.Config{
		PerAttempt: time.Second,
		Abandon:    true, MaxAbandoned: 20, // the caller goes on, and at most 20 calls are left behind
	})
	// endregion
	return soon, err
}
