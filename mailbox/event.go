package mailbox

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Mailboxes of New publish these on the EventStream of their system, from a goroutine of
// their own: a subscriber that waits holds up the next ones, and nothing else.

// Dropped says what an actor's mailbox has dropped since the last Dropped of it. There is
// at most one a second, and the last of a burst comes within a second.
type Dropped struct {
	Who   *actor.PID
	Since Drops // since the last one
	Total Drops // since the actor was spawned
	At    time.Time
}

// Level is Warn: messages were lost to the actor.
func (Dropped) Level() slog.Level { return slog.LevelWarn }

// LogValue makes a Dropped loggable.
func (e Dropped) LogValue() slog.Value {
	return slog.GroupValue(slog.String("actor", e.Who.GetId()), slog.Any("since", e.Since), slog.Any("total", e.Total))
}

// Pressure says that as many messages are queued as the high mark says, or, after that,
// no more than the low mark says. It is about what was so a moment ago: what changes and
// changes back faster than it can be published is not told.
type Pressure struct {
	Who       *actor.PID
	High      bool // false: it is over
	Depth     int  // how many are queued
	Low, Mark int  // the marks
	At        time.Time
}

// Level is Warn if pressure is high, and Info when it is over.
func (e Pressure) Level() slog.Level {
	if e.High {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// LogValue makes a Pressure loggable.
func (e Pressure) LogValue() slog.Value {
	return slog.GroupValue(slog.String("actor", e.Who.GetId()), slog.Bool("high", e.High), slog.Int("depth", e.Depth))
}
