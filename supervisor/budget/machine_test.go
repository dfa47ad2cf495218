package budget

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

func TestRules(t *testing.T) {
	type step struct {
		at, wait time.Duration
	}
	cfg := Config{Burst: 2, Every: 10}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"a burst is free, whatever the clock says", []step{{-7, 0}, {-7, 0}, {-7, 10}}},
		{"one more comes after exactly so long", []step{{0, 0}, {0, 0}, {9, 1}, {10, 0}, {10, 10}}},
		{"what was refused took nothing", []step{{0, 0}, {0, 0}, {0, 10}, {0, 10}, {10, 0}}},
		{"no more than a burst is saved up", []step{{0, 0}, {1000, 0}, {1000, 0}, {1000, 10}}},
		{"a clock that steps back freezes", []step{{100, 0}, {0, 0}, {0, 10}, {109, 1}, {110, 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(cfg)
			for i, s := range tt.steps {
				if wait := m.Take(patterns.Instant(s.at)); wait != s.wait {
					t.Errorf("step %d: wait %d, want %d", i, wait, s.wait)
				}
			}
		})
	}
}

func TestWhoWaitsBehindOthersWaitsForThem(t *testing.T) {
	m := New(Config{Burst: 2, Every: 10})
	for ahead, want := range []time.Duration{0, 0, 10, 20} {
		if wait := m.Wait(0, ahead); wait != want {
			t.Errorf("behind %d: %d, want %d", ahead, wait, want)
		}
	}
	if wait := m.Wait(0, math.MaxInt); wait != math.MaxInt64 {
		t.Errorf("behind everybody: %d", wait)
	}
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/gcra_int_*.json")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Params struct {
				Rate, Burst int
				PeriodNS    int64 `json:"period_ns"`
			}
			Steps []struct {
				TNS    int64 `json:"t_ns"`
				Op     string
				Args   struct{ N int }
				Expect struct {
					Allowed      bool
					RetryAfterNS time.Duration `json:"retry_after_ns"`
					Remaining    int
					ResetAfterNS time.Duration `json:"reset_after_ns"`
				}
			}
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		every := time.Duration(v.Params.PeriodNS) / time.Duration(v.Params.Rate)
		m := New(Config{Burst: v.Params.Burst, Every: every})
		for i, s := range v.Steps {
			now := patterns.Instant(s.TNS)
			wait := m.Wait(now, max(0, s.Args.N-1))
			switch {
			case s.Args.N > v.Params.Burst:
				wait = -1
			case s.Args.N == 0:
				wait = 0
			}
			if wait != s.Expect.RetryAfterNS || (wait == 0) != s.Expect.Allowed {
				t.Errorf("%s: step %d: wait %d, want %d", file, i, wait, s.Expect.RetryAfterNS)
			}
			if s.Op == "allow" && wait == 0 {
				for range s.Args.N {
					if wait := m.Take(now); wait != 0 {
						t.Errorf("%s: step %d: refused", file, i)
					}
				}
			}
			if reset := max(m.full, m.hi).Sub(m.hi); reset != s.Expect.ResetAfterNS {
				t.Errorf("%s: step %d: full in %d, want %d", file, i, reset, s.Expect.ResetAfterNS)
			}
			left := 0
			for left < v.Params.Burst && m.Wait(now, left) == 0 {
				left++
			}
			if left != s.Expect.Remaining {
				t.Errorf("%s: step %d: %d left, want %d", file, i, left, s.Expect.Remaining)
			}
		}
	}
}

// twin drips tokens into a bucket, in units of 1/Every.
type twin struct {
	cfg    Config
	last   patterns.Instant
	tokens int64
}

func (w *twin) drip(now patterns.Instant) {
	w.tokens = min(int64(w.cfg.Burst)*int64(w.cfg.Every), w.tokens+int64(now-w.last))
	w.last = now
}

func TestMachineGivesLikeADrippingBucketAndNeverMoreThanItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{Burst: rapid.IntRange(1, 5).Draw(t, "burst"), Every: time.Duration(rapid.IntRange(1, 20).Draw(t, "every"))}
		m := New(cfg)
		w := &twin{cfg: cfg, tokens: int64(cfg.Burst) * int64(cfg.Every)}
		var given []patterns.Instant
		now := patterns.Instant(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += patterns.Instant(rapid.IntRange(0, 30).Draw(t, "step"))
			w.drip(now)
			wait := m.Take(now)
			if want := time.Duration(max(0, int64(cfg.Every)-w.tokens)); wait != want {
				t.Fatalf("at %d: wait %d, want %d", now, wait, want)
			}
			if wait == 0 {
				w.tokens -= int64(cfg.Every)
				given = append(given, now)
			}
		}
		for i := range given {
			for j := i; j < len(given); j++ {
				if n, most := j-i+1, float64(cfg.Burst)+float64(given[j]-given[i])/float64(cfg.Every); float64(n) > most {
					t.Fatalf("%d in %d ns, at most %f", n, given[j]-given[i], most)
				}
			}
		}
	})
}

// FuzzMachine checks, for any numbers at all, that a wait is the shortest, and long
// enough.
func FuzzMachine(f *testing.F) {
	f.Add(2, int64(10), int64(0), int64(5))
	f.Add(MaxBurst, int64(MaxEvery), int64(math.MinInt64), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, burst int, every, a, b int64) {
		cfg := Config{Burst: burst, Every: time.Duration(every)}
		if cfg.Validate() != nil {
			t.Skip()
		}
		m := New(cfg)
		hi := patterns.Instant(math.MinInt64)
		for _, v := range []int64{a, b, a, b} {
			hi = max(hi, patterns.Instant(v))
			for range 3 {
				wait := m.Take(patterns.Instant(v))
				if wait < 0 || wait > m.every*time.Duration(3) && wait > m.depth {
					t.Fatalf("wait %d", wait)
				}
				if wait == 0 || hi.Add(wait) == patterns.Never {
					continue
				}
				if m.Wait(hi.Add(wait-1), 0) != 1 {
					t.Fatalf("a nanosecond less than %d would have done", wait)
				}
				hi = hi.Add(wait)
				if m.Take(hi) != 0 {
					t.Fatalf("after %d nothing", wait)
				}
			}
		}
	})
}

func TestMachineDoesNotAllocate(t *testing.T) {
	m := New(Config{})
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1e8
		m.Take(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
