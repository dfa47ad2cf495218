package keyed

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"pgregory.net/rapid"
)

// small is a table whose pages split after 7 keys.
func small(most int) *Table {
	t := New(1, most, func(version uint32, state []uint64) { state[0] += 1000 })
	t.shape = shape{stride: keyWords + 1, mask: 7, deepest: 5}
	t.directory[0] = t.newPage(0, 0)
	return t
}

// The twin is a map. Fingerprints are few, and crowd in some slots and pages.
func TestTableIsAMap(t *testing.T) {
	keys := rapid.Custom(func(t *rapid.T) fingerprint.Key {
		return fingerprint.Key{
			High: rapid.Uint64Range(0, 15).Draw(t, "page")<<60 | rapid.Uint64Range(0, 3).Draw(t, "more"),
			Low:  1<<32 | rapid.Uint64Range(0, 9).Draw(t, "slot"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, 60).Draw(t, "max")
		table, twin, version := small(most), map[fingerprint.Key]uint64{}, uint32(0)
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			k := keys.Draw(t, "key")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			default:
				if _, known := twin[k]; known {
					continue
				}
				crowd := 0
				for other := range twin {
					if other.High>>(64-5) == k.High>>(64-5) {
						crowd++
					}
				}
				state := table.Insert(k)
				if (state == nil) != (len(twin) >= most || crowd == 7) {
					t.Fatalf("inserted %v with %d of %d", state != nil, len(twin), most)
				}
				if state != nil {
					state[0] = uint64(i)
					twin[k] = uint64(i)
				}
			case 6:
				table.Delete(k)
				delete(twin, k)
			case 7:
				odd := func(state []uint64) bool { return state[0]%2 == 1 }
				for range 2 * len(table.directory) {
					table.SweepPage(odd)
				}
				for k, v := range twin {
					if v%2 == 1 {
						delete(twin, k)
					}
				}
				if table.depth > 0 && len(twin) == 0 && table.pages > 1 {
					for range 6 * len(table.directory) {
						table.SweepPage(odd)
					}
					if table.pages != 1 {
						t.Fatalf("%d pages for no key", table.pages)
					}
				}
			case 8:
				version++
				table.SetVersion(version)
				for k := range twin {
					twin[k] += 1000
				}
				table.All(func(fingerprint.Key, []uint64) {}) // converts
			case 9:
				table.Sweep(3, func([]uint64) bool { return false })
			}
			compare(t, table, twin)
		}
	})
}

func compare(t *rapid.T, table *Table, twin map[fingerprint.Key]uint64) {
	if err := table.Check(); err != nil {
		t.Fatal(err)
	}
	if table.Len() != len(twin) {
		t.Fatalf("%d keys, want %d", table.Len(), len(twin))
	}
	for k, want := range twin {
		if got := table.Find(k); got == nil || got[0] != want {
			t.Fatalf("%v: %v, want %d", k, got, want)
		}
	}
	all := 0
	table.All(func(k fingerprint.Key, state []uint64) {
		if want, ok := twin[k]; !ok || state[0] != want {
			t.Fatalf("%v: %v, want %d, %v", k, state, want, ok)
		}
		all++
	})
	if all != len(twin) {
		t.Fatalf("visited %d of %d", all, len(twin))
	}
}

func TestOldPagesAreConvertedWhenLookedAt(t *testing.T) {
	var seen []uint32
	table := New(1, 10, func(version uint32, state []uint64) { seen = append(seen, version); state[0]++ })
	k := fingerprint.Key{Low: 1}
	table.Insert(k)[0] = 5
	table.SetVersion(1)
	table.SetVersion(2)
	if table.Oldest() != 0 {
		t.Errorf("oldest version is %d", table.Oldest())
	}
	if got := table.Find(k); got[0] != 6 || len(seen) != 1 || seen[0] != 0 || table.Oldest() != 2 {
		t.Errorf("state %v, converted from %v, oldest %d", got, seen, table.Oldest())
	}
	table.SetVersion(3)
	table.SweepPage(func([]uint64) bool { return false })
	if table.Oldest() != 3 {
		t.Error("a sweep does not convert")
	}
}

func TestASweepMissesNoneOfTwoThatStandTogether(t *testing.T) {
	table := New(1, 10, nil)
	for high := range uint64(3) {
		table.Insert(fingerprint.Key{High: high, Low: 1})
	}
	if table.Sweep(6, func([]uint64) bool { return true }); table.Len() != 0 {
		t.Errorf("%d keys are left", table.Len())
	}
}

func TestWideStatesGetSmallPages(t *testing.T) {
	for words, slots := range map[int]int{1: 512, 14: 512, 15: 256, 1000: 8, 10_000: 8} {
		if got := newShape(words).mask + 1; got != slots {
			t.Errorf("%d words: %d slots, want %d", words, got, slots)
		}
	}
}

func randomKey(r *rand.Rand) fingerprint.Key {
	return fingerprint.Key{High: r.Uint64(), Low: r.Uint64()}
}

func TestAKeyTakesLittleMemory(t *testing.T) {
	for _, n := range []int{100_000, 200_000, 230_000, 300_000} {
		table, r := New(1, n, nil), rand.New(rand.NewPCG(1, 2))
		for range n {
			table.Insert(randomKey(r))
		}
		if per := table.Bytes() / n; per > 64 {
			t.Errorf("%d keys: %d bytes each", n, per)
		}
	}
}

// What is in memory is what Bytes says, and it goes when the keys do.
func TestBytesIsWhatTheKeysTake(t *testing.T) {
	inUse := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := inUse()
	table, r := New(2, 1<<30, nil), rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		table.Insert(randomKey(r))
	}
	if got := inUse() - before; got < table.Bytes()*9/10 || got > table.Bytes()*11/10 {
		t.Errorf("%d bytes in use, said %d", got, table.Bytes())
	}
	for range 20 * len(table.directory) {
		table.SweepPage(func([]uint64) bool { return true })
	}
	if table.Len() != 0 || table.Pages() != 1 || table.Bytes() > 100_000 {
		t.Errorf("%d keys in %d pages, %d bytes", table.Len(), table.Pages(), table.Bytes())
	}
}

func TestFindingDoesNotAllocate(t *testing.T) {
	table, k := New(1, 10, nil), fingerprint.Key{High: 1, Low: 2}
	table.Insert(k)
	dead := func(state []uint64) bool { return state[0] == 1 }
	if n := testing.AllocsPerRun(100, func() {
		table.Find(k)
		table.Delete(k)
		table.Insert(k)
		table.Sweep(8, dead)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	const n = 1 << 20
	table, r := New(1, n, nil), rand.New(rand.NewPCG(1, 2))
	keys := make([]fingerprint.Key, n)
	for i := range keys {
		keys[i] = randomKey(r)
		table.Insert(keys[i])
	}
	for i := 0; b.Loop(); i++ {
		table.Find(keys[i&(n-1)])
	}
}

func BenchmarkInsert(b *testing.B) {
	table, r := New(1, 1<<30, nil), rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		table.Insert(randomKey(r))
	}
}
