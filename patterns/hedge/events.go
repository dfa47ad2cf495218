package hedge

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// Hedged says that calls made another attempt, and have ended: the first at once, and then
	// how many more, once a second.
	Hedged struct {
		Name  string        // the hedge's
		Delay time.Duration // as of now
		Count uint64        // calls since the last Hedged
		Won   uint64        // of them by another than the first attempt
		At    time.Time
	}

	// Crowded says that attempts were not made because as many losers run as may: functions
	// that do not listen to their context; at most once a second.
	Crowded struct {
		Name   string // the hedge's
		Losers int    // Config.MaxLosers
		Count  uint64 // attempts since the last Crowded
		At     time.Time
	}

	// LoserPanicked says that attempts panicked for which nobody waited any more, which nobody
	// else hears of; at most once a second.
	LoserPanicked struct {
		Name  string // the hedge's
		Panic string // the last one, cut to 1,024 bytes
		Count uint64 // since the last LoserPanicked
		At    time.Time
	}

	// DelayChanged says that the delay followed the calls by a tenth or more; at most once a
	// second.
	DelayChanged struct {
		Name     string // the hedge's
		From, To time.Duration
		At       time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the hedge's
		From, To Config // with the defaults filled in
		At       time.Time
	}
)

// Level is Debug: it is what a hedge is for.
func (Hedged) Level() slog.Level { return slog.LevelDebug }

// Level is Warn: functions do not listen.
func (Crowded) Level() slog.Level { return slog.LevelWarn }

// Level is Error: a bug.
func (LoserPanicked) Level() slog.Level { return slog.LevelError }

// Level is Debug.
func (DelayChanged) Level() slog.Level { return slog.LevelDebug }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the hedge's name.
func (e Hedged) Source() string { return e.Name }

// Source returns the hedge's name.
func (e Crowded) Source() string { return e.Name }

// Source returns the hedge's name.
func (e LoserPanicked) Source() string { return e.Name }

// Source returns the hedge's name.
func (e DelayChanged) Source() string { return e.Name }

// Source returns the hedge's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Hedged) LogValue() slog.Value {
	return eventqueue.Group("hedged", e.Name, e.At,
		slog.Duration("delay", e.Delay), slog.Uint64("count", e.Count), slog.Uint64("won", e.Won))
}

// LogValue returns the event as a group.
func (e Crowded) LogValue() slog.Value {
	return eventqueue.Group("crowded", e.Name, e.At, slog.Int("losers", e.Losers), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e LoserPanicked) LogValue() slog.Value {
	return eventqueue.Group("loser-panicked", e.Name, e.At, slog.String("panic", e.Panic), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e DelayChanged) LogValue() slog.Value {
	return eventqueue.Group("delay-changed", e.Name, e.At, slog.Duration("from", e.From), slog.Duration("to", e.To))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// HasHedged reports whether e is a Hedged.
func HasHedged(e patterns.Event) bool { _, ok := e.(Hedged); return ok }

// HasCrowded reports whether e is a Crowded.
func HasCrowded(e patterns.Event) bool { _, ok := e.(Crowded); return ok }

// HasPanicked reports whether e is a LoserPanicked.
func HasPanicked(e patterns.Event) bool { _, ok := e.(LoserPanicked); return ok }

// HasMoved reports whether e is a DelayChanged.
func HasMoved(e patterns.Event) bool { _, ok := e.(DelayChanged); return ok }
