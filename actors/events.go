package actors

import (
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Event is what guards tell their observers. The set is closed: the events below,
// and those that each pattern lists.
type Event = patterns.Event

// ReclaimCause says why a permit was taken back from its holder.
type ReclaimCause string

const (
	// ReclaimedHolderGone: the holder stopped or restarted.
	ReclaimedHolderGone ReclaimCause = "holder-gone"
	// ReclaimedExpired: it was held for longer than it may be.
	ReclaimedExpired ReclaimCause = "expired"
)

type (
	// PermitReclaimed says that a permit was taken back.
	PermitReclaimed struct {
		Name   string
		Permit patterns.PermitID
		Cause  ReclaimCause
		At     time.Time
	}

	// Restarted says that a guard's actor failed and was restarted. Repaired is true
	// if its state had to be rebuilt.
	Restarted struct {
		Name     string
		Restarts uint64
		Repaired bool
		At       time.Time
	}

	// GaveUp says that a guard's actor failed more often than its supervisor allows
	// and was stopped. From now on its callers get what Policy says.
	GaveUp struct {
		Name   string
		Reason any
		Policy patterns.FailPolicy
		At     time.Time
	}

	// Stopped says that a guard was stopped in order; InFlight permits were out.
	Stopped struct {
		Name     string
		InFlight uint64
		At       time.Time
	}

	// Missed tells a subscriber in band that it lost Count events because it was slow,
	// or because there was no room for them on their way to all subscribers.
	Missed struct {
		Count uint64
		At    time.Time
	}
)

// Level is Warn: somebody lost work.
func (PermitReclaimed) Level() slog.Level { return slog.LevelWarn }

// Level is Warn.
func (Restarted) Level() slog.Level { return slog.LevelWarn }

// Level is Error: the guard is gone.
func (GaveUp) Level() slog.Level { return slog.LevelError }

// Level is Info.
func (Stopped) Level() slog.Level { return slog.LevelInfo }

// Level is Warn.
func (Missed) Level() slog.Level { return slog.LevelWarn }

// Source returns the guard's name.
func (e PermitReclaimed) Source() string { return e.Name }

// Source returns the guard's name.
func (e Restarted) Source() string { return e.Name }

// Source returns the guard's name.
func (e GaveUp) Source() string { return e.Name }

// Source returns the guard's name.
func (e Stopped) Source() string { return e.Name }

// Source is empty: no guard in particular.
func (Missed) Source() string { return "" }

// LogValue implements slog.LogValuer.
func (e PermitReclaimed) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "permit-reclaimed"), slog.String("guard", e.Name),
		slog.String("cause", string(e.Cause)), slog.Uint64("epoch", e.Permit.Epoch), slog.Uint64("permit", e.Permit.ID))
}

// LogValue implements slog.LogValuer.
func (e Restarted) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "restarted"), slog.String("guard", e.Name),
		slog.Uint64("restarts", e.Restarts), slog.Bool("repaired", e.Repaired))
}

// LogValue implements slog.LogValuer.
func (e GaveUp) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "gave-up"), slog.String("guard", e.Name),
		slog.Any("reason", e.Reason), slog.String("policy", e.Policy.String()))
}

// LogValue implements slog.LogValuer.
func (e Stopped) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "stopped"), slog.String("guard", e.Name), slog.Uint64("in_flight", e.InFlight))
}

// LogValue implements slog.LogValuer.
func (e Missed) LogValue() slog.Value {
	return slog.GroupValue(slog.String("event", "missed"), slog.Uint64("count", e.Count))
}
