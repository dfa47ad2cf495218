package ewma

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestAverageFollowsTheVectors(t *testing.T) {
	files, _ := filepath.Glob("testdata/ewma_*.json")
	if len(files) != 2 {
		t.Fatalf("%d vectors", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var v struct {
				Params struct {
					Tau time.Duration `json:"tau_ns"`
				}
				Steps []struct {
					T      patterns.Instant `json:"t_ns"`
					Op     string
					Args   struct{ X float64 }
					Expect map[string]float64
				}
			}
			text, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(text, &v)
			}
			if err != nil || len(v.Steps) != 150 {
				t.Fatalf("%d steps, error %v", len(v.Steps), err)
			}
			a := New(v.Params.Tau)
			for i, step := range v.Steps {
				a.Add(step.T, step.Args.X)
				got, ok := a.Value()
				want, expected := step.Expect["value"]
				if step.Op != "sample" || len(step.Expect) != 1 || !expected {
					t.Fatalf("step %d is not understood: %+v", i, step)
				}
				if !ok || math.Abs(got-want) > 1e-9*math.Abs(want) {
					t.Fatalf("step %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}

// sample is one step of a history.
type sample struct {
	at patterns.Instant
	x  float64
}

// twin weighs every sample of the history anew: what held from one sample to the next
// counts as much as the exponential's area over that time, seen from the end.
func twin(tau time.Duration, history []sample) float64 {
	end := history[len(history)-1].at
	tail := func(at patterns.Instant) float64 { // the area before at
		return math.Exp(-float64(end-at) / float64(tau))
	}
	sum := history[0].x * tail(history[0].at)
	for i := 1; i < len(history); i++ {
		sum += history[i].x * (tail(history[i].at) - tail(history[i-1].at))
	}
	return sum
}

func TestAverageAgreesWithTheWholeHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tau := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "tau"))
		a := New(tau)
		var history []sample
		now := patterns.Instant(rapid.Int64Range(-1e9, 1e9).Draw(t, "start"))
		low, high := math.Inf(1), math.Inf(-1)
		for range rapid.IntRange(1, 40).Draw(t, "samples") {
			x := rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
			now += patterns.Instant(rapid.OneOf(
				rapid.Int64Range(-2, 3), rapid.Int64Range(0, int64(time.Second)), rapid.Int64Range(0, int64(time.Hour)),
			).Draw(t, "step"))
			counts := len(history) == 0 || now > history[len(history)-1].at
			if a.Add(now, x) != counts {
				t.Fatalf("sample of %d counted: %v", now, !counts)
			}
			if counts {
				history = append(history, sample{now, x})
				low, high = min(low, x), max(high, x)
			}
			got, ok := a.Value()
			if !ok || got < low || got > high {
				t.Fatalf("%v is not within [%v, %v]", got, low, high)
			}
			if a.At() != history[len(history)-1].at {
				t.Fatalf("as of %d", a.At())
			}
			if want := twin(tau, history); math.Abs(got-want) > 1e-9*max(math.Abs(low), math.Abs(high)) {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	})
}

func TestAverage(t *testing.T) {
	const s = patterns.Instant(time.Second)
	tests := []struct {
		name    string
		tau     time.Duration
		samples []sample
		want    float64
		near    float64 // how near, relative
	}{
		{"the first sample is the average", time.Second, []sample{{7, 3}}, 3, 0},
		{"the first sample may come before the clock's origin", time.Second, []sample{{-7, 3}}, 3, 0},
		{"after tau a step has gone 63 % of its way", time.Second, []sample{{0, 0}, {s, 1}}, 1 - 1/math.E, 1e-15},
		{"after tau·ln 2 it is half-way", 1e9, []sample{{0, 0}, {693147181, 1}}, 0.5, 1e-9},
		{"0.95 each 250 ms", time.Duration(-250e6 / math.Log(0.95)), []sample{{0, 0}, {s / 4, 1}}, 0.05, 1e-8},
		{"a long gap forgets", time.Second, []sample{{0, 5}, {1000 * s, 7}}, 7, 0},
		{"the longest gap there is", 1, []sample{{math.MinInt64, 5}, {math.MaxInt64, 7}}, 7, 0},
		{"a sample of the same time does not count", time.Second, []sample{{1, 5}, {1, 7}}, 5, 0},
		{"a sample of an earlier time does not count", time.Second, []sample{{1, 5}, {0, 7}}, 5, 0},
		{"nor moves the time", time.Second, []sample{{s, 0}, {0, 9}, {2 * s, 1}}, 1 - 1/math.E, 1e-15},
		{"without tau the last sample is the average", 0, []sample{{0, 5}, {1, 7}}, 7, 0},
		{"nor with a negative one", -1, []sample{{0, 5}, {1, 7}}, 7, 0},
		{"NaN and the infinities do not count", time.Second, []sample{{0, 5}, {s, math.NaN()}, {s, math.Inf(1)}, {s, math.Inf(-1)}}, 5, 0},
		{"nor as the first", time.Second, []sample{{0, math.NaN()}, {1, 5}}, 5, 0},
		{"the largest numbers do not overflow", time.Second, []sample{{0, math.MaxFloat64}, {s, -math.MaxFloat64}}, math.MaxFloat64 * (2/math.E - 1), 1e-15},
		{"a constant stays what it is, to the last bit", time.Second, []sample{{0, 0.4}, {23 * s / 10, 0.4}}, 0.4, 0},
		{"a tiny step counts for what it is", time.Hour, []sample{{0, 0}, {1, 1}}, 1 / 3.6e12, 1e-12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := New(tt.tau)
			for _, s := range tt.samples {
				a.Add(s.at, s.x)
			}
			got, ok := a.Value()
			if !ok || !(math.Abs(got-tt.want) <= tt.near*math.Abs(tt.want)) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			a.Reset()
			if _, ok := a.Value(); ok || a.At() != 0 || a != New(tt.tau) {
				t.Errorf("it remembers %+v", a)
			}
		})
	}
	var none Average
	if _, ok := none.Value(); ok {
		t.Error("nothing has an average")
	}
}

func TestSplittingAnIntervalChangesNothing(t *testing.T) {
	whole, split := New(time.Second), New(time.Second)
	whole.Add(0, 10)
	split.Add(0, 10)
	for at := patterns.Instant(1e7); at <= 1e9; at += 1e7 {
		split.Add(at, 20)
	}
	whole.Add(1e9, 20)
	a, _ := whole.Value()
	b, _ := split.Value()
	if math.Abs(a-b) > 1e-12*a {
		t.Errorf("%v at once, %v in parts", a, b)
	}
}

// Whatever is added, the average is a number within what was added.
func FuzzAverage(f *testing.F) {
	f.Add(int64(1e9), int64(0), 1.0, int64(5), 2.0, int64(6), math.NaN())
	f.Add(int64(1), int64(math.MinInt64), math.MaxFloat64, int64(0), -math.MaxFloat64, int64(math.MaxInt64), math.Inf(1))
	f.Add(int64(-1), int64(0), math.SmallestNonzeroFloat64, int64(1), 0.0, int64(1), 0.0)
	f.Fuzz(func(t *testing.T, tau, t1 int64, x1 float64, t2 int64, x2 float64, t3 int64, x3 float64) {
		a := New(time.Duration(tau))
		low, high := math.Inf(1), math.Inf(-1)
		for _, s := range []sample{{patterns.Instant(t1), x1}, {patterns.Instant(t2), x2}, {patterns.Instant(t3), x3}} {
			if a.Add(s.at, s.x) {
				low, high = min(low, s.x), max(high, s.x)
			}
			got, ok := a.Value()
			if ok != (low <= high) || ok && !(got >= low && got <= high) {
				t.Fatalf("%v, %v of [%v, %v]", got, ok, low, high)
			}
		}
		// Left alone with a constant, it comes to it.
		if v, ok := a.Value(); ok && tau > 0 && tau < 1e15 && a.At() < 1e18 {
			a.Add(a.At().Add(time.Duration(1000*tau)), v/2)
			if got, _ := a.Value(); got != v/2 {
				t.Fatalf("%v after a thousand tau, want %v", got, v/2)
			}
		}
	})
}

func TestAddDoesNotAllocate(t *testing.T) {
	a := New(time.Second)
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(100, func() { now += 1e6; a.Add(now, 0.5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	a := New(time.Second)
	now := patterns.Instant(0)
	for b.Loop() {
		now += 1e6
		a.Add(now, 0.5)
	}
}
