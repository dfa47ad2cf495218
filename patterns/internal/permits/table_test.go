package permits

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// The twin is a map.
func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[int]
		twin := map[uint64]int{}
		id := rapid.OneOf(
			rapid.SampledFrom([]uint64{0, 1, 2, 1<<32 | 1, 2<<32 | 1, reach, reach + 1, 1<<32 | reach, ^uint64(0), 1 << 63}),
			rapid.Uint64Range(1, 9),
		)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := id.Draw(t, "id")
			if rapid.Bool().Draw(t, "put") {
				table.Put(id, i)
				twin[id] = i
			} else {
				want, known := twin[id]
				delete(twin, id)
				if got, ok := table.Take(id); got != want || ok != known {
					t.Fatalf("took %d, %v of %x; want %d, %v", got, ok, id, want, known)
				}
			}
			if all := maps.Collect(table.All()); !maps.Equal(all, twin) || table.Len() != len(twin) {
				t.Fatalf("%d: %v, want %v", table.Len(), all, twin)
			}
		}
	})
}

func TestWhatWasTakenIsNotKeptAlive(t *testing.T) {
	var table Table[*int]
	table.Put(3, new(int))
	if v, ok := table.Take(3); !ok || v == nil || table.near[2].value != nil {
		t.Errorf("%v, %v", v, table.near[2])
	}
}

func TestPermitsThatAreNearDoNotAllocate(t *testing.T) {
	var table Table[int]
	table.Put(9, 1)
	if n := testing.AllocsPerRun(100, func() {
		table.Take(9)
		table.Put(1<<32|9, 2)
		table.Take(1<<32 | 9)
		table.Put(9, 3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAllStopsWhenToldTo(t *testing.T) {
	var table Table[int]
	for id := range uint64(3) {
		table.Put(id, 1)
		table.Put(id<<32|reach<<1, 1)
	}
	for stop := range 5 {
		n := 0
		for range table.All() {
			if n == stop {
				break
			}
			n++
		}
		if n != stop {
			t.Errorf("%d after %d", n, stop)
		}
	}
}
