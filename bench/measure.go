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
	type key struct {
		c, subject string
		goroutines int
	}
	samples := make(map[key][]sample)
	plans := make(map[key]*plan)
	for round := range s.rounds {
		for _, c := range cases {
			for _, g := range c.goroutines {
				_, _ = fmt.Fprintf(progress, "round %d of %d: %s, %d\n", round+1, s.rounds, c.name, g)
				for i := range c.subjects {
					sub := c.subjects[(i+round)%len(c.subjects)]
					k := key{c.name, sub.name, g}
					if plans[k] == nil {
						plans[k] = new(plan)
					}
					got, err := once(c, sub, g, s, plans[k])
					if err != nil {
						return nil, fmt.Errorf("%s, %s, %d goroutines: %w", c.name, sub.name, g, err)
					}
					samples[k] = append(samples[k], got)
				}
			}
		}
	}
	var rows results
	for _, c := range cases {
		for _, g := range c.goroutines {
			for _, sub := range c.subjects {
				rows = append(rows, newRow(c.name, sub.name, g, samples[key{c.name, sub.name, g}]))
			}
		}
	}
	return rows, nil
}

func once(c benchCase, sub subject, goroutines int, s settings, p *plan) (sample, error) {
	in, err := sub.start(s)
	if err != nil {
		return sample{}, err
	}
	defer in.stop()
	return c.how.measure(in, goroutines, s, p)
}

var errWrong = errors.New("calls did not end as they should")

// tight measures calls back to back. It shows what a call costs, and flatters whoever
// parks all callers but one; the closed loop does not.
type tight struct{}

func (tight) measure(in *instance, goroutines int, s settings, p *plan) (sample, error) {
	if p.ops == 0 {
		ops, err := calibrate(in, goroutines, s.tight)
		if err != nil {
			return sample{}, err
		}
		p.ops = ops
	} else if _, err := burst(in, goroutines, max(p.ops/20, goroutines)); err != nil { // warm up
		return sample{}, err
	}
	runtime.GC()
	return burst(in, goroutines, p.ops)
}

// calibrate returns how many operations take about as long as target.
func calibrate(in *instance, goroutines int, target time.Duration) (int, error) {
	ops := goroutines
	for {
		got, err := burst(in, goroutines, ops)
		if err != nil {
			return 0, err
		}
		wanted := int(float64(target) / got.NsPerOp)
		if ops*4 >= wanted {
			return max(wanted, goroutines), nil
		}
		ops = min(wanted, ops*20)
	}
}

// burst runs ops operations, an equal share in each goroutine, and times the whole.
func burst(in *instance, goroutines, ops int) (sample, error) {
	share := max(1, ops/goroutines)
	wrong := make([]int, goroutines)
	does := in.ops(goroutines)
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	for g := range goroutines {
		ready.Add(1)
		done.Go(func() {
			op := does[g]
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
	got.AllocsPerOp, got.BytesPerOp = heap.per(share * goroutines)
	got.NsPerOp = float64(elapsed) / float64(share*goroutines)
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

func (r retained) measure(in *instance, _ int, s settings, _ *plan) (sample, error) {
	n, op := s.retained, in.ops(1)[0]
	if r.keys {
		n = s.keys
	}
	before := settledHeap()
	heap := watchHeap()
	began := time.Now()
	for range n {
		if !op() {
			return sample{}, fmt.Errorf("1 %w", errWrong)
		}
	}
	elapsed := time.Since(began)
	got := sample{NsPerOp: float64(elapsed) / float64(n)}
	got.AllocsPerOp, got.BytesPerOp = heap.per(n)
	got.OpsPerS = 1e9 / got.NsPerOp
	got.RetainedBytes = max(0, (settledHeap()-before)/float64(n))
	runtime.KeepAlive(in)
	return got, nil
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
