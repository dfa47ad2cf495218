package fallback

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a fallback knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Kept is how many last good values there are, and Oldest how old the oldest of them is.
	Kept   int
	Oldest time.Duration
	// Totals are how calls ended. A Machine that is used by itself knows none.
	Totals

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are those of the actor. A fallback grants no permits.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine[T]) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{Name: m.name, Kept: len(m.kept), EventsLost: m.events.Lost(), Counts: counts}
	if oldest := m.ages.Back(); oldest != nil {
		s.Oldest = m.hi.Sub(oldest.Value.(*good).at)
	}
	return s
}

// FellBack is how many calls were given something else.
func (s Snapshot) FellBack() (n uint64) {
	n = s.LastGood + s.LastStale
	for _, served := range s.ByStep {
		n += served
	}
	return n
}
