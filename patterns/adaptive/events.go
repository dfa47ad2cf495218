package adaptive

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
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
	return eventqueue.Group("limit-changed", e.Name, e.At, slog.Int("from", e.From), slog.Int("to", e.To), slog.Int("in_flight", e.InFlight))
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
	attrs := make([]slog.Attr, 0, 5)
	attrs = append(attrs, slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.String("cause", string(e.Cause)), slog.Uint64("epoch", e.Epoch))
	if e.Note != "" {
		attrs = append(attrs, slog.String("note", e.Note))
	}
	return eventqueue.Group("state-changed", e.Name, e.At, attrs...)
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
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// WasMoved reports whether e is a LimitChanged.
func WasMoved(e patterns.Event) bool { _, ok := e.(LimitChanged); return ok }

// WasForced reports whether e tells of an operator's command to open, close or only measure.
func WasForced(e patterns.Event) bool {
	s, ok := e.(StateChanged)
	return ok && s.Cause == CauseForced
}

// WasReset reports whether e tells of a Reset.
func WasReset(e patterns.Event) bool {
	s, ok := e.(StateChanged)
	return ok && s.Cause == CauseReset
}

const announceEvery = patterns.Instant(time.Second)

// announce tells of a new limit, seldom enough that nobody is buried in it.
func (m *Machine) announce() {
	if m.hi-m.saidAt < announceEvery || 10*max(m.limit-m.announced, m.announced-m.limit) < max(m.announced, 10) {
		return
	}
	m.events.Put(LimitChanged{Name: m.name, From: m.announced, To: m.limit, InFlight: m.inFlight, At: m.wall(m.hi)})
	m.announced, m.saidAt, m.dirty = m.limit, m.hi, true
}

// wall returns the wall time of an instant.
func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
