package snippets

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
)

type page struct{}

func overload(ctx context.Context, guards *actors.Registry, user string, paying bool, render func(context.Context) (page, error)) (page, error) {
	// region: loadshedder
	edge, err := loadshedder.GetOrSpawn(guards, "edge", loadshedder.Config{
		MaxInFlight: 1000, MaxQueue: 500, // by count
		CPU: 0.85, Memory: 0.85, // by the machine, or its container
		Fair: true, // among users
	})
	if err != nil {
		return page{}, err
	}
	priority := patterns.Normal
	if paying {
		priority = patterns.High
	}
	permit, err := edge.AcquireFor(ctx, patterns.Request{Priority: priority, Key: user})
	if err != nil {
		return page{}, err // 503, Retry-After: patterns.RetryAfter(err)
	}
	defer permit.Release()
	return render(ctx)
	// endregion
}

func ownMeasure(ctx context.Context, edge *loadshedder.Shedder, lag func() time.Duration) error {
	// region: loadshedder-observe
	for range time.Tick(100 * time.Millisecond) {
		err := edge.Observe(ctx, loadshedder.Reading{Signal: loadshedder.SchedulingLatency, Value: lag().Seconds()})
		if err != nil {
			return err
		}
	}
	// endregion
	return nil
}
