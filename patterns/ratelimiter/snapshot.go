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

	// Budget is what one more request without a key would hear.
	Budget Answer
	// Refused is how many requests each tier refused, since the limiter was spawned.
	Refused [MaxTiers]uint64
	// Exceeded is how many requests passed that would not have but for MetricsOnly.
	Exceeded uint64
	// Lent is how many permits are leased and may not be spent yet.
	Lent int64

	// Reserved is how many reservations were made, and Refunded how many of them were
	// cancelled in time.
	Reserved, Refunded uint64

	// Shards is how many actors have the keys among them.
	Shards int
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
		Reserved: m.booked.made, Refunded: m.booked.undone, Shards: 1, MaxKeys: max(0, m.cfg.MaxKeys),
		Overflowed: m.overflow, EventsLost: m.events.Lost(), Counts: counts,
	}
	if k := m.keys; k != nil {
		s.Keys, s.KeyBytes, s.Overrides = k.table.Len(), k.table.Bytes(), len(k.overrides)
	}
	s.Budget = m.answer(m.find(""), 1)
	return s
}

// merge makes one Snapshot of those of all shards. Requests without a key are all of one
// shard: it is the one that may have less than the whole budget left.
func merge(shards []Snapshot) Snapshot {
	s := shards[0]
	for _, t := range shards[1:] {
		s.Epoch = max(s.Epoch, t.Epoch)
		if t.Budget.Remaining < s.Budget.Remaining || t.Budget.ResetAfter > s.Budget.ResetAfter {
			s.Budget = t.Budget
		}
		for i, n := range t.Refused {
			s.Refused[i] += n
		}
		s.Exceeded += t.Exceeded
		s.Lent += t.Lent
		s.Reserved += t.Reserved
		s.Refunded += t.Refunded
		s.Shards += t.Shards
		s.Keys += t.Keys
		s.KeyBytes += t.KeyBytes
		s.Overrides += t.Overrides
		s.Overflowed += t.Overflowed
		s.EventsLost += t.EventsLost
		s.Counts = s.Counts.Plus(t.Counts)
	}
	return s
}
