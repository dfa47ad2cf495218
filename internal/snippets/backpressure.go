package snippets

import (
	"context"
	"iter"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
)

type (
	ingested    struct{}
	handled     struct{}
	eventSource interface {
		pause()
		resume()
		events() iter.Seq[ingested]
	}
)

func throttled(ctx context.Context, guards *actors.Registry, work chan<- func(), handle func(ingested), e ingested) error {
	// region: backpressure
	ingest, err := backpressure.Spawn(guards, "ingest", backpressure.Config{
		MaxPending: 1000, // hot at 800, calm again at 200
	})
	if err != nil {
		return err
	}
	permit, err := ingest.Acquire(ctx) // waits while it is hot
	if err != nil {
		return err
	}
	work <- func() {
		defer permit.Report(patterns.Success) // done: no longer pending
		handle(e)
	}
	// endregion
	return nil
}

func paused(ctx context.Context, ingest *backpressure.Valve, source eventSource) {
	// region: backpressure-pressure
	for hot := range ingest.Pressure(ctx) {
		if hot {
			source.pause()
		} else {
			source.resume()
		}
	}
	// endregion
}

func staged(ctx context.Context, ingest *backpressure.Valve, source eventSource, enrich func(context.Context, ingested) (order, error), store func(order)) error {
	// region: backpressure-map
	for o, err := range backpressure.Map(ctx, source.events(), ingest, enrich, backpressure.Parallel(8)) {
		if err != nil {
			return err // breaking off ends the calls that are under way
		}
		store(o)
	}
	// endregion
	return nil
}

// reader is an actor that reads no faster than its valve lets it.
type reader struct {
	ingest *actor.PID // of the valve
	worker *actor.PID
	source interface{ read(n int) []ingested }
}

func (r *reader) Receive(c actor.Context) {
	// region: backpressure-credits
	switch m := c.Message().(type) {
	case *actor.Started:
		c.Request(r.ingest, actors.Produce{Window: 64}) // ingest.PID(); at most 64 under way
	case actors.Demand:
		for _, e := range r.source.read(m.N) { // m.N more
			c.Request(r.worker, e)
		}
	case handled: // one that the worker has done
		c.Request(r.ingest, actors.Done{N: 1})
	}
	// endregion
}
