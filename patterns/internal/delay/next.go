package delay

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/internal/growth"
)

// Course is how far one call has come with a Backoff. The zero Course is a call's whose
// first attempt failed just now.
type Course struct {
	attempts int     // but the first one
	before   float64 // what decorrelated and smooth need of the wait before
}

// Next returns how long to wait before the next attempt, and moves c on. u is drawn from
// [0, 1), anew for each wait; what is outside counts as the nearer end, and NaN as 0.
func (b Backoff) Next(c *Course, u float64) time.Duration {
	n := c.attempts
	if c.attempts < math.MaxInt {
		c.attempts++
	}
	if u = inUnit(u); b.base < 0 || b.most < 0 {
		return 0
	}
	switch b.shape {
	case constant:
		return b.jittered(b.base, u)
	case linear:
		return b.jittered(growth.Linear(b.base, b.ceiling(), n), u)
	case exponential:
		return b.jittered(growth.Geometric(b.base, b.ceiling(), b.factor, n), u)
	case decorrelated:
		return b.decorrelated(c, n, u)
	case smooth:
		return b.smooth(c, n, u)
	case function:
		return min(max(b.custom.wait(c.attempts, u), 0), b.most)
	default:
		return 0
	}
}

// ceiling is what growth ends at.
func (b Backoff) ceiling() time.Duration {
	if b.jitter == jitterAround && b.around > 0 {
		return atMost(math.Floor(float64(b.most)/(1+b.around)), b.most)
	}
	return b.most
}

func (b Backoff) jittered(d time.Duration, u float64) time.Duration {
	switch b.jitter {
	case full:
		return atMost(u*float64(d), d)
	case equal:
		half := d / 2
		return half + atMost(u*float64(d-half), d-half)
	case jitterAround:
		return atMost(float64(d)*(1+b.around*(2*u-1)), b.most)
	default:
		return d
	}
}

func (b Backoff) decorrelated(c *Course, n int, u float64) time.Duration {
	base := float64(b.base)
	if n == 0 {
		c.before = base
	}
	d := atMost(base+u*(3*c.before-base), b.most)
	c.before = float64(d)
	return d
}

const (
	smoothWidth = 4.0
	// smoothMedian makes the median of the first wait about base.
	smoothMedian = 1.4
)

// smooth waits from one point of a curve to the next, which is drawn from the curve's next
// step of 1. The curve is a power of two in the end, and rises from 0.
func (b Backoff) smooth(c *Course, n int, u float64) time.Duration {
	if b.base == 0 {
		return 0 // and not 0·Inf
	}
	t := float64(n) + u
	at := math.Exp2(t) * math.Tanh(math.Sqrt(smoothWidth*t))
	// Beyond the last power there is it is Inf, or Inf - Inf, and both are most.
	d := atMost((at-c.before)*float64(b.base)/smoothMedian, b.most)
	c.before = at
	return d
}

// atMost is d as a Duration from 0 to most, which is NaN's and the infinite one's. The
// comparison is strict since float64(most) may be 2^63, which no Duration is.
func atMost(d float64, most time.Duration) time.Duration {
	if !(d < float64(most)) {
		return most
	}
	return time.Duration(max(d, 0))
}

func inUnit(u float64) float64 {
	if !(u > 0) {
		return 0
	}
	return min(u, 1-0x1p-53)
}

// Asked is how long to wait where the other side asked to be left alone for pause: own, the
// wait that was decided here, if that is longer; else pause, and up to a tenth more by u,
// which is drawn from [0, 1). Jitter must not shorten what was asked for, and without any
// all who were asked come back at once.
func Asked(own, pause time.Duration, u float64) time.Duration {
	if own >= pause {
		return own
	}
	extra := time.Duration(inUnit(u) * float64(pause/10))
	return pause + min(extra, math.MaxInt64-pause)
}
