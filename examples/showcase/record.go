package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/examples/internal/fleet"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// record is everything that happened, as each side saw it.
type record struct {
	plan    plan
	started time.Time
	shop    *shop
	backend *backend
	reports reports
	stream  *stream
	mail    *mail
	fleet   fleet.Record

	results []result                      // of every order that has ended
	changes []circuitbreaker.StateChanged // of the breaker
	last    map[string]actors.Event       // of each guard
	second  fleet.Second                  // the last one of the fleet
	final   finals
}

// finals are the guards' own books, when everything had ended.
type finals struct {
	edge      loadshedder.Snapshot
	customers ratelimiter.Snapshot
	backend   adaptive.Snapshot
	breaker   circuitbreaker.Snapshot
	rooms     bulkhead.Snapshot
	valve     backpressure.Snapshot
}

// close waits until the consumer has written what was produced, and all mail was
// answered, and takes the last snapshots.
func (r *record) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	undone := errors.Join(r.shop.front.stop(ctx), r.mail.close(ctx))
	for r.stream.pending.Load() > 0 && sleepUntil(ctx, time.Now().Add(10*time.Millisecond)) {
	}
	var ok [6]bool
	f := &r.final
	f.edge, ok[0] = r.shop.edge.Snapshot(ctx)
	f.customers, ok[1] = r.shop.customers.Snapshot(ctx)
	f.backend, ok[2] = r.shop.backend.Snapshot(ctx)
	f.breaker, ok[3] = r.shop.breaker.Snapshot(ctx)
	f.rooms, ok[4] = r.shop.rooms.Snapshot(ctx)
	f.valve, ok[5] = r.shop.valve.Snapshot(ctx)
	if slices.Contains(ok[:], false) {
		return errors.New("a guard tells nothing")
	}
	return undone
}

// counts are the books of all guards, by name.
func (f *finals) counts() map[string]patterns.Counts {
	return map[string]patterns.Counts{
		"edge": f.edge.Counts, "customers": f.customers.Counts, "backend": f.backend.Counts,
		"breaker": f.breaker.Counts, "reports": f.rooms.Counts, "events": f.valve.Counts,
	}
}

func (r *record) count(is func(result) bool) (n int) {
	for i := range r.results {
		if is(r.results[i]) {
			n++
		}
	}
	return n
}

// in returns the orders that were made in a scene and for which is holds.
func (r *record) in(s scene, is func(result) bool) int {
	return r.count(func(x result) bool { return r.plan.at(x.at) == s && is(x) })
}

func any1(result) bool       { return true }
func isServed(x result) bool { return x.end == served }

func critical(x result) bool { return x.priority == patterns.Critical }

// quantile is of how long the served orders of a scene took.
func (r *record) quantile(s scene, q float64) time.Duration {
	var took []time.Duration
	for _, x := range r.results {
		if r.plan.at(x.at) == s && x.end == served {
			took = append(took, x.took)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(q*float64(len(took)-1))]
}

// first is when the breaker first went into state at from or later; zero if never.
func (r *record) first(state circuitbreaker.State, from time.Time) time.Time {
	for _, c := range r.changes {
		if c.To == state && !c.At.Before(from) {
			return c.At
		}
	}
	return time.Time{}
}

func (r *record) opened() time.Time { return r.first(circuitbreaker.Open, r.plan.begins[outage]) }

func (r *record) recovered() time.Time {
	return r.first(circuitbreaker.Closed, r.plan.begins[hogs])
}

// elapsed is how long after from something happened at to.
func elapsed(from, to time.Time) string {
	if to.IsZero() {
		return "never"
	}
	return to.Sub(from).Round(time.Millisecond).String()
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}
