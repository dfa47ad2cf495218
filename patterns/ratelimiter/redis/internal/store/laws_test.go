package store

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Where two instances have different rates for a key, what it has is converted back and
// forth. No stretch of time lets more pass than the larger burst and the larger rate.
func TestWhoHasOtherRatesGetsNoMoreThanTheLarger(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		var laws [2]*Law
		var burst int64
		rate := 0.0 // per µs
		for i := range laws {
			tier := Tier{
				Count:  rapid.Int64Range(1, 50).Draw(r, "count"),
				Period: rapid.SampledFrom([]time.Duration{time.Millisecond, 7 * time.Millisecond, time.Second, time.Hour}).Draw(r, "period"),
				Burst:  rapid.Int64Range(1, 50).Draw(r, "burst"),
			}
			laws[i] = s.mustLaw(t, tier)
			burst, rate = max(burst, tier.Burst), max(rate, float64(tier.Count)/float64(tier.Period.Microseconds()))
		}
		c.now = today
		type use struct{ at, n int64 }
		var uses []use
		key := "larger" + string(rune(run))
		for range rapid.IntRange(5, 60).Draw(r, "asks") {
			c.now += rapid.OneOf(rapid.Int64Range(0, 50), rapid.Int64Range(0, 2000), rapid.Int64Range(0, 1_000_000)).Draw(r, "pause")
			kind := rapid.SampledFrom([]Kind{Take, TakeUpTo, Peek}).Draw(r, "kind")
			a := s.run(t, Check{Key: key, Law: rapid.SampledFrom(laws[:]).Draw(r, "law"), Kind: kind, Weight: rapid.Int64Range(1, 50).Draw(r, "weight")})[0]
			uses = append(uses, use{c.now, a.Taken})
		}
		for i := range uses {
			sum := int64(0)
			for _, u := range uses[i:] {
				if sum += u.n; float64(sum) > float64(burst)+rate*float64(u.at-uses[i].at)+1e-6 {
					r.Fatalf("%d passed in %v: %v and %v", sum, micros(u.at-uses[i].at), laws[0].tiers, laws[1].tiers)
				}
			}
		}
	})
}
