package rate

import (
	"fmt"
	"math"
	"testing"
)

// The longest times, the largest numbers: nothing overflows, and nothing passes that
// should not.
func TestExtremes(t *testing.T) {
	const year, most = 366 * 24 * 3600 * 1_000_000_000, 1_000_000_000_000
	rules := []Rule{
		NewBucket(most, most, most),
		NewBucket(most-1, year, most),
		NewBucket(1, year, maxSpan/year),
		NewBucket(1, 1, 1),
		NewPacing(most-1, year),
		NewPacing(1, year),
		NewCounter(most, year, 17),
		NewCounter(1, 1, 0),
		NewFixed(most, year, -17),
		NewLog(3, year),
		NewWarmUp(most, most, year, 1000),
		NewWarmUp(1, year, year, 1),
	}
	for _, r := range rules {
		for _, start := range []int64{0, -1, 1 << 61, -1 << 61} {
			t.Run(fmt.Sprintf("%T %+v at %d", r, r, start), func(t *testing.T) {
				tiers := NewTiers(r, r)
				s := make([]uint64, tiers.Words())
				tiers.Start(s, start)
				if !tiers.Fresh(s, start) || tiers.Check(s, start) != "" {
					t.Fatal("not fresh at its start")
				}
				if wait, tier := tiers.Take(s, start, r.Capacity()); wait != 0 || tier != -1 {
					t.Fatalf("all there is takes %d", wait)
				}
				wait, _ := tiers.Wait(s, start, 1)
				if wait <= 0 || tiers.Check(s, start) != "" || tiers.Remaining(s, start) != 0 {
					t.Fatalf("nothing is left, and the next waits %d", wait)
				}
				if passed, _ := tiers.Wait(s, start+wait, 1); passed != 0 {
					t.Fatalf("after %d it waits %d", wait, passed)
				}
				for range 3 { // debts add up, and stop where numbers do
					tiers.Charge(s, start, r.Capacity())
				}
				if wait, _ := tiers.Wait(s, start, 1); wait <= 0 {
					t.Fatalf("in debt, it waits %d", wait)
				}
				if wait, tier := tiers.Wait(s, start, math.MaxInt64); r.Capacity() < math.MaxInt64 && (wait != -1 || tier != 0) {
					t.Fatalf("more than ever is there waits %d", wait)
				}
			})
		}
	}
}

func TestDrainedTiersFillUpAtTheirRates(t *testing.T) {
	tiers := NewTiers(NewBucket(10, 1000, 5), NewLog(3, 500), NewFixed(4, 300, 0), NewCounter(4, 300, 0), NewPacing(10, 1000), NewWarmUp(10, 1000, 1000, 3))
	s := make([]uint64, tiers.Words())
	tiers.Drain(s, 100)
	if problem := tiers.Check(s, 100); problem != "" || tiers.Remaining(s, 100) != 0 {
		t.Errorf("%d left, %s", tiers.Remaining(s, 100), problem)
	}
	if after := 100 + tiers.Reset(s, 100); tiers.Remaining(s, after) == 0 {
		t.Error("never comes back")
	}
	if tiers.Indebting() || !NewTiers(NewBucket(1, 1, 1), NewPacing(1, 1)).Indebting() || tiers.Len() != 6 {
		t.Error("windows cannot be booked")
	}
}

func TestTiersOfOneShapeMayBeConvertedInPlace(t *testing.T) {
	from, to := NewTiers(NewBucket(10, 1000, 5), NewLog(3, 500)), NewTiers(NewBucket(5, 1000, 5), NewLog(3, 900))
	more := NewTiers(NewBucket(5, 1000, 5), NewLog(4, 900), NewFixed(1, 100, 0))
	if !from.SameShape(to) || from.SameShape(more) || from.SameShape(NewTiers(NewBucket(10, 1000, 5), NewLog(2, 500))) {
		t.Error("wrong about shapes")
	}
	s, dst := make([]uint64, from.Words()), make([]uint64, more.Words())
	from.Start(s, 0)
	from.Charge(s, 0, 2)
	from.Convert(s, more, dst, 0)
	if more.Rule(0).Used(more.Of(dst, 0), 0) != 2 || more.Rule(1).Used(more.Of(dst, 1), 0) != 2 || more.Rule(2).Used(more.Of(dst, 2), 0) != 0 {
		t.Error("a new tier has used nothing, and the others as much as before")
	}
	from.Convert(s, to, s, 0)
	if wait, tier := to.Wait(s, 0, 2); wait != 900 || tier != 1 {
		t.Errorf("waits %d for tier %d", wait, tier)
	}
}

func TestALeaseOfABucketIsWithheld(t *testing.T) {
	b := NewBucket(10, 1000, 10)
	s := make([]uint64, b.Words())
	b.Start(s, 0)
	b.Charge(s, 0, 4)
	b.Withhold(s, 350, 4) // 3.5 have come again
	if got := b.Remaining(s, 350); got != 6 {
		t.Errorf("%d left beside 4 that are out", got)
	}
	b.PutBack(s, 350, 4)
	if got := b.Remaining(s, 350); got != 10 {
		t.Errorf("%d left", got)
	}
}

func BenchmarkRules(b *testing.B) {
	for _, r := range []Rule{
		NewBucket(1e9, 1e9, 1e9), NewBucket(999999937, 1e9, 1e9), NewPacing(1e9, 1e9), NewFixed(1e9, 1e9, 0),
		NewCounter(1e9, 1e9, 0), NewLog(1000, 1e6), NewWarmUp(1e9, 1e9, 1e9, 3),
	} {
		b.Run(fmt.Sprintf("%T", r), func(b *testing.B) {
			tiers := NewTiers(r)
			s := make([]uint64, tiers.Words())
			tiers.Start(s, 0)
			for now := int64(0); b.Loop(); now += 1000 {
				tiers.Take(s, now, 1)
			}
		})
	}
}
