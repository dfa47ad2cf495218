package adaptive

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Window says how samples are collected before a Limit sees them.
type Window struct {
	// Min and Max bound how long a window lasts: twice its best latency otherwise.
	// Default 1s each.
	Min, Max time.Duration
	// Samples is how many a window must hold to count. Default 10.
	Samples int
	// MinRTT is the latency below which a sample is noise. Default 100µs.
	MinRTT time.Duration
}

// Windowed returns inner fed by windows: one sample with the mean latency, the most
// calls in flight, and whether any was dropped. A window with too few samples is
// thrown away. Netflix concurrency-limits, WindowedLimit.
func Windowed(inner Limit, w Window) Limit {
	orDefault(&w.Min, time.Second)
	orDefault(&w.Max, time.Second)
	orDefault(&w.Samples, 10)
	orDefault(&w.MinRTT, 100*time.Microsecond)
	l := &windowed{Limit: inner, cfg: w, next: math.MinInt64}
	l.clear()
	return l
}

type windowed struct {
	Limit
	cfg     Window
	next    patterns.Instant // when the window closes
	best    time.Duration
	sum     float64
	most    int
	count   int
	dropped bool
}

func (l *windowed) clear() {
	l.best, l.sum, l.most, l.count, l.dropped = math.MaxInt64, 0, 0, 0, false
}

func (l *windowed) Observe(s Sample) int {
	if s.RTT < l.cfg.MinRTT {
		return int(l.Estimate())
	}
	l.sum += float64(s.RTT)
	l.count++
	l.best = min(l.best, s.RTT)
	l.most = max(l.most, s.InFlight)
	l.dropped = l.dropped || s.Dropped
	if s.Now <= l.next {
		return int(l.Estimate())
	}
	twice := l.best + min(l.best, math.MaxInt64-l.best)
	l.next = s.Now.Add(min(max(twice, l.cfg.Min), l.cfg.Max))
	limit := int(l.Estimate())
	if l.count >= l.cfg.Samples {
		mean := time.Duration(min(l.sum/float64(l.count), math.MaxInt64/2))
		limit = l.Limit.Observe(Sample{Now: s.Now, RTT: mean, InFlight: l.most, Dropped: l.dropped})
	}
	l.clear()
	return limit
}
