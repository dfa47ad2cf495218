package supervisor

import (
	"log/slog"
	"time"
)

// ChildChanged says that a child of a supervising actor is in another state. It, and
// the other events here, are published on the EventStream of the actor system, as
// values, and are patterns.Events.
type ChildChanged struct {
	Name       string // Config.Name, or Supervisor
	Supervisor string // id of the supervising actor
	Child      string // id of the child
	From, To   State
	Cause      Cause
	Reason     any       // what the child panicked with last; nil if it never did
	Until      time.Time // when To ends by itself; zero if it does not, or nobody knows
	At         time.Time
}

// Level is Warn if the child is away for a reason of its own, and otherwise Info.
func (e ChildChanged) Level() slog.Level {
	switch e.To {
	case Open, Quarantined:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Source returns the name of the supervising actor.
func (e ChildChanged) Source() string { return e.Name }

// LogValue returns the fields as a group.
func (e ChildChanged) LogValue() slog.Value {
	return group("child-changed", e.Name, e.Supervisor, e.At,
		slog.String("child", e.Child),
		slog.String("from", e.From.String()),
		slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)),
		slog.Any("reason", e.Reason),
		slog.Time("until", e.Until),
	)
}

// ChildRestarted says that a child was told to restart, or spawned anew.
type ChildRestarted struct {
	Name       string
	Supervisor string
	Child      string
	Reason     any    // what the child panicked with last; nil if it never did
	Restarts   uint64 // so far, this one included
	At         time.Time
}

// Level is Warn: somebody's bug is behind it.
func (e ChildRestarted) Level() slog.Level { return slog.LevelWarn }

// Source returns the name of the supervising actor.
func (e ChildRestarted) Source() string { return e.Name }

// LogValue returns the fields as a group.
func (e ChildRestarted) LogValue() slog.Value {
	return group("child-restarted", e.Name, e.Supervisor, e.At,
		slog.String("child", e.Child),
		slog.Any("reason", e.Reason),
		slog.Uint64("restarts", e.Restarts),
	)
}

// ChildrenChanged says that the circuit that all children have together, by
// Config.Correlated, is in another state.
type ChildrenChanged struct {
	Name       string
	Supervisor string
	From, To   State // Running means closed
	Cause      Cause
	Until      time.Time // when To ends by itself; zero if it does not
	At         time.Time
}

// Level is Error if it opened, and otherwise Info.
func (e ChildrenChanged) Level() slog.Level {
	if e.To == Open {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Source returns the name of the supervising actor.
func (e ChildrenChanged) Source() string { return e.Name }

// LogValue returns the fields as a group.
func (e ChildrenChanged) LogValue() slog.Value {
	return group("children-changed", e.Name, e.Supervisor, e.At,
		slog.String("from", e.From.String()),
		slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)),
		slog.Time("until", e.Until),
	)
}

// GaveUp says that a child was stopped for good, with those that Config.Scope takes
// along.
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
	return group("gave-up", e.Name, e.Supervisor, e.At,
		slog.String("child", e.Child),
		slog.Any("reason", e.Reason),
		slog.String("cause", string(e.Cause)),
		slog.String("directive", e.Directive.String()),
	)
}

// group is the LogValue of an event of that kind.
func group(event, name, supervisor string, at time.Time, more ...slog.Attr) slog.Value {
	attrs := []slog.Attr{slog.String("event", event), slog.String("name", name), slog.String("supervisor", supervisor)}
	for _, a := range more {
		if !a.Value.Equal(slog.AnyValue(nil)) && !a.Value.Equal(slog.TimeValue(time.Time{})) {
			attrs = append(attrs, a)
		}
	}
	return slog.GroupValue(append(attrs, slog.Time("at", at))...)
}
