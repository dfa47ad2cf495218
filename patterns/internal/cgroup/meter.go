package cgroup

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Meter turns readings of a counter of time spent into the share spent since the
// reading before: CPU time of a number of cores, or time stalled of the time passed.
// The zero Meter is ready.
type Meter struct {
	at    patterns.Instant
	spent uint64
	limit float64
	ready bool
}

// Sample takes what was spent until now, in ns, of limit at a time, and returns the
// share: of 1 s at a limit of 2, 500 ms are 0.25. It may exceed 1, since counters are
// not read at one instant and a quota may be overdrawn for a moment.
//
// There is no share, and ok is false, at the first reading, if no time has passed, if
// the counter went back, which it does for a process that was moved to another group,
// or without a positive and finite limit. The next share is then that since this reading.
//
// A limit that changed between two readings did so nobody knows when: the larger of
// the two counts, since a false alarm is worse than one that comes a reading later.
func (m *Meter) Sample(now patterns.Instant, spent uint64, limit float64) (share float64, ok bool) {
	if math.IsNaN(limit) || math.IsInf(limit, 0) {
		limit = 0 // which lasts no longer than until there is a limit
	}
	last := *m
	*m = Meter{now, spent, limit, true}
	if !last.ready || now <= last.at || spent < last.spent {
		return 0, false
	}
	limit = max(limit, last.limit)
	if !(limit > 0) {
		return 0, false
	}
	share = float64(spent-last.spent) / (float64(now.Sub(last.at)) * limit)
	return share, !math.IsInf(share, 0)
}

// Throttle turns a group's counts of periods into the share of those since the last
// reading in which it ran out of quota. The zero Throttle is ready.
type Throttle struct {
	at                 patterns.Instant
	periods, throttled uint64
	ready              bool
}

// Sample takes nr_periods and nr_throttled of a group whose quota is for a time of
// period, above 0. There is no share at the first reading, if a counter went back, and as long
// as no period has ended: the readings then add up. But the kernel counts no periods of
// a group that has nothing to run, so that two whole ones without any were idle, and
// that is a share of 0.
func (t *Throttle) Sample(now patterns.Instant, periods, throttled uint64, period time.Duration) (share float64, ok bool) {
	last := *t
	next := Throttle{now, periods, throttled, true}
	if !last.ready || now < last.at || periods < last.periods || throttled < last.throttled {
		*t = next
		return 0, false
	}
	if periods == last.periods {
		if now.Sub(last.at)/2 < period {
			return 0, false
		}
		*t = next
		return 0, true
	}
	*t = next
	// A period is counted as throttled when it runs out, which is before it ends.
	return min(float64(throttled-last.throttled)/float64(periods-last.periods), 1), true
}
