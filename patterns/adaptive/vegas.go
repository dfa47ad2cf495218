package adaptive

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Vegas keeps the queue it estimates, limit × (1 − best latency / latency), between 3
// and 6 times the limit's order of magnitude. The best latency is forgotten now and
// then, and learned anew under whatever load there is: it drifts upwards in a long
// overload. Netflix concurrency-limits, VegasLimit; Brakmo and Peterson 1995.
type Vegas struct {
	// Smoothing is the weight of the newest estimate, in (0, 1]. Default 1.
	Smoothing float64
	// Probe forgets the best latency after Probe × limit samples, less a jitter of up
	// to half. Default 30.
	Probe int
	// Jitter, in [0.5, 1), pins the jitter of every probe. Default 0: it is drawn from
	// a fixed sequence.
	Jitter float64
	// Freeze is how many probes in a row are put off because the queue is too long: who
	// looks for the best latency in an incident finds a bad one. Default 0.
	Freeze int
}

func (v Vegas) withDefaults() Vegas {
	orDefault(&v.Smoothing, 1)
	orDefault(&v.Probe, 30)
	return v
}

func (v Vegas) String() string { return "vegas" }

// New returns a Limit that begins at b.Initial.
func (v Vegas) New(b Bounds) Limit {
	l := &vegas{cfg: v.withDefaults(), bounds: b, limit: float64(b.Initial)}
	l.draw()
	return b.healthy(l)
}

func (v Vegas) complain(f *faults.Faults) {
	d := v.withDefaults()
	f.Check(d.Smoothing > 0 && d.Smoothing <= 1, "Vegas.Smoothing", v.Smoothing, "must be in (0, 1]")
	f.Check(d.Probe > 0, "Vegas.Probe", v.Probe, "must not be negative")
	f.Check(v.Jitter == 0 || v.Jitter >= 0.5 && v.Jitter < 1, "Vegas.Jitter", v.Jitter, "must be in [0.5, 1)")
	f.Check(v.Freeze >= 0, "Vegas.Freeze", v.Freeze, "must not be negative")
}

type vegas struct {
	cfg    Vegas
	bounds Bounds
	limit  float64
	best   float64 // latency in ns; 0 if there is none
	count  float64 // samples since the last probe
	jitter float64
	draws  float64
	falls  bool // the last estimate lowered the limit
	frozen int  // probes put off in a row
}

func (l *vegas) draw() {
	if l.jitter = l.cfg.Jitter; l.jitter != 0 {
		return
	}
	// Multiples of the golden ratio fall evenly (Weyl), which is all a jitter is for.
	l.draws++
	_, frac := math.Modf(l.draws * math.Phi)
	l.jitter = 0.5 + frac/2
}

func (l *vegas) Observe(s Sample) int {
	rtt := float64(s.RTT)
	if !(rtt > 0) {
		return int(l.limit)
	}
	l.count++
	if l.jitter*float64(l.cfg.Probe)*l.limit <= l.count {
		l.draw()
		l.count = 0
		if l.frozen++; !l.falls || l.frozen > l.cfg.Freeze {
			l.best, l.frozen = rtt, 0
		}
		return int(l.limit)
	}
	if l.best == 0 || rtt < l.best {
		l.best = rtt
		return int(l.limit)
	}
	next, ok := l.next(s, math.Ceil(l.limit*(1-l.best/rtt)))
	if l.falls = ok && next < l.limit; ok {
		next = l.bounds.clamp(next)
		l.limit = float64((1-l.cfg.Smoothing)*l.limit) + float64(l.cfg.Smoothing*next)
	}
	return int(l.limit)
}

// next is the limit before smoothing, given the estimated queue; ok is false to hold.
func (l *vegas) next(s Sample, queue float64) (next float64, ok bool) {
	lg := magnitude(l.limit)
	switch {
	case s.Dropped:
		return l.limit - lg, true
	case float64(s.InFlight)*2 < l.limit:
		return 0, false
	case queue <= lg:
		return l.limit + 6*lg, true
	case queue < 3*lg:
		return l.limit + lg, true
	case queue > 6*lg:
		return l.limit - lg, true
	}
	return 0, false
}

// magnitude is the whole part of the limit's decimal logarithm, but at least 1.
func magnitude(limit float64) float64 {
	lg := 1.0
	for n := int(limit) / 100; n > 0; n /= 10 {
		lg++
	}
	return max(1, lg)
}

func (l *vegas) Estimate() float64 { return l.limit }

func (l *vegas) Set(b Bounds, x float64) { l.bounds, l.limit = b, b.clamp(x) }
