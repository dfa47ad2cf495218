// Package latency decides how long to wait for an answer, by how long answers took lately:
// until it is given up (Timeout), and until another attempt is made beside it (Hedge).
//
// Both decide what they then see: an attempt that was given up has not shown how long it
// would have taken. If such attempts were left out, those that are left would be the fast
// ones, the wait would shrink, more would be given up, and so on down. So each counts as
// having taken longer than it was let run.
package latency

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/quantile"
)

// slots is how many parts what is remembered has.
const slots = 2

// unseen is how much longer than it was let run an attempt counts that did not end.
const unseen = 1.5

// estimate is a quantile of recent durations, once there are enough.
type estimate struct {
	recent   quantile.Recent
	span     time.Duration
	quantile float64
	least    uint64
}

func newEstimate(span time.Duration, q float64, least int) estimate {
	return estimate{recent: quantile.NewRecent(span, slots), span: span, quantile: q, least: uint64(max(least, 1))}
}

// reconfigured returns an estimate by other rules that remembers what e does.
func (e *estimate) reconfigured(now patterns.Instant, span time.Duration, q float64, least int) estimate {
	next := estimate{recent: e.recent, span: span, quantile: q, least: uint64(max(least, 1))}
	if span != e.span {
		next.recent = e.recent.Resized(now, span, slots)
	}
	return next
}

// censored counts an attempt that did not end within d.
func (e *estimate) censored(now patterns.Instant, d time.Duration) {
	e.recent.Add(now, times(d, unseen))
}

// value returns the quantile, and false while there are too few.
func (e *estimate) value(now patterns.Instant) (time.Duration, bool) {
	if e.recent.Count(now) < e.least {
		return 0, false
	}
	return e.recent.Quantile(now, e.quantile)
}

// times returns d·factor, at least 0, and at most the longest Duration there is. The
// comparison is strict since no Duration is as long as what that is as a float64.
func times(d time.Duration, factor float64) time.Duration {
	f := float64(d) * factor
	if !(f < math.MaxInt64) {
		return math.MaxInt64
	}
	return time.Duration(max(f, 0))
}
