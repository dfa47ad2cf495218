package backoff

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestRules(t *testing.T) {
	const ms = time.Millisecond
	cfg := Config{Base: 100 * ms, Factor: 2, Max: 350 * ms, ResetAfter: 1000 * ms, Jitter: NoJitter}
	flap := Config{Base: 1000 * ms, Factor: 2, Max: 60000 * ms, ResetAfter: 3000 * ms, Jitter: NoJitter}
	jittery := Config{Base: 100 * ms, Factor: 2, Max: 350 * ms, ResetAfter: 1000 * ms, Jitter: 0.5}
	type step struct {
		at      time.Duration
		u       float64
		delay   time.Duration
		attempt int
	}
	for _, tt := range []struct {
		name  string
		cfg   Config
		steps []step
	}{
		{"the first delay is the base, whatever the clock says", cfg, []step{{-time.Hour, 0, 100 * ms, 1}}},
		{"delays grow by the factor up to the maximum", cfg, []step{
			{0, 0, 100 * ms, 1}, {0, 0, 200 * ms, 2}, {0, 0, 350 * ms, 3}, {0, 0, 350 * ms, 4},
		}},
		{"a factor of 1 keeps the delay", Config{Factor: 1, Jitter: NoJitter}, []step{{0, 0, 100 * ms, 1}, {0, 0, 100 * ms, 2}}},
		{"a fraction of a nanosecond is rounded up", Config{Base: 3, Factor: 1.5, Jitter: NoJitter}, []step{{0, 0, 3, 1}, {0, 0, 5, 2}, {0, 0, 7, 3}}},
		{"quiet for exactly long enough starts again", cfg, []step{{0, 0, 100 * ms, 1}, {1100 * ms, 0, 100 * ms, 1}}},
		{"a nanosecond less does not", cfg, []step{{0, 0, 100 * ms, 1}, {1100*ms - 1, 0, 200 * ms, 2}}},
		{"a wait longer than the quiet time is not quiet", flap, []step{
			{0, 0, 1000 * ms, 1}, {1000 * ms, 0, 2000 * ms, 2}, {3000 * ms, 0, 4000 * ms, 3}, {7000 * ms, 0, 8000 * ms, 4},
		}},
		{"a clock that steps back freezes", cfg, []step{
			{10000 * ms, 0, 100 * ms, 1}, {0, 0, 200 * ms, 2}, {11199 * ms, 0, 350 * ms, 3},
		}},
		{"jitter only lengthens", jittery, []step{{0, 0, 100 * ms, 1}, {0, 0.5, 250 * ms, 2}}},
		{"jitter is added on top of the maximum", jittery, []step{
			{0, 0.5, 125 * ms, 1}, {0, 0, 200 * ms, 2}, {0, 0.5, 350*ms + 350*ms/4, 3},
		}},
		{"jitter is part of when the restart was due", jittery, []step{{0, 0.5, 125 * ms, 1}, {1124 * ms, 0, 200 * ms, 2}}},
		{"and the quiet time starts after it", jittery, []step{{0, 0.5, 125 * ms, 1}, {1125 * ms, 0, 100 * ms, 1}}},
		{"what is no share of the jitter is the nearest one", jittery, []step{
			{0, -1, 100 * ms, 1}, {0, math.NaN(), 200 * ms, 2}, {0, math.Inf(1), 525 * ms, 3},
		}},
		{"no jitter means none", cfg, []step{{0, 0.9, 100 * ms, 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(tt.cfg)
			for i, s := range tt.steps {
				if d := m.Fail(patterns.Instant(s.at), s.u); d != s.delay {
					t.Errorf("step %d: delay %v, want %v", i, d, s.delay)
				}
				if n := m.Attempt(); n != s.attempt {
					t.Errorf("step %d: attempt %d, want %d", i, n, s.attempt)
				}
			}
		})
	}
}

func TestDelaysNeverOverflow(t *testing.T) {
	m := New(Config{Base: MaxDelay, Max: MaxDelay, Factor: math.MaxFloat64, Jitter: 1})
	for i := range 100 {
		if d := m.Fail(math.MaxInt64-1, 0.999); d < MaxDelay || d > 2*MaxDelay {
			t.Fatalf("failure %d: %v", i, d)
		}
	}
	m = New(Config{Base: 1, Max: MaxDelay - 1, Factor: 2, Jitter: NoJitter})
	m.attempt = math.MaxInt32
	if d := m.Fail(0, 0); d != MaxDelay-1 {
		t.Errorf("after 2^31 failures: %v", d)
	}
}

func TestVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/restart_backoff.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct {
			BaseNS       int64   `json:"base_ns"`
			Factor       float64 `json:"factor"`
			MaxNS        int64   `json:"max_ns"`
			ResetAfterNS int64   `json:"reset_after_ns"`
		} `json:"params"`
		Steps []struct {
			TNS    int64  `json:"t_ns"`
			Op     string `json:"op"`
			Expect struct {
				DelayNS int64 `json:"delay_ns"`
				Attempt int   `json:"attempt"`
			} `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	m := New(Config{
		Base:       time.Duration(v.Params.BaseNS),
		Factor:     v.Params.Factor,
		Max:        time.Duration(v.Params.MaxNS),
		ResetAfter: time.Duration(v.Params.ResetAfterNS),
		Jitter:     NoJitter,
	})
	if len(v.Steps) == 0 {
		t.Fatal("no steps")
	}
	for i, s := range v.Steps {
		if s.Op != "fail" {
			t.Fatalf("step %d: unknown op %q", i, s.Op)
		}
		if d := m.Fail(patterns.Instant(s.TNS), 0); int64(d) != s.Expect.DelayNS {
			t.Errorf("step %d: delay %d, want %d", i, d, s.Expect.DelayNS)
		}
		if n := m.Attempt(); n != s.Expect.Attempt {
			t.Errorf("step %d: attempt %d, want %d", i, n, s.Expect.Attempt)
		}
	}
}

// twin is the obvious machine: it keeps the list of all failures, finds the first one
// in the row by going back through it, and multiplies step by step in large numbers.
type twin struct {
	cfg   Config
	fails []struct{ at, due patterns.Instant }
}

// delay returns the delay without jitter, and the attempt, of a failure at now.
func (w *twin) delay(now patterns.Instant) (d *big.Float, attempt int) {
	attempt = 1
	for _, f := range slices.Backward(w.fails) {
		if now.Sub(f.due) >= w.cfg.ResetAfter {
			break
		}
		attempt++
		now = f.at
	}
	d = new(big.Float).SetPrec(500).SetInt64(int64(w.cfg.Base))
	limit := new(big.Float).SetInt64(int64(w.cfg.Max))
	for range attempt - 1 {
		d.Mul(d, big.NewFloat(w.cfg.Factor))
		if d.Cmp(limit) > 0 {
			d.Set(limit)
		}
	}
	return d, attempt
}

func TestMachineDelaysLikeTheListOfFailures(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Base:       time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "base")),
			Factor:     rapid.OneOf(rapid.SampledFrom([]float64{1, 1.5, 2, 10}), rapid.Float64Range(1, 5)).Draw(t, "factor"),
			ResetAfter: time.Duration(rapid.Int64Range(1, 1e10).Draw(t, "reset after")),
			Jitter:     rapid.SampledFrom([]float64{NoJitter, 0.1, 1}).Draw(t, "jitter"),
		}
		cfg.Max = cfg.Base + time.Duration(rapid.Int64Range(0, 1e11).Draw(t, "max"))
		m, w := New(cfg), &twin{cfg: cfg}
		now := patterns.Instant(rapid.Int64Range(-1e9, 1e9).Draw(t, "origin"))
		hi := patterns.Instant(math.MinInt64)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now += patterns.Instant(rapid.Int64Range(-1e6, 2*int64(cfg.Max+cfg.ResetAfter)).Draw(t, "step"))
			if len(w.fails) > 0 && rapid.Bool().Draw(t, "at once") {
				now = hi
			}
			hi = max(hi, now)
			u := rapid.Float64Range(0, 0.999).Draw(t, "u")
			exact, attempt := w.delay(hi)
			plain, _ := exact.Float64()
			want := plain * (1 + max(cfg.Jitter, 0)*u)
			got := m.Fail(now, u)
			if math.Abs(float64(got)-want) > 2+want*1e-9 {
				t.Fatalf("delay %d, want %f", got, want)
			}
			if float64(got) < plain*(1-1e-9) {
				t.Fatalf("delay %d is shorter than %f", got, plain)
			}
			if m.Attempt() != attempt {
				t.Fatalf("attempt %d, want %d", m.Attempt(), attempt)
			}
			w.fails = append(w.fails, struct{ at, due patterns.Instant }{hi, hi.Add(got)})
		}
	})
}

// FuzzMachine checks, for any numbers at all, that delays stay between Base and Max
// plus jitter, and that a child that runs quietly starts from Base again.
func FuzzMachine(f *testing.F) {
	f.Add(int64(1e8), 2.0, int64(3e10), int64(6e10), 0.2, int64(0), int64(1e9), 0.5)
	f.Add(int64(1), math.MaxFloat64, int64(MaxDelay), int64(math.MaxInt64), 1.0, int64(math.MinInt64), int64(math.MaxInt64), math.NaN())
	f.Fuzz(func(t *testing.T, base int64, factor float64, limit, reset int64, jitter float64, a, b int64, u float64) {
		cfg := Config{
			Base: time.Duration(base), Factor: factor, Max: time.Duration(limit),
			ResetAfter: time.Duration(reset), Jitter: jitter,
		}
		if cfg.Validate() != nil {
			t.Skip()
		}
		m := New(cfg)
		cfg = cfg.withDefaults()
		hi := patterns.Instant(math.MinInt64)
		longest := cfg.Max + time.Duration(float64(cfg.Max)*max(cfg.Jitter, 0))
		var d time.Duration
		for range 5 {
			for _, v := range [...]int64{a, b} {
				hi = max(hi, patterns.Instant(v))
				d = m.Fail(patterns.Instant(v), u)
				if d < cfg.Base || d > longest {
					t.Fatalf("delay %d outside %d to %d", d, cfg.Base, longest)
				}
			}
		}
		quiet := hi.Add(d).Add(cfg.ResetAfter)
		if quiet == patterns.Never {
			return
		}
		if again := m.Fail(quiet, 0); again != cfg.Base || m.Attempt() != 1 {
			t.Fatalf("after a quiet time: delay %d, attempt %d", again, m.Attempt())
		}
	})
}

func TestMachineDoesNotAllocate(t *testing.T) {
	m := New(Config{})
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 1e9
		m.Fail(now, 0.5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFail(b *testing.B) {
	m := New(Config{})
	b.ReportAllocs()
	for b.Loop() {
		m.Fail(0, 0.5)
	}
}
