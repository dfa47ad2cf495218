package ratelimiter

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

type (
	// StateChanged is the event of an operator's command, of its end, and of a repair.
	StateChanged struct {
		Name     string // the limiter's
		From, To State
		Cause    Cause
		Epoch    uint64 // the new one
		At       time.Time
		Note     string // the operator's, if one did it
	}

	// ConfigChanged is the event of a Reconfigure that changed something.
	ConfigChanged struct {
		Name     string // the limiter's
		From, To Config // with the defaults filled in
		At       time.Time
	}

	// Limited says that requests are refused. There is at most one in a second, from each of
	// the limiter's actors.
	Limited struct {
		Name    string // the limiter's
		Shard   int    // which of its actors says so
		Cause   Cause
		Rate    Rate   // that refused the last one
		Refused uint64 // since the Limited before
		At      time.Time
	}

	// KeyOverflow says that keys share a budget because there are too many of them. There
	// is at most one in a second, from each of the limiter's actors.
	KeyOverflow struct {
		Name     string // the limiter's
		Shard    int    // which of its actors says so
		Keys     int    // that have a budget of their own in that actor
		Requests uint64 // of other keys, since the KeyOverflow before
		At       time.Time
	}
)

// Level is Warn for a repair, else Info.
func (e StateChanged) Level() slog.Level {
	if e.Cause == CauseRepaired {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Level is Info: to refuse is what a limiter is for.
func (Limited) Level() slog.Level { return slog.LevelInfo }

// Level is Warn: callers get less than they should, and may be under attack.
func (KeyOverflow) Level() slog.Level { return slog.LevelWarn }

// Source returns the limiter's name.
func (e StateChanged) Source() string { return e.Name }

// Source returns the limiter's name.
func (e ConfigChanged) Source() string { return e.Name }

// Source returns the limiter's name.
func (e Limited) Source() string { return e.Name }

// Source returns the limiter's name.
func (e KeyOverflow) Source() string { return e.Name }

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

// LogValue returns the event as a group.
func (e Limited) LogValue() slog.Value {
	return eventqueue.Group("limited", e.Name, e.At,
		slog.String("cause", string(e.Cause)), slog.String("rate", e.Rate.String()), slog.Uint64("refused", e.Refused))
}

// LogValue returns the event as a group.
func (e KeyOverflow) LogValue() slog.Value {
	return eventqueue.Group("key-overflow", e.Name, e.At, slog.Int("keys", e.Keys), slog.Uint64("requests", e.Requests))
}

// WasLimited reports whether e is a Limited.
func WasLimited(e patterns.Event) bool { _, ok := e.(Limited); return ok }

// Overflowed reports whether e is a KeyOverflow.
func Overflowed(e patterns.Event) bool { _, ok := e.(KeyOverflow); return ok }

// WasChanged reports whether e is a ConfigChanged.
func WasChanged(e patterns.Event) bool { _, ok := e.(ConfigChanged); return ok }

// noticeEvery is how far apart two events about the same trouble are.
const noticeEvery = time.Second

// notice says when to speak of something that happens often.
type notice struct {
	count uint64 // since it was spoken of
	next  patterns.Instant
}

// add counts one more, and returns how many there were if it is time to say so.
func (n *notice) add(now patterns.Instant) (count uint64, due bool) {
	n.count++
	if now < n.next {
		return 0, false
	}
	count, n.count, n.next = n.count, 0, now.Add(noticeEvery)
	return count, true
}
