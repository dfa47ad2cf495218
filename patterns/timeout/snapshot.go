package timeout

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a timeout knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Limit is how long a call may take.
	Limit time.Duration
	// Abandoned is how many functions are left behind and still run, Oldest for how long
	// the first of them has been, Left how many ever were, and Panicked how many of those
	// panicked.
	Abandoned      int
	Oldest         time.Duration
	Left, Panicked uint64
	// Totals are how calls ended. A Machine that is used by itself knows none.
	Totals

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are those of the actor. A timeout grants no permits.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, Limit: m.plan.limit, Abandoned: len(m.strays), Left: m.left, Panicked: m.panics,
		EventsLost: m.events.Lost(), Counts: counts,
	}
	for who := range m.strays {
		s.Oldest = max(s.Oldest, m.hi.Sub(who.since))
	}
	return s
}

// Ratio is the share of the calls that took too long.
func (s Snapshot) Ratio() float64 { return float64(s.TimedOut) / float64(max(1, s.Calls)) }
