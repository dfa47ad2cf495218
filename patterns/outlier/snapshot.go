package outlier

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what an ejector knew at one moment.
type Snapshot struct {
	Name string
	// Members are all, in the order of the Config.
	Members []Member
	// Ejected is how many of them are.
	Ejected int

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are those of the actor. An ejector grants no permits.
	patterns.Counts
}

// Member is what an ejector knows of one.
type Member struct {
	Name string
	// Ejected: it gets no calls for as long as Remaining says.
	Ejected   bool
	Remaining time.Duration
	// Ejections is how often it was.
	Ejections uint64
	// Calls is how many have ended, but for those that say nothing, such as that of a caller
	// who left; Failures is how many of them failed.
	Calls, Failures uint64
	// InFlight is how many are under way. A Machine that is used by itself knows of none.
	InFlight int
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{Name: m.name, Members: make([]Member, len(m.members)), Ejected: m.out, EventsLost: m.events.Lost(), Counts: counts}
	for i, b := range m.members {
		s.Members[i] = Member{Name: b.name, Ejected: b.ejected, Ejections: b.ejections, Calls: b.total, Failures: b.failed}
		if b.ejected {
			s.Members[i].Remaining = m.until(b).Sub(m.hi)
		}
	}
	return s
}

// Of returns what is known of the member of that name.
func (s Snapshot) Of(name string) (of Member, ok bool) {
	for _, b := range s.Members {
		if b.Name == name {
			return b, true
		}
	}
	return of, false
}
