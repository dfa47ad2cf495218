package adaptive

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns"
)

// phase is how far a probe is:
//
//	cruising ──in doubt──▶ referring ──▶ draining ──▶ probing ──throughput fell──▶ cruising
//	                                        ▲            │
//	                                        └────────────┘ throughput stayed: go lower
type phase uint8

const (
	cruising  phase = iota
	referring       // measuring throughput at the limit
	draining        // waiting until no more are in flight than the lower limit
	probing         // measuring throughput and latency at the lower limit
)

type probe struct {
	phase   phase
	resume  float64 // the limit before
	rate    float64 // the throughput at that limit
	ended   patterns.Instant
	samples int // since then
	windows int
}

const (
	// A probe costs about 20 calls: one in 4,000, and in 300 latencies, is below 1 %.
	probeEvery     = 4000
	probeLatencies = 300
	// followed is the share of throughput below which it fell, and so is no longer
	// bounded by the workers.
	followed = 0.85
)

func (p *probe) count(w *window) {
	p.samples += w.n
	p.windows++
}

func (p *probe) done(now patterns.Instant) { p.ended, p.samples, p.windows = now, 0, 0 }

// doubts reports whether it is time for a probe: the latency was never seen without
// queueing, or long ago, throughput broke down, or calls are lost.
func (l *knee) doubts(now patterns.Instant, w *window) bool {
	p := &l.probe
	hit := w.hitShare()
	old := p.samples > probeEvery && float64(now-p.ended) > probeLatencies*w.mean()
	broken := hit > 0.5 && (w.rate() < 0.6*l.rate || w.lossy())
	return hit > 0.2 && old || p.windows > 3 && (broken || hit > 0.2 && !l.sure)
}

// looking reports whether the limit is lower than what is known calls for.
func (l *knee) looking() bool { return l.probe.phase == draining || l.probe.phase == probing }

func (l *knee) refer() { l.probe.phase, l.probe.resume = referring, l.limit }

// descend lowers the limit to where the knee should be well above.
func (l *knee) descend(now patterns.Instant) {
	lower := l.limit / 2
	if l.probe.phase == referring {
		lower = min(lower, 0.75*l.size())
	}
	l.probe.phase = draining
	l.limit = l.bounds.clamp(max(1, lower))
	l.window = window{start: now}
}

// drained waits for the first call that began below the new limit, but not for ever:
// what does not drain tells nothing.
func (l *knee) drained(s Sample) bool {
	switch {
	case float64(s.InFlight) <= math.Floor(l.limit):
		l.probe.phase = probing
	case float64(s.Now-l.window.start) > 20*max(l.base, float64(s.RTT)):
		l.finish(s.Now)
	}
	return l.probe.phase != draining
}

// judge draws the conclusion.
func (l *knee) judge(now patterns.Instant, w *window) {
	r := w.latency()
	if w.rate() >= followed*l.probe.rate {
		if math.Floor(l.limit) > float64(l.bounds.Min) && l.limit > 1 {
			l.probe.rate = max(l.probe.rate, w.rate())
			l.base = min(l.base, r)
			l.descend(now)
			return
		}
		r /= l.cfg.Headroom // even the minimum is above the knee
	}
	if r > 1.5*l.base || r < l.base/1.5 {
		l.base = r
	} else {
		l.base += 0.5 * (r - l.base)
	}
	l.rate, l.sure = l.probe.rate, true
	l.finish(now)
}

func (l *knee) finish(now patterns.Instant) {
	l.probe.phase = cruising
	l.probe.done(now)
	l.limit = l.probe.resume
	l.aim()
	l.window = window{}
}
