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
	broken  bool // throughput broke down, or calls were lost
	lossy   bool // in the last window calls were
	looks   int  // how often this limit was looked at
	wait    int  // windows by which the next is later, because others told nothing
}

const (
	// A probe costs about a third of its samples in calls: one in 100 times as many
	// samples, and in 300 latencies, is well below 1 %.
	probeEvery     = 100
	probeLatencies = 300
	probeLooks     = 3
	// A look that takes twice as many calls, or as long, as it should is over. If less than a
	// part of its limit was used on average it is not what bounded them.
	probePatience = 2
	probeWaits    = 63
	usedLeast     = 0.4
	// followed is the share of throughput below which it fell, and so is no longer
	// bounded by the workers; surely is so even in view of the noise.
	followed, surely = 0.85, 0.75
	// news is by which factor a latency differs that is not what it was.
	news = 1.5
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
	old := float64(p.samples) > probeEvery*probeSize(l.spread) && float64(now-p.ended) > probeLatencies*w.mean()
	lossy := w.lossy() && p.lossy // twice, because two lost calls can be chance
	p.lossy = w.lossy()
	p.broken = hit > 0.5 && (w.rate() < 0.6*l.rate || lossy)
	return hit > 0.2 && old || p.windows > 3+p.wait && (p.broken || hit > 0.2 && !l.sure)
}

// looking reports whether the limit is lower than what is known calls for.
func (l *knee) looking() bool { return l.probe.phase == draining || l.probe.phase == probing }

func (l *knee) refer() { l.probe.phase, l.probe.resume = referring, l.limit }

// first is the limit at which a probe begins: below the knee by so much that throughput
// must follow, and further below if the knee may not be where it was.
func (p *probe) first(limit, knee float64) float64 {
	depth := 0.75
	if p.broken {
		depth = 0.65
	}
	return min(limit/2, depth*knee)
}

// next is the limit at which it goes on, with that share of the throughput left.
func (p *probe) next(limit, share float64) float64 {
	if share < 0.95 { // a little below the knee, which is at limit/share
		return 0.7 * limit / share
	}
	return limit / 2
}

// descend lowers the limit.
func (l *knee) descend(now patterns.Instant, lower float64) {
	l.probe.phase, l.probe.looks = draining, 0
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

// overdue reports whether a probe has waited long enough for calls that began within its
// limit: so many others ended, of the highest priority, or so long did it take, that those
// who are turned away for it have paid enough. What there is has to do.
func (l *knee) overdue() bool {
	w, size := &l.window, probePatience*probeSize(l.spread)
	if w.n == 0 || w.span() < probePatience*w.mean() {
		return false
	}
	return float64(w.n) >= size || w.span() > size*w.mean()/math.Floor(l.limit)
}

// abandon ends a probe that tells nothing, because it is not the limit that bounds
// throughput. The next one is later each time.
func (l *knee) abandon(now patterns.Instant) {
	l.probe.wait = min(2*l.probe.wait+1, probeWaits)
	l.finish(now)
}

// judge draws the conclusion.
func (l *knee) judge(now patterns.Instant, w *window) {
	r, share := w.latency(), w.rate()/l.probe.rate
	slower := r > news*l.base
	if share >= followed || slower && share >= surely {
		if math.Floor(l.limit) > float64(l.bounds.Min) && l.limit > 1 {
			l.probe.rate = max(l.probe.rate, w.rate())
			l.base = min(l.base, r)
			l.descend(now, l.probe.next(l.limit, share))
			return
		}
		r /= l.cfg.Headroom // even the minimum is above the knee
		slower = r > news*l.base
	}
	size := l.size()
	l.rate, l.sure, l.probe.wait = l.probe.rate, true, 0
	switch {
	case slower:
		// The reference may be from before that. What the service works on at once is more
		// likely to be what it was.
		l.rate, l.base = min(l.rate, size/r), r
	case r < l.base/news:
		l.base = r
	default:
		l.base += 0.5 * (r - l.base)
	}
	l.finish(now)
}

func (l *knee) finish(now patterns.Instant) {
	l.probe.phase = cruising
	l.probe.done(now)
	l.limit = l.probe.resume
	l.aim()
	l.window = window{}
}
