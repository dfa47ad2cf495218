package supervisor

import (
	"log/slog"
	"time"
)

// Cause says why a child was given up.
type Cause string

const (
	// CauseIntensity: it would have been one restart too many.
	CauseIntensity Cause = "intensity"
	// CauseDecided: Decide said Escalate.
	CauseDecided Cause = "decided"
)

// GaveUp says that a child was stopped for good. It is published on the EventStream
// of the actor system, as a value, and is a patterns.Event.
type GaveUp struct {
	Name       string    // Config.Name, or Supervisor
	Supervisor string    // id of the supervising actor
	Child      string    // id of the child
	Reason     any       // what the child panicked with
	Cause      Cause     // why it was given up
	Directive  Directive // Escalate if the failure was handed up, Stop if nobody could take it
	At         time.Time
}

// Level is Warn if somebody above deals with the failure, and Error if not.
func (e GaveUp) Level() slog.Level {
	if e.Directive == Escalate {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Source returns the name of the supervising actor.
func (e GaveUp) Source() string { return e.Name }

// LogValue returns the fields as a group.
func (e GaveUp) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", e.Name),
		slog.String("supervisor", e.Supervisor),
		slog.String("child", e.Child),
		slog.Any("reason", e.Reason),
		slog.String("cause", string(e.Cause)),
		slog.String("directive", e.Directive.String()),
	)
}
