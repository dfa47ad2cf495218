package sampler

import (
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

var inf = math.Inf(1)

func TestQuantile(t *testing.T) {
	edges := []float64{math.Inf(-1), 1, 2, 3, inf}
	zero := []uint64{0, 0, 0, 0}
	tests := []struct {
		name          string
		before, after []uint64
		edges         []float64
		want          float64
		n             uint64
		ok            bool
	}{
		{"the upper edge of its bucket", zero, []uint64{0, 5, 0, 0}, edges, 2, 5, true},
		{"99 of 100 are in the lower", zero, []uint64{0, 99, 1, 0}, edges, 2, 100, true},
		{"98 of 100 are not", zero, []uint64{0, 98, 2, 0}, edges, 3, 100, true},
		{"one alone is the slowest", zero, []uint64{0, 0, 1, 0}, edges, 3, 1, true},
		{"only what is new counts", []uint64{0, 900, 0, 0}, []uint64{0, 900, 7, 0}, edges, 3, 7, true},
		{"beyond the last edge: at least that", zero, []uint64{0, 0, 0, 1}, edges, 3, 1, true},
		{"before the first: at most that", zero, []uint64{1, 0, 0, 0}, edges, 1, 1, true},
		{"without any edge", []uint64{0}, []uint64{3}, []float64{math.Inf(-1), inf}, 0, 3, true},
		{"nothing new", zero, zero, edges, 0, 0, true},
		{"counts that go back", []uint64{0, 5, 0, 0}, []uint64{0, 4, 9, 0}, edges, 0, 0, false},
		{"other buckets than before", []uint64{1}, []uint64{0, 4, 9, 0}, edges, 0, 0, false},
		{"edges that do not fit", zero, zero, edges[1:], 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, n, ok := quantile(0.99, tt.before, tt.after, tt.edges)
			if got != tt.want || n != tt.n || ok != tt.ok {
				t.Errorf("%v of %d, %v, want %v of %d", got, n, ok, tt.want, tt.n)
			}
		})
	}
}

// The twin keeps every wait, and sorts.
func TestQuantileIsWhatSortingGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edges := append(rapid.SliceOfNDistinct(rapid.Float64Range(0, 1), 1, 8, rapid.ID).Draw(t, "edges"), 0, inf)
		slices.Sort(edges)
		edges = slices.Compact(edges)
		n := len(edges) - 1
		before := rapid.SliceOfN(rapid.Uint64Range(0, 50), n, n).Draw(t, "before")
		after := slices.Clone(before)
		var waits []float64 // each as its bucket's upper edge
		for i, more := range rapid.SliceOfN(rapid.IntRange(0, 60), n, n).Draw(t, "more") {
			after[i] += uint64(more)
			edge := edges[i+1]
			if edge == inf {
				edge = edges[i]
			}
			for range more {
				waits = append(waits, edge)
			}
		}
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		got, count, ok := quantile(q, before, after, edges)
		if !ok || count != uint64(len(waits)) {
			t.Fatalf("%d, %v of %d", count, ok, len(waits))
		}
		if len(waits) == 0 {
			return
		}
		slices.Sort(waits)
		if want := waits[int(math.Ceil(q*float64(len(waits))))-1]; got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestWaits(t *testing.T) {
	edges := []float64{0, 1, 2, inf}
	var w waits
	for i, step := range []struct {
		counts []uint64
		want   Sample
	}{
		{[]uint64{100, 0, 0}, Sample{Err: errFirst}},
		{[]uint64{119, 0, 0}, Sample{Err: errFewWaits}},
		{[]uint64{119, 1, 0}, Sample{Value: 2, Raw: 2, At: 2, From: FromRuntime}}, // 20 since the first
		{[]uint64{130, 1, 0}, Sample{Value: 2, Raw: 2, At: 2, From: FromRuntime}}, // the old one, and its age
		{[]uint64{300, 1, 0}, Sample{Value: 1, Raw: 1, At: 4, From: FromRuntime}},
		{[]uint64{0, 0, 0}, Sample{Err: errFirst}},
		{[]uint64{0, 0, 20}, Sample{Value: 2, Raw: 2, At: 6, From: FromRuntime}},
	} {
		if got := w.sample(patterns.Instant(i), step.counts, edges); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

func TestShareOfGarbageCollection(t *testing.T) {
	value := func(v float64, at patterns.Instant) Sample {
		return Sample{Value: min(v, 1), Raw: v, At: at, From: FromRuntime}
	}
	var g gcShare
	for i, step := range []struct {
		spent, total float64
		want         Sample
	}{
		{0, 0, Sample{Err: errNoGC}}, // before the first collection
		{0, 0, Sample{Err: errNoGC}},
		{1, 4, value(0.25, 2)},
		{1, 4, value(0.25, 2)}, // none since: not idle, but as it was, with its age
		{1, 8, value(0, 4)},
		{0.5, 10, value(0, 5)}, // an estimate
		{9.5, 13, value(3, 6)}, // another
		{1, 2, Sample{Err: errNoGC}},
		{2, 4, value(0.5, 8)},
	} {
		if got := g.sample(patterns.Instant(i), step.spent, step.total); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

func TestLimiter(t *testing.T) {
	var l limiter
	for i, step := range []struct {
		cycle float64
		want  Sample
	}{
		{5, Sample{Err: errFirst}},
		{5, Sample{At: 1, From: FromRuntime}},
		{7, Sample{Value: 1, Raw: 1, At: 2, From: FromRuntime}},
		{7, Sample{At: 3, From: FromRuntime}},
	} {
		if got := l.sample(patterns.Instant(i), step.cycle); got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, got, step.want)
		}
	}
}

func TestGoMemory(t *testing.T) {
	tests := []struct {
		name                                               string
		mapped, released, free, unused, objects, live, top float64
		want                                               Sample
	}{
		{"what is live, and all that is mapped", 1000, 100, 50, 50, 600, 200, 1000, Sample{Value: 0.4, Raw: 0.9, At: 1, From: FromRuntime}},
		{"more than the limit", 1000, 0, 0, 0, 900, 900, 500, Sample{Value: 1, Raw: 2, At: 1, From: FromRuntime}},
		{"live objects that were swept meanwhile", 1000, 100, 0, 0, 100, 200, 1000, Sample{Value: 0.9, Raw: 0.9, At: 1, From: FromRuntime}},
		{"no limit", 1000, 0, 0, 0, 9, 9, math.MaxInt64, Sample{Err: errNoMemLimit}},
		{"no collection yet", 1000, 0, 0, 0, 900, 0, 1000, Sample{Err: errNoGC}},
		{"a limit of nothing", 1000, 0, 0, 0, 9, 9, 0, Sample{Value: 1, Raw: 1, At: 1, From: FromRuntime}},
		{"more released than mapped", 10, 100, 0, 0, 9, 9, 100, Sample{At: 1, From: FromRuntime}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			of := [numMetrics]float64{
				mapped: tt.mapped, released: tt.released, free: tt.free, unused: tt.unused,
				objects: tt.objects, live: tt.live, memLimit: tt.top,
			}
			if got := goMemory(1, &of); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNumbersGoToTheirSignals(t *testing.T) {
	n := &numbers{latency: &metrics.Float64Histogram{Counts: []uint64{0, 0}, Buckets: []float64{0, 1, 2}}}
	n.of[memLimit], n.of[live] = 100, 1
	g := newGolang(All)
	var r Reading
	g.judge(1, n, &r)
	n.latency.Counts = []uint64{0, 50}
	n.of[gcTotal], n.of[gcIdle], n.of[cpuTotal] = 3, 2, 4
	n.of[limiterCycle] = 1
	n.of[mapped], n.of[released] = 60, 10
	g.judge(2, n, &r)
	for signal, want := range map[Signal]Sample{
		SchedLatency: {Value: 2, Raw: 2, At: 2, From: FromRuntime},
		GC:           {Value: 0.25, Raw: 0.25, At: 2, From: FromRuntime}, // what idle processors did costs nobody
		GCLimiter:    {Value: 1, Raw: 1, At: 2, From: FromRuntime},
		GoMemory:     {Value: 0.5, Raw: 0.5, At: 2, From: FromRuntime},
	} {
		if got := r.Of(signal); got != want {
			t.Errorf("%s: %+v, want %+v", signal, got, want)
		}
	}
}

// Each signal by itself finds its own metrics.
func TestEachSignalOfTheRuntimeAlone(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(8 << 30))
	runtime.GC()
	for one, want := range map[Signal]int{SchedLatency: 1, GC: 3, GCLimiter: 1, GoMemory: 7, CPU: 0} {
		g := newGolang(one)
		if len(g.samples) != want {
			t.Errorf("%s reads %d metrics", one, len(g.samples))
		}
		var r Reading
		g.read(1, &r)
		if g.numbers.missing != 0 {
			t.Errorf("%s: no metric", one)
		}
		if got := r.Of(one); one == GoMemory && (got.Err != nil || got.Value <= 0 || got.Raw >= 0.5) {
			t.Errorf("%s: %+v", one, got)
		}
	}
}

func TestWhatThisGoDoesNotMeasure(t *testing.T) {
	g := newGolang(All)
	g.samples[len(g.samples)-1] = metrics.Sample{Name: "/no/such:metric"}
	var r Reading
	g.read(1, &r)
	if got := r.Of(GoMemory); !errors.Is(got.Err, errNoMetric) {
		t.Errorf("%+v", got)
	}
	if got := r.Of(GCLimiter); !errors.Is(got.Err, errFirst) {
		t.Errorf("%+v", got)
	}
}

// All of these metrics there are, in the Go that this is built with.
func TestTheRuntimeMeasures(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // collections when we say so
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(8 << 30))
	s1, err := New(Options{Signals: SchedLatency | GC | GCLimiter | GoMemory})
	if err != nil {
		t.Fatal(err)
	}
	read(t, s1, 0)
	collect := func(now patterns.Instant) Sample {
		// The counters are of whole collections, and have their time from a clock that may
		// be coarse.
		for {
			garbage := make([][]byte, 1000)
			for i := range garbage {
				garbage[i] = make([]byte, 10_000)
			}
			runtime.GC()
			if got := read(t, s1, now).Of(GC); got.Err == nil && got.At == now && got.Value > 0 {
				return got
			}
		}
	}
	first := collect(1)
	var wg sync.WaitGroup
	for range 5000 { // some wait for a processor, however many there are
		wg.Go(runtime.Gosched)
	}
	wg.Wait()
	r := read(t, s1, 2)
	if got := r.Of(GC); got != first {
		t.Errorf("without a collection: %+v, want %+v", got, first)
	}
	if got := r.Of(SchedLatency); got.Err != nil || got.At != 2 || got.Value <= 0 || got.Value > 60 || got.From != FromRuntime {
		t.Errorf("scheduling latency: %+v", got)
	}
	if got := r.Of(GCLimiter); got != (Sample{At: 2, From: FromRuntime}) {
		t.Errorf("limiter: %+v", got)
	}
	idle := r.Of(GoMemory)
	if idle.Err != nil || idle.Value <= 0 || idle.Raw < idle.Value {
		t.Errorf("memory: %+v", idle)
	}
	const some = 64.0 * mb / (8 << 30)
	garbage := make([]byte, 64*mb)
	runtime.KeepAlive(garbage)
	if got := read(t, s1, 3).Of(GoMemory); got.Raw < got.Value+some || math.Abs(got.Value-idle.Value) > some/2 {
		t.Errorf("garbage: %+v after %+v", got, idle)
	}
	live := make([]byte, 64*mb)
	runtime.GC()
	if got := read(t, s1, 4).Of(GoMemory); got.Value < some {
		t.Errorf("live: %+v after %+v", got, idle)
	}
	runtime.KeepAlive(live)
	if debug.SetMemoryLimit(math.MaxInt64); !errors.Is(read(t, s1, 5).Of(GoMemory).Err, ErrUnavailable) {
		t.Error("no limit is not seen")
	}
}
