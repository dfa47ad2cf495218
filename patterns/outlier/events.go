package outlier

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// Ejected says that a member gets no calls for a while.
	Ejected struct {
		Name    string // the ejector's
		Member  string
		Reason  Reason
		For     time.Duration
		Ejected int // how many are, with this one
		Members int // of how many
		At      time.Time
	}

	// Returned says that one gets calls again.
	Returned struct {
		Name    string // the ejector's
		Member  string
		Ejected int // how many still are
		At      time.Time
	}

	// Spared says that members would have been ejected, had not as many been already as may be:
	// the first at once, and then how often, once a second.
	Spared struct {
		Name    string // the ejector's
		Member  string // the latest
		Ejected int    // how many are
		Count   uint64 // times since the last Spared
		At      time.Time
	}

	// ConfigChanged says that a Reconfigure changed something.
	ConfigChanged struct {
		Name     string // the ejector's
		From, To Config // with the defaults filled in
		At       time.Time
	}
)

// Level is Warn: there is less to carry the load.
func (Ejected) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (Returned) Level() slog.Level { return slog.LevelInfo }

// Level is Error: more fail than can be done without.
func (Spared) Level() slog.Level { return slog.LevelError }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the ejector's name.
func (e Ejected) Source() string { return e.Name }

// Source returns the ejector's name.
func (e Returned) Source() string { return e.Name }

// Source returns the ejector's name.
func (e Spared) Source() string { return e.Name }

// Source returns the ejector's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e Ejected) LogValue() slog.Value {
	return eventqueue.Group("ejected", e.Name, e.At, slog.String("member", e.Member), slog.String("reason", e.Reason.String()),
		slog.Duration("for", e.For), slog.Int("ejected", e.Ejected), slog.Int("members", e.Members))
}

// LogValue returns the event as a group.
func (e Returned) LogValue() slog.Value {
	return eventqueue.Group("returned", e.Name, e.At, slog.String("member", e.Member), slog.Int("ejected", e.Ejected))
}

// LogValue returns the event as a group.
func (e Spared) LogValue() slog.Value {
	return eventqueue.Group("spared", e.Name, e.At, slog.String("member", e.Member), slog.Int("ejected", e.Ejected), slog.Uint64("count", e.Count))
}

// LogValue returns the event as a group.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At, slog.Any("from", e.From), slog.Any("to", e.To))
}

// HasEjected reports whether e is an Ejected.
func HasEjected(e patterns.Event) bool { _, ok := e.(Ejected); return ok }

// HasReturned reports whether e is a Returned.
func HasReturned(e patterns.Event) bool { _, ok := e.(Returned); return ok }

// HasSpared reports whether e is a Spared.
func HasSpared(e patterns.Event) bool { _, ok := e.(Spared); return ok }
