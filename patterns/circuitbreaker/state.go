package circuitbreaker

import "fmt"

// State is what a breaker does with calls. The zero value is Closed.
type State uint8

const (
	// Closed: calls pass, and their results are watched.
	Closed State = iota
	// Open: calls are refused until the open time is over.
	Open
	// HalfOpen: a few calls pass as probes, to see whether to close.
	HalfOpen
	// ForcedOpen: an operator has every call refused.
	ForcedOpen
	// ForcedClosed: an operator has every call pass, and nothing recorded.
	ForcedClosed
	// MetricsOnly: an operator has every call pass and recorded, and none refused.
	MetricsOnly

	states
)

// Valid reports whether s is one of the states above.
func (s State) Valid() bool { return s < states }

// Forced reports whether an operator chose s.
func (s State) Forced() bool { return s == ForcedOpen || s == ForcedClosed || s == MetricsOnly }

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	case ForcedOpen:
		return "forced-open"
	case ForcedClosed:
		return "forced-closed"
	case MetricsOnly:
		return "metrics-only"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Cause says why a breaker changed state, or refused a call. The set is closed.
type Cause string

const (
	// CauseNone: it has been like this from the start.
	CauseNone Cause = ""

	// CauseConsecutiveFailures opened: ConsecutiveFailures in a row.
	CauseConsecutiveFailures Cause = "consecutive-failures"
	// CauseFailureRatio opened: FailureRatio of the window failed.
	CauseFailureRatio Cause = "failure-ratio"
	// CauseSlowRatio opened: SlowRatio of the window was slow.
	CauseSlowRatio Cause = "slow-ratio"

	// CauseOpenElapsed half-opened: the open time was over and somebody called.
	CauseOpenElapsed Cause = "open-elapsed"
	// CauseProbesPassed closed: enough probes succeeded.
	CauseProbesPassed Cause = "probes-passed"
	// CauseProbeFailed opened again: too many probes failed, the last by report.
	CauseProbeFailed Cause = "probe-failed"
	// CauseProbeSlow opened again: too many probes were slow.
	CauseProbeSlow Cause = "probe-slow"
	// CauseProbeLost opened again: too many probes failed, the last by silence.
	CauseProbeLost Cause = "probe-lost"

	// CauseForced: an operator said so.
	CauseForced Cause = "forced"
	// CauseForcedElapsed closed: the time the operator gave was over.
	CauseForcedElapsed Cause = "forced-elapsed"
	// CauseReset closed: an operator made it start again.
	CauseReset Cause = "reset"
	// CauseRepaired: broken state was rebuilt after a restart.
	CauseRepaired Cause = "repaired"

	// CauseProbesOut refused a call: half-open, and all the probes are out.
	CauseProbesOut Cause = "probes-out"
	// CauseRamp refused a call: closed again, but not all the way up yet.
	CauseRamp Cause = "ramp"
)
