package bulkhead

import (
	"iter"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
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

	// Resized says that a Reconfigure changed MaxConcurrent.
	Resized struct {
		Name     string // the bulkhead's
		From, To int
		InFlight int // slots taken, which may be more than To
		At       time.Time
	}
)

// Level is Warn: callers wait or are refused.
func (Saturated) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (Relieved) Level() slog.Level { return slog.LevelInfo }

// Level is Info.
func (Resized) Level() slog.Level { return slog.LevelInfo }

// Source returns the bulkhead's name.
func (e Saturated) Source() string { return e.Name }

// Source returns the bulkhead's name.
func (e Relieved) Source() string { return e.Name }

// Source returns the bulkhead's name.
func (e Resized) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Saturated) LogValue() slog.Value {
	return group("saturated", e.Name, e.Key, e.At, slog.Int("limit", e.Limit), slog.Int("in_flight", e.InFlight))
}

// LogValue returns the event as a group.
func (e Relieved) LogValue() slog.Value {
	return group("relieved", e.Name, e.Key, e.At, slog.Int("limit", e.Limit), slog.Int("in_flight", e.InFlight), slog.Duration("after", e.After))
}

// LogValue returns the event as a group.
func (e Resized) LogValue() slog.Value {
	return group("resized", e.Name, "", e.At, slog.Int("from", e.From), slog.Int("to", e.To), slog.Int("in_flight", e.InFlight))
}

func group(event, name, key string, at time.Time, more ...slog.Attr) slog.Value {
	attrs := []slog.Attr{slog.String("event", event), slog.String("guard", name)}
	if key != "" {
		attrs = append(attrs, slog.String("key", key))
	}
	return slog.GroupValue(append(append(attrs, more...), slog.Time("at", at))...)
}

// WasSaturated reports whether e is a Saturated.
func WasSaturated(e patterns.Event) bool { _, ok := e.(Saturated); return ok }

// WasRelieved reports whether e is a Relieved.
func WasRelieved(e patterns.Event) bool { _, ok := e.(Relieved); return ok }

// WasResized reports whether e is a Resized.
func WasResized(e patterns.Event) bool { _, ok := e.(Resized); return ok }

// maxEvents is how many events wait for a Drain at most.
const maxEvents = 16

// eventQueue holds the newest events nobody has drained.
type eventQueue struct {
	waiting []patterns.Event
	lost    uint64 // dropped because there were too many
}

func (q *eventQueue) put(e patterns.Event) {
	if len(q.waiting) == maxEvents {
		copy(q.waiting, q.waiting[1:])
		q.waiting = q.waiting[:maxEvents-1]
		q.lost++
	}
	q.waiting = append(q.waiting, e)
}

// drain yields and removes, oldest first, until the consumer stops.
func (q *eventQueue) drain() iter.Seq[patterns.Event] {
	return func(yield func(patterns.Event) bool) {
		for len(q.waiting) > 0 {
			e := q.waiting[0]
			q.waiting[0] = nil
			q.waiting = q.waiting[1:]
			if len(q.waiting) == 0 {
				q.waiting = nil
			}
			if !yield(e) {
				return
			}
		}
	}
}
