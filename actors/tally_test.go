package actors

import (
	"sync"
	"testing"
)

func TestATallyLosesNothingAndCountsNothingTwice(t *testing.T) {
	const callers, each = 8, 2000
	tally := NewTally()
	taken := uint64(0)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				tally.Add()
			}
		})
	}
	for range 100 {
		taken += tally.Take()
	}
	all.Wait()
	taken += tally.Take()
	if taken != callers*each || tally.Total() != taken || tally.Take() != 0 {
		t.Errorf("took %d of %d, total %d", taken, callers*each, tally.Total())
	}
	tally.Add()
	if tally.Total() != taken+1 {
		t.Error("the total has no part of what was not taken")
	}
}

func BenchmarkTally(b *testing.B) {
	t := NewTally()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t.Add()
		}
	})
}
