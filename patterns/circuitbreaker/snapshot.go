package circuitbreaker

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a breaker knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name  string
	State State
	// Cause of the last transition; CauseNone if there was none.
	Cause Cause
	// Epoch grows with every transition.
	Epoch uint64

	// ConsecutiveFailures and ConsecutiveSuccesses are the runs that the last result
	// belongs to: at most one of them is not 0. Closing starts both anew.
	ConsecutiveFailures  int
	ConsecutiveSuccesses int

	// Calls, Failures and Slow are the results in the window; a slow failure is in
	// both. Every transition empties it, and probes are not in it. Without a window
	// (see Config.Window) they stay 0.
	Calls    uint64
	Failures uint64
	Slow     uint64

	// LastFailure is zero if nothing failed since the start or the last Reset.
	LastFailure time.Time
	// SinceLastFailure is 0 then.
	SinceLastFailure time.Duration

	// LastStateChange is when the breaker was spawned if nothing changed since.
	LastStateChange time.Time
	// InState is how long ago that was.
	InState time.Duration

	// RetryAt is when an open breaker becomes eligible, or a forced opening ends.
	// Zero if it is neither, or the end is unknown.
	RetryAt time.Time
	// Eligible: Open, and the next call will be a probe.
	Eligible bool
	// Opens is how many openings in a row the next open time counts from.
	Opens int

	// ProbesOut and ProbeResults are 0 unless half-open.
	ProbesOut    int
	ProbeResults int
	// Ramping: closed, but refusing a share of the calls.
	Ramping bool

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the breaker was spawned.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	c := m.recent.counts(m.hi)
	s := Snapshot{
		Name: m.name, State: m.state, Cause: m.cause, Epoch: m.epoch,
		ConsecutiveFailures: m.failures, ConsecutiveSuccesses: m.successes,
		Calls: c.Calls, Failures: c.Failures, Slow: c.Slow,
		LastStateChange: m.wall(m.since), InState: m.hi.Sub(m.since),
		Opens:     m.currentOpens(),
		ProbesOut: len(m.trial.out), ProbeResults: int(m.trial.results),
		Ramping:    m.ramping && m.hi.Sub(m.since) < m.ramp.lasts,
		EventsLost: m.events.Lost(),
		Counts:     counts,
	}
	if m.everFailed {
		s.LastFailure, s.SinceLastFailure = m.wall(m.lastFailure), m.hi.Sub(m.lastFailure)
	}
	switch m.state {
	case Open:
		s.RetryAt, s.Eligible = m.wall(m.until), m.hi >= m.until
	case ForcedOpen:
		s.RetryAt = m.wall(m.due)
	}
	return s
}

// FailureRatio is the share of failures in the window; 0 if it is empty.
func (s Snapshot) FailureRatio() float64 { return share(s.Failures, s.Calls) }

// SlowRatio is the share of slow calls in the window; 0 if it is empty.
func (s Snapshot) SlowRatio() float64 { return share(s.Slow, s.Calls) }

// TotalFailureRate is the share of failures in all results ever reported, dropped
// calls included and ignored ones not; 0 if there are none.
func (s Snapshot) TotalFailureRate() float64 {
	failed := s.Counts.Failure + s.Counts.Dropped
	return share(failed, failed+s.Counts.Success)
}

// SuccessRate is what TotalFailureRate leaves; 1 if there are no results.
func (s Snapshot) SuccessRate() float64 { return 1 - s.TotalFailureRate() }

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
