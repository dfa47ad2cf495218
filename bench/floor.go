package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What every breaker of the bench is configured to.
const (
	openAfter = 5 // failures in a row
	openFor   = time.Hour
	probes    = 2 // good ones close the circuit again
)

var errPlainOpen = errors.New("open")

type plainState uint8

const (
	plainClosed plainState = iota
	plainOpen
	plainHalfOpen
)

// plain is what a breaker must do at the least: count, open, probe and close, and
// not be fooled by reports from an earlier state. It reads a clock only when open.
type plain struct {
	state      plainState
	generation uint64
	failures   int // in a row
	requests   uint64
	succeeded  uint64
	failed     uint64
	openUntil  time.Time
	probing    int
	passed     int
	onChange   func(from, to plainState) // may be nil
}

// acquire returns the generation to report under.
func (b *plain) acquire() (generation uint64, err error) {
	if b.state == plainOpen {
		if time.Now().Before(b.openUntil) {
			return 0, errPlainOpen
		}
		b.change(plainHalfOpen)
	}
	if b.state == plainHalfOpen {
		if b.probing >= probes {
			return 0, errPlainOpen
		}
		b.probing++
	}
	b.requests++
	return b.generation, nil
}

func (b *plain) report(generation uint64, ok bool) {
	if generation != b.generation {
		return
	}
	if !ok {
		b.failed++
		b.failures++
		if b.state == plainHalfOpen || b.failures >= openAfter {
			b.openUntil = time.Now().Add(openFor)
			b.change(plainOpen)
		}
		return
	}
	b.succeeded++
	b.failures = 0
	if b.state == plainHalfOpen {
		if b.passed++; b.passed >= probes {
			b.change(plainClosed)
		}
	}
}

func (b *plain) change(to plainState) {
	from := b.state
	b.state = to
	b.generation++
	b.failures, b.probing, b.passed = 0, 0, 0
	if b.onChange != nil {
		b.onChange(from, to)
	}
}

// locked is the floor: what a plain breaker behind a sync.Mutex costs.
type locked struct {
	mu sync.Mutex
	b  plain
}

func (l *locked) do(ctx context.Context, fn task) (int, error) {
	l.mu.Lock()
	generation, err := l.b.acquire()
	l.mu.Unlock()
	if err != nil {
		return 0, err
	}
	ok := false
	defer func() { // a panic in fn is a failure
		l.mu.Lock()
		l.b.report(generation, ok)
		l.mu.Unlock()
	}()
	v, err := fn(ctx)
	ok = err == nil
	return v, err
}
