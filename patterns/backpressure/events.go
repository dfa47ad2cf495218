package backpressure

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// Pressure says that a valve got hot, or calm again.
	Pressure struct {
		Name    string // the valve's
		On      bool   // hot
		Pending int
		Limit   int           // MaxPending
		After   time.Duration // since the transition before, or the start
		Epoch   uint64        // which it began, or, calm again, ended
		At      time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the valve's
		From, To Config // with the defaults filled in
		At       time.Time
	}
)

// Level is Warn if producers wait now, else Info.
func (e Pressure) Level() slog.Level {
	if e.On {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the valve's name.
func (e Pressure) Source() string { return e.Name }

// Source returns the valve's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Pressure) LogValue() slog.Value {
	return eventqueue.Group("pressure", e.Name, e.At,
		slog.Bool("on", e.On), slog.Int("pending", e.Pending), slog.Int("limit", e.Limit),
		slog.Duration("after", e.After), slog.Uint64("epoch", e.Epoch))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// Heated reports whether e says that a valve got hot.
func Heated(e patterns.Event) bool { p, ok := e.(Pressure); return ok && p.On }

// Cooled reports whether e says that a valve got calm again.
func Cooled(e patterns.Event) bool { p, ok := e.(Pressure); return ok && !p.On }
