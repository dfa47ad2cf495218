package bulkhead

import (
	"math/bits"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

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
	// Waits is how long those waited who were granted a slot while it was saturated.
	Waits WaitTimes
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
		Name: m.name, Limit: m.limit, Active: m.taken, Peak: m.peak,
		Saturated: m.main.saturated, SaturatedPartitions: m.saturated, Partitions: len(m.partitions),
		Waits: m.waited, Epoch: m.epoch, EventsLost: m.events.lost, Counts: counts,
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

// waitBuckets are powers of two of a microsecond, the last one for 67 s and more.
const waitBuckets = 28

// WaitTimes is a histogram of how long callers waited. It can be compared and copied.
type WaitTimes struct {
	// Buckets counts the waits shorter than 1 µs, 2 µs, 4 µs and so on, each in the
	// first that holds it; the last one has no bound.
	Buckets [waitBuckets]uint64
	// Sum is of all waits, and Max the longest of them.
	Sum, Max time.Duration
}

func (w *WaitTimes) add(d time.Duration) {
	w.Buckets[min(bits.Len64(uint64(d/time.Microsecond)), waitBuckets-1)]++
	w.Max = max(w.Max, d)
	if w.Sum += d; w.Sum < 0 {
		w.Sum = 1<<63 - 1
	}
}

// Bound is what the waits in bucket i are shorter than, and ok is false for the last.
func (w WaitTimes) Bound(i int) (d time.Duration, ok bool) {
	return time.Microsecond << i, i < waitBuckets-1
}

// Count is how many waits there were.
func (w WaitTimes) Count() (n uint64) {
	for _, b := range w.Buckets {
		n += b
	}
	return n
}

// Mean is the average wait; 0 if there was none.
func (w WaitTimes) Mean() time.Duration {
	n := w.Count()
	if n == 0 {
		return 0
	}
	return time.Duration(uint64(w.Sum) / n)
}

// Quantile returns a wait that a share q of all waits do not exceed: never too low, and at
// most twice too high. It is 0 if there were none.
func (w WaitTimes) Quantile(q float64) time.Duration {
	n := w.Count()
	if n == 0 {
		return 0
	}
	if !(q > 0) {
		q = 0
	}
	rank, seen := uint64(min(q, 1)*float64(n)), uint64(0)
	for i, b := range w.Buckets {
		if seen += b; b > 0 && seen >= rank {
			bound, ok := w.Bound(i)
			if ok {
				return min(bound, w.Max)
			}
			break
		}
	}
	return w.Max
}
