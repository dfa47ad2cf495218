package sampler

import (
	"fmt"
	"math"
	"runtime/metrics"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/cgroup"
)

var (
	errNoGC       = fmt.Errorf("%w: no garbage collection yet", ErrPending)
	errFewWaits   = fmt.Errorf("%w: too few goroutines were scheduled", ErrPending)
	errNoMemLimit = fmt.Errorf("%w: GOMEMLIMIT is not set", ErrUnavailable)
	errNoMetric   = fmt.Errorf("%w: this Go does not measure it", ErrUnavailable)
)

// The metrics, by their place in metricNames.
const (
	schedLatencies = iota
	gcTotal
	gcIdle
	cpuTotal
	limiterCycle
	mapped
	released
	free
	unused
	objects
	live
	memLimit
	numMetrics
)

// metricNames are each read for one signal.
var metricNames = [numMetrics]struct {
	signal Signal
	name   string
}{
	{SchedLatency, "/sched/latencies:seconds"},
	{GC, "/cpu/classes/gc/total:cpu-seconds"},
	{GC, "/cpu/classes/gc/mark/idle:cpu-seconds"},
	{GC, "/cpu/classes/total:cpu-seconds"},
	{GCLimiter, "/gc/limiter/last-enabled:gc-cycle"},
	{GoMemory, "/memory/classes/total:bytes"},
	{GoMemory, "/memory/classes/heap/released:bytes"},
	{GoMemory, "/memory/classes/heap/free:bytes"},
	{GoMemory, "/memory/classes/heap/unused:bytes"},
	{GoMemory, "/memory/classes/heap/objects:bytes"},
	{GoMemory, "/gc/heap/live:bytes"},
	{GoMemory, "/gc/gomemlimit:bytes"},
}

// golang reads the runtime's metrics.
type golang struct {
	on      Signal
	samples []metrics.Sample // of those that are on; histograms are read into the last one
	numbers numbers

	waits   waits
	gc      gcShare
	limiter limiter
}

// numbers are metrics by their place. Those that are histograms are apart.
type numbers struct {
	of      [numMetrics]float64
	latency *metrics.Float64Histogram
	missing Signal // of which this Go has no metric; that does not change
}

func newGolang(on Signal) *golang {
	g := &golang{on: on & (SchedLatency | GC | GCLimiter | GoMemory)}
	for _, m := range metricNames {
		if on.Has(m.signal) {
			g.samples = append(g.samples, metrics.Sample{Name: m.name})
		}
	}
	return g
}

func (g *golang) read(now patterns.Instant, r *Reading) {
	if g.on == 0 {
		return
	}
	metrics.Read(g.samples)
	g.numbers.take(g.on, g.samples)
	g.judge(now, &g.numbers, r)
}

// take sorts samples, which are of the metrics that on needs, in order.
func (n *numbers) take(on Signal, samples []metrics.Sample) {
	for i, m := range metricNames {
		if !on.Has(m.signal) {
			continue
		}
		switch v := samples[0].Value; v.Kind() {
		case metrics.KindUint64:
			n.of[i] = float64(v.Uint64())
		case metrics.KindFloat64:
			n.of[i] = v.Float64()
		case metrics.KindFloat64Histogram:
			n.latency = v.Float64Histogram()
		default:
			n.missing |= m.signal
		}
		samples = samples[1:]
	}
}

// judge sets the signals that numbers are about.
func (g *golang) judge(now patterns.Instant, n *numbers, r *Reading) {
	set := func(signal Signal, of func() Sample) {
		switch {
		case n.missing.Has(signal):
			r.samples[signal.index()] = Sample{Err: errNoMetric}
		case g.on.Has(signal):
			r.samples[signal.index()] = of()
		}
	}
	set(SchedLatency, func() Sample { return g.waits.sample(now, n.latency.Counts, n.latency.Buckets) })
	set(GC, func() Sample { return g.gc.sample(now, n.of[gcTotal]-n.of[gcIdle], n.of[cpuTotal]) })
	set(GCLimiter, func() Sample { return g.limiter.sample(now, n.of[limiterCycle]) })
	set(GoMemory, func() Sample { return goMemory(now, &n.of) })
}

// goMemory is how much of the limit is taken by what a collection cannot give back, and
// as Raw by all that Go has.
func goMemory(now patterns.Instant, of *[numMetrics]float64) Sample {
	limit := of[memLimit]
	switch {
	case limit >= math.MaxInt64:
		return Sample{Err: errNoMemLimit}
	case of[live] == 0:
		return Sample{Err: errNoGC}
	}
	has := max(of[mapped]-of[released], 0)
	garbage := max(of[objects]-of[live], 0)
	keeps := max(has-of[free]-of[unused]-garbage, 0)
	s := share(now, cgroup.Full(uint64(keeps), uint64(limit)), FromRuntime)
	s.Raw = cgroup.Full(uint64(has), uint64(limit))
	return s
}

// waits is the last counts of a histogram of how long goroutines waited.
type waits struct {
	counts []uint64
	last   Sample
}

const (
	// enoughWaits are needed for a value. The runtime counts one in eight.
	enoughWaits = 20
	// slowWait is the quantile.
	slowWait = 0.99
)

// sample returns the 99th percentile of those that waited since the last value. Until
// there are enough of them, that is the value, with its age.
func (w *waits) sample(now patterns.Instant, counts []uint64, edges []float64) Sample {
	switch wait, n, ok := quantile(slowWait, w.counts, counts, edges); {
	case !ok:
		w.last = Sample{Err: errFirst}
	case n < enoughWaits:
		if w.last.Err != nil {
			w.last.Err = errFewWaits
		}
		return w.last
	default:
		w.last = Sample{Value: wait, Raw: wait, At: now, From: FromRuntime}
	}
	w.counts = append(w.counts[:0], counts...)
	return w.last
}

// quantile returns the upper edge of the bucket that holds the q-th of what was counted
// between before and after, and of how many. Where that edge is infinite, the lower.
// ok is false if they are not counts of the same buckets.
func quantile(q float64, before, after []uint64, edges []float64) (value float64, n uint64, ok bool) {
	if len(before) != len(after) || len(edges) != len(after)+1 {
		return 0, 0, false
	}
	for i, c := range after {
		if c < before[i] {
			return 0, 0, false
		}
		n += c - before[i]
	}
	if n == 0 {
		return 0, 0, true
	}
	rank := uint64(math.Ceil(q * float64(n))) // q is at most 1: there is a bucket for it
	i := 0
	for ; after[i]-before[i] < rank; i++ {
		rank -= after[i] - before[i]
	}
	if value = edges[i+1]; math.IsInf(value, 1) {
		value = edges[i]
	}
	if math.IsInf(value, -1) {
		value = 0
	}
	return value, n, true
}

// gcShare is the last counts of the CPU time that collections took. The runtime adds to
// both at the end of a collection only: that they stand still does not mean that nothing
// is collected, and before the first one they are 0.
type gcShare struct {
	spent, total float64
	ready        bool
	last         Sample
}

// sample returns the share between the last two collections that it has seen.
func (g *gcShare) sample(now patterns.Instant, spent, total float64) Sample {
	before := *g
	switch {
	case !before.ready, total < before.total:
		g.last = Sample{Err: errNoGC}
	case total == before.total:
		return g.last
	default: // both are estimates, and their parts need not add up
		raw := max(spent-before.spent, 0) / (total - before.total)
		g.last = share(now, raw, FromRuntime)
	}
	g.spent, g.total, g.ready = spent, total, true
	return g.last
}

// limiter is the collection at which the limiter was last switched on.
type limiter struct {
	cycle float64
	ready bool
}

func (l *limiter) sample(now patterns.Instant, cycle float64) Sample {
	before := *l
	*l = limiter{cycle, true}
	switch {
	case !before.ready:
		return Sample{Err: errFirst}
	case cycle != before.cycle:
		return share(now, 1, FromRuntime)
	}
	return share(now, 0, FromRuntime)
}
