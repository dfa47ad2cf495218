package main

import (
	"context"
	"errors"
	"slices"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// admission is a family of guards that all let every call through.
type admission struct {
	pattern  string
	title    string // of the figure
	about    string // what the guards are set to
	baseline string
	ours     []candidate
	rivals   []candidate
	budgets  []budget // beside those of every pattern
}

// candidate is a way to guard a call.
type candidate struct {
	name string
	open func() (guarded, error)
	// aside keeps it out of the closed loop and of the figure: it is there for a budget,
	// or as a worse way to call another.
	aside bool
}

// calledAt and loopedAt are the numbers of callers in the cases of a pattern. There are
// fewer than for breakers, so that all of the bench takes no longer than a coffee.
var (
	calledAt = []int{1, 64}
	loopedAt = []int{2, 64}
)

func (a admission) family() family {
	name := a.pattern + "/call"
	guards := slices.Concat(a.ours, yardsticks(), a.rivals)
	looped := subjectsOf(guards, false)
	if len(a.ours) > 0 {
		a.budgets = append(callBudgets(name), a.budgets...)
	}
	return family{
		cases: []benchCase{
			{
				name: name, baseline: a.baseline, how: tight{}, goroutines: calledAt, subjects: subjectsOf(guards, true),
				about: a.about + " It lets a function through that does nothing and succeeds, call after call.",
			},
			{
				name: name + "/loop", baseline: a.baseline, how: loop{brief: true}, goroutines: loopedAt,
				subjects: looped,
				about:    "As " + name + ", but each caller has 0.5 µs of work of its own between two calls.",
			},
		},
		budgets: a.budgets,
		figures: []figure{{
			file: a.pattern + ".svg", title: a.title + ": time of a guarded call, and throughput in a closed loop",
			panels: callPanels(name, namesOf(looped)),
		}},
	}
}

func subjectsOf(candidates []candidate, aside bool) []subject {
	var subjects []subject
	for _, c := range candidates {
		if aside || !c.aside {
			subjects = append(subjects, subject{c.name, func(settings) (*instance, error) {
				g, err := c.open()
				if err != nil {
					return nil, err
				}
				g.task = succeed
				return g.passing(), nil
			}})
		}
	}
	return subjects
}

func namesOf(subjects []subject) []string {
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = s.name
	}
	return names
}

// callBudgets are those that every pattern has.
func callBudgets(c string) []budget {
	var all []budget
	for _, g := range calledAt {
		all = append(all,
			atMostTimes(c, g, "bulwark", 1.5, "breaker"),
			atMostTimes(c, g, "bulwark-leased", 2, "breaker-leased"),
			allocatesNothing(c, g, "bulwark"))
	}
	return all
}

// atMostTimes is the budget that a call of subject takes at most limit times what one of
// rival takes.
func atMostTimes(c string, g int, subject string, limit float64, rival string) budget {
	return budget{
		of: point{c, subject, g}, metric: nsPerOp, is: atMost, limit: limit, to: point{c, rival, g}, compare: ratio,
	}
}

func allocatesNothing(c string, g int, subject string) budget {
	return budget{of: point{c, subject, g}, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01}
}

func callPanels(c string, subjects []string) []panel {
	return []panel{
		{
			title: "ns per call (less is better)", c: c, metric: nsPerOp, unit: 1,
			subjects: subjects, groups: calledAt, callers: "goroutine",
		},
		loopPanel(c+"/loop", subjects),
	}
}

func loopPanel(c string, subjects []string) panel {
	return panel{
		title: "closed loop, million calls/s (more is better)", c: c, metric: opsPerS, unit: 1e6,
		subjects: subjects, groups: loopedAt, callers: "caller",
	}
}

// ours is a candidate of ours.
func ours[G patterns.Guard](name string, spawn func(*actors.Registry) (G, error)) candidate {
	return candidate{name: name, open: func() (guarded, error) {
		g, stop, err := spawned(spawn)
		return guarded{do: does(g), stop: stop}, err
	}}
}

// yardsticks are our breakers, which budgets of other patterns are compared with.
func yardsticks() []candidate {
	breaker := func(mode patterns.Mode) func(*actors.Registry) (*circuitbreaker.Breaker, error) {
		return func(r *actors.Registry) (*circuitbreaker.Breaker, error) {
			return circuitbreaker.Spawn(r, "b", breakerConfig(mode))
		}
	}
	strict, leased := ours("breaker", breaker(patterns.Strict)), ours("breaker-leased", breaker(patterns.Leased(0, 0)))
	leased.aside = true
	return []candidate{strict, leased}
}

// rival is a candidate that needs nothing stopped.
func rival(name string, open func() func(context.Context, task) (int, error)) candidate {
	return candidate{name: name, open: func() (guarded, error) { return guarded{do: open(), stop: func() {}}, nil }}
}

// aside keeps the candidate out of the closed loop.
func aside(c candidate) candidate {
	c.aside = true
	return c
}

// errRefused says that a rival did not let a call through. Where none should be refused it
// only spoils the run.
var errRefused = errors.New("refused")
