package backpressure

import (
	"iter"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
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
	return slog.GroupValue(
		slog.String("event", "pressure"), slog.String("guard", e.Name), slog.Bool("on", e.On),
		slog.Int("pending", e.Pending), slog.Int("limit", e.Limit), slog.Duration("after", e.After),
		slog.Uint64("epoch", e.Epoch), slog.Time("at", e.At),
	)
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("event", "config-changed"), slog.String("guard", e.Name),
		slog.Any("from", e.From), slog.Any("to", e.To), slog.Time("at", e.At),
	)
}

// Heated reports whether e says that a valve got hot.
func Heated(e patterns.Event) bool { p, ok := e.(Pressure); return ok && p.On }

// Cooled reports whether e says that a valve got calm again.
func Cooled(e patterns.Event) bool { p, ok := e.(Pressure); return ok && !p.On }

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
