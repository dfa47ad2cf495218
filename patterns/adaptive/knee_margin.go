package adaptive

import "math"

const (
	// The margin is between 1 and 12 + 4 × knee: enough for the bursts of a Poisson
	// stream at capacity, and a bound on the latency they cost.
	marginLeast, marginMost, marginKnees = 1, 12, 4
	// memory is how many samples the averages remember.
	memory = 400
)

// adjust learns from a window how large a margin it takes to keep the workers busy.
//
// A place is seen idle when a call ends, that is more often than it is idle: one that
// is filled again after 1/arrivals was idle for that long in every 1/throughput. The
// share of calls that began with the limit reached tells how much more arrives than
// leaves: hits = 1 − throughput/arrivals, exactly so for M/M/1/K.
func (l *knee) adjust(w *window) {
	g := float64(w.n) / (float64(w.n) + memory)
	l.hits += g * (w.hitShare() - l.hits)
	l.idle += g * (w.deficit/float64(w.n) - l.idle)
	switch e := min(3, l.idle*(1-l.hits)/l.cfg.Idle-1); {
	case float64(w.drops) > 0.02*float64(w.n):
		l.margin /= 2
	case l.hits <= 0.005: // the limit is not what bounds
	case e > 0:
		l.margin *= math.Exp(g * e)
	default:
		l.margin *= math.Exp(4 * g * e) // latency is paid by everyone
	}
	l.margin = clamp(l.margin, marginLeast, marginMost+marginKnees*l.size())
	l.lower(w)
}

// lower keeps the limit below where calls are lost, but never far below the knee: a
// service too slow for its callers loses calls at any limit.
func (l *knee) lower(w *window) {
	if !w.lossy() {
		l.ceiling *= 1.05
		return
	}
	inFlight := w.area / w.span()
	l.ceiling = 0.9 * max(min(l.limit, inFlight), l.size())
}
