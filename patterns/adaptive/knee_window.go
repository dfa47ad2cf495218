package adaptive

import (
	"math"

	"github.com/bulwark-go/bulwark/patterns"
)

// window is what some calls in a row had to say. It lasts for a number of samples and
// for the mean of their latencies, whichever takes longer, so that a service of one
// worker and one of a thousand both get a verdict worth having.
type window struct {
	n            int // samples, less the calls that were turned away at once
	sum, squares float64
	last         patterns.Instant
	left         int     // in flight at last
	area         float64 // in flight × time
	fresh        int     // calls that began within the limit
	freshSum     float64
	low          int // calls that began below the knee
	lowSum       float64
	deficit      float64 // sum of the shares of the knee idle after each call
	hits         int     // calls that took the last place
	drops        int     // lost calls
	away         int     // of them, those turned away at once
	start        patterns.Instant
	open         bool
	half         int     // fresh when the first half of a probe was over
	halfSum      float64 // and freshSum
}

func (w *window) begin(now patterns.Instant, left int) {
	*w = window{open: true, start: now, last: now, left: left}
}

func (w *window) add(s *Sample, limit, base, size float64) {
	rtt := max(float64(s.RTT), 1)
	w.area += max(float64(s.Now-w.last), 0) * float64(w.left+s.Left+1) / 2
	w.last, w.left = max(s.Now, w.last), s.Left
	if s.Dropped {
		w.drops++
		if rtt < base/2 || base == 0 { // refused by the dependency: that is no work done
			w.away++
			return
		}
	}
	w.n++
	w.sum += rtt
	w.squares += rtt * rtt
	in := float64(s.InFlight)
	if s.Full {
		w.hits++
	}
	if in <= math.Floor(limit) {
		w.fresh++
		w.freshSum += rtt
	}
	if size > 0 {
		w.deficit += clamp(1-float64(s.Left)/size, 0, 1)
		if in <= max(1, 0.8*size) && !s.Dropped {
			w.low++
			w.lowSum += rtt
		}
	}
}

// full reports whether the window can be judged, in any phase but a probe's.
func (w *window) full(p phase, spread float64) bool {
	least := clamp(windowScale*spread, windowLeast, windowMost)
	if p == referring {
		least = clamp(referScale*spread, probeLeast, probeMost)
	}
	return w.holds(least, w.n, w.sum)
}

// looked reports whether a look at a probe's limit can be judged: by the calls that began
// within it.
func (w *window) looked(spread float64) bool {
	least := probeSize(min(spread, 2*w.spread())) // what was before may have been another world
	w.split(int(least))
	return w.holds(least, w.fresh, w.freshSum)
}

// holds reports whether n samples are enough, and lasted for as long as one at least.
func (w *window) holds(least float64, n int, sum float64) bool {
	return float64(n+w.away) >= least && w.span() >= sum/float64(max(n, 1)) && w.span() > 0
}

// split marks the middle of a window that will have that many fresh samples.
func (w *window) split(size int) {
	if 2*w.fresh <= size {
		w.half, w.halfSum = w.fresh, w.freshSum
	}
}

// steady reports whether latency is the same in both halves, as far as one can tell: it
// differs by no more than three standard errors, or one half in all.
func (w *window) steady(spread float64) bool {
	if w.half == 0 || w.fresh <= w.half {
		return true
	}
	a, b := w.halfSum/float64(w.half), (w.freshSum-w.halfSum)/float64(w.fresh-w.half)
	return math.Abs(a-b) <= max(0.5, 3*math.Sqrt(4*spread/float64(w.fresh)))*min(a, b)
}

func probeSize(spread float64) float64 { return clamp(probeScale*spread, probeLeast, probeMost) }

func (w *window) span() float64     { return float64(w.last - w.start) }
func (w *window) rate() float64     { return float64(w.n) / w.span() }
func (w *window) mean() float64     { return w.sum / float64(w.n) }
func (w *window) used() float64     { return w.area / w.span() }
func (w *window) hitShare() float64 { return float64(w.hits) / float64(w.n) }

// lossy reports whether enough calls were lost to overload that something must give.
func (w *window) lossy() bool { return float64(w.drops) > 0.05*float64(w.n+w.away) }

func (w *window) spread() float64 {
	return w.squares/float64(w.n)/(w.mean()*w.mean()) - 1
}

// latency is the mean latency of the calls that began within the limit. Of a finite
// time one sees more of the short calls than of the long ones; in flight × time per
// call has no such bias, but misses the moments in which a place stays empty.
func (w *window) latency() float64 {
	return max(w.freshSum/float64(max(w.fresh, 1)), w.area/float64(w.n))
}
