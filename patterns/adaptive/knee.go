package adaptive

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Knee keeps as many calls in flight as the dependency can work on at once, and a few
// more so that it never runs dry. It is the default.
//
// By Little's law what is in flight is throughput × latency. Up to the knee, where
// every worker is busy, more in flight is more throughput; beyond it only latency
// grows. So the knee is the throughput while the limit is used × the latency without
// queueing, and the limit is
//
//	Headroom × knee + margin
//
// Latency without queueing is the one thing that an overloaded dependency does not
// show. Knee never guesses it from what it sees under load, which is how other limits
// drift: it lowers the limit below the knee for a few dozen calls, and looks whether
// throughput follows (knee_probe.go). If it does, what latency is left is the
// service's own, however bad; if not, it was queueing. A jump in latency is told apart
// the same way: a slow service keeps its limit, one that lost workers does not.
//
// The margin is what makes up for chance. It grows while calls are refused although
// workers are idle some of the time, as at a load near capacity, and shrinks while they
// never are (knee_margin.go).
type Knee struct {
	// Headroom is the limit as a multiple of the knee, in [1.1, 4]. It pays for errors
	// of the estimate with latency. Default 1.5.
	Headroom float64
	// Idle is the share of capacity, in (0, 0.5], that may idle while calls are
	// refused. Default 0.01.
	Idle float64
}

func (k Knee) withDefaults() Knee {
	orDefault(&k.Headroom, 1.5)
	orDefault(&k.Idle, 0.01)
	return k
}

func (k Knee) String() string { return "knee" }

func (k Knee) complain(f *faults.Faults) {
	d := k.withDefaults()
	f.Check(d.Headroom >= 1.1 && d.Headroom <= 4, "Knee.Headroom", k.Headroom, "must be in [1.1, 4]")
	f.Check(d.Idle > 0 && d.Idle <= 0.5, "Knee.Idle", k.Idle, "must be in (0, 0.5]")
}

// New returns a Limit that begins at b.Initial.
func (k Knee) New(b Bounds) Limit {
	return &knee{cfg: k.withDefaults(), bounds: b, limit: float64(b.Initial), margin: 4, ceiling: math.Inf(1)}
}

type knee struct {
	cfg    Knee
	bounds Bounds
	limit  float64

	base    float64 // latency without queueing in ns; 0 if there is no idea of it
	sure    bool    // base was seen, not guessed
	rate    float64 // calls per ns while the limit is used
	spread  float64 // squared coefficient of variation of latencies
	margin  float64 // calls
	ceiling float64 // above which calls were lost lately

	hits, idle float64 // moving averages of window's
	quiet      bool    // the last window did not meet the limit
	seen       int     // samples without queueing, since the last probe or as many as sure takes

	window window
	probe  probe
}

const (
	// What a window measures has a standard error of √(spread/n): 12 % with 70 × spread
	// samples, 8 % with the 150 of a probe's reference, which costs nothing. The probe
	// itself does: it makes do with 12 %.
	windowScale, windowLeast, windowMost = 70, 20, 400
	referScale, probeScale               = 150, 75
	probeLeast, probeMost                = 40, 1000
)

func (l *knee) size() float64 { return l.rate * l.base }

func (l *knee) Observe(s Sample) int {
	if l.probe.phase == draining && !l.drained(s) {
		return int(l.limit)
	}
	if !l.window.open {
		l.window.begin(s.Now, s.Left)
		return int(l.limit)
	}
	l.window.add(&s, l.limit, l.base, l.size())
	if l.window.n+l.window.away < windowLeast {
		return int(l.limit)
	}
	full := false
	if l.probe.phase == probing {
		full = l.window.looked(l.spread) || l.overdue()
	} else {
		full = l.window.full(l.probe.phase, l.spread)
	}
	if full {
		w := l.window
		l.window.begin(s.Now, s.Left)
		l.close(s.Now, &w)
	}
	return int(l.limit)
}

func (l *knee) close(now patterns.Instant, w *window) {
	if w.n == 0 { // everything was turned away
		l.lower(w)
		l.limit = l.bounds.clamp(min(l.limit, l.ceiling))
		return
	}
	if cv := w.spread(); cv >= 0 {
		l.spread += 0.1 * (cv - l.spread)
	}
	l.probe.count(w)
	switch l.probe.phase {
	case referring:
		l.probe.rate = w.rate()
		l.descend(now, l.probe.first(l.limit, l.size()))
	case probing:
		switch l.probe.looks++; {
		case w.used() < usedLeast*math.Floor(l.limit):
			l.abandon(now)
		case w.steady(l.spread), l.probe.looks == probeLooks:
			l.judge(now, w)
		} // else the world changed meanwhile: look once more
	default:
		l.cruise(now, w)
	}
}

// cruise learns from a window without a probe.
func (l *knee) cruise(now patterns.Instant, w *window) {
	if l.base == 0 {
		l.base, l.rate = w.mean(), w.rate()
	}
	l.learnBase(now, w)
	if l.doubts(now, w) {
		l.refer()
		return
	}
	l.learnRate(w)
	l.adjust(w)
	if w.hits > 0 || w.lossy() {
		l.aim()
	}
}

// learnBase takes latencies from windows that did not meet the limit, and no windows
// on the way from or to one that did: there, the calls that began in better times and
// end now are the slow ones.
func (l *knee) learnBase(now patterns.Instant, w *window) {
	quiet := l.quiet
	l.quiet = w.hits == 0
	switch {
	case w.lossy(): // an incident teaches nothing
	case quiet && l.quiet && w.low > 0:
		l.base += min(0.3, float64(w.low)/100) * (w.lowSum/float64(w.low) - l.base)
		if l.seen += w.low; l.seen >= 200 {
			l.seen, l.sure = 0, true
			l.probe.done(now)
		}
	case w.mean() < l.base*(1-2*math.Sqrt(l.spread/float64(w.n))): // queueing included
		l.base += 0.5 * (w.mean() - l.base)
		l.sure = false
	}
}

// learnRate moves the throughput, downwards only as far as the limit was what bounded it.
func (l *knee) learnRate(w *window) {
	n, x := float64(w.n), w.rate()
	a := n / (n + 60)
	switch {
	case x < l.rate:
		a *= w.hitShare()
	case w.hitShare() > 0.5:
		a = max(a, 0.5)
	}
	l.rate += a * (x - l.rate)
}

// aim sets the limit to what is known, at most twice what it was.
func (l *knee) aim() {
	// Where latencies vary much, so do the estimates.
	headroom := l.cfg.Headroom * (1 + 0.15*min(l.spread, 2))
	t := min(headroom*l.size()+l.margin, l.ceiling)
	if l.bounds.MaxLatency > 0 { // Little's law: what is in flight then
		t = min(t, l.rate*float64(l.bounds.MaxLatency))
	}
	l.limit = l.bounds.clamp(min(t, 2*l.limit))
}

func (l *knee) Estimate() float64 { return l.limit }

func (l *knee) Set(b Bounds, x float64) {
	l.bounds, l.limit = b, b.clamp(x)
	l.probe.resume = b.clamp(l.probe.resume)
}
