package loadshedder

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// LevelChanged says that another Level has held for Config.RaiseAfter or ClearAfter.
	LevelChanged struct {
		Name     string // the shedder's
		From, To Level
		InFlight int
		Limit    int
		Pressure float64 // see Snapshot
		At       time.Time
	}

	// Shedding says that a request was shed, for the first time since the start or the last
	// Recovered.
	Shedding struct {
		Name     string // the shedder's
		Cause    Cause
		Priority patterns.Priority
		Load     Level
		InFlight int
		Limit    int
		Waiting  int
		At       time.Time
	}

	// Recovered says that nobody was shed for Config.ClearAfter, and no measurement sheds.
	Recovered struct {
		Name  string        // the shedder's
		After time.Duration // since Shedding
		Shed  uint64        // requests, since then
		At    time.Time
	}

	// SignalChanged says that a signal has been above its threshold for Config.RaiseAfter,
	// so that it may shed requests, or low for Config.ClearAfter, or is lost.
	SignalChanged struct {
		Name             string // the shedder's
		Signal           Signal
		On               bool
		Value, Threshold float64 // shares, or seconds
		At               time.Time
	}

	// SignalLost says that a signal was not measured for Config.StaleAfter: it sheds nobody
	// until it is.
	SignalLost struct {
		Name   string // the shedder's
		Signal Signal
		Err    error // of the last attempt
		At     time.Time
	}

	// SignalBack says that a signal that was lost is measured again.
	SignalBack struct {
		Name   string // the shedder's
		Signal Signal
		Value  float64
		After  time.Duration // without a measurement
		At     time.Time
	}

	// StateChanged is the event of every operator's command, its end, and a repair.
	StateChanged struct {
		Name     string // the shedder's
		From, To State
		Cause    Cause
		Epoch    uint64 // the new one
		Note     string // the operator's, if one did it
		At       time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the shedder's
		From, To Config // with their defaults
		At       time.Time
	}
)

// Level is Warn for one that is High or Critical.
func (e LevelChanged) Level() slog.Level {
	if e.To >= High {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Level is Warn: callers are refused.
func (Shedding) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (Recovered) Level() slog.Level { return slog.LevelInfo }

// Level is Warn for one that is on.
func (e SignalChanged) Level() slog.Level {
	if e.On {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Level is Warn: a guard is blind on one eye.
func (SignalLost) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (SignalBack) Level() slog.Level { return slog.LevelInfo }

// Level is Warn for a repair, else Info.
func (e StateChanged) Level() slog.Level {
	if e.Cause == CauseRepaired {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the shedder's name.
func (e LevelChanged) Source() string { return e.Name }

// Source returns the shedder's name.
func (e Shedding) Source() string { return e.Name }

// Source returns the shedder's name.
func (e Recovered) Source() string { return e.Name }

// Source returns the shedder's name.
func (e SignalChanged) Source() string { return e.Name }

// Source returns the shedder's name.
func (e SignalLost) Source() string { return e.Name }

// Source returns the shedder's name.
func (e SignalBack) Source() string { return e.Name }

// Source returns the shedder's name.
func (e StateChanged) Source() string { return e.Name }

// Source returns the shedder's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e LevelChanged) LogValue() slog.Value {
	return eventqueue.Group("level-changed", e.Name, e.At, slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.Int("in_flight", e.InFlight), slog.Int("limit", e.Limit), slog.Float64("pressure", e.Pressure))
}

// LogValue returns the event as a group.
func (e Shedding) LogValue() slog.Value {
	return eventqueue.Group("shedding", e.Name, e.At, slog.String("cause", string(e.Cause)), slog.String("priority", e.Priority.String()),
		slog.String("load", e.Load.String()), slog.Int("in_flight", e.InFlight), slog.Int("limit", e.Limit), slog.Int("waiting", e.Waiting))
}

// LogValue returns the event as a group.
func (e Recovered) LogValue() slog.Value {
	return eventqueue.Group("recovered", e.Name, e.At, slog.Duration("after", e.After), slog.Uint64("shed", e.Shed))
}

// LogValue returns the event as a group.
func (e SignalChanged) LogValue() slog.Value {
	return eventqueue.Group("signal-changed", e.Name, e.At, slog.String("signal", e.Signal.String()), slog.Bool("on", e.On),
		slog.Float64("value", e.Value), slog.Float64("threshold", e.Threshold))
}

// LogValue returns the event as a group.
func (e SignalLost) LogValue() slog.Value {
	return eventqueue.Group("signal-lost", e.Name, e.At, slog.String("signal", e.Signal.String()), slog.Any("error", e.Err))
}

// LogValue returns the event as a group.
func (e SignalBack) LogValue() slog.Value {
	return eventqueue.Group("signal-back", e.Name, e.At, slog.String("signal", e.Signal.String()),
		slog.Float64("value", e.Value), slog.Duration("after", e.After))
}

// LogValue returns the event as a group.
func (e StateChanged) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)), slog.Uint64("epoch", e.Epoch),
	}
	if e.Note != "" {
		attrs = append(attrs, slog.String("note", e.Note))
	}
	return eventqueue.Group("state-changed", e.Name, e.At, attrs...)
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// BeganShedding reports whether e is a Shedding.
func BeganShedding(e patterns.Event) bool { _, ok := e.(Shedding); return ok }

// HasRecovered reports whether e is a Recovered.
func HasRecovered(e patterns.Event) bool { _, ok := e.(Recovered); return ok }

// LostSignal reports whether e is a SignalLost.
func LostSignal(e patterns.Event) bool { _, ok := e.(SignalLost); return ok }

// ReachedLevel returns a test for the LevelChanged to a level.
func ReachedLevel(l Level) func(patterns.Event) bool {
	return func(e patterns.Event) bool { c, ok := e.(LevelChanged); return ok && c.To == l }
}
