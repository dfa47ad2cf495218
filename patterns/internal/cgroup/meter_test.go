package cgroup

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

type reading struct {
	at    patterns.Instant
	spent uint64
	limit float64
}

const none = -1 // no share

func TestMeter(t *testing.T) {
	const ms, s = 1e6, 1e9
	tests := []struct {
		name string
		in   []reading
		want []float64
	}{
		{"the first reading has nothing to compare with", []reading{{5, 7, 1}}, []float64{none}},
		{"half of two cores", []reading{{0, 0, 2}, {s, s, 2}}, []float64{none, 0.5}},
		{"less than a core", []reading{{0, 0, 0.5}, {s, 250 * ms, 0.5}}, []float64{none, 0.5}},
		{"more than it may", []reading{{0, 0, 1}, {s, 1.5 * s, 1}}, []float64{none, 1.5}},
		{"idle is 0, and a share", []reading{{0, 9, 1}, {s, 9, 1}}, []float64{none, 0}},
		{"the clock stands", []reading{{0, 0, 1}, {0, 5, 1}, {s, 5 + s/2, 1}}, []float64{none, none, 0.5}},
		{"the clock goes back", []reading{{s, 0, 1}, {0, 5, 1}, {s, 5 + s/2, 1}}, []float64{none, none, 0.5}},
		{"the counter goes back", []reading{{0, 9 * s, 1}, {s, 1, 1}, {2 * s, 1 + s/2, 1}}, []float64{none, none, 0.5}},
		{"a quota cut by half counts from the next reading", []reading{{0, 0, 2}, {s, s, 1}, {2 * s, 2 * s, 1}}, []float64{none, 0.5, 1}},
		{"a quota doubled counts at once", []reading{{0, 0, 1}, {s, s, 2}}, []float64{none, 0.5}},
		{"no limit, no share", []reading{{0, 0, 0}, {s, s, 0}, {2 * s, 2 * s, 1}}, []float64{none, none, 1}},
		{"limits that are none", []reading{{0, 0, -1}, {s, s, -1}, {2 * s, s, math.NaN()}, {3 * s, 2 * s, 1}}, []float64{none, none, none, 1}},
		{"an infinite limit is none", []reading{{0, 0, math.Inf(1)}, {s, s, math.Inf(1)}, {2 * s, 2 * s, 1}}, []float64{none, none, 1}},
		{"the smallest limit does not give infinity", []reading{{0, 0, math.SmallestNonzeroFloat64}, {1, math.MaxUint64, math.SmallestNonzeroFloat64}}, []float64{none, none}},
		{"the longest time there is", []reading{{math.MinInt64, 0, 1}, {math.MaxInt64, math.MaxInt64, 1}}, []float64{none, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Meter
			for i, r := range tt.in {
				got, ok := m.Sample(r.at, r.spent, r.limit)
				if !ok {
					if got != 0 && !math.IsInf(got, 0) {
						t.Errorf("reading %d: %v beside no share", i, got)
					}
					got = none
				}
				if got != tt.want[i] {
					t.Errorf("reading %d: %v, want %v", i, got, tt.want[i])
				}
			}
		})
	}
}

// The twin keeps all readings, and integrates: over any run of readings without a gap,
// what the shares say was spent is what the counter says.
func TestSharesAddUpToWhatWasSpent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Meter
		limit := rapid.Float64Range(0.01, 64).Draw(t, "limit")
		now, spent := patterns.Instant(0), rapid.Uint64Range(0, 1e15).Draw(t, "before")
		begin, sum := spent, 0.0
		m.Sample(now, spent, limit)
		for range rapid.IntRange(1, 30).Draw(t, "readings") {
			step := rapid.Int64Range(0, 1e10).Draw(t, "step")
			if spent > 0 && rapid.IntRange(0, 9).Draw(t, "moved") == 0 {
				now, spent = now.Add(time.Duration(step)), rapid.Uint64Range(0, spent-1).Draw(t, "to")
				if share, ok := m.Sample(now, spent, limit); ok {
					t.Fatalf("a share of %v of a counter that went back", share)
				}
				begin, sum = spent, 0
				continue
			}
			used := rapid.Uint64Range(0, 1e11).Draw(t, "used")
			if step == 0 {
				used = 0
			}
			now, spent = now.Add(time.Duration(step)), spent+used
			share, ok := m.Sample(now, spent, limit)
			if ok != (step > 0) || !(share >= 0) {
				t.Fatalf("%v, %v after %d", share, ok, step)
			}
			sum += share * limit * float64(step)
			if want := float64(spent - begin); math.Abs(sum-want) > 1e-9*max(want, 1) {
				t.Fatalf("%v spent, want %v", sum, want)
			}
		}
	})
}

func TestThrottle(t *testing.T) {
	const period, ms = 100 * time.Millisecond, 1e6
	type counts struct {
		at                 patterns.Instant
		periods, throttled uint64
	}
	tests := []struct {
		name string
		in   []counts
		want []float64
	}{
		{"the first reading has nothing to compare with", []counts{{5, 7, 3}}, []float64{none}},
		{"two of five periods", []counts{{0, 10, 1}, {500 * ms, 15, 3}}, []float64{none, 0.4}},
		{"none of them", []counts{{0, 10, 1}, {500 * ms, 15, 1}}, []float64{none, 0}},
		{"all of them", []counts{{0, 10, 1}, {500 * ms, 15, 6}}, []float64{none, 1}},
		{"one more than there were", []counts{{0, 10, 1}, {500 * ms, 15, 7}}, []float64{none, 1}},
		{"readings between two ends of a period add up", []counts{{0, 10, 1}, {40 * ms, 10, 1}, {80 * ms, 10, 2}, {120 * ms, 12, 2}}, []float64{none, none, none, 0.5}},
		{"two periods' time without one was idle", []counts{{0, 10, 1}, {200*ms - 1, 10, 1}, {200 * ms, 10, 1}, {300 * ms, 10, 1}, {400 * ms, 10, 1}}, []float64{none, none, 0, none, 0}},
		{"the counters go back", []counts{{0, 10, 5}, {500 * ms, 3, 1}, {1000 * ms, 7, 3}}, []float64{none, none, 0.5}},
		{"one of the counters goes back", []counts{{0, 10, 5}, {500 * ms, 13, 4}, {1000 * ms, 17, 6}}, []float64{none, none, 0.5}},
		{"the other one does", []counts{{0, 10, 5}, {500 * ms, 3, 6}, {1000 * ms, 7, 8}}, []float64{none, none, 0.5}},
		{"the clock goes back", []counts{{500 * ms, 0, 0}, {0, 4, 2}, {500 * ms, 8, 6}}, []float64{none, none, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Throttle
			for i, c := range tt.in {
				got, ok := m.Sample(c.at, c.periods, c.throttled, period)
				if !ok {
					got = none
				}
				if got != tt.want[i] {
					t.Errorf("reading %d: %v, want %v", i, got, tt.want[i])
				}
			}
		})
	}
}
