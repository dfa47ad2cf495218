package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Gradient2 is Gradient with a long moving average in place of the best latency, and
// takes a mean over a window as its sample. Netflix concurrency-limits, Gradient2Limit in
// a WindowedLimit; there the average learns a long overload as normal, and lost calls
// are no reason to lower the limit, which is what Freeze and Backoff are for: with -1 and 1
// it is theirs bit for bit.
type Gradient2 struct {
	// Smoothing is the weight of the newest estimate, in (0, 1]. Default 0.2.
	Smoothing float64
	// Tolerance is how many times the average is still good, 1 or more. Default 1.5.
	Tolerance float64
	// LongWindow is how many samples the average remembers, 1 or more. Default 600.
	LongWindow int
	// Queue is the room for a queue, which is what the limit grows by. Default 4.
	Queue float64
	// Window is how long samples are collected for, and PerSample takes each alone.
	// Default 1s.
	Window time.Duration
	// Backoff multiplies the limit when more than a twentieth of a window's calls are lost,
	// in (0, 1]; 1 does not. Default 0.9.
	Backoff float64
	// Freeze is how many samples in a row the average leaves out because calls are lost, or
	// take more than Tolerance² times the average; then it follows, by a twentieth for
	// each. NeverFreeze leaves none out. Default 60.
	Freeze int
}

// PerSample is the Window of a Gradient2 that has none.
const PerSample time.Duration = -1

// NeverFreeze is the Freeze of a Gradient2 that learns from every sample.
const NeverFreeze = -1

func (g Gradient2) withDefaults() Gradient2 {
	orDefault(&g.Smoothing, 0.2)
	orDefault(&g.Tolerance, 1.5)
	orDefault(&g.LongWindow, 600)
	orDefault(&g.Queue, 4)
	orDefault(&g.Window, time.Second)
	orDefault(&g.Backoff, 0.9)
	orDefault(&g.Freeze, 60)
	return g
}

func (g Gradient2) String() string { return "gradient2" }

// New returns a Limit that begins at b.Initial.
func (g Gradient2) New(b Bounds) Limit {
	g = g.withDefaults()
	l := &gradient2{cfg: g, bounds: b, limit: float64(b.Initial)}
	if g.Window == PerSample {
		return b.healthy(l)
	}
	w := Window{Min: g.Window, Max: g.Window, Losses: 0.05}
	return b.healthy(newWindowed(l, w.withDefaults()))
}

func (g Gradient2) complain(f *faults.Faults) {
	d := g.withDefaults()
	f.Check(d.Smoothing > 0 && d.Smoothing <= 1, "Gradient2.Smoothing", g.Smoothing, "must be in (0, 1]")
	f.Check(d.Tolerance >= 1 && d.Tolerance <= maxRatio, "Gradient2.Tolerance", g.Tolerance, "must be in [1, 1000]")
	f.Check(d.LongWindow >= 1, "Gradient2.LongWindow", g.LongWindow, "must not be negative")
	f.Check(d.Queue > 0 && d.Queue <= maxLimit, "Gradient2.Queue", g.Queue, "must be above 0, and no more than a limit may be")
	f.Check(d.Window > 0 || d.Window == PerSample, "Gradient2.Window", g.Window, "must not be negative, except PerSample")
	f.Check(d.Backoff > 0 && d.Backoff <= 1, "Gradient2.Backoff", g.Backoff, "must be in (0, 1]")
	f.Check(d.Freeze >= NeverFreeze, "Gradient2.Freeze", g.Freeze, "must not be negative, except NeverFreeze")
}

type gradient2 struct {
	cfg    Gradient2
	bounds Bounds
	limit  float64
	long   average
	frozen int // samples left out in a row
}

func (l *gradient2) Observe(s Sample) int {
	rtt := float64(s.RTT)
	if !(rtt > 0) {
		return int(l.limit)
	}
	long := l.average(rtt, s.Dropped)
	switch {
	case s.Dropped && l.cfg.Backoff < 1:
		l.limit = l.bounds.clamp(l.limit * l.cfg.Backoff)
		return int(l.limit)
	case float64(s.InFlight) < l.limit/2:
		return int(l.limit)
	}
	g := clamp(l.cfg.Tolerance*long/rtt, 0.5, 1)
	next := float64(l.limit*g) + l.cfg.Queue
	next = float64(l.limit*(1-l.cfg.Smoothing)) + float64(next*l.cfg.Smoothing)
	l.limit = l.bounds.clamp(next)
	return int(l.limit)
}

// average is the long one, after rtt.
func (l *gradient2) average(rtt float64, dropped bool) float64 {
	bad := dropped || rtt > l.long.value*l.cfg.Tolerance*l.cfg.Tolerance
	if bad && l.long.count >= warmUp && l.cfg.Freeze != NeverFreeze {
		if l.frozen++; l.frozen > l.cfg.Freeze && !dropped {
			l.long.value = min(l.long.value*1.05, rtt)
		}
		return l.long.value
	}
	l.frozen = 0
	long := l.long.add(rtt, l.cfg.LongWindow)
	if long/rtt > 2 { // recovered from overload: forget it faster
		l.long.value *= 0.95
	}
	return long
}

func (l *gradient2) Estimate() float64 { return l.limit }

func (l *gradient2) Set(b Bounds, x float64) { l.bounds, l.limit = b, b.clamp(x) }

// warmUp is how many samples an average takes plainly before it decays.
const warmUp = 10

// average is an exponential moving average that begins as the plain mean.
type average struct {
	value, sum float64
	count      int
}

func (a *average) add(x float64, window int) float64 {
	if a.count < warmUp {
		a.count++
		a.sum += x
		a.value = a.sum / float64(a.count)
	} else {
		f := 2 / float64(window+1)
		a.value = float64(a.value*(1-f)) + float64(x*f)
	}
	return a.value
}
