package bulkhead

import "github.com/bulwark-go/bulwark/patterns"

// Snapshot is what a bulkhead knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Limit is how many slots there are, in each partition.
	Limit int
	// Active is how many slots are taken, in all partitions together, those lent to
	// cells in patterns.Leased mode included; Counts.InFlight is how many permits are
	// out. Peak is the most there ever were, since the start or the last Reset.
	Active int
	Peak   int
	// Saturated: somebody found no slot, and it was not relieved since. With partitions
	// it is about requests without a key, and SaturatedPartitions about the others.
	Saturated           bool
	SaturatedPartitions int
	// Partitions is how many keys have permits out.
	Partitions int
	// Waits is how long those waited who had to, and were granted a slot, since the start
	// or the last Reset.
	Waits patterns.WaitTimes
	// Epoch grows whenever somebody first finds no slot.
	Epoch uint64

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the bulkhead was spawned.
	patterns.Counts
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, Limit: m.limit, Active: m.taken(), Peak: m.peak,
		Saturated: m.main.saturated, SaturatedPartitions: int(m.saturated), Partitions: m.used,
		Epoch: m.epoch, EventsLost: m.events.Lost(), Counts: counts,
	}
	if m.waited != nil {
		s.Waits = *m.waited
	}
	if m.main.saturated {
		s.SaturatedPartitions--
	}
	return s
}

// Available is how many slots are free of those that requests without a key can have;
// it is not known for partitions.
func (s Snapshot) Available() int { return max(0, s.Limit-s.Active) }

// Utilization is the share of the slots that are taken.
func (s Snapshot) Utilization() float64 { return float64(s.Active) / float64(max(1, s.Limit)) }
