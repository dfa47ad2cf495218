package bulkhead

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// Saturated says that somebody found no slot, for the first time since the start or
	// the last Relieved.
	Saturated struct {
		Name     string // the bulkhead's
		Key      string // of the partition, if it was one
		Limit    int
		InFlight int // slots taken; less than Limit if a heavy request did not fit
		At       time.Time
	}

	// Relieved says that nobody waits any more and at most half of the slots are taken.
	Relieved struct {
		Name     string // the bulkhead's
		Key      string // of the partition, if it was one
		Limit    int
		InFlight int
		After    time.Duration // since Saturated
		At       time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the bulkhead's
		From, To Config // with the defaults filled in
		InFlight int    // slots taken, which may be more than To has
		At       time.Time
	}
)

// Level is Warn: callers wait or are refused.
func (Saturated) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (Relieved) Level() slog.Level { return slog.LevelInfo }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the bulkhead's name.
func (e Saturated) Source() string { return e.Name }

// Source returns the bulkhead's name.
func (e Relieved) Source() string { return e.Name }

// Source returns the bulkhead's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Saturated) LogValue() slog.Value {
	return group("saturated", e.Name, e.Key, e.At, slog.Int("limit", e.Limit), slog.Int("in_flight", e.InFlight))
}

// LogValue returns the event as a group.
func (e Relieved) LogValue() slog.Value {
	return group("relieved", e.Name, e.Key, e.At, slog.Int("limit", e.Limit), slog.Int("in_flight", e.InFlight), slog.Duration("after", e.After))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To), slog.Int("in_flight", e.InFlight))
}

// group is eventqueue.Group with the partition's key, if it was one.
func group(event, name, key string, at time.Time, more ...slog.Attr) slog.Value {
	if key != "" {
		more = append(more, slog.String("key", key))
	}
	return eventqueue.Group(event, name, at, more...)
}

// WasSaturated reports whether e is a Saturated.
func WasSaturated(e patterns.Event) bool { _, ok := e.(Saturated); return ok }

// WasRelieved reports whether e is a Relieved.
func WasRelieved(e patterns.Event) bool { _, ok := e.(Relieved); return ok }
