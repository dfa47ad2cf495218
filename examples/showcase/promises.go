package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// What is promised. The machine may have other things to do: what it can do on its own is
// better than this.
const (
	calmServed     = 90 // percent of the orders, when nothing is wrong
	rushServed     = 60 // percent of what the backend can do
	rushCritical   = 95 // percent of the critical orders
	rushTail       = 500 * time.Millisecond
	othersServed   = 85 // percent of all but the greedy one's
	openWithin     = time.Second
	leastFast      = 70 // percent of the orders in the outage, refused before the backend
	recoverWithin  = 2 * time.Second
	hogsCritical   = 80 // percent of the critical orders
	healedServed   = 85
	customersBurst = 100
)

// promise is one of them, with what was measured.
type promise struct {
	what     string
	held     bool
	measured string
}

func atLeast(what string, least, part, whole int) promise {
	return promise{fmt.Sprintf(what, least), whole > 0 && 100*part >= least*whole, percent(part, whole)}
}

func (r *record) promises() []promise {
	return slices.Concat(r.loadPromises(), r.outagePromises(), r.sidePromises(), []promise{r.fleetPromise()}, r.books())
}

func (r *record) loadPromises() []promise {
	// A scene's first second is for learning.
	able := int(float64(capacity) * (r.plan.length(rush) - time.Second).Seconds())
	settled := r.plan.begins[rush].Add(time.Second)
	inTime := r.in(rush, func(x result) bool { return isServed(x) && !x.at.Before(settled) })
	urgent := func(x result) bool { return critical(x) && !x.at.Before(settled) }
	well := func(x result) bool { return !x.at.Before(r.plan.begins[healed].Add(time.Second)) }
	tail := r.quantile(rush, 0.99)
	greed := r.in(greedy, func(x result) bool { return x.glutton && x.end <= failed })
	most := customersBurst + int(100*r.plan.length(greedy).Seconds())
	others := func(x result) bool { return !x.glutton }
	healthy := r.recovered() // until then it is the outage that they are lost to
	inHogs := func(x result) bool { return critical(x) && !healthy.IsZero() && !x.at.Before(healthy) }
	return []promise{
		atLeast("calm: at least %d%% of the orders were served", calmServed, r.in(calm, isServed), r.in(calm, any1)),
		atLeast("rush: at three times its capacity the backend did at least %d%% of it", rushServed, inTime, able),
		atLeast("rush: at least %d%% of the critical orders were served", rushCritical,
			r.in(rush, func(x result) bool { return urgent(x) && isServed(x) }), r.in(rush, urgent)),
		{
			fmt.Sprintf("rush: 99%% of those served took at most %v", rushTail),
			tail > 0 && tail <= rushTail, round(tail).String(),
		},
		{fmt.Sprintf("greedy: one customer got no more than %d through", most), greed > 0 && greed <= most, fmt.Sprint(greed)},
		atLeast("greedy: at least %d%% of the others' orders were served", othersServed,
			r.in(greedy, func(x result) bool { return others(x) && isServed(x) }), r.in(greedy, others)),
		atLeast("hogs: at least %d%% of the critical orders were served", hogsCritical,
			r.in(hogs, func(x result) bool { return inHogs(x) && isServed(x) }), r.in(hogs, inHogs)),
		{
			"hogs: what the edge shed was not critical", r.shedInHogs(critical) == 0 && r.shedInHogs(any1) > 0,
			fmt.Sprintf("%d of %d", r.shedInHogs(critical), r.shedInHogs(any1)),
		},
		atLeast("healed: after a second, at least %d%% of the orders were served", healedServed,
			r.in(healed, func(x result) bool { return well(x) && isServed(x) }), r.in(healed, well)),
	}
}

func (r *record) shedInHogs(is func(result) bool) int {
	return r.in(hogs, func(x result) bool { return x.end == byEdge && is(x) })
}

func (r *record) outagePromises() []promise {
	opened, recovered := r.opened(), r.recovered()
	spared := r.in(outage, func(x result) bool { return x.end > failed })
	return []promise{
		{
			fmt.Sprintf("outage: the breaker opened within %v of the first failure", openWithin),
			!opened.IsZero() && opened.Sub(r.plan.begins[outage]) <= openWithin, elapsed(r.plan.begins[outage], opened),
		},
		atLeast("outage: at least %d%% of the orders never reached the backend", leastFast, spared, r.in(outage, any1)),
		{
			fmt.Sprintf("outage: it closed within %v of its end", recoverWithin),
			!recovered.IsZero() && recovered.Sub(r.plan.begins[hogs]) <= recoverWithin, elapsed(r.plan.begins[hogs], recovered),
		},
	}
}

func (r *record) sidePromises() []promise {
	peak := int(r.reports.peak.Load())
	made, written := r.stream.produced.Load(), r.stream.written.Load()
	most := int(r.stream.mostPending.Load())
	m := r.mail
	asked, answered, deepest, back := m.asked.Load(), m.answered(), m.deepest.Load(), m.back.Load()
	return []promise{
		{
			fmt.Sprintf("mail: never more than %d letters waited, and each was answered", mailQueue),
			asked > 0 && asked == answered && deepest <= mailQueue, fmt.Sprintf("%d; %d = %d", deepest, asked, answered),
		},
		{
			"mail: the mailer that kept crashing was left alone, tried, and came back",
			m.opened.Load() > 0 && back > 0, fmt.Sprintf("%d and %d times", m.opened.Load(), back),
		},
		{
			"receipts: none of a critical order was dropped for want of room", m.dropped.Load() > 0 && m.urgentDropped.Load() == 0,
			fmt.Sprintf("%d of %d", m.urgentDropped.Load(), m.dropped.Load()),
		},
		{
			fmt.Sprintf("reports: never more than %d ran at once, and bursts were refused", roomPolicy.MaxConcurrent),
			peak > 0 && peak <= roomPolicy.MaxConcurrent && r.reports.refused.Load() > 0, fmt.Sprint(peak),
		},
		{
			fmt.Sprintf("events: never more than %d pending", valvePolicy.MaxPending),
			most > 0 && most <= valvePolicy.MaxPending, fmt.Sprint(most),
		},
		{"events: all that were produced were written", made > 0 && made == written, fmt.Sprintf("%d = %d", made, written)},
	}
}

// books compares what the guards counted with what happened, and with itself.
func (r *record) books() []promise {
	counts := r.final.counts()
	balanced, inFlight := true, uint64(0)
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		balanced = balanced && counts[name].Balanced()
		inFlight += counts[name].InFlight
	}
	asked := counts["edge"].Asked
	reached := r.backend.arrived.Load()
	return []promise{
		{"the edge counted every order", asked == uint64(len(r.results)), fmt.Sprintf("%d = %d", asked, len(r.results))},
		{
			// A call that ran out of time on its way did not get there.
			"nothing reached the backend but what the breaker let through", counts["breaker"].Granted >= uint64(reached),
			fmt.Sprintf("%d of %d", reached, counts["breaker"].Granted),
		},
		{"the books of all guards balance, and no permit is left in flight", balanced && inFlight == 0, fmt.Sprint(inFlight)},
		{
			"nobody was restarted or let through unguarded", r.unharmed(counts),
			fmt.Sprint(r.unharmed(counts)),
		},
	}
}

func (r *record) unharmed(counts map[string]patterns.Counts) bool {
	for _, c := range counts {
		if c.Restarts > 0 {
			return false
		}
	}
	return true
}
