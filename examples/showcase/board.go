package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/examples/internal/fleet"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// watch keeps the record until both sources are closed, and shows it live.
func watch(s *screen, r *record, results <-chan result, seconds <-chan fleet.Second, events <-chan actors.Event) {
	r.last = make(map[string]actors.Event)
	interval := time.Second
	if s.live {
		interval = 200 * time.Millisecond
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	b := board{record: r, before: make(map[string]patterns.Counts)}
	for results != nil || seconds != nil || events != nil {
		select {
		case x, ok := <-results:
			if !ok {
				results = nil
				s.show(nil)
				continue
			}
			r.results = append(r.results, x)
		case e, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			r.last[e.Source()] = e
			if change, ok := e.(circuitbreaker.StateChanged); ok {
				r.changes = append(r.changes, change)
			}
		case x, ok := <-seconds:
			if !ok {
				seconds = nil
				continue
			}
			r.second = x
		case now := <-tick.C:
			if results != nil {
				s.show(b.draw(s, now, interval))
			}
		}
	}
}

// board is the live table.
type board struct {
	record *record
	before map[string]patterns.Counts
}

// row is one guard.
type row struct {
	name, pattern, state, limit string
	patterns.Counts
}

// Lines are for a terminal of 80 columns.
const heading = "guard     pattern         running  limit waiting granted/s refused/s  state"

// draw asks every guard how it is. Few callers ever look as often as this does.
func (b *board) draw(s *screen, now time.Time, interval time.Duration) []string {
	r := b.record
	reached := r.backend.arrived.Load()
	ended := len(r.results)
	ok := r.count(isServed)
	lines := []string{fmt.Sprintf("%5.1fs  %-8v orders %5d  served %5d  refused, failed %5d  at the backend %5d",
		now.Sub(r.plan.start()).Seconds(), r.plan.at(now), ended, ok, ended-ok, reached)}
	if !s.live {
		return append(lines, b.brief())
	}
	lines = append(lines, "", heading)
	for _, g := range r.rows() {
		old := b.before[g.name]
		b.before[g.name] = g.Counts
		each := interval.Seconds()
		refused := float64(g.Rejected-old.Rejected) / each
		colour := "32"
		if refused > 0 {
			colour = "33"
		}
		line := fmt.Sprintf("%-9s %-15s %7d %6s %7d %9.0f %9.0f  ", g.name, g.pattern, g.InFlight, g.limit, g.Waiting,
			float64(g.Granted-old.Granted)/each, refused)
		lines = append(lines, line+s.paint(colour, g.state))
	}
	return append(lines, "",
		fmt.Sprintf("events:  %d produced, %d written, %d pending",
			r.stream.produced.Load(), r.stream.written.Load(), r.stream.pending.Load()),
		fmt.Sprintf("reports: %d made, %d refused, %d running",
			r.reports.made.Load(), r.reports.refused.Load(), r.reports.running.Load()),
		fmt.Sprintf("mail:    %d sent, %d dropped, %d refused; mailer crashed %d times, back %d",
			r.mail.sent.Load(), r.mail.dropped.Load(), r.mail.away.Load(), r.mail.failed.Load(), r.mail.back.Load()),
		r.fleetLine())
}

// brief is the table on one line, for what is no terminal.
func (b *board) brief() string {
	var text strings.Builder
	for _, g := range b.record.rows() {
		fmt.Fprintf(&text, "  %s %s/%s", g.name, g.state, g.limit)
	}
	return text.String()
}

// rows asks the guards. One that does not answer at once is shown as it was: there is none.
func (r *record) rows() []row {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var rows []row
	if v, ok := r.shop.edge.Snapshot(ctx); ok {
		state := v.Level.String()
		if v.Shedding {
			state += fmt.Sprintf(", shedding at pressure %.1f", v.Pressure)
		}
		rows = append(rows, row{"edge", "load shedder", state, fmt.Sprint(v.Limit), v.Counts})
	}
	if v, ok := r.shop.customers.Snapshot(ctx); ok {
		rows = append(rows, row{"customers", "rate limiter", fmt.Sprintf("%d keys", v.Keys), "100/s", v.Counts})
	}
	if v, ok := r.shop.backend.Snapshot(ctx); ok {
		rows = append(rows, row{"backend", "adaptive", fmt.Sprintf("latency %v", v.Latency.Round(time.Millisecond)), fmt.Sprint(v.Limit), v.Counts})
	}
	if v, ok := r.shop.breaker.Snapshot(ctx); ok {
		rows = append(rows, row{"breaker", "circuit breaker", v.State.String(), "-", v.Counts})
	}
	if v, ok := r.shop.rooms.Snapshot(ctx); ok {
		rows = append(rows, row{"reports", "bulkhead", fmt.Sprintf("%d taken, peak %d", v.Active, v.Peak), fmt.Sprint(v.Limit), v.Counts})
	}
	if v, ok := r.shop.valve.Snapshot(ctx); ok {
		state := "calm"
		if v.Hot {
			state = "hot"
		}
		rows = append(rows, row{"events", "backpressure", state, fmt.Sprint(valvePolicy.MaxPending), v.Counts})
	}
	return rows
}
