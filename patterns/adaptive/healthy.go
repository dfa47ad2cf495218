package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// healthy keeps an inner limit from learning a latency that is never healthy. While
// calls take longer than that on average it sees no sample, so that it cannot take them
// for normal, and its limit falls: by a tenth, once for all calls that were in flight.
type healthy struct {
	Limit
	most   time.Duration
	bounds Bounds
	mean   float64          // moving average of the latency in ns
	cut    patterns.Instant // the last one
}

const (
	meanOf     = 16
	healthyCut = 0.9
)

// healthy returns l under b.MaxLatency, if there is one.
func (b Bounds) healthy(l Limit) Limit {
	if b.MaxLatency <= 0 {
		return l
	}
	return &healthy{Limit: l, most: b.MaxLatency, bounds: b}
}

func (l *healthy) Observe(s Sample) int {
	if !s.Dropped {
		l.mean += (float64(s.RTT) - l.mean) / meanOf
	}
	if !(l.mean > float64(l.most)) {
		return l.Limit.Observe(s)
	}
	if l.cut == 0 || s.began() >= l.cut {
		l.cut = max(s.Now, 1)
		l.Limit.Set(l.bounds, healthyCut*l.Estimate())
	}
	return int(l.Estimate())
}

// Set may bring another MaxLatency.
func (l *healthy) Set(b Bounds, x float64) {
	l.bounds, l.most = b, b.MaxLatency
	l.Limit.Set(b, x)
}
