package simulation

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Bin is how finely a Result knows time.
const Bin = 100 * time.Millisecond

// Tally is what became of a class's calls, warm-up excluded.
type Tally struct {
	Offered uint64 // calls, retries not counted
	Granted uint64
	Good    uint64 // answered in time
	Late    uint64 // done, but for nobody
}

// Result is what an experiment gave.
type Result struct {
	Tally
	Classes []Tally
	// Latency is of granted calls, from arrival to end, waiting included.
	Latency Histogram
	// Waited is how many calls found all workers busy, and WaitSum for how long.
	Waited  uint64
	Started uint64
	WaitSum time.Duration
	// Bins are the good calls per Bin from 0 on, and Limits the calls in flight at
	// their ends.
	Bins     []uint32
	InFlight []int32
	Scored   time.Duration
}

// Goodput is good calls per second.
func (r *Result) Goodput() float64 { return float64(r.Good) / r.Scored.Seconds() }

// Rate is the good calls per second in [from, to).
func (r *Result) Rate(from, to time.Duration) float64 {
	sum := uint32(0)
	for i := int(from / Bin); i < int(to/Bin) && i < len(r.Bins); i++ {
		sum += r.Bins[i]
	}
	return float64(sum) / (to - from).Seconds()
}

// Recovery is how long after a change goodput is back: from then on it is at 0.9 of want
// over the first second, and at 0.95 until the end.
func (r *Result) Recovery(change, until time.Duration, want float64) time.Duration {
	for at := change; at <= until-time.Second; at += Bin {
		if r.Rate(at, at+time.Second) >= 0.9*want && r.Rate(at, until) >= 0.95*want {
			return at - change
		}
	}
	return until - change
}

// Jain is the fairness index of what the classes got, each relative to its fair share
// of capacity: 1 is fair, 1/n is all for one.
func Jain(got, fair []float64) float64 {
	sum, squares := 0.0, 0.0
	for i := range got {
		x := got[i] / fair[i]
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(got)) * squares)
}

// MaxMin shares capacity so that nobody gets more than it asks for, and what it leaves
// goes to the others in equal parts.
func MaxMin(capacity float64, asked []float64) []float64 {
	fair := make([]float64, len(asked))
	left, open := capacity, len(asked)
	for open > 0 && left > 1e-9 {
		part, before := left/float64(open), open
		for i, a := range asked {
			if fair[i] == 0 && a <= part {
				fair[i] = a
				left -= a
				open--
			}
		}
		if open == before {
			for i := range fair {
				if fair[i] == 0 {
					fair[i] = part
				}
			}
			return fair
		}
	}
	return fair
}

// Histogram counts durations in buckets of 2 % relative width.
type Histogram struct {
	counts [1400]uint32
	total  uint64
	sum    float64
}

const perOctave = 35

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	i := int(math.Log2(float64(max(d, 1))) * perOctave)
	h.counts[min(i, len(h.counts)-1)]++
	h.total++
	h.sum += float64(d)
}

// Mean is the mean duration.
func (h *Histogram) Mean() time.Duration { return time.Duration(h.sum / float64(max(h.total, 1))) }

// Quantile is the q-quantile by nearest rank.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.total)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); seen >= max(rank, 1) {
			return time.Duration(math.Exp2((float64(i) + 0.5) / perOctave))
		}
	}
	return 0
}

func (w *world) tally(j *job, f func(t *Tally)) {
	if j.arrived < patterns.Instant(w.Warm) {
		return
	}
	f(&w.result.Tally)
	f(&w.result.Classes[j.class])
}
