package adaptive

import (
	"iter"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// LimitChanged is the event of a limit that moved by a tenth or more. There is one a
// second at most.
type LimitChanged struct {
	Name     string // the limiter's
	From, To int    // the limit of the last event, and now
	InFlight int
	At       time.Time
}

// Level is Debug: limits move all the time.
func (e LimitChanged) Level() slog.Level { return slog.LevelDebug }

// Source returns the limiter's name.
func (e LimitChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e LimitChanged) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", e.Name), slog.Int("from", e.From), slog.Int("to", e.To),
		slog.Int("in_flight", e.InFlight), slog.Time("at", e.At),
	)
}

// StateChanged is the event of every operator's command, its end, and a repair.
type StateChanged struct {
	Name     string // the limiter's
	From, To State
	Cause    Cause
	Epoch    uint64 // the new one
	At       time.Time
	Note     string // the operator's, if one did it
}

// Level is Warn for a repair, else Info.
func (e StateChanged) Level() slog.Level {
	if e.Cause == CauseRepaired {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Source returns the limiter's name.
func (e StateChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e StateChanged) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("name", e.Name), slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)), slog.Uint64("epoch", e.Epoch), slog.Time("at", e.At),
	}
	if e.Note != "" {
		attrs = append(attrs, slog.String("note", e.Note))
	}
	return slog.GroupValue(attrs...)
}

// ConfigChanged is the event of a Reconfigure that changed something.
type ConfigChanged struct {
	Name     string // the limiter's
	From, To Config // with the defaults filled in
	At       time.Time
}

// Level is Info.
func (e ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the limiter's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", e.Name), slog.Any("from", e.From), slog.Any("to", e.To), slog.Time("at", e.At),
	)
}

const announceEvery = patterns.Instant(time.Second)

// announce tells of a new limit, seldom enough that nobody is buried in it.
func (m *Machine) announce() {
	if m.hi-m.saidAt < announceEvery || 10*max(m.limit-m.announced, m.announced-m.limit) < max(m.announced, 10) {
		return
	}
	m.events.put(LimitChanged{Name: m.name, From: m.announced, To: m.limit, InFlight: m.inFlight, At: m.wall(m.hi)})
	m.announced, m.saidAt, m.dirty = m.limit, m.hi, true
}

// wall returns the wall time of an instant.
func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }

// maxEvents is how many events wait for a Drain at most.
const maxEvents = 16

// eventQueue holds the newest events nobody has drained.
type eventQueue struct {
	ring [maxEvents]patterns.Event
	next int // the cell to read
	n    int
	lost uint64 // dropped because the ring was full
}

func (q *eventQueue) put(e patterns.Event) {
	if q.n == maxEvents {
		q.next = (q.next + 1) % maxEvents
		q.n--
		q.lost++
	}
	q.ring[(q.next+q.n)%maxEvents] = e
	q.n++
}

// drain yields and removes, oldest first, until the consumer stops.
func (q *eventQueue) drain() iter.Seq[patterns.Event] {
	return func(yield func(patterns.Event) bool) {
		for q.n > 0 {
			e := q.ring[q.next]
			q.ring[q.next] = nil
			q.next = (q.next + 1) % maxEvents
			q.n--
			if !yield(e) {
				return
			}
		}
	}
}
