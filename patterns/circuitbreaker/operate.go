package circuitbreaker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out an operator's command:
//
//   - Reset closes the circuit at once, ends a forced state, and forgets the window,
//     the runs, the last failure and how often it opened. There is no ramp.
//   - ForceOpen, ForceClosed and MetricsOnly hold that state for op.For, or until
//     the next command if that is 0. When the time is over the circuit is Closed,
//     with an empty window, whatever it was before; a forced opening then ramps up.
//
// Each begins an epoch: calls under way do not count. The error, if any, is a
// *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.For < 0 {
		return &patterns.ConfigError{Pattern: pattern, Field: "For", Value: op.For, Problem: "must not be negative"}
	}
	switch op.Kind {
	case patterns.Reset:
		m.opens = 0
		m.everFailed = false
		m.become(Closed, CauseReset, op.Note)
	case patterns.ForceOpen:
		m.force(ForcedOpen, op)
	case patterns.ForceClosed:
		m.force(ForcedClosed, op)
	case patterns.MetricsOnly:
		m.force(MetricsOnly, op)
	default:
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a breaker can do"}
	}
	return nil
}

func (m *Machine) force(s State, op patterns.Operation) {
	m.become(s, CauseForced, op.Note)
	if op.For > 0 {
		m.due = m.hi.Add(op.For)
	}
}

// Reconfigure changes the policy. State, epoch and permits stay. Of the window stays
// what fits the new one: the newest results of a Last window, the newest buckets of
// a During window; between the two kinds nothing. What has begun ends under the
// rules it began with: an open time, a half-open trial, a ramp. A closed circuit is
// judged by the new rules at once, and may open.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.adopt(c)
	if c.Window != old.Window {
		m.recent = m.recent.resized(m.hi, c.Window)
	}
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
	m.judge()
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("circuitbreaker: "+problem))
		}
	}
	t := &m.trial
	check(m.state.Valid(), fmt.Sprintf("state is %v", m.state))
	check(m.failures >= 0 && m.successes >= 0, "runs are negative")
	check(m.failures == 0 || m.successes == 0, "failures and successes both come last")
	check(m.opens >= 0, "openings are negative")
	check((m.until == patterns.Never) == (m.state != Open), "open time without being open, or the reverse")
	check(m.due == patterns.Never || m.state.Forced() || m.due == t.deadline(), "due without a reason")
	check(m.state == HalfOpen || len(t.out) == 0 && t.results == 0, "probes without being half-open")
	check(m.state != HalfOpen || t.results < t.size, "half-open with a verdict")
	check(m.state != HalfOpen || m.due == t.deadline(), "due and the oldest probe differ")
	check(len(t.out) <= t.concurrent && t.results+uint64(len(t.out)) <= t.size, "more probes than allowed")
	check(t.failed <= t.results && t.slow <= t.results, "more bad probes than probes")
	check(slices.IsSortedFunc(t.out, func(a, b probe) int { return int(min(max(a.by-b.by, -1), 1)) }), "probes out of order")
	check(!m.ramping || m.state == Closed, "ramping without being closed")
	check(!m.ramping || m.ramp.credit >= 0 && m.ramp.credit < 1, "ramp credit is not in [0, 1)")
	return errors.Join(append(errs, m.recent.check())...)
}

// Repair rebuilds what Check complains of, and never opens the gate: the window
// starts empty, a ramp from its beginning, an open time is kept, and half-open
// becomes Open and due, as does any state that is none.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now) // and no transition: what would make it is broken
	state, until, due, ramping := m.state, m.until, m.due, m.ramping
	if state == HalfOpen || !state.Valid() {
		state, until = Open, m.hi
	}
	if state == Open && until == patterns.Never {
		until = m.hi
	}
	m.recent = newRecent(m.cfg.Window)
	m.failures, m.successes, m.opens = 0, 0, max(m.opens, 0)
	m.become(state, CauseRepaired, "")
	switch {
	case state == Open:
		m.until = until
	case state.Forced():
		m.due = due
	case ramping:
		m.startRamp()
	}
}
