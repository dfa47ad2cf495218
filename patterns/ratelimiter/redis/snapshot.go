package redislimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Snapshot is what a limiter knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name  string
	State ratelimiter.State
	// Epoch grows with every change of State.
	Epoch uint64
	// Until is when a forced state ends. Zero if it is not forced, or without an end.
	Until time.Time

	Algorithm ratelimiter.Algorithm
	Tiers     ratelimiter.Tiers

	// Down says that Redis is given up for now, Since when, and what for.
	Down  bool
	Since time.Time
	Cause string
	// OnTheWay is how many requests the call that is under way carries, and extras.
	OnTheWay int
	// Held is how many permits of leases are here.
	Held int64
	// Keys is how many keys have a lease, Overrides how many have rates of their own, and
	// Owing how many passed something without Redis that it is not charged with yet.
	Keys, Overrides, Owing int

	Totals

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the limiter was spawned.
	patterns.Counts
}

// Totals are counted since the limiter was spawned.
type Totals struct {
	// Batches is how many calls there were, and Batched how many requests they carried.
	Batches, Batched uint64
	// Failed is how many calls failed, and Outages how often Redis was given up.
	Failed, Outages uint64
	// PassedWithout and RefusedWithout are requests that the policy for outages decided.
	PassedWithout, RefusedWithout uint64
	// Misfits is how many requests were refused with a *StoreError.
	Misfits uint64
	// Leased is how many permits were taken in advance.
	Leased uint64
	// NotReturned is how many permits could not be given back, and NotCharged how many
	// passed in an outage and could not be charged afterwards.
	NotReturned, NotCharged uint64
	// Refused is how many requests each tier refused.
	Refused [ratelimiter.MaxTiers]uint64
}

// MeanBatch is how many requests a call carried on average.
func (s Snapshot) MeanBatch() float64 {
	if s.Batches == 0 {
		return 0
	}
	return float64(s.Batched) / float64(s.Batches)
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, State: m.state, Epoch: m.epoch, Until: m.wall(m.until),
		Algorithm: m.cfg.Algorithm, Tiers: ratelimiter.Several(m.cfg.rates()...),
		Down: m.outage.down, Held: m.held(), Keys: m.stocks.len(), Overrides: len(m.overrides), Owing: m.outage.owed.len(),
		Totals: m.sums, EventsLost: m.events.Lost(), Counts: counts,
	}
	if m.flying != nil {
		s.OnTheWay = len(m.flying.checks)
	}
	if m.outage.down {
		s.Since = m.wall(m.outage.since)
		if m.outage.err != nil {
			s.Cause = m.outage.err.Error()
		}
	}
	return s
}
