package main

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// watch keeps the record until all three sources are closed, and shows it live.
func watch(s *screen, p plan, results <-chan result, arrivals <-chan time.Time, changes <-chan actors.Event) *record {
	r := &record{plan: p}
	interval := time.Second
	if s.live {
		interval = 100 * time.Millisecond
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for results != nil || arrivals != nil || changes != nil {
		select {
		case x, ok := <-results:
			if !ok {
				results = nil
				continue
			}
			r.results = append(r.results, x)
		case at, ok := <-arrivals:
			if !ok {
				arrivals = nil
				continue
			}
			r.arrivals = append(r.arrivals, at)
		case e, ok := <-changes:
			if !ok {
				changes = nil
				continue
			}
			if change, ok := e.(circuitbreaker.StateChanged); ok {
				r.changes = append(r.changes, change)
			}
		case now := <-tick.C:
			s.status(statusLine(s, r, now))
		}
	}
	if s.live {
		s.status("")
	}
	return r
}

// statusLine fits on a terminal of 80 columns.
func statusLine(s *screen, r *record, now time.Time) string {
	state := r.stateAt(now)
	colour := map[circuitbreaker.State]string{
		circuitbreaker.Closed: "32", circuitbreaker.Open: "31", circuitbreaker.HalfOpen: "33",
	}[state]
	sent, fast := len(r.results), r.count(func(x result) bool { return x.end == failedFast })
	line := fmt.Sprintf("%4.1fs %-7v  %s  sent %4d  reached %4d  failed fast %4d",
		now.Sub(r.plan.start()).Seconds(), r.plan.at(now), s.paint(colour, fmt.Sprintf("%-9v", state)),
		sent, len(r.arrivals), fast)
	if s.live {
		traffic := []rune(r.traffic(now))
		line += "  " + string(traffic[max(0, len(traffic)-10):])
	}
	return line
}
