package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a limiter knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name  string
	State State
	// Epoch grows with every change of State.
	Epoch uint64
	// Until is when a forced state ends. Zero if it is not forced, or without an end.
	Until time.Time

	Algorithm Algorithm
	Tiers     Tiers

	// Budget is what one more request would hear; with keys, one of a key that has used
	// nothing.
	Budget Answer
	// Refused is how many requests each tier refused, since the limiter was spawned.
	Refused [MaxTiers]uint64
	// Exceeded is how many requests passed that would not have but for MetricsOnly.
	Exceeded uint64
	// Lent is how many permits are leased and may not be spent yet.
	Lent int64

	// Keys is how many keys have used something that counts, or did a moment ago.
	Keys, MaxKeys int
	// KeyBytes is the memory that they take.
	KeyBytes int
	// Overrides is how many keys have rates of their own.
	Overrides int
	// Overflowed is how many requests were of keys that had to share a budget.
	Overflowed uint64

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the limiter was spawned.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, State: m.state, Epoch: m.epoch, Until: m.wall(m.until),
		Algorithm: m.cfg.Algorithm, Tiers: Several(m.law.rates...),
		Refused: m.refused, Exceeded: m.exceeded, Lent: m.lent.out(),
		EventsLost: m.events.Lost(), Counts: counts,
	}
	b := budget{law: m.law, state: m.single}
	if k := m.keys; k != nil {
		s.Keys, s.MaxKeys, s.KeyBytes = k.table.Len(), k.table.Max(), k.table.Bytes()
		s.Overrides, s.Overflowed = len(k.overrides), k.overflowed
		m.law.Start(k.scratch, int64(m.hi))
		b.state = k.scratch
	}
	s.Budget = m.answer(&b, 1)
	return s
}
