package adaptive

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/internal/quantile"
)

// Window is an Algorithm that collects samples and shows another one their mean or a
// percentile, the most calls in flight, and whether any was lost: one sample for each
// window. One with too few samples is thrown away. Netflix concurrency-limits,
// WindowedLimit.
type Window struct {
	// Of sees the windows: AIMD, Vegas, Gradient or Gradient2, which then has none of its
	// own. Default gradient2.
	Of Algorithm
	// Min is the least time that a window lasts, which is twice its best latency
	// otherwise. Default 1s.
	Min time.Duration
	// Max is the longest, no less than Min. Default 1s, or Min if that is more.
	Max time.Duration
	// Samples is how many a window must hold to count, 1 or more. Default 10.
	Samples int
	// MinRTT is the latency below which a sample is noise. Default 100µs.
	MinRTT time.Duration
	// Percentile, in (0, 1), is what is taken of the latencies in place of their mean, to
	// within 3 %. Default off.
	Percentile float64
	// Losses is the share of lost calls, in [0, 1), that a window may have without being
	// one. Default 0: a single one makes it one.
	Losses float64
}

func (w Window) withDefaults() Window {
	switch of := w.Of.(type) {
	case nil:
		w.Of = Gradient2{Window: PerSample}
	case Gradient2:
		orDefault(&of.Window, PerSample)
		w.Of = of
	}
	orDefault(&w.Min, time.Second)
	orDefault(&w.Max, max(time.Second, w.Min))
	orDefault(&w.Samples, 10)
	orDefault(&w.MinRTT, 100*time.Microsecond)
	return w
}

func (w Window) String() string { return "windowed-" + w.withDefaults().Of.String() }

// New returns a Limit that begins at b.Initial.
func (w Window) New(b Bounds) Limit {
	w = w.withDefaults()
	inner := b
	inner.MaxLatency = 0
	return b.healthy(newWindowed(w.Of.New(inner), w))
}

func (w Window) complain(f *faults.Faults) {
	d := w.withDefaults()
	switch of := d.Of.(type) {
	case Knee, Window:
		f.Check(false, "Window.Of", of, "must be AIMD, Vegas, Gradient or Gradient2")
	case Gradient2:
		f.Check(of.Window == PerSample, "Window.Of", of, "has a Window of its own")
		of.complain(f)
	default:
		of.complain(f)
	}
	f.Check(d.Min > 0, "Window.Min", w.Min, "must not be negative")
	f.Check(d.Max >= d.Min, "Window.Max", w.Max, "must not be below Min")
	f.Check(d.Samples >= 1, "Window.Samples", w.Samples, "must not be negative")
	f.Check(d.MinRTT > 0, "Window.MinRTT", w.MinRTT, "must not be negative")
	f.Check(w.Percentile == 0 || w.Percentile > 0 && w.Percentile < 1, "Window.Percentile", w.Percentile, "must be in (0, 1)")
	f.Check(w.Losses >= 0 && w.Losses < 1, "Window.Losses", w.Losses, "must be in [0, 1)")
}

// core returns what a sees to in the end: a itself, or what is in its Window.
func core(a Algorithm) Algorithm {
	if w, ok := a.(Window); ok {
		return w.withDefaults().Of
	}
	return a
}

type windowed struct {
	Limit
	cfg     Window
	next    patterns.Instant // when the window closes
	best    time.Duration
	sum     float64
	most    int
	count   int
	dropped int
	all     *quantile.Histogram // nil without a Percentile
}

func newWindowed(inner Limit, w Window) *windowed {
	l := &windowed{Limit: inner, cfg: w, next: math.MinInt64}
	if w.Percentile > 0 {
		l.all = new(quantile.Histogram)
	}
	l.clear()
	return l
}

func (l *windowed) clear() {
	l.best, l.sum, l.most, l.count, l.dropped = math.MaxInt64, 0, 0, 0, 0
	if l.all != nil {
		l.all.Reset()
	}
}

func (l *windowed) Observe(s Sample) int {
	if s.RTT < l.cfg.MinRTT {
		return int(l.Estimate())
	}
	l.sum += float64(s.RTT)
	l.count++
	l.best = min(l.best, s.RTT)
	l.most = max(l.most, s.InFlight)
	if s.Dropped {
		l.dropped++
	}
	if l.all != nil {
		l.all.Add(s.RTT)
	}
	if s.Now <= l.next {
		return int(l.Estimate())
	}
	twice := l.best + min(l.best, math.MaxInt64-l.best)
	l.next = s.Now.Add(min(max(twice, l.cfg.Min), l.cfg.Max))
	limit := int(l.Estimate())
	if l.count >= l.cfg.Samples {
		limit = l.Limit.Observe(Sample{
			Now: s.Now, RTT: l.typical(), InFlight: l.most,
			Dropped: float64(l.dropped) > l.cfg.Losses*float64(l.count),
		})
	}
	l.clear()
	return limit
}

// typical is the window's latency.
func (l *windowed) typical() time.Duration {
	if l.all != nil {
		d, _ := l.all.Quantile(l.cfg.Percentile)
		return d
	}
	return time.Duration(min(l.sum/float64(l.count), math.MaxInt64/2))
}
