package rate

import (
	"math"
	"math/bits"
)

// WarmUp is pacing that begins slowly: after idle time permits are coldFactor times as
// far apart as later, and draw closer while they are taken. It is Guava's
// SmoothWarmingUp. Idle time stores permits, up to max; above threshold a stored permit
// costs more time, the more so the more there are:
//
//	       ^ time per permit
//	 cold  +                  /
//	       |                /
//	stable +--------------/
//	       |   threshold  .   max
//	       +--------------+---+--> stored permits
//
// The area under the line between threshold and max is the warm-up time. The state is
// the time of the next permit and the stored permits, a float that only advises how far
// apart permits are; whether one passes is decided by comparing times.
type WarmUp struct {
	most      int64
	stable    float64 // time per permit, warm
	factor    float64
	period    float64 // how long warming up takes
	threshold float64
	max       float64
	slope     float64
	up        bool // costs round up
}

// The words of a WarmUp.
const (
	warmNext   = iota
	warmStored // bits of a float64
	warmWords
)

// NewWarmUp returns the rule of count permits per period ns, after warming up for warmUp
// ns from a pace that is factor times slower, which is at least 1. A single request
// may take up to count.
func NewWarmUp(count, period, warmUp int64, factor float64) *WarmUp {
	w := newWarmUp(float64(period)/float64(count), float64(warmUp), factor)
	w.most, w.up = count, true
	return w
}

// newWarmUp takes times in any unit, and cuts costs off to whole ones.
func newWarmUp(stable, period, factor float64) *WarmUp {
	w := &WarmUp{most: math.MaxInt64, stable: stable, period: period, factor: factor}
	cold := stable * factor
	w.threshold = 0.5 * period / stable
	w.max = w.threshold + 2*period/(stable+cold)
	w.slope = (cold - stable) / (w.max - w.threshold)
	return w
}

// Words is 2.
func (w *WarmUp) Words() int { return warmWords }

// Capacity is what one period lets pass.
func (w *WarmUp) Capacity() int64 { return w.most }

// Start is cold.
func (w *WarmUp) Start(s []uint64, now int64) {
	s[warmNext], s[warmStored] = uint64(now), math.Float64bits(w.max)
}

// state returns s as of now, cooled down meanwhile.
func (w *WarmUp) state(s []uint64, now int64) (next int64, stored float64) {
	next, stored = int64(s[warmNext]), math.Float64frombits(s[warmStored])
	if now > next {
		stored = min(w.max, stored+float64(now-next)/(w.period/w.max))
		next = now
	}
	return next, stored
}

// Wait is the same for every n that is possible: only those before are waited for.
func (w *WarmUp) Wait(s []uint64, now, n int64) int64 {
	switch {
	case n > w.most:
		return -1
	case n <= 0:
		return 0
	}
	return max(int64(s[warmNext])-now, 0)
}

// WaitBehind is exact.
func (w *WarmUp) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	if wait := w.Wait(s, now, n); wait < 0 || n <= 0 {
		return wait
	}
	next, stored := w.state(s, now)
	cost, _ := w.cost(stored, ahead)
	return add(next, cost) - now
}

// Charge makes the next request wait, and warms up.
func (w *WarmUp) Charge(s []uint64, now, n int64) {
	if n <= 0 {
		return
	}
	next, stored := w.state(s, now)
	cost, taken := w.cost(stored, n)
	s[warmNext], s[warmStored] = uint64(add(next, cost)), math.Float64bits(stored-taken)
}

// Promise is a Charge then.
func (w *WarmUp) Promise(s []uint64, at, n int64) { w.Charge(s, at, n) }

// Late makes the one after it wait no longer than if it had come in time.
func (w *WarmUp) Late(s []uint64, from, now, n int64) {
	w.Charge(s, min(now, max(from, now-int64(min(w.stable, maxSpan)))), n)
}

// cost is the time of n permits, of which taken come from the stored.
func (w *WarmUp) cost(stored float64, n int64) (cost int64, taken float64) {
	taken = min(float64(n), stored)
	dear := max(0, min(stored-w.threshold, taken))
	if dear > 0 {
		above := stored - w.threshold
		// The conversions keep a compiler from fusing into something more exact, and different.
		sides := float64(w.stable+float64(above*w.slope)) + float64(w.stable+float64((above-dear)*w.slope))
		cost = w.whole(float64(dear*sides) / 2)
	}
	cost = add(cost, w.whole(w.stable*(taken-dear)))
	return add(cost, w.whole((float64(n)-taken)*w.stable)), taken
}

func (w *WarmUp) whole(t float64) int64 {
	if w.up {
		t = math.Ceil(t)
	}
	if !(t < maxSpan) {
		return maxSpan
	}
	return int64(t)
}

// Remaining is 1 if a request would pass now, and else 0.
func (w *WarmUp) Remaining(s []uint64, now int64) int64 {
	if int64(s[warmNext]) <= now {
		return 1
	}
	return 0
}

// Used is how many permits' time, as when warm, has yet to pass.
func (w *WarmUp) Used(s []uint64, now int64) int64 {
	ahead := max(int64(s[warmNext])-now, 0)
	return int64(min(math.Ceil(float64(ahead)/w.stable), maxSpan))
}

// Reset is when the next request passes.
func (w *WarmUp) Reset(s []uint64, now int64) int64 { return max(int64(s[warmNext])-now, 0) }

// Since is when the next request passes: until then no time is lost.
func (w *WarmUp) Since(s []uint64, now int64) int64 { return max(int64(s[warmNext]), now) }

// Refund gives time back as if the permits had been warm, but no stored ones: at
// least as much as that was charged, but for the rounding of intervals to nanoseconds.
func (w *WarmUp) Refund(s []uint64, since, now, n int64) {
	back := int64(min(w.stable*float64(n), maxSpan)) - max(now-since, 0)
	if next := int64(s[warmNext]); back > 0 && next > now {
		s[warmNext] = uint64(max(next-back, now))
	}
}

// Fresh reports whether the limit is cold and nobody waits.
func (w *WarmUp) Fresh(s []uint64, now int64) bool {
	next, stored := w.state(s, now)
	return next <= now && stored >= w.max
}

// Check knows broken words.
func (w *WarmUp) Check(s []uint64, now int64) string {
	stored := math.Float64frombits(s[warmStored])
	switch next := int64(s[warmNext]); {
	case !(stored >= 0 && stored <= w.max):
		return "stored permits are out of bounds"
	case next > now && uint64(next-now) > maxSpan:
		return "the next permit is too far away"
	}
	return ""
}

// convert keeps the time of the next permit, and how warm it is.
func (w *WarmUp) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*WarmUp)
	if !ok {
		return false
	}
	next, stored := w.state(src, now)
	dst[warmNext], dst[warmStored] = uint64(next), math.Float64bits(min(stored*t.max/w.max, t.max))
	return true
}

// times is a · b, neither of which is negative, saturated.
func times(a, b int64) int64 {
	if high, low := bits.Mul64(uint64(a), uint64(b)); high == 0 && low <= math.MaxInt64 {
		return int64(low)
	}
	return math.MaxInt64
}

// add is a + b, which are not negative together, saturated.
func add(a, b int64) int64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}
