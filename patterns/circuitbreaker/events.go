package circuitbreaker

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

// StateChanged is the event of every transition, also of one back into the same
// state: a forced state forced anew, a Reset of a closed breaker, a repair.
type StateChanged struct {
	Name     string // the breaker's
	From, To State
	Cause    Cause
	Epoch    uint64 // the new one
	At       time.Time
	Note     string // the operator's, if one did it
}

// Level is Warn for an opening that nobody ordered and for a repair, else Info.
func (e StateChanged) Level() slog.Level {
	if e.To == Open || e.Cause == CauseRepaired {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Source returns the breaker's name.
func (e StateChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e StateChanged) LogValue() slog.Value {
	more := []slog.Attr{
		slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)), slog.Uint64("epoch", e.Epoch),
	}
	if e.Note != "" {
		more = append(more, slog.String("note", e.Note))
	}
	return eventqueue.Group("state-changed", e.Name, e.At, more...)
}

// ConfigChanged is the event of a Reconfigure that changed something.
type ConfigChanged struct {
	Name     string // the breaker's
	From, To Config // with the defaults filled in
	At       time.Time
}

// Level is Info.
func (e ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the breaker's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// Opened reports whether e says that a breaker opened by its own rules.
func Opened(e patterns.Event) bool { return became(e, Open) }

// Probing reports whether e says that a breaker went half-open.
func Probing(e patterns.Event) bool { return became(e, HalfOpen) }

// ClosedAgain reports whether e says that a breaker closed that had not been.
func ClosedAgain(e patterns.Event) bool { return became(e, Closed) }

// WasReset reports whether e says that an operator reset a breaker.
func WasReset(e patterns.Event) bool {
	c, ok := e.(StateChanged)
	return ok && c.Cause == CauseReset
}

func became(e patterns.Event, s State) bool {
	c, ok := e.(StateChanged)
	return ok && c.To == s && c.From != s
}
