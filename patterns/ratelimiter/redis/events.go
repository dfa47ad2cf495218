package redislimiter

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

// Events, besides ratelimiter.Limited and ratelimiter.StateChanged.
type (
	// OutageBegan says that Redis is given up for a while, and Policy decides.
	OutageBegan struct {
		Name   string // the limiter's
		Policy Outage
		Err    error // of the last call
		At     time.Time
	}

	// OutageEnded says that Redis answers again, and was charged with what passed meanwhile.
	OutageEnded struct {
		Name   string // the limiter's
		Lasted time.Duration
		At     time.Time
	}

	// StoreRefused says that requests are refused because Redis may not, or cannot, keep the
	// limit as things are configured. There is at most one in a second.
	StoreRefused struct {
		Name     string // the limiter's
		Requests uint64 // since the StoreRefused before
		Err      error
		At       time.Time
	}

	// ClientUnfit says that the Client that a limiter was given waits longer, or tries more often,
	// than its Timeout and policy have use for. It comes once, with the first request.
	ClientUnfit struct {
		Name     string // the limiter's
		Problems string
		At       time.Time
	}

	// ConfigChanged is the event of a Reconfigure that changed something.
	ConfigChanged struct {
		Name     string // the limiter's
		From, To Config // with the defaults filled in
		At       time.Time
	}
)

// Level is Error: the limit is not kept as it should be.
func (OutageBegan) Level() slog.Level { return slog.LevelError }

// Level is Warn, so that whoever hears of the beginning hears of the end.
func (OutageEnded) Level() slog.Level { return slog.LevelWarn }

// Level is Error: somebody has to put it right.
func (StoreRefused) Level() slog.Level { return slog.LevelError }

// Level is Warn.
func (ClientUnfit) Level() slog.Level { return slog.LevelWarn }

// Level is Info.
func (ConfigChanged) Level() slog.Level { return slog.LevelInfo }

// Source returns the limiter's name.
func (e OutageBegan) Source() string { return e.Name }

// Source returns the limiter's name.
func (e OutageEnded) Source() string { return e.Name }

// Source returns the limiter's name.
func (e StoreRefused) Source() string { return e.Name }

// Source returns the limiter's name.
func (e ClientUnfit) Source() string { return e.Name }

// Source returns the limiter's name.
func (e ConfigChanged) Source() string { return e.Name }

// LogValue returns the event as a group.
func (e OutageBegan) LogValue() slog.Value {
	return eventqueue.Group("outage-began", e.Name, e.At, slog.String("policy", e.Policy.String()), slog.Any("error", e.Err))
}

// LogValue returns the event as a group.
func (e OutageEnded) LogValue() slog.Value {
	return eventqueue.Group("outage-ended", e.Name, e.At, slog.Duration("lasted", e.Lasted))
}

// LogValue returns the event as a group.
func (e StoreRefused) LogValue() slog.Value {
	return eventqueue.Group("store-refused", e.Name, e.At, slog.Uint64("requests", e.Requests), slog.Any("error", e.Err))
}

// LogValue returns the event as a group.
func (e ClientUnfit) LogValue() slog.Value {
	return eventqueue.Group("client-unfit", e.Name, e.At, slog.String("problems", e.Problems))
}

// LogValue returns the event as a group. It has no password.
func (e ConfigChanged) LogValue() slog.Value {
	return eventqueue.Group("config-changed", e.Name, e.At,
		slog.String("from", e.From.Rate.String()+e.From.Tiers.String()), slog.String("to", e.To.Rate.String()+e.To.Tiers.String()))
}

const noticeEvery = time.Second

// notices say when to speak of what happens often.
type notices struct{ limited, misfit notice }

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
