package supervisor

import (
	"log/slog"

	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
	"github.com/bulwark-go/bulwark/supervisor/rules"
)

type (
	// Config is the whole policy of a strategy. The zero Config is valid: one for one, restarted at
	// once, 10 restarts in 10 s. Package rules, which decides everything, explains the words.
	Config = rules.Config
	// BreakerConfig is when a child is kept away, and how it comes back.
	BreakerConfig = rules.BreakerConfig
	// QuarantineConfig is when a child is parked for an operator.
	QuarantineConfig = rules.QuarantineConfig
	// CorrelatedConfig is when failures of several children are taken for one.
	CorrelatedConfig = rules.CorrelatedConfig
	// IntensityConfig is how many restarts are allowed in what time.
	IntensityConfig = intensity.Config
	// BackoffConfig is how long a restart waits.
	BackoffConfig = backoff.Config
	// BudgetConfig is how many restarts siblings share.
	BudgetConfig = budget.Config
	// Scope says who is restarted when a child fails.
	Scope = rules.Scope
	// Directive says what becomes of a child that failed.
	Directive = rules.Directive
	// RestartType says when a child that ended is restarted.
	RestartType = rules.RestartType
	// AtTop says what happens where nobody is left to escalate to.
	AtTop = rules.AtTop
	// State is how a child is.
	State = rules.State
	// Cause says why its state changed.
	Cause = rules.Cause
)

// Values of the types above.
const (
	One  = rules.One  // restarts nobody but the child that failed
	All  = rules.All  // restarts all children
	Rest = rules.Rest // restarts the child and those spawned after it

	Restart  = rules.Restart
	Stop     = rules.Stop
	Resume   = rules.Resume
	Escalate = rules.Escalate

	Permanent = rules.Permanent
	Transient = rules.Transient
	Temporary = rules.Temporary

	KeepRunning = rules.KeepRunning
	StopSelf    = rules.StopSelf

	Running     = rules.Running
	Restarting  = rules.Restarting
	Suspended   = rules.Suspended
	Open        = rules.Open
	HalfOpen    = rules.HalfOpen
	Quarantined = rules.Quarantined
	Stopping    = rules.Stopping
	Stopped     = rules.Stopped

	NoHold = rules.NoHold
	Hold   = rules.Hold
)

// The causes of what happens to children; see package rules.
const (
	CauseBackoff     = rules.CauseBackoff
	CauseBudget      = rules.CauseBudget
	CauseIntensity   = rules.CauseIntensity
	CauseTooOften    = rules.CauseTooOften
	CauseCorrelated  = rules.CauseCorrelated
	CauseSibling     = rules.CauseSibling
	CauseProbe       = rules.CauseProbe
	CauseProbeFailed = rules.CauseProbeFailed
	CauseProbePassed = rules.CauseProbePassed
	CauseQuiet       = rules.CauseQuiet
	CauseRestarted   = rules.CauseRestarted
	CauseReleased    = rules.CauseReleased
	CauseDismissed   = rules.CauseDismissed
	CauseTemporary   = rules.CauseTemporary
	CauseDecided     = rules.CauseDecided
	CauseStopping    = rules.CauseStopping
)

// Option wires a strategy to its surroundings.
type Option func(*wiring)

// wiring is what Options set; nil means the default.
type wiring struct {
	decide func(reason any) Directive
	types  func(child string) RestartType
	logger *slog.Logger
}

// Decide sets the function that chooses what becomes of a child, given what it
// panicked with; see Table for decisions by the type of an error. It may run in
// several supervising actors at once. Default: Restart.
func Decide(decide func(reason any) Directive) Option {
	return func(w *wiring) { w.decide = decide }
}

// Types sets the function that says, given its name, what endings of a child are mended.
// It is asked once for each child that is spawned. It may run in several supervising
// actors at once. It works for actors that are spawned with Strategy.Supervise only, and
// costs them some 50 ns for each of their messages. Default: Transient.
func Types(types func(child string) RestartType) Option {
	return func(w *wiring) { w.types = types }
}

// WithLogger sets where events, and failures of supervision itself, are logged.
// Default: the logger of the actor system.
func WithLogger(logger *slog.Logger) Option {
	return func(w *wiring) { w.logger = logger }
}
