package patterns_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWaitTimesTakeEveryDuration(t *testing.T) {
	var w patterns.WaitTimes
	for _, d := range []time.Duration{-1, 0, 1, time.Microsecond - 1, time.Microsecond, time.Hour, 1<<63 - 1, 1<<63 - 1} {
		w.Add(d)
	}
	last := len(w.Buckets) - 1
	if w.Buckets[0] != 4 || w.Buckets[1] != 1 || w.Buckets[last] != 3 || w.Sum != 1<<63-1 || w.Max != 1<<63-1 || w.Count() != 8 {
		t.Errorf("%+v", w)
	}
	if bound, ok := w.Bound(last); ok {
		t.Errorf("the last bucket ends at %v", bound)
	}
	if bound, ok := w.Bound(last - 1); !ok || bound < 67*time.Second || bound > 68*time.Second {
		t.Errorf("the one before ends at %v, %v", bound, ok)
	}
}

func TestNobodyWaitedForNoTime(t *testing.T) {
	var w patterns.WaitTimes
	if w.Mean() != 0 || w.Quantile(0.5) != 0 || w.Count() != 0 {
		t.Errorf("%v, %v", w.Mean(), w.Quantile(0.5))
	}
}

// The twin keeps every wait and sorts them.
func TestAQuantileIsNeverTooLowAndAtMostTwiceTooHigh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w patterns.WaitTimes
		all := rapid.SliceOfN(rapid.Map(rapid.Int64Range(0, 1<<35), func(n int64) time.Duration { return time.Duration(n) }), 1, 50).Draw(t, "waits")
		sum := time.Duration(0)
		for _, d := range all {
			w.Add(d)
			sum += d
		}
		slices.Sort(all)
		if w.Count() != uint64(len(all)) || w.Sum != sum || w.Max != all[len(all)-1] || w.Mean() != sum/time.Duration(len(all)) {
			t.Fatalf("%+v", w)
		}
		rank := rapid.IntRange(1, len(all)).Draw(t, "rank")
		exact := all[rank-1]
		got := w.Quantile((float64(rank) - 0.5) / float64(len(all)))
		if got < exact || got > max(2*exact, time.Microsecond) || got > w.Max {
			t.Fatalf("%d of %d is %v, want %v", rank, len(all), got, exact)
		}
		if w.Quantile(1) != w.Max || w.Quantile(7) != w.Max || w.Quantile(-1) > max(2*all[0], time.Microsecond) {
			t.Fatalf("extremes %v, %v", w.Quantile(1), w.Quantile(-1))
		}
	})
}
