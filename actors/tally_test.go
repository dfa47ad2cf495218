package actors

import (
	"sync"
	"testing"
)

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
