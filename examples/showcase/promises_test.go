package main

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/fleet"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

const ms = time.Millisecond

// good is the record of a run of 30 s in which every promise was held.
func good() *record {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &record{plan: newPlan(start, 30*time.Second), backend: new(backend), stream: new(stream), mail: new(mail)}
	r.changes = []circuitbreaker.StateChanged{
		{To: circuitbreaker.Open, At: r.plan.begins[outage].Add(100 * ms)},
		{To: circuitbreaker.Closed, At: r.plan.begins[hogs].Add(500 * ms)},
	}
	add := func(x result) {
		r.results = append(r.results, x)
		r.final.edge.Asked++
		if x.end == served || x.end == failed {
			r.backend.arrived.Add(1)
			r.final.breaker.Granted++
		}
	}
	for at := start; at.Before(r.plan.end()); at = at.Add(2 * ms) {
		n := int(at.Sub(start) / (2 * ms))
		critical, background := result{at: at, took: ms, priority: patterns.Critical}, result{at: at, took: ms, priority: patterns.Background}
		switch r.plan.at(at) {
		case greedy:
			if n%10 == 0 {
				add(result{at: at, took: ms, glutton: true})
			}
		case outage:
			critical.end, background.end = byBreaker, byBreaker
		case hogs:
			background.end = byEdge
		}
		add(critical)
		add(background)
	}
	r.final.edge.Granted, r.final.edge.Reported, r.final.edge.Success = r.final.edge.Asked, r.final.edge.Asked, r.final.edge.Asked
	b := &r.final.breaker.Counts
	b.Asked, b.Reported, b.Success = b.Granted, b.Granted, b.Granted
	r.reports.peak.Store(4)
	r.reports.refused.Store(1)
	r.stream.mostPending.Store(100)
	r.stream.produced.Store(1000)
	r.stream.written.Store(1000)
	for _, n := range []*atomic.Int64{&r.mail.sent, &r.mail.dropped, &r.mail.opened, &r.mail.back} {
		n.Store(5)
	}
	r.mail.asked.Store(10)
	r.fleet.Admissions = make([]fleet.Admission, fleet.Bound)
	return r
}

// end makes the orders of a scene, for which is holds, end in a way.
func (r *record) end(s scene, how ending, is func(result) bool) {
	for i, x := range r.results {
		if r.plan.at(x.at) == s && is(x) {
			r.results[i].end = how
		}
	}
}

func TestEachPromiseCanBeBroken(t *testing.T) {
	breaks := []func(r *record){
		func(r *record) { r.end(calm, byEdge, critical) },
		func(r *record) {
			r.end(rush, byBackend, func(x result) bool { return !critical(x) || x.at.Second()%2 == 0 })
		},
		func(r *record) {
			r.end(rush, byBackend, func(x result) bool { return critical(x) && x.at.Nanosecond() < 60e6 })
		},
		func(r *record) {
			for i := range r.results {
				if r.results[i].at.Nanosecond() < 20e6 {
					r.results[i].took = rushTail + 1
				}
			}
		},
		func(r *record) {
			for i := range r.results {
				r.results[i].glutton = r.plan.at(r.results[i].at) == greedy
			}
		},
		func(r *record) {
			r.end(greedy, byCustomers, func(x result) bool { return !x.glutton && x.at.Second()%3 == 0 })
		},
		func(r *record) { r.end(hogs, byBackend, critical) },
		func(r *record) {
			r.end(hogs, byEdge, func(x result) bool { return critical(x) && x.at.Second()%6 == 0 })
		},
		func(r *record) { r.end(healed, byEdge, func(x result) bool { return !critical(x) }) },
		func(r *record) { r.changes[0].At = r.plan.begins[outage].Add(openWithin + 1) },
		func(r *record) { r.end(outage, failed, any1) },
		func(r *record) { r.changes[1].At = r.plan.begins[hogs].Add(recoverWithin + 1) },
		func(r *record) { r.mail.failed.Store(1) },
		func(r *record) { r.mail.back.Store(0) },
		func(r *record) { r.mail.urgentDropped.Store(1) },
		func(r *record) { r.reports.peak.Store(5) },
		func(r *record) { r.stream.mostPending.Store(101) },
		func(r *record) { r.stream.written.Add(-1) },
		func(r *record) { r.fleet.Admissions = make([]fleet.Admission, fleet.Bound+1) },
		func(r *record) { r.results = r.results[1:] },
		func(r *record) { r.backend.arrived.Add(1) },
		func(r *record) { r.final.valve.InFlight = 1 },
		func(r *record) { r.final.rooms.Restarts = 1 },
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
