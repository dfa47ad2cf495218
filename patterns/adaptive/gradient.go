package adaptive

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Gradient multiplies the limit by tolerance × best latency / latency, and adds the
// square root of the limit as room for a queue. Netflix concurrency-limits,
// GradientLimit.
type Gradient struct {
	// Smoothing is the weight of a lower estimate, in (0, 1]. Default 0.2.
	Smoothing float64
	// Tolerance is how many times the best latency is still good, 1 or more. Default 2.
	Tolerance float64
	// Backoff multiplies the limit when a call is lost, in (0, 1). Default 0.9.
	Backoff float64
	// Probe is after how many samples the best latency is forgotten, and the limit
	// falls to its queue alone so that it can be learned anew. Default 0: never.
	Probe int
}

func (g Gradient) withDefaults() Gradient {
	orDefault(&g.Smoothing, 0.2)
	orDefault(&g.Tolerance, 2)
	orDefault(&g.Backoff, 0.9)
	return g
}

func (g Gradient) String() string { return "gradient" }

// New returns a Limit that begins at b.Initial.
func (g Gradient) New(b Bounds) Limit {
	return b.healthy(&gradient{cfg: g.withDefaults(), bounds: b, limit: float64(b.Initial)})
}

func (g Gradient) complain(f *faults.Faults) {
	d := g.withDefaults()
	f.Check(d.Smoothing > 0 && d.Smoothing <= 1, "Gradient.Smoothing", g.Smoothing, "must be in (0, 1]")
	f.Check(d.Tolerance >= 1 && d.Tolerance <= maxRatio, "Gradient.Tolerance", g.Tolerance, "must be in [1, 1000]")
	f.Check(d.Backoff > 0 && d.Backoff < 1, "Gradient.Backoff", g.Backoff, "must be in (0, 1)")
	f.Check(g.Probe >= 0, "Gradient.Probe", g.Probe, "must not be negative")
}

type gradient struct {
	cfg    Gradient
	bounds Bounds
	limit  float64
	best   float64 // latency in ns; 0 if there is none
	count  int     // samples since the last probe
}

func (l *gradient) Observe(s Sample) int {
	rtt := float64(s.RTT)
	if !(rtt > 0) {
		return int(l.limit)
	}
	queue := max(4, math.Floor(math.Sqrt(math.Floor(l.limit))))
	if l.count++; l.cfg.Probe > 0 && l.count > l.cfg.Probe {
		l.count, l.best = 0, 0
		l.limit = l.bounds.clamp(queue)
		return int(l.limit)
	}
	if l.best == 0 || rtt < l.best {
		l.best = rtt
	}
	var next float64
	switch {
	case s.Dropped:
		next = l.limit * l.cfg.Backoff
	case float64(s.InFlight) < l.limit/2:
		return int(l.limit)
	default:
		next = float64(l.limit*clamp(l.cfg.Tolerance*l.best/rtt, 0.5, 1)) + queue
	}
	if next < l.limit {
		s := l.cfg.Smoothing
		next = max(float64(l.bounds.Min), float64(l.limit*(1-s))+float64(s*next))
	}
	l.limit = l.bounds.clamp(max(queue, min(float64(l.bounds.Max), next)))
	return int(l.limit)
}

func (l *gradient) Estimate() float64 { return l.limit }

func (l *gradient) Set(b Bounds, x float64) { l.bounds, l.limit = b, b.clamp(x) }
