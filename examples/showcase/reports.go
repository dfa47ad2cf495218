package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

const (
	burst      = 12 // reports are asked for at once, every burstEvery
	burstEvery = time.Second
	reportFor  = 120 * time.Millisecond
)

// reports are heavy, and asked for in bursts.
type reports struct {
	running, peak         atomic.Int64
	made, refused, failed atomic.Int64
}

// run asks for them until ctx ends, and waits for those under way. Every tenth panics.
func (r *reports) run(ctx context.Context, rooms *bulkhead.Bulkhead) {
	tick := time.NewTicker(burstEvery)
	defer tick.Stop()
	var all sync.WaitGroup
	for n := 0; ; {
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-tick.C:
		}
		for range burst {
			n++
			poisoned := n%10 == 0
			all.Go(func() { r.ask(rooms, poisoned) })
		}
	}
}

func (r *reports) ask(rooms *bulkhead.Bulkhead, poisoned bool) {
	defer func() {
		if recover() != nil {
			r.failed.Add(1)
		}
	}()
	err := patterns.Run(context.Background(), rooms, func(context.Context) error {
		n := r.running.Add(1)
		defer r.running.Add(-1)
		for old := r.peak.Load(); n > old && !r.peak.CompareAndSwap(old, n); old = r.peak.Load() {
		}
		time.Sleep(reportFor)
		if poisoned {
			panic("a report that cannot be made") // its room comes back all the same
		}
		return nil
	})
	switch {
	case errors.Is(err, bulkhead.ErrFull):
		r.refused.Add(1)
	case err == nil:
		r.made.Add(1)
	default:
		r.failed.Add(1)
	}
}
