package backpressure

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a valve knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Pending is how much work is pending, permits lent to cells in patterns.Leased mode
	// included; Counts.InFlight is how many permits are out. Peak is the most there ever
	// was, since the start or the last Reset.
	Pending int
	Peak    int
	// MaxPending, HighWater and LowWater are the marks.
	MaxPending int
	HighWater  int
	LowWater   int
	// Hot: newcomers wait.
	Hot bool
	// Since is when it last got hot or calm, or was spawned, and InState how long ago.
	Since   time.Time
	InState time.Duration
	// Heats is how often it got hot, and HotFor for how long it was, since the start or
	// the last Reset.
	Heats  uint64
	HotFor time.Duration
	// Waits is how long those waited who had to, and were granted a permit, since the start
	// or the last Reset.
	Waits patterns.WaitTimes
	// Epoch grows whenever it gets hot, and now and then besides in patterns.Leased mode.
	Epoch uint64

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the valve was spawned.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, Pending: m.pending, Peak: m.peak,
		MaxPending: m.limit, HighWater: m.high, LowWater: m.low,
		Hot: m.hot, Since: m.wall(m.since), InState: m.hi.Sub(m.since),
		Heats: m.heats, HotFor: m.heated, Waits: m.waited, Epoch: m.epoch,
		EventsLost: m.events.Lost(), Counts: counts,
	}
	if m.hot {
		s.HotFor += s.InState
	}
	return s
}

// Utilization is the share of MaxPending that is pending.
func (s Snapshot) Utilization() float64 { return float64(s.Pending) / float64(max(1, s.MaxPending)) }
