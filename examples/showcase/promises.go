package main

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// What is promised.
const (
	openWithin    = time.Second
	recoverWithin = 2 * time.Second
	leastFast     = 90 // percent
)

// promise is one of them, with what was measured.
type promise struct {
	what     string
	held     bool
	measured string
}

func (r *record) promises() []promise {
	early := len(r.changes) > 0 && r.changes[0].At.Before(r.plan.outage())
	opened, recovered := r.opened(), r.recovered()
	stayed := !recovered.IsZero() && r.first(circuitbreaker.Open, recovered).IsZero()
	sent, fast := r.outage()
	got, most := r.leaked()
	refused := r.count(func(x result) bool { return x.end == failedFast })
	f := r.final
	return []promise{
		{"the breaker stayed closed while the backend was well", !early, fmt.Sprint(!early)},
		{
			fmt.Sprintf("it opened within %v of the first failure", openWithin),
			!opened.IsZero() && opened.Sub(r.plan.outage()) <= openWithin, elapsed(r.plan.outage(), opened),
		},
		{
			fmt.Sprintf("at least %d%% of the calls in the outage failed fast", leastFast),
			sent > 0 && 100*fast >= leastFast*sent, fmt.Sprintf("%.1f%%", 100*float64(fast)/float64(max(sent, 1))),
		},
		{
			fmt.Sprintf("until it closed, the backend got at most %d calls", most),
			!opened.IsZero() && got <= most, fmt.Sprint(got),
		},
		{
			fmt.Sprintf("it closed within %v of the healing, and stayed so", recoverWithin),
			stayed && recovered.Sub(r.plan.heals()) <= recoverWithin,
			elapsed(r.plan.heals(), recovered),
		},
		{
			"calls sent = reached the backend + failed fast",
			len(r.results) == len(r.arrivals)+refused, fmt.Sprintf("%d = %d + %d", len(r.results), len(r.arrivals), refused),
		},
		{
			"the breaker counted the same, and its books balance",
			f.Asked == uint64(len(r.results)) && f.Rejected == uint64(refused) && f.Balanced(),
			fmt.Sprintf("%d = %d + %d", f.Asked, f.Granted, f.Rejected),
		},
		{"no permit was left in flight", f.InFlight == 0, fmt.Sprint(f.InFlight)},
	}
}

func (r *record) opened() time.Time { return r.first(circuitbreaker.Open, r.plan.outage()) }

func (r *record) recovered() time.Time { return r.first(circuitbreaker.Closed, r.plan.heals()) }

// outage counts the calls sent while the backend was not well.
func (r *record) outage() (sent, fast int) {
	sent = r.count(func(x result) bool {
		in := !x.at.Before(r.plan.outage()) && x.at.Before(r.plan.heals())
		if in && x.end == failedFast {
			fast++
		}
		return in
	})
	return sent, fast
}

// leaked counts the calls that reached the backend between the opening and the end of
// it. At most are to be expected: one probe for each time that the breaker was open,
// the probes that close it, and calls on their way when it opened.
func (r *record) leaked() (got, most int) {
	opened, until := r.opened(), r.recovered()
	if opened.IsZero() {
		return 0, 0
	}
	if until.IsZero() {
		until = r.plan.end()
	}
	most = int(until.Sub(opened)/policy.OpenFor) + policy.Probes
	most += r.count(func(x result) bool {
		return x.end != failedFast && x.at.Before(opened) && x.at.Add(x.took).After(opened)
	})
	return r.arrivedBetween(opened, until), most
}
