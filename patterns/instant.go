package patterns

import (
	"math"
	"time"
)

// Instant is a reading of a monotonic clock in nanoseconds since an arbitrary
// origin, which whoever hosts a Machine keeps. Machines are given an Instant and
// never read a clock themselves.
type Instant int64

// Never is later than every other Instant: a timer that is not set.
const Never Instant = math.MaxInt64

// Add returns t+d, and Never (or the earliest Instant) where that overflows.
func (t Instant) Add(d time.Duration) Instant {
	sum := t + Instant(d)
	switch {
	case d > 0 && sum < t:
		return Never
	case d < 0 && sum > t:
		return math.MinInt64
	}
	return sum
}

// Sub returns how long after u the instant t is, saturated to what a Duration holds.
func (t Instant) Sub(u Instant) time.Duration {
	diff := t - u
	switch {
	case t > u && diff < 0:
		return math.MaxInt64
	case t < u && diff > 0:
		return math.MinInt64
	}
	return time.Duration(diff)
}
