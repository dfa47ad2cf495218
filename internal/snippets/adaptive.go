package snippets

import (
	"context"
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
)

type hits struct{}

var errTooMany = errors.New("429 Too Many Requests")

func limited(ctx context.Context, guards *actors.Registry, search func(context.Context) (hits, error)) (hits, error) {
	// region: adaptive
	limit, err := adaptive.Spawn(guards, "search", adaptive.Config{}) // nothing to know
	if err != nil {
		return hits{}, err
	}
	return patterns.Do(ctx, limit, search)
	// endregion
}

func judged(guards *actors.Registry) (*adaptive.Limiter, error) {
	// region: adaptive-judge
	return adaptive.Spawn(guards, "search", adaptive.Config{CallTimeout: 2 * time.Second},
		actors.WithJudge(adaptive.LostOn(errTooMany)))
	// endregion
}

func queued(guards *actors.Registry) (*adaptive.Limiter, error) {
	// region: adaptive-queue
	return adaptive.Spawn(guards, "search", adaptive.Config{
		MaxWaiting: 200, MaxWait: time.Second, // for a place, the higher priorities first
		Queue: adaptive.AdaptiveLIFO, RefuseFrom: 2, // and fewer and fewer when twice the limit wait
	})
	// endregion
}

func shared(ctx context.Context, guards *actors.Registry, search func(context.Context) error) error {
	// region: adaptive-tenants
	limit, err := adaptive.Spawn(guards, "search", adaptive.Config{
		Fair: true, Partitions: adaptive.Guarantee(map[string]float64{"shop": 0.5}), // half of it is the shop's
	})
	if err != nil {
		return err
	}
	permit, err := limit.AcquireFor(ctx, patterns.Request{Key: "reports", Priority: patterns.Low})
	if err != nil {
		return err
	}
	defer permit.Release()
	err = search(ctx)
	permit.Report(patterns.Classify(ctx, err))
	return err
	// endregion
}
