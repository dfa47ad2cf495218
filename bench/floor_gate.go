package main

import (
	"context"
	"sync"
	"time"
)

// gate is what a pattern that bounds concurrency must do at the least: count those that are
// in, refuse above a limit, and know its peak.
type gate struct {
	mu       sync.Mutex
	limit    int
	in, peak int
	admitted uint64
	refused  uint64
}

func (g *gate) enter() bool {
	if g.in >= g.limit {
		g.refused++
		return false
	}
	g.in++
	g.peak = max(g.peak, g.in)
	g.admitted++
	return true
}

// do is the floor of a bulkhead and of a load shedder: a plain gate between two pairs of
// Lock and Unlock.
func (g *gate) do(ctx context.Context, fn task) (int, error) {
	g.mu.Lock()
	ok := g.enter()
	g.mu.Unlock()
	if !ok {
		return 0, errRefused
	}
	defer func() { // a panic in fn gives the place back
		g.mu.Lock()
		g.in--
		g.mu.Unlock()
	}()
	return fn(ctx)
}

// valve is the floor of backpressure: a gate that is shut at the high mark and open again
// at the low one.
type valve struct {
	gate
	high, low int
	hot       bool
}

func (v *valve) do(ctx context.Context, fn task) (int, error) {
	v.mu.Lock()
	ok := !v.hot && v.enter()
	v.hot = v.hot || v.in >= v.high
	v.mu.Unlock()
	if !ok {
		return 0, errRefused
	}
	defer func() {
		v.mu.Lock()
		v.in--
		v.hot = v.hot && v.in > v.low
		v.mu.Unlock()
	}()
	return fn(ctx)
}

// adapting is the floor of adaptive concurrency: a gate whose limit follows AIMD, and that
// therefore times every call.
type adapting struct {
	gate
	least, most int
	slow        time.Duration
}

func (a *adapting) do(ctx context.Context, fn task) (int, error) {
	began := time.Now()
	a.mu.Lock()
	ok := a.enter()
	a.mu.Unlock()
	if !ok {
		return 0, errRefused
	}
	err := errRefused // what a panic leaves
	defer func() {
		took := time.Since(began)
		a.mu.Lock()
		used := 2*a.in > a.limit
		a.in--
		switch {
		case err != nil || took > a.slow:
			a.limit = max(a.least, a.limit*9/10)
		case used:
			a.limit = min(a.most, a.limit+1)
		}
		a.mu.Unlock()
	}()
	var v int
	v, err = fn(ctx)
	return v, err
}
