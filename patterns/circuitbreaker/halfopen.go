package circuitbreaker

import (
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/ratio"
)

// trial is a half-open circuit: the probes out, and the results so far. It keeps
// the rules it began with, so that a Reconfigure does not move its goalposts.
type trial struct {
	out     []probe // oldest first
	results uint64
	failed  uint64
	slow    uint64

	size       uint64 // results that decide
	concurrent int
	timeout    time.Duration
	failRatio  ratio.Ratio // of size
	slowRatio  ratio.Ratio // of size
}

type probe struct {
	id uint64
	by patterns.Instant // silent until then, it has failed
}

func (t *trial) begin(c *Config) {
	t.size = uint64(c.Probes)
	t.concurrent = c.ConcurrentProbes
	t.timeout = c.ProbeTimeout
	t.slowRatio = ratio.New(c.SlowRatio)
	t.failRatio = ratio.New(c.ProbeFailureRatio)
	if !t.failRatio.On() {
		t.failRatio = ratio.Of(1, t.size)
	}
}

func (t *trial) clear() { *t = trial{out: t.out[:0]} }

// full reports whether no more probes may go. Those out and those with a result
// share the allowance: more could not change the verdict.
func (t *trial) full() bool {
	return len(t.out) >= t.concurrent || t.results+uint64(len(t.out)) >= t.size
}

// deadline is when the oldest probe out has failed, or Never.
func (t *trial) deadline() patterns.Instant {
	if len(t.out) == 0 {
		return patterns.Never
	}
	return t.out[0].by
}

func (t *trial) take(id uint64) bool {
	i := slices.IndexFunc(t.out, func(p probe) bool { return p.id == id })
	if i < 0 {
		return false
	}
	t.out = slices.Delete(t.out, i, i+1)
	return true
}

// lost reports that the trial failed and what for; passed that it succeeded even if
// all the results to come are bad. Both can be certain before the last result.
func (t *trial) lost() (failed, slow bool) {
	return t.failRatio.Reached(t.failed, t.size), t.slowRatio.Reached(t.slow, t.size)
}

func (t *trial) passed() bool {
	left := t.size - t.results
	return !t.failRatio.Reached(t.failed+left, t.size) && !t.slowRatio.Reached(t.slow+left, t.size)
}

// acquireProbe lets one more probe out. A refusal says when the oldest one out will
// have failed, though its report may free the slot any time.
func (m *Machine) acquireProbe(id uint64) patterns.Decision {
	t := &m.trial
	if t.full() {
		return m.refuse(CauseProbesOut, t.deadline())
	}
	t.out = append(t.out, probe{id: id, by: m.hi.Add(t.timeout)})
	m.due = t.deadline()
	m.dirty = true
	return m.grant()
}

// reportProbe settles the probe id, and the trial if that decides it.
func (m *Machine) reportProbe(id uint64, o patterns.Outcome, elapsed time.Duration) bool {
	if !m.trial.take(id) {
		return false
	}
	m.due = m.trial.deadline()
	m.dirty = true
	if o != patterns.Ignored {
		m.countProbe(o != patterns.Success, m.slow(elapsed), CauseProbeFailed)
	}
	return true
}

// expireProbes settles the silent probes in the order they went out. The verdict
// drops the rest.
func (m *Machine) expireProbes() {
	for len(m.trial.out) > 0 && m.due <= m.hi {
		m.trial.take(m.trial.out[0].id)
		m.due = m.trial.deadline()
		m.dirty = true
		m.countProbe(true, false, CauseProbeLost)
	}
}

func (m *Machine) countProbe(failed, slow bool, cause Cause) {
	t := &m.trial
	t.results++
	if slow {
		t.slow++
	}
	if failed {
		t.failed++
		m.successes = 0
		m.countFailures(1)
	} else {
		m.failures = 0
		m.successes++
	}
	tooManyFailed, tooManySlow := t.lost()
	switch {
	case tooManyFailed:
		m.open(cause)
	case tooManySlow:
		m.open(CauseProbeSlow)
	case t.passed():
		m.become(Closed, CauseProbesPassed, "")
		m.startRamp()
	}
}
