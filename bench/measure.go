package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"
)

// settings are how long and how often to measure.
type settings struct {
	rounds   int
	tight    time.Duration // a measurement of the tight method
	loop     time.Duration // a measurement of the closed loop
	retained int           // how many to keep to see what one weighs
	keys     int           // in a keyed subject
	work     work          // of each caller in the closed loop
}

func thorough() settings {
	return settings{rounds: 5, tight: 250 * time.Millisecond, loop: 2 * time.Second, retained: 10_000, keys: 1_000_000}
}

func short() settings {
	return settings{rounds: 1, tight: 2 * time.Millisecond, loop: 10 * time.Millisecond, retained: 200, keys: 1000}
}

// measure runs all cases. The rounds are the outermost loop and the subjects the
// innermost one, and each round starts with the next subject, so that whatever
// changes in the machine meanwhile meets all of them.
func measure(cases []benchCase, s settings, progress io.Writer) (results, error) {
	samples := make(map[point][]sample)
	plans := make(map[point]*plan)
	for round := range s.rounds {
		for _, c := range cases {
			for _, g := range c.goroutines {
				_, _ = fmt.Fprintf(progress, "round %d of %d: %s, %d\n", round+1, s.rounds, c.name, g)
				turns := make([]*turn, len(c.subjects))
				for i := range turns {
					t := &turn{subject: c.subjects[(i+round)%len(c.subjects)], goroutines: g}
					at := point{c.name, t.name, g}
					if plans[at] == nil {
						plans[at] = new(plan)
					}
					t.plan, turns[i] = plans[at], t
				}
				if err := take(c.how, turns, s); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				for _, t := range turns {
					at := point{c.name, t.name, g}
					samples[at] = append(samples[at], t.got)
				}
			}
		}
	}
	var rows results
	for _, c := range cases {
		for _, g := range c.goroutines {
			for _, sub := range c.subjects {
				rows = append(rows, newRow(c.name, sub.name, g, samples[point{c.name, sub.name, g}]))
			}
		}
	}
	return rows, nil
}

// turn is one subject to be measured, and what came of it.
type turn struct {
	subject
	goroutines int
	plan       *plan // of the rounds before
	got        sample
	in         *instance
	does       []func() bool // each goroutine
}

func (t *turn) begin(s settings) (err error) {
	if t.in, err = t.start(s); err == nil {
		t.does = t.in.ops(t.goroutines)
	}
	return t.named(err)
}

func (t *turn) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s, %d goroutines: %w", t.name, t.goroutines, err)
}

// take measures one subject after the other, unless the method has all of them at once.
func take(how method, turns []*turn, s settings) error {
	if all, ok := how.(abreast); ok && all.together() {
		return takeAbreast(all, turns, s)
	}
	for _, t := range turns {
		if err := t.begin(s); err != nil {
			return err
		}
		err := how.measure(t, s)
		t.in.stop()
		if err != nil {
			return t.named(err)
		}
	}
	return nil
}

// abreast is a method that measures a little of one subject and then of the next, again and
// again: the machine changes from one second to the next, and less within some milliseconds.
type abreast interface {
	together() bool
	measureAll(turns []*turn, s settings) error
}

func takeAbreast(how abreast, turns []*turn, s settings) error {
	for i, t := range turns {
		if err := t.begin(s); err != nil {
			return err
		}
		defer turns[i].in.stop()
	}
	return how.measureAll(turns, s)
}

var errWrong = errors.New("calls did not end as they should")

// tight measures calls back to back. It shows what a call costs, and flatters whoever
// parks all callers but one; the closed loop does not.
type tight struct {
	// apart has one subject at a time, for those who fill the caches.
	apart bool
}

// slicesOfTight is in how many turns a measurement is made, if nobody needs longer for one.
const slicesOfTight = 5

func (t tight) together() bool { return !t.apart }

func (t tight) measure(of *turn, s settings) error { return t.measureAll([]*turn{of}, s) }

func (tight) measureAll(turns []*turn, s settings) error {
	for _, t := range turns {
		if err := t.warmUp(s); err != nil {
			return t.named(err)
		}
	}
	runtime.GC()
	for i := range slicesOfTight {
		for j := range turns {
			t := turns[(i+j)%len(turns)]
			if err := t.slice(i); err != nil {
				return t.named(err)
			}
		}
	}
	return nil
}

// warmUp finds out how much to do in the first round, and does some in the others.
func (t *turn) warmUp(s settings) (err error) {
	if t.plan.ops == 0 {
		t.plan.ops, err = calibrate(t.does, s.tight)
		return err
	}
	_, err = burst(t.does, max(t.plan.ops/20, t.goroutines))
	return err
}

// slice adds the i-th part to what was measured. If there is too little to do for so many
// parts, some are none.
func (t *turn) slice(i int) error {
	parts := min(slicesOfTight, max(1, t.plan.ops/(8*t.goroutines)))
	if i >= parts {
		return nil
	}
	got, err := burst(t.does, t.plan.ops/parts)
	share := 1 / float64(parts)
	t.got.NsPerOp += share * got.NsPerOp
	t.got.AllocsPerOp += share * got.AllocsPerOp
	t.got.BytesPerOp += share * got.BytesPerOp
	t.got.OpsPerS = 1e9 / t.got.NsPerOp
	return err
}

// calibrate returns how many operations take about as long as target.
func calibrate(does []func() bool, target time.Duration) (int, error) {
	ops := len(does)
	for {
		got, err := burst(does, ops)
		if err != nil {
			return 0, err
		}
		wanted := int(float64(target) / got.NsPerOp)
		if ops*4 >= wanted {
			return max(wanted, len(does)), nil
		}
		ops = min(wanted, ops*20)
	}
}

// burst runs ops operations, an equal share in each goroutine, and times the whole.
func burst(does []func() bool, ops int) (sample, error) {
	share := max(1, ops/len(does))
	wrong := make([]int, len(does))
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for g, op := range does {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			bad := 0
			for range share {
				if !op() {
					bad++
				}
			}
			wrong[g] = bad
		})
	}
	ready.Wait()
	var got sample
	heap := watchHeap()
	began := time.Now()
	close(start)
	done.Wait()
	elapsed := time.Since(began)
	calls := share * len(does)
	got.AllocsPerOp, got.BytesPerOp = heap.per(calls)
	got.NsPerOp = float64(elapsed) / float64(calls)
	got.OpsPerS = 1e9 / got.NsPerOp
	return got, noneWrong(wrong)
}

func noneWrong(wrong []int) error {
	if n := sum(wrong); n > 0 {
		return fmt.Errorf("%d %w", n, errWrong)
	}
	return nil
}

// retained measures what one idle subject, or one key of it, keeps on the heap: op makes
// one, and the instance holds on to it.
type retained struct{ keys bool }

func (r retained) measure(t *turn, s settings) error {
	n, op := s.retained, t.does[0]
	if r.keys {
		n = s.keys
	}
	before := settledHeap()
	heap := watchHeap()
	began := time.Now()
	for range n {
		if !op() {
			return fmt.Errorf("1 %w", errWrong)
		}
	}
	elapsed := time.Since(began)
	got := &t.got
	got.NsPerOp = float64(elapsed) / float64(n)
	got.AllocsPerOp, got.BytesPerOp = heap.per(n)
	got.OpsPerS = 1e9 / got.NsPerOp
	got.RetainedBytes = max(0, (settledHeap()-before)/float64(n))
	runtime.KeepAlive(t.in)
	return nil
}

// settledHeap returns the bytes in use after what can be collected was: sync.Pools
// are empty after two collections only.
func settledHeap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// heapWatch counts allocations.
type heapWatch struct{ mallocs, bytes uint64 }

func watchHeap() heapWatch {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return heapWatch{m.Mallocs, m.TotalAlloc}
}

// per returns the allocations and bytes since watchHeap, per operation.
func (w heapWatch) per(ops int) (allocs, bytes float64) {
	now := watchHeap()
	return float64(now.mallocs-w.mallocs) / float64(ops), float64(now.bytes-w.bytes) / float64(ops)
}

func sum[T cmp.Ordered](values []T) (total T) {
	for v := range slices.Values(values) {
		total += v
	}
	return total
}
