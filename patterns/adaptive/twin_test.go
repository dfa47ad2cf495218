package adaptive

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// trace is what an open service of some size might report, in the order of the ends.
func trace(t *rapid.T) []Sample {
	n := rapid.IntRange(1, 600).Draw(t, "samples")
	service := time.Duration(rapid.Int64Range(1000, int64(time.Second)).Draw(t, "service"))
	workers := rapid.IntRange(1, 50).Draw(t, "workers")
	now := patterns.Instant(0)
	all := make([]Sample, n)
	for i := range all {
		in := rapid.IntRange(1, 4*workers).Draw(t, "in flight")
		rtt := service * time.Duration(max(1, in/workers)) * time.Duration(rapid.IntRange(1, 40).Draw(t, "luck")) / 16
		now += patterns.Instant(rtt / time.Duration(in))
		all[i] = Sample{
			Now: now, RTT: rtt, InFlight: in, Left: rapid.IntRange(0, 4*workers).Draw(t, "left"),
			Full: rapid.Bool().Draw(t, "full"), Dropped: rapid.IntRange(0, 20).Draw(t, "luck") == 0,
		}
	}
	return all
}

// A limit has no scale of its own: what is a thousand times slower is treated alike.
func TestLimitsDoNotDependOnTheUnitOfTime(t *testing.T) {
	for _, a := range []Algorithm{Knee{}, Vegas{}, Gradient{}, Gradient2{Window: PerSample}} {
		t.Run(a.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				b := Bounds{Initial: 20, Min: 1, Max: 1000}
				one, other := a.New(b), a.New(b)
				for i, s := range trace(t) {
					x := one.Observe(s)
					s.Now, s.RTT = s.Now*64, s.RTT*64
					if y := other.Observe(s); x != y || one.Estimate() != other.Estimate() {
						t.Fatalf("sample %d: limit %d, and %d at another scale", i, x, y)
					}
				}
			})
		})
	}
}

// slowWindow is a window that keeps its samples and counts when asked.
type slowWindow struct {
	start   patterns.Instant
	left    int
	samples []Sample
}

func (w *slowWindow) compare(t *rapid.T, got *window, limit, base, size float64) {
	var rtts, fresh []float64
	area, deficit := 0.0, 0.0
	last, left := w.start, w.left
	full, drops := 0, 0
	for _, s := range w.samples {
		area += float64(s.Now-last) * float64(left+s.Left+1) / 2
		last, left = s.Now, s.Left
		if s.Dropped {
			drops++
		}
		if s.Dropped && float64(s.RTT) < base/2 {
			continue
		}
		rtts = append(rtts, float64(s.RTT))
		if float64(s.InFlight) <= math.Floor(limit) {
			fresh = append(fresh, float64(s.RTT))
		}
		if s.Full {
			full++
		}
		deficit += min(1, max(0, (size-float64(s.Left))/size))
	}
	span := float64(last - w.start)
	for _, x := range []struct {
		what      string
		got, want float64
	}{
		{"calls", float64(got.n), float64(len(rtts))},
		{"span", got.span(), span},
		{"area", got.area, area},
		{"deficit", got.deficit, deficit},
		{"full", float64(got.hits), float64(full)},
		{"drops", float64(got.drops), float64(drops)},
		{"fresh", got.freshSum, sum(fresh)},
		{"latencies", got.sum, sum(rtts)},
	} {
		if math.Abs(x.got-x.want) > 1e-9*math.Abs(x.want) {
			t.Fatalf("%s: %v, want %v", x.what, x.got, x.want)
		}
	}
}

func sum(all []float64) (s float64) {
	for _, x := range all {
		s += x
	}
	return s
}

func TestWindowsCountAsAListDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(1, 100).Draw(t, "limit")
		base := rapid.Float64Range(1, 1e9).Draw(t, "base")
		size := rapid.Float64Range(0.5, 100).Draw(t, "size")
		var w window
		slow := slowWindow{start: 0, left: 3}
		w.begin(0, 3)
		for _, s := range trace(t) {
			w.add(&s, limit, base, size)
			slow.samples = append(slow.samples, s)
		}
		slow.compare(t, &w, limit, base, size)
	})
}

// What nearly all calls are is decided in a hurry: no otherwise than the rest, of which a
// Deadline makes it that never comes.
func TestHurryChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := algorithms()[rapid.IntRange(0, len(algorithms())-1).Draw(t, "algorithm")]
		cfg := Config{Algorithm: a, Initial: 4, Min: 1, Max: 50, Fair: rapid.Bool().Draw(t, "fair"), MaxTenants: 3}
		quick, slow := &host{m: NewMachine(Params{Config: cfg})}, &host{m: NewMachine(Params{Config: cfg})}
		for step := range rapid.IntRange(1, 300).Draw(t, "steps") {
			pause := patterns.Instant(rapid.Int64Range(0, int64(5*ms)).Draw(t, "pause"))
			quick.now, slow.now = quick.now+pause, slow.now+pause
			if len(quick.out) > 0 && rapid.IntRange(0, 2).Draw(t, "end one") > 0 {
				i := rapid.IntRange(0, len(quick.out)-1).Draw(t, "which")
				o, took := patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")), time.Duration(rapid.Int64Range(0, int64(10*ms)).Draw(t, "elapsed"))
				quick.report(i, o, took)
				slow.report(i, o, took)
			} else {
				r := patterns.Request{Key: string(rune('a' + rapid.IntRange(0, 4).Draw(t, "key"))), Priority: patterns.Priority(rapid.IntRange(-2, 2).Draw(t, "priority"))}
				got := quick.acquire(r)
				r.Deadline = patterns.Never
				if want := slow.acquire(r); got.Verdict != want.Verdict || cause(got) != cause(want) {
					t.Fatalf("step %d: %+v, want %+v", step, got, want)
				}
			}
			if q, s := quick.m, slow.m; q.limit != s.limit || q.inFlight != s.inFlight || q.cutoff != s.cutoff || !slices.Equal(q.slots, s.slots) {
				t.Fatalf("step %d: %+v %+v, want %+v %+v", step, q.cutoff, q.slots, s.cutoff, s.slots)
			}
			if err := quick.m.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A Machine counts permits as a map would, and never grants above its limit.
func TestMachineCountsAsAMapDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := algorithms()[rapid.IntRange(0, len(algorithms())-1).Draw(t, "algorithm")]
		cfg := Config{Algorithm: a, Initial: 5, Min: 1, Max: 50, Fair: rapid.Bool().Draw(t, "fair"), MaxTenants: 3}
		h := &host{m: NewMachine(Params{Name: "m", Config: cfg})}
		weights := make(map[uint64]int)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			h.now += patterns.Instant(rapid.Int64Range(0, int64(50*ms)).Draw(t, "pause"))
			if len(h.out) > 0 && rapid.Bool().Draw(t, "end one") {
				i := rapid.IntRange(0, len(h.out)-1).Draw(t, "which")
				delete(weights, h.out[i].ID)
				h.report(i, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")), time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "elapsed")))
			} else {
				r := patterns.Request{
					Key: string(rune('a' + rapid.IntRange(0, 6).Draw(t, "key"))), Weight: rapid.IntRange(0, 3).Draw(t, "weight"),
					Priority: patterns.Priority(rapid.IntRange(-2, 2).Draw(t, "priority")),
				}
				before := h.m.inFlight
				if d := h.acquire(r); d.Verdict == patterns.Grant {
					weights[h.out[len(h.out)-1].ID] = max(1, r.Weight)
					if bound := max(h.m.limit, h.m.room(int(r.Priority+2), true)); before > 0 && h.m.inFlight > bound {
						t.Fatalf("%d in flight above %d", h.m.inFlight, bound)
					}
				}
			}
			want := 0
			for _, w := range weights {
				want += w
			}
			if err := h.m.Check(); err != nil || h.m.inFlight != want {
				t.Fatalf("%d in flight, want %d: %v", h.m.inFlight, want, err)
			}
		}
	})
}
