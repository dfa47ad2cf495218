package main

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// runHogs takes all processors, and more, while the scene of that name lasts.
func runHogs(ctx context.Context, p plan) {
	if !sleepUntil(ctx, p.begins[hogs]) {
		return
	}
	ctx, cancel := context.WithDeadline(ctx, p.begins[healed])
	defer cancel()
	var all sync.WaitGroup
	for range 3 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for x := uint64(1); ctx.Err() == nil; {
				for range 100_000 {
					x = x*6364136223846793005 + 1442695040888963407
				}
			}
		})
	}
	all.Wait()
}

func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
