package rules

import "fmt"

// Scope says who is restarted with a child that failed.
type Scope uint8

const (
	// One: nobody else.
	One Scope = iota
	// All: every other child.
	All
	// Rest: the children that were spawned after it.
	Rest
)

// String returns the scope's name, as in one-for-one.
func (s Scope) String() string {
	switch s {
	case One:
		return "one-for-one"
	case All:
		return "one-for-all"
	case Rest:
		return "rest-for-one"
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// Directive is what becomes of a child that failed.
type Directive uint8

const (
	// Restart replaces the child by a new incarnation, if and when the Config allows.
	// The message that it failed on is lost, those behind it are kept.
	Restart Directive = iota
	// Stop ends the child, and only the child, whatever the Scope.
	Stop
	// Resume lets the child go on as it is, with its next message.
	Resume
	// Escalate ends the child, and those restarted with it, and hands the failure up.
	Escalate
)

// String returns the directive's name.
func (d Directive) String() string {
	switch d {
	case Restart:
		return "restart"
	case Stop:
		return "stop"
	case Resume:
		return "resume"
	case Escalate:
		return "escalate"
	}
	return fmt.Sprintf("directive(%d)", uint8(d))
}

// RestartType says what endings of a child are mended.
type RestartType uint8

const (
	// Permanent: it is restarted when it fails, and spawned anew when it stops.
	Permanent RestartType = iota
	// Transient: it is restarted when it fails, and may stop.
	Transient
	// Temporary: it is neither; a failure ends it.
	Temporary
)

// String returns the type's name.
func (r RestartType) String() string {
	switch r {
	case Permanent:
		return "permanent"
	case Transient:
		return "transient"
	case Temporary:
		return "temporary"
	}
	return fmt.Sprintf("type(%d)", uint8(r))
}

// AtTop is what happens to a failure that cannot be handed up.
type AtTop uint8

const (
	// KeepRunning stops the child and those restarted with it; the supervising actor
	// and the other children go on.
	KeepRunning AtTop = iota
	// StopSelf stops the supervising actor, and so all its children.
	StopSelf
)

// String returns its name.
func (a AtTop) String() string {
	switch a {
	case KeepRunning:
		return "keep-running"
	case StopSelf:
		return "stop-self"
	}
	return fmt.Sprintf("attop(%d)", uint8(a))
}

// State is what a child is doing, as far as its supervisor knows.
type State uint8

const (
	// Running: it serves messages.
	Running State = iota
	// Restarting: it failed, is suspended, and will be restarted.
	Restarting
	// Suspended: a sibling failed; they will be restarted together.
	Suspended
	// Open: it, or too many of its siblings, failed too often; it is suspended, and its
	// mailbox refuses.
	Open
	// HalfOpen: it was restarted to see whether it works again.
	HalfOpen
	// Quarantined: it failed too often and is suspended until it is released.
	Quarantined
	// Stopping: it was told to stop.
	Stopping
	// Stopped: it is gone.
	Stopped
)

// String returns the state's name.
func (s State) String() string {
	switch s {
	case Running:
		return "running"
	case Restarting:
		return "restarting"
	case Suspended:
		return "suspended"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	case Quarantined:
		return "quarantined"
	case Stopping:
		return "stopping"
	case Stopped:
		return "stopped"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Cause says why a child changed its state. The set is closed.
type Cause string

// The causes.
const (
	CauseNone        Cause = ""
	CauseBackoff     Cause = "backoff"      // it waits before it is restarted
	CauseBudget      Cause = "budget"       // the budget is used up
	CauseIntensity   Cause = "intensity"    // it would have been one restart too many
	CauseTooOften    Cause = "too-often"    // Breaker.Intensity or Quarantine.Failures is exceeded
	CauseCorrelated  Cause = "correlated"   // too many siblings failed as well
	CauseSibling     Cause = "sibling"      // a sibling failed, and takes it along
	CauseProbe       Cause = "probe"        // it is tried again
	CauseProbeFailed Cause = "probe-failed" // it failed when it was tried
	CauseProbePassed Cause = "probe-passed" // it worked when it was tried
	CauseQuiet       Cause = "quiet"        // it ran for long enough without failing
	CauseRestarted   Cause = "restarted"    // what it waited for has come
	CauseReleased    Cause = "released"     // an operator released it
	CauseDismissed   Cause = "dismissed"    // it was stopped in order
	CauseTemporary   Cause = "temporary"    // it failed, and is not restarted by its type
	CauseDecided     Cause = "decided"      // Decide said so
	CauseStopping    Cause = "stopping"     // its supervisor stops or restarts
)
