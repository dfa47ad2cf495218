package snippets

import (
	"context"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

type (
	document struct{}
	pdf      struct{}
)

func compartments(ctx context.Context, guards *actors.Registry, render func(context.Context) (pdf, error)) (pdf, error) {
	// region: bulkhead
	rooms, err := bulkhead.Spawn(guards, "pdf", bulkhead.Config{
		MaxConcurrent: 10, MaxWaiting: 50, MaxWait: time.Second,
	})
	if err != nil {
		return pdf{}, err
	}
	return patterns.Do(ctx, rooms, render) // its slot comes back however render ends
	// endregion
}

func partitions(ctx context.Context, guards *actors.Registry, tenant string, pages int, render func(document) error, d document) error {
	// region: bulkhead-partitions
	tenants, err := bulkhead.Spawn(guards, "tenants", bulkhead.Config{
		MaxConcurrent: 8, MaxPartitions: 1000, // eight slots for each of at most a thousand
	})
	if err != nil {
		return err
	}
	permit, err := tenants.AcquireFor(ctx, patterns.Request{Key: tenant, Weight: min(8, 1+pages/100)})
	if err != nil {
		return err
	}
	defer permit.Release()
	return render(d)
	// endregion
}
