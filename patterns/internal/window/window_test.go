package window

import (
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// result is what the slow twins keep a list of.
type result struct {
	at           patterns.Instant
	failed, slow bool
}

func count(list []result) (c Counts) {
	for _, r := range list {
		c.add(of(1, r.failed, r.slow))
	}
	return c
}

func last(list []result, n int) []result { return list[max(0, len(list)-n):] }

func drawResult(t *rapid.T) result {
	return result{failed: rapid.Bool().Draw(t, "failed"), slow: rapid.Bool().Draw(t, "slow")}
}

func TestRingCountsTheLastOfAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 70).Draw(t, "size")
		ring, twin := NewRing(size), []result(nil)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				r := drawResult(t)
				ring.Add(r.failed, r.slow)
				twin = append(twin, r)
			},
			"add many": func(t *rapid.T) {
				r, n := drawResult(t), rapid.IntRange(-1, 150).Draw(t, "n")
				ring.AddN(n, r.failed, r.slow)
				for range n {
					twin = append(twin, r)
				}
			},
			"reset": func(t *rapid.T) {
				ring.Reset()
				twin = nil
			},
			"resize": func(t *rapid.T) {
				twin = last(twin, size)
				size = rapid.IntRange(1, 70).Draw(t, "size")
				ring = ring.Resized(size)
				twin = last(twin, size)
			},
			"": func(t *rapid.T) {
				if got, want := ring.Counts(), count(last(twin, size)); got != want {
					t.Fatalf("ring of %d counts %+v, list %+v", size, got, want)
				}
				if err := ring.Check(); err != nil {
					t.Fatal(err)
				}
				if ring.Size() != size {
					t.Fatalf("size %d, want %d", ring.Size(), size)
				}
			},
		})
	})
}

// inWindow is the rule, once per result: its bucket is one of the m newest.
func inWindow(list []result, now patterns.Instant, width int64, m int) (in []result) {
	bucket := func(at patterns.Instant) int64 { return int64(math.Floor(float64(at) / float64(width))) }
	for _, r := range list {
		if bucket(r.at) > bucket(now)-int64(m) {
			in = append(in, r)
		}
	}
	return in
}

func TestBucketsCountTheNewestOfAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(1, 8).Draw(t, "buckets")
		width := rapid.Int64Range(1, 20).Draw(t, "width")
		b, twin := NewBuckets(time.Duration(width*int64(m)), m), []result(nil)
		now := patterns.Instant(rapid.Int64Range(-100, 100).Draw(t, "start"))
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				r, n := drawResult(t), rapid.IntRange(-1, 3).Draw(t, "n")
				b.Add(now, n, r.failed, r.slow)
				r.at = now
				for range n {
					twin = append(twin, r)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, 200).Draw(t, "wait")))
			},
			"reset": func(t *rapid.T) {
				b.Reset()
				twin = nil
			},
			"": func(t *rapid.T) {
				if got, want := b.Counts(now), count(inWindow(twin, now, width, m)); got != want {
					t.Fatalf("at %d, %d buckets of %d count %+v, list %+v", now, m, width, got, want)
				}
				if err := b.Check(); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func TestResizedBucketsHoldResultsAsIfLastInTheirOldBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, m2 := rapid.IntRange(1, 8).Draw(t, "buckets"), rapid.IntRange(1, 8).Draw(t, "new buckets")
		width, width2 := rapid.Int64Range(1, 20).Draw(t, "width"), rapid.Int64Range(1, 20).Draw(t, "new width")
		b, twin := NewBuckets(time.Duration(width*int64(m)), m), []result(nil)
		now := patterns.Instant(rapid.Int64Range(-50, 50).Draw(t, "start"))
		for range rapid.IntRange(0, 20).Draw(t, "results") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 10).Draw(t, "wait")))
			r := drawResult(t)
			b.Add(now, 1, r.failed, r.slow)
			r.at = now
			twin = append(twin, r)
		}
		twin = inWindow(twin, now, width, m)
		for i := range twin {
			end := floorDiv(int64(twin[i].at), width)*width + width - 1
			twin[i].at = min(patterns.Instant(end), now)
		}
		b = b.Resized(now, time.Duration(width2*int64(m2)), m2)
		for range 10 {
			if got, want := b.Counts(now), count(inWindow(twin, now, width2, m2)); got != want {
				t.Fatalf("at %d: %+v, want %+v", now, got, want)
			}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, 40).Draw(t, "wait")))
		}
	})
}

func TestAResultLeavesItsWindowExactlyMBucketsLater(t *testing.T) {
	b := NewBuckets(10*time.Second, 10)
	b.Add(patterns.Instant(1500*time.Millisecond), 1, true, false)
	at := patterns.Instant(11 * time.Second)
	if c := b.Counts(at - 1); c != (Counts{Calls: 1, Failures: 1}) {
		t.Errorf("just before: %+v", c)
	}
	if c := b.Counts(at); c != (Counts{}) {
		t.Errorf("then: %+v", c)
	}
}

func TestBucketsIgnoreAClockThatStepsBack(t *testing.T) {
	b := NewBuckets(100, 10)
	b.Add(55, 1, true, false)
	b.Add(1, 1, false, false)
	if c := b.Counts(0); c != (Counts{Calls: 2, Failures: 1}) {
		t.Errorf("%+v", c)
	}
	if c := b.Counts(150); c != (Counts{}) { // both were counted at 55
		t.Errorf("%+v", c)
	}
}

func TestBucketsSurviveTheEndsOfTime(t *testing.T) {
	b := NewBuckets(10, 10)
	b.Add(math.MinInt64, 1, true, true)
	if c := b.Counts(patterns.Never); c != (Counts{}) {
		t.Errorf("after all of time: %+v", c)
	}
	b.Add(patterns.Never, 1, false, false)
	if c := b.Counts(patterns.Never); c != (Counts{Calls: 1}) {
		t.Errorf("at the end: %+v", c)
	}
}

func TestABucketIsRoundedUpToWholeNanoseconds(t *testing.T) {
	b := NewBuckets(25, 10)
	b.Add(0, 1, false, false)
	if b.Counts(29).Calls != 1 || b.Counts(30).Calls != 0 {
		t.Error("25 ns in 10 parts are not 10 times 3 ns")
	}
}

func TestCheckFindsCountsThatAreNotThose(t *testing.T) {
	breaks := map[string]func(*Ring, *Buckets){
		"failures":      func(r *Ring, b *Buckets) { r.total.Failures++; b.total.Failures++ },
		"slow":          func(r *Ring, b *Buckets) { r.total.Slow++; b.total.Slow-- },
		"calls":         func(r *Ring, b *Buckets) { r.total.Calls = 5; b.total.Calls++ },
		"fewer calls":   func(r *Ring, b *Buckets) { r.total.Calls = 0; b.cells[0].Calls--; b.total.Calls-- },
		"a cell":        func(r *Ring, b *Buckets) { r.words[0] ^= 1; b.cells[0].Calls++ },
		"no cells":      func(r *Ring, b *Buckets) { r.words, b.cells = nil, nil },
		"shape":         func(r *Ring, b *Buckets) { r.next, b.width = 4, 0 },
		"negative next": func(r *Ring, b *Buckets) { r.next, b.width = -1, -1 },
		"size":          func(r *Ring, b *Buckets) { r.size, b.width = 0, 0 },
	}
	for name, broken := range breaks {
		t.Run(name, func(t *testing.T) {
			r, b := NewRing(4), NewBuckets(4, 4)
			r.Add(true, true)
			b.Add(0, 1, true, true)
			if r.Check() != nil || b.Check() != nil {
				t.Fatal("sound ones are found broken")
			}
			broken(&r, &b)
			if r.Check() == nil {
				t.Error("ring: not found")
			}
			if b.Check() == nil {
				t.Error("buckets: not found")
			}
		})
	}
}

func TestAddingDoesNotAllocate(t *testing.T) {
	r, b := NewRing(100), NewBuckets(time.Second, 10)
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(30 * time.Millisecond)
		r.Add(true, false)
		r.AddN(1000, false, true)
		r.Reset()
		b.Add(now, 1000, true, false)
		b.Counts(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRingAdd(b *testing.B) {
	r := NewRing(100)
	for b.Loop() {
		r.Add(false, false)
	}
}

func BenchmarkBucketsAdd(b *testing.B) {
	w := NewBuckets(time.Second, 10)
	for b.Loop() {
		w.Add(1, 1, false, false)
	}
}
