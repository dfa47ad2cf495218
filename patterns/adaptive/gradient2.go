package adaptive

import "time"

// Gradient2 is Gradient with a long moving average in place of the best latency, and
// takes a mean over a window as its sample. The average learns a long overload as
// normal. Netflix concurrency-limits, Gradient2Limit in a WindowedLimit.
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
}

// PerSample is the Window of a Gradient2 that has none.
const PerSample time.Duration = -1

func (g Gradient2) withDefaults() Gradient2 {
	orDefault(&g.Smoothing, 0.2)
	orDefault(&g.Tolerance, 1.5)
	orDefault(&g.LongWindow, 600)
	orDefault(&g.Queue, 4)
	orDefault(&g.Window, time.Second)
	return g
}

func (g Gradient2) String() string { return "gradient2" }

// New returns a Limit that begins at b.Initial.
func (g Gradient2) New(b Bounds) Limit {
	g = g.withDefaults()
	l := &gradient2{cfg: g, bounds: b, limit: float64(b.Initial)}
	if g.Window == PerSample {
		return l
	}
	return Windowed(l, Window{Min: g.Window, Max: g.Window})
}

func (g Gradient2) complain(f *faults) {
	d := g.withDefaults()
	f.check(d.Smoothing > 0 && d.Smoothing <= 1, "Gradient2.Smoothing", g.Smoothing, "must be in (0, 1]")
	f.check(d.Tolerance >= 1 && d.Tolerance <= maxRatio, "Gradient2.Tolerance", g.Tolerance, "must be in [1, 1000]")
	f.check(d.LongWindow >= 1, "Gradient2.LongWindow", g.LongWindow, "must not be negative")
	f.check(d.Queue > 0 && d.Queue <= maxLimit, "Gradient2.Queue", g.Queue, "must be above 0, and no more than a limit may be")
	f.check(d.Window > 0 || d.Window == PerSample, "Gradient2.Window", g.Window, "must not be negative, except PerSample")
}

type gradient2 struct {
	cfg    Gradient2
	bounds Bounds
	limit  float64
	long   average
}

func (l *gradient2) Observe(s Sample) int {
	rtt := float64(s.RTT)
	if !(rtt > 0) {
		return int(l.limit)
	}
	long := l.long.add(rtt, l.cfg.LongWindow)
	if long/rtt > 2 { // recovered from overload: forget it faster
		l.long.value *= 0.95
	}
	if float64(s.InFlight) < l.limit/2 {
		return int(l.limit)
	}
	g := clamp(l.cfg.Tolerance*long/rtt, 0.5, 1)
	next := float64(l.limit*g) + l.cfg.Queue
	next = float64(l.limit*(1-l.cfg.Smoothing)) + float64(next*l.cfg.Smoothing)
	l.limit = l.bounds.clamp(next)
	return int(l.limit)
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
