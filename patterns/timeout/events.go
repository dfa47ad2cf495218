package timeout

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// TimedOut says that calls took longer than the limit: the first at once, and then how
	// many more, once a second.
	TimedOut struct {
		Name      string        // the timeout's
		Limit     time.Duration // as of now
		Count     uint64        // since the last TimedOut
		Abandoned int           // functions that are left behind and still run
		At        time.Time
	}

	// AbandonedPanicked says that functions that were left behind panicked, which nobody
	// else hears of; at most once a second.
	AbandonedPanicked struct {
		Name  string // the timeout's
		Panic string // the last one, cut to 1,024 bytes
		Count uint64 // since the last AbandonedPanicked
		At    time.Time
	}

	// LimitChanged says that the limit followed the calls by a tenth or more; at most once a
	// second.
	LimitChanged struct {
		Name     string // the timeout's
		From, To time.Duration
		At       time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the timeout's
		From, To Config // with the defaults filled in
		At       time.Time
	}
)

// Level is Warn: something is slow.
func (TimedOut) Level() slog.Level { return slog.LevelWarn }

// Level is Error: a bug.
func (AbandonedPanicked) Level() slog.Level { return slog.LevelError }

// Level is Debug.
func (LimitChanged) Level() slog.Level { return slog.LevelDebug }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the timeout's name.
func (e TimedOut) Source() string { return e.Name }

// Source returns the timeout's name.
func (e AbandonedPanicked) Source() string { return e.Name }

// Source returns the timeout's name.
func (e LimitChanged) Source() string { return e.Name }

// Source returns the timeout's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e TimedOut) LogValue() slog.Value {
	return eventqueue.Group("timed-out", e.Name, e.At,
		slog.Duration("limit", e.Limit), slog.Uint64("count", e.Count), slog.Int("abandoned", e.Abandoned))
}

// LogValue returns the event as a group.
func (e AbandonedPanicked) LogValue() slog.Value {
	return eventqueue.Group("abandoned-panicked", e.Name, e.At, slog.String("panic", e.Panic), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e LimitChanged) LogValue() slog.Value {
	return eventqueue.Group("limit-changed", e.Name, e.At, slog.Duration("from", e.From), slog.Duration("to", e.To))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// HasTimedOut reports whether e is a TimedOut.
func HasTimedOut(e patterns.Event) bool { _, ok := e.(TimedOut); return ok }

// HasMoved reports whether e is a LimitChanged.
func HasMoved(e patterns.Event) bool { _, ok := e.(LimitChanged); return ok }

// HasPanicked reports whether e is an AbandonedPanicked.
func HasPanicked(e patterns.Event) bool { _, ok := e.(AbandonedPanicked); return ok }
