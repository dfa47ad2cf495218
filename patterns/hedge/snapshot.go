package hedge

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a hedge knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Delay is how long a call waits before it makes another attempt.
	Delay time.Duration
	// Totals are how calls and attempts ended. A Machine that is used by itself knows none.
	Totals

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are those of the actor. A hedge grants no permits.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	return Snapshot{Name: m.name, Delay: m.plan.delay, EventsLost: m.events.Lost(), Counts: counts}
}

// Ratio is how many attempts were made besides the first, for each call.
func (s Snapshot) Ratio() float64 { return float64(s.Extra) / float64(max(1, s.Calls)) }
