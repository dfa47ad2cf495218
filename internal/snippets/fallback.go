package snippets

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
)

type rates map[string]float64

func instead(ctx context.Context, guards *actors.Registry, fetch func(context.Context) (rates, error)) (rates, error) {
	// region: fallback
	instead, err := fallback.Spawn(guards, "rates", fallback.Config[rates]{
		LastGood: 10 * time.Minute, // what it was lately
		Steps:    fallback.Chain(fallback.Value(rates{"EUR": 1})),
	})
	if err != nil {
		return nil, err
	}
	return patterns.Do(ctx, instead, fetch)
	// endregion
}

func inOrder(guards *actors.Registry, mirror func(context.Context, error) (rates, error), archive func(context.Context, error) (rates, error)) (*fallback.Fallback[rates], error) {
	// region: fallback-steps
	instead, err := fallback.Spawn(guards, "rates", fallback.Config[rates]{
		Steps: fallback.Chain(
			fallback.Func(mirror).Named("mirror").On(circuitbreaker.ErrOpen, context.DeadlineExceeded),
			fallback.Func(archive).Named("archive"),
		),
		LastGood: time.Minute,
		StaleFor: 24 * time.Hour, // better than an error, if all of them fail
	})
	// endregion
	return instead, err
}
