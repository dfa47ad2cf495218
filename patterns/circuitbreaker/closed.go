package circuitbreaker

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/ratio"
)

// adopt makes c, which has its defaults, the policy.
func (m *Machine) adopt(c Config) {
	m.cfg = c
	m.schedule = c.OpenSchedule.slice()
	m.failRatio, m.slowRatio = ratio.New(c.FailureRatio), ratio.New(c.SlowRatio)
	m.minSamples = uint64(c.MinSamples)
	if c.Window.kind == byCount {
		m.minSamples = uint64(min(c.MinSamples, c.Window.size))
	}
}

// record counts one result of a closed circuit, and opens it if that is enough.
func (m *Machine) record(failed, slow bool) {
	if !failed && m.recent.none { // a success that no window sees only ends a run
		m.failures = 0
		m.successes++
		return
	}
	timeless := m.Timeless()
	m.recent.addOne(m.hi, failed, slow)
	if failed {
		m.successes = 0
		m.countFailures(1)
	} else {
		m.failures = 0
		m.successes++
	}
	m.judge()
	if m.Timeless() != timeless {
		m.dirty = true
	}
}

// judge opens a closed circuit if the rules say so.
func (m *Machine) judge() {
	if m.state != Closed {
		return
	}
	if m.cfg.ConsecutiveFailures > 0 && m.failures >= m.cfg.ConsecutiveFailures {
		m.open(CauseConsecutiveFailures)
		return
	}
	c := m.recent.counts(m.hi)
	switch {
	case c.Calls < m.minSamples:
	case m.failRatio.Reached(c.Failures, c.Calls):
		m.open(CauseFailureRatio)
	case m.slowRatio.Reached(c.Slow, c.Calls):
		m.open(CauseSlowRatio)
	}
}

// successIsHarmless reports that no number of successes alone can open a closed
// circuit with a Last window and no slow rule: with MinSamples reached they only
// dilute the failures.
func (m *Machine) successIsHarmless() bool {
	c := m.recent.ring.Counts()
	return !m.failRatio.On() || c.Failures == 0 || c.Calls >= m.minSamples
}

func (m *Machine) countFailures(n int) {
	m.failures += n
	m.lastFailure, m.everFailed = m.hi, true
}

// Lease lends as many permits as are wanted wherever every call passes, and none
// where calls are counted one by one: half-open and ramping up.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	switch m.state {
	case Closed:
		if m.ramping && !m.rampOver() {
			return 0
		}
		return max(want, 0)
	case ForcedClosed, MetricsOnly:
		return max(want, 0)
	}
	return 0
}

// SlowAfter is Config.SlowCall.
func (m *Machine) SlowAfter() time.Duration { return m.cfg.SlowCall }

// SettleLease records leased results as if they came in this order: quick
// successes, slow ones, failures. The order errs on the side of opening. The rules
// are looked at once, at the end.
func (m *Machine) SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	if epoch != m.epoch {
		return false, m.flush()
	}
	switch m.state {
	case Closed, MetricsOnly:
		m.recordTally(t)
	case Open, HalfOpen, ForcedOpen: // no lease has this epoch
		return false, m.flush()
	}
	return true, m.flush()
}

func (m *Machine) recordTally(t patterns.Tally) {
	timeless := m.Timeless()
	slow := 0
	if m.cfg.SlowCall > 0 {
		slow = min(max(t.Slow, 0), t.Success)
	}
	failed := t.Failure + t.Dropped
	if t.Success+failed <= 0 {
		return // nothing new to judge: a window of time may have changed by itself
	}
	m.recent.add(m.hi, t.Success-slow, false, false)
	m.recent.add(m.hi, slow, false, true)
	m.recent.add(m.hi, failed, true, false)
	if t.Success > 0 {
		m.failures = 0
		m.successes += t.Success
	}
	if failed > 0 {
		m.successes = 0
		m.countFailures(failed)
	}
	m.judge()
	if m.Timeless() != timeless {
		m.dirty = true
	}
}

// ramp admits a growing share of calls. Each call adds the share to credit, and a
// whole credit admits one: this spreads the admitted calls evenly without chance.
type ramp struct {
	lasts  time.Duration
	start  float64
	credit float64 // in [0, 1) between calls
}

// rampSlack lets ten tenths be a whole one.
const rampSlack = 1e-9

// startRamp begins the ramp of a circuit that has just closed, if there is one.
func (m *Machine) startRamp() {
	m.ramping = m.cfg.RampFor > 0
	m.ramp = ramp{lasts: m.cfg.RampFor, start: m.cfg.RampStart}
}

// rampOver ends a ramp whose time is over. Nobody waits for that, so it has no timer.
func (m *Machine) rampOver() bool {
	if m.hi.Sub(m.since) < m.ramp.lasts {
		return false
	}
	m.ramping, m.dirty = false, true
	return true
}

func (m *Machine) rampAdmits() bool {
	if m.rampOver() {
		return true
	}
	r := &m.ramp
	r.credit += r.start + (1-r.start)*float64(m.hi.Sub(m.since))/float64(r.lasts)
	if r.credit < 1-rampSlack {
		return false
	}
	r.credit = max(0, r.credit-1)
	return true
}
