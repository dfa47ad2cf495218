package quantile

import (
	"math"
	"slices"
)

// P2 estimates one quantile of numbers in 104 bytes, by Jain and Chlamtac's P² (1985): five
// markers that are moved along a parabola. It forgets nothing, so it follows a shift ever
// more slowly, and where there are two heaps it may name a number that none has. Make one
// with NewP2; it can be copied.
type P2 struct {
	p      float64
	height [5]float64 // of the markers; until there are five numbers, these
	place  [3]int64   // of the markers between the ends: how many numbers are up to each
	wanted [3]float64 // where those should be
	count  int64
}

// NewP2 returns a P2 for the quantile p, above 0 and below 1. It has seen no number.
func NewP2(p float64) P2 { return P2{p: p} }

// Add counts x and reports whether it did: NaN and the infinities do not count.
func (e *P2) Add(x float64) bool {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return false
	}
	if e.count < 5 {
		e.begin(x)
		return true
	}
	e.count++
	cell := 0 // the marker below x
	switch h := &e.height; {
	case x < h[0]:
		h[0] = x
	case x >= h[4]:
		h[4], cell = x, 3
	default:
		for cell < 3 && x >= h[cell+1] {
			cell++
		}
	}
	for i := cell; i < 3; i++ {
		e.place[i]++
	}
	// Added up as in the paper, and not multiplied: which of them is a whole place off, and
	// so all that follows, hangs on the last digit.
	e.wanted[0] += e.p / 2
	e.wanted[1] += e.p
	e.wanted[2] += (1 + e.p) / 2
	for i := 1; i <= 3; i++ {
		e.adjust(i)
	}
	return true
}

// begin keeps the first five numbers in order.
func (e *P2) begin(x float64) {
	at, _ := slices.BinarySearch(e.height[:e.count], x)
	copy(e.height[at+1:], e.height[at:e.count])
	e.height[at] = x
	if e.count++; e.count == 5 {
		e.place = [3]int64{2, 3, 4}
		e.wanted = [3]float64{1 + 2*e.p, 1 + 4*e.p, 3 + 2*e.p}
	}
}

// adjust moves marker i, which is not at an end, by one place if it is off by that, and if
// there is room.
func (e *P2) adjust(i int) {
	n := e.places(i)
	off := e.wanted[i-1] - float64(n)
	var step int64
	switch {
	case off >= 1 && e.places(i+1)-n > 1:
		step = 1
	case off <= -1 && e.places(i-1)-n < -1:
		step = -1
	default:
		return
	}
	h := e.parabolic(i, float64(step))
	if !(h > e.height[i-1] && h < e.height[i+1]) {
		h = e.linear(i, int(step))
	}
	// Rounding, or an infinite step, must not make it leave its neighbours.
	e.height[i] = min(max(h, e.height[i-1]), e.height[i+1])
	e.place[i-1] += step
}

// places is how many numbers are up to marker i.
func (e *P2) places(i int) int64 {
	switch i {
	case 0:
		return 1
	case 4:
		return e.count
	}
	return e.place[i-1]
}

func (e *P2) parabolic(i int, step float64) float64 {
	before, n, after := float64(e.places(i-1)), float64(e.places(i)), float64(e.places(i+1))
	h := &e.height
	return h[i] + step/(after-before)*
		((n-before+step)*(h[i+1]-h[i])/(after-n)+(after-n-step)*(h[i]-h[i-1])/(n-before))
}

func (e *P2) linear(i, step int) float64 {
	return e.height[i] + float64(step)*(e.height[i+step]-e.height[i])/float64(e.places(i+step)-e.places(i))
}

// Count is how many numbers counted.
func (e *P2) Count() int64 { return e.count }

// Value returns the estimate; ok is false if there is no number. Of fewer than five it is
// the one of the nearest rank.
func (e *P2) Value() (x float64, ok bool) {
	switch {
	case e.count == 0:
		return 0, false
	case e.count < 5:
		return e.height[nearestRank(e.p, uint64(e.count))-1], true
	}
	return e.height[2], true
}

// Reset forgets the numbers.
func (e *P2) Reset() { *e = P2{p: e.p} }
