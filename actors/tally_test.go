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

func TestTalliesLoseNothingAndOnlyGrow(t *testing.T) {
	const callers, each, kinds = 8, 2000, 11
	tallies := NewTallies(kinds)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for i := range each {
				tallies.Add(i % kinds)
				tallies.AddN(kinds-1, 2)
			}
		})
	}
	var seen [kinds]uint64
	for range 100 {
		var now [kinds]uint64
		for i, n := range tallies.Totals(now[:]) {
			if n < seen[i] {
				t.Fatalf("%d of kind %d, were %d", n, i, seen[i])
			}
		}
		seen = now
	}
	all.Wait()
	var want [kinds]uint64
	for i := range each {
		want[i%kinds] += callers
	}
	want[kinds-1] += 2 * callers * each
	if tallies.Totals(seen[:]); seen != want {
		t.Errorf("%v, want %v", seen, want)
	}
}

func BenchmarkTallies(b *testing.B) {
	t := NewTallies(11)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t.Add(3)
		}
	})
}
