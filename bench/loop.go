package main

import (
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ownWork is how long each caller of the closed loop is busy with something else
// between two calls.
const ownWork = 500 * time.Nanosecond

// loop measures callers that have work of their own between calls, as real ones do.
// Every call is timed; the clock is read as part of the caller's own work.
type loop struct{ brief bool }

// lasts is how long a measurement takes.
func (l loop) lasts(s settings) time.Duration {
	if l.brief {
		return s.loop / 2
	}
	return s.loop
}

// longestTrackable is what longer waits are recorded as.
const longestTrackable = int64(time.Minute)

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longestTrackable, 3) }

// caller is one goroutine of the closed loop. Its fields are written once, at the end.
type caller struct {
	waits *hdrhistogram.Histogram
	calls int
	wrong int
	sink  uint64
}

func (l loop) measure(t *turn, s settings) error {
	lasts := l.lasts(s)
	callers := make([]*caller, t.goroutines)
	for i := range callers {
		callers[i] = &caller{waits: newHistogram()}
	}
	if _, err := calibrate(t.does, lasts/20); err != nil { // to warm up
		return err
	}
	runtime.GC()
	start := make(chan struct{})
	var began time.Time
	var ready, done sync.WaitGroup
	for i, c := range callers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			c.run(t.does[i], s.work, began, lasts)
		})
	}
	ready.Wait()
	heap := watchHeap()
	began = time.Now()
	close(start)
	done.Wait()
	var err error
	t.got, err = summary(callers, heap, lasts)
	return err
}

// run calls op and works by turns until the time is over. A call that ends later is
// timed, but not counted.
func (c *caller) run(op func() bool, w work, began time.Time, d time.Duration) {
	waits, calls, wrong, sink := c.waits, 0, 0, uint64(1)
	for {
		sink = w.do(sink)
		before := time.Since(began)
		ok := op()
		after := time.Since(began)
		_ = waits.RecordValue(min(int64(after-before), longestTrackable))
		if !ok {
			wrong++
		}
		if after >= d {
			break
		}
		calls++
	}
	c.calls, c.wrong, c.sink = calls, wrong, sink
}

func summary(callers []*caller, heap heapWatch, d time.Duration) (sample, error) {
	all := newHistogram()
	calls, wrong := make([]int, len(callers)), make([]int, len(callers))
	for i, c := range callers {
		all.Merge(c.waits)
		calls[i], wrong[i] = c.calls, c.wrong
	}
	total := max(1, sum(calls))
	got := sample{
		NsPerOp: float64(d) / float64(total), OpsPerS: float64(total) / d.Seconds(),
		P50: quantile(all, 50), P99: quantile(all, 99), P999: quantile(all, 99.9), P9999: quantile(all, 99.99),
		Max:         float64(all.Max()),
		FewestCalls: float64(slices.Min(calls)), MostCalls: float64(slices.Max(calls)),
	}
	got.AllocsPerOp, got.BytesPerOp = heap.per(total)
	return got, noneWrong(wrong)
}

func quantile(h *hdrhistogram.Histogram, q float64) float64 { return float64(h.ValueAtQuantile(q)) }

// work is what a caller does between calls: arithmetic, and no clock.
type work struct {
	steps int           // of arithmetic
	clock time.Duration // what timing a call takes, which is part of the work too
}

func (w work) do(x uint64) uint64 {
	for range w.steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// calibrateWork finds out how many steps, with the timing of a call, take as long as
// ownWork. The fastest of several trials is the one that nothing interrupted.
func calibrateWork() work {
	const trials, calls, steps = 50, 2000, 500
	c := caller{waits: newHistogram()}
	began, sink := time.Now(), uint64(1)
	clock, arithmetic := time.Hour, time.Hour
	for range trials {
		t := time.Now()
		for range calls {
			before := time.Since(began)
			after := time.Since(began)
			_ = c.waits.RecordValue(int64(after - before))
		}
		clock = min(clock, time.Since(t)/calls)
		t = time.Now()
		for range calls {
			sink = work{steps: steps}.do(sink)
		}
		arithmetic = min(arithmetic, time.Since(t)/calls)
	}
	runtime.KeepAlive(sink)
	left := max(0, ownWork-clock)
	return work{steps: int(left * steps / max(1, arithmetic)), clock: clock}
}
