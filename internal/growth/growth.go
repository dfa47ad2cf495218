// Package growth is how waits grow from one failure to the next. Patterns and supervisors
// both have some, and all grow by this.
package growth

import (
	"math"
	"time"
)

// Geometric returns base·factor^n, rounded up to whole nanoseconds, and at most limit.
// It is 0 if base or limit is not above 0, and base, or limit, for an n that is not above 0
// and for a factor that is not a number above 0.
func Geometric(base, limit time.Duration, factor float64, n int) time.Duration {
	switch {
	case base <= 0 || limit <= 0:
		return 0 // and not 0·Inf, which is NaN
	case n <= 0 || factor == 1 || !(factor > 0):
		return min(base, limit) // to the last digit, which a float64 may not have
	}
	// The comparison is false for the +Inf that a large power is. It is strict since
	// float64(limit) may be 2^63, which no Duration is.
	d := math.Ceil(float64(base) * math.Pow(factor, float64(n)))
	if !(d < float64(limit)) {
		return limit
	}
	return time.Duration(d)
}

// Linear returns base·(n+1), at most limit. It is 0 if base or limit is not above 0, and
// base, or limit, for an n that is not above 0.
func Linear(base, limit time.Duration, n int) time.Duration {
	switch {
	case base <= 0 || limit <= 0:
		return 0
	case n <= 0:
		return min(base, limit)
	case int64(n) >= int64(limit/base):
		return limit
	}
	return base * time.Duration(n+1)
}
