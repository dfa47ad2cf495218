package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

const ms = time.Millisecond

// good is the record of a run of 19 s in which every promise was held.
func good() *record {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &record{plan: newPlan(start, 19*time.Second)}
	opened, closed := r.plan.outage().Add(100*ms), r.plan.heals().Add(500*ms)
	r.changes = []circuitbreaker.StateChanged{
		{To: circuitbreaker.Open, At: opened},
		{To: circuitbreaker.HalfOpen, At: closed.Add(-ms)},
		{To: circuitbreaker.Closed, At: closed},
	}
	for at := start; at.Before(r.plan.end()); at = at.Add(5 * ms) {
		if at.After(opened) && at.Before(closed) {
			r.results = append(r.results, result{at, 0, failedFast})
			r.final.Rejected++
			continue
		}
		r.results = append(r.results, result{at, ms, succeeded})
		r.arrivals = append(r.arrivals, at)
		r.final.Granted++
	}
	r.final.Asked = r.final.Granted + r.final.Rejected
	r.final.Reported, r.final.Success = r.final.Granted, r.final.Granted
	return r
}

func TestEachPromiseCanBeBroken(t *testing.T) {
	breaks := []func(r *record){
		func(r *record) { r.changes[0].At = r.plan.start() },
		func(r *record) { r.changes[0].At = r.plan.outage().Add(openWithin + 1) },
		func(r *record) {
			for i := range r.results {
				if i%8 == 0 && r.results[i].end == failedFast { // 1 in 8 did not
					r.results[i].end = failed
				}
			}
		},
		func(r *record) {
			for i := range r.arrivals {
				if i%10 == 0 { // as many, but elsewhere
					r.arrivals[i] = r.plan.outage().Add(time.Second)
				}
			}
		},
		func(r *record) { r.changes[2].At = r.plan.heals().Add(recoverWithin + 1) },
		func(r *record) { r.results = r.results[1:] },
		func(r *record) { r.final.Counts = patterns.Counts{Asked: r.final.Asked, Rejected: r.final.Rejected} },
		func(r *record) { r.final.InFlight = 1 },
	}
	for _, p := range good().promises() {
		if !p.held {
			t.Errorf("not held at first: %s (%s)", p.what, p.measured)
		}
	}
	if n := len(good().promises()); n != promised || len(breaks) != promised {
		t.Fatalf("%d promises and %d ways to break them, want %d", n, len(breaks), promised)
	}
	for i, breakIt := range breaks {
		r := good()
		breakIt(r)
		if p := r.promises()[i]; p.held {
			t.Errorf("held nevertheless: %s (%s)", p.what, p.measured)
		}
	}
}

func TestABreakerThatOpensAgainDidNotRecover(t *testing.T) {
	r := good()
	r.changes = append(r.changes, circuitbreaker.StateChanged{To: circuitbreaker.Open, At: r.plan.end()})
	if p := r.promises()[4]; p.held {
		t.Errorf("held nevertheless: %s (%s)", p.what, p.measured)
	}
}
