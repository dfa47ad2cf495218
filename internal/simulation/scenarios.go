package simulation

import (
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

// Reference is the service of the named scenarios: 1,000 calls per second.
func Reference() Service {
	return Service{Workers: 10, Mean: 10 * ms, Sigma: 0.5, Deadline: 200 * ms}
}

// Change is when the world changes in the scenarios Step, Slowdown and Loss, and
// ChangeEnd when it changes back.
const (
	Change    = 10 * sec
	ChangeEnd = 20 * sec
)

func steady(name string, load float64) Scenario {
	return Scenario{Name: name, Service: Reference(), Phases: []Phase{{Load: load}}, Warm: 5 * sec, Last: 25 * sec, Seed: 11}
}

// Scenarios are the experiments that every limiter is scored on.
func Scenarios() []Scenario {
	all := []Scenario{steady("0.5x", 0.5), steady("1x", 1), steady("2x", 2), steady("5x", 5)}
	add := func(name string, load float64, change func(s *Scenario)) {
		s := steady(name, load)
		change(&s)
		all = append(all, s)
	}
	add("closed loop", 0, func(s *Scenario) { s.Clients, s.Think = 60, 20*ms })
	add("step", 0, func(s *Scenario) {
		s.Phases = []Phase{{Load: 0.5}, {At: Change, Load: 3}, {At: ChangeEnd, Load: 0.5}}
	})
	add("slowdown", 0, func(s *Scenario) {
		s.Phases = []Phase{{Load: 2}, {At: Change, Load: 2, Slow: 5}, {At: ChangeEnd, Load: 2}}
	})
	add("loss", 0, func(s *Scenario) {
		s.Phases = []Phase{{Load: 2}, {At: Change, Load: 2, Lost: 0.5}, {At: ChangeEnd, Load: 2}}
	})
	add("bursts", 0, func(s *Scenario) {
		for at := time.Duration(0); at < s.Last; at += 2 * sec {
			s.Phases = append(s.Phases, Phase{At: at, Load: 0.5}, Phase{At: at + 1700*ms, Load: 8})
		}
	})
	add("incident", 0, func(s *Scenario) {
		s.Phases = []Phase{{Load: 2}, {At: IncidentStart, Load: 2, Slow: 4, Lost: 0.5}, {At: IncidentEnd, Load: 2}}
		s.Last = IncidentEnd + 20*sec
	})
	add("heavy tail", 2, func(s *Scenario) { s.Service.Sigma, s.Service.Deadline = 1.2, 400*ms })
	add("tight deadline", 2, func(s *Scenario) { s.Service.Deadline = 40 * ms })
	add("retries", 2, func(s *Scenario) { s.Retries, s.Backoff = 3, 50*ms })
	add("abandoned 2x", 2, func(s *Scenario) { s.Service.Abandon = true })
	add("abandoned 5x", 5, func(s *Scenario) { s.Service.Abandon = true })
	return all
}

// IncidentStart and IncidentEnd bound the two minutes in which half the workers are
// gone and the rest is four times as slow.
const (
	IncidentStart = 20 * sec
	IncidentEnd   = IncidentStart + 120*sec
)

// Priorities is 10 % critical, 60 % normal and 30 % low at three times capacity.
func Priorities() Scenario {
	s := steady("priorities", 3)
	s.Classes = []Class{
		{Share: 10, Priority: patterns.Critical},
		{Share: 60, Priority: patterns.Normal},
		{Share: 30, Priority: patterns.Low},
	}
	return s
}

// NoisyTenant is one tenant with 80 % of the traffic and nine others, at twice
// capacity.
func NoisyTenant() Scenario {
	s := steady("noisy tenant", 2)
	s.Classes = []Class{{Share: 80, Key: "noisy"}}
	for i := range 9 {
		s.Classes = append(s.Classes, Class{Share: 20.0 / 9, Key: fmt.Sprintf("quiet-%d", i)})
	}
	return s
}

// Size is one service at twice its capacity, for as long as it takes.
func Size(workers int, mean time.Duration) Scenario {
	// A fast and wide service does in a second what a slow and narrow one does in an hour.
	calls := 2000 * mean / time.Duration(workers)
	warm := max(sec, 60*mean, min(calls, 300*mean))
	return Scenario{
		Name:    fmt.Sprintf("%d x %v", workers, mean),
		Service: Service{Workers: workers, Mean: mean, Sigma: 0.5, Deadline: 20 * mean},
		Phases:  []Phase{{Load: 2}},
		Warm:    warm, Last: warm + max(sec, 60*mean, calls), Seed: 12,
	}
}

// Sizes are services from 1 to 1,000 workers and from 1 ms to 1 s.
func Sizes() []Scenario {
	var all []Scenario
	for _, w := range []int{1, 3, 10, 100, 1000} {
		for _, m := range []time.Duration{ms, 10 * ms, 100 * ms, sec} {
			all = append(all, Size(w, m))
		}
	}
	return all
}

// Best is what the best fixed limit reaches: the highest goodput, and of the limits
// within 1 % of it the lowest p99.
type Best struct {
	Limit   int
	Goodput float64
	P99     time.Duration
	// Changed is the best rate that any fixed limit reached from Change to ChangeEnd.
	Changed float64
}

// Sweep tries fixed limits in a geometric series.
func Sweep(s Scenario) Best {
	type try struct {
		limit   int
		goodput float64
		p99     time.Duration
	}
	var tries []try
	top, changed := 0.0, 0.0
	for x := 1.0; x <= float64(8*s.Service.Workers+32); x = max(x+1, x*1.2) {
		r := Run(s, &Fixed{Limit: int(x)})
		tries = append(tries, try{int(x), r.Goodput(), r.Latency.Quantile(0.99)})
		top = max(top, r.Goodput())
		changed = max(changed, r.Rate(Change, ChangeEnd))
		if r.Goodput() < 0.5*top {
			break
		}
	}
	best := Best{Goodput: top, P99: math.MaxInt64, Changed: changed}
	for _, t := range tries {
		if t.goodput >= 0.99*top && t.p99 < best.P99 {
			best.Limit, best.P99 = t.limit, t.p99
		}
	}
	return best
}
