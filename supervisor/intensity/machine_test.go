package intensity

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

// twin is the obvious machine: it keeps every restart and filters the list each time.
type twin struct {
	cfg Config
	hi  patterns.Instant
	all []patterns.Instant
}

func newTwin(cfg Config) *twin {
	return &twin{cfg: cfg.withDefaults(), hi: math.MinInt64}
}

func (w *twin) floor(t patterns.Instant) patterns.Instant {
	r := patterns.Instant(w.cfg.Resolution)
	q := t / r
	if q*r > t {
		q--
	}
	return q * r
}

func (w *twin) count(now patterns.Instant) int {
	t := w.floor(max(w.hi, now))
	n := 0
	for _, r := range w.all {
		if t.Sub(r) <= w.cfg.Period {
			n++
		}
	}
	return n
}

func (w *twin) restart(now patterns.Instant) bool {
	w.hi = max(w.hi, now)
	w.all = append(w.all, w.floor(w.hi))
	return w.count(now) <= max(w.cfg.Restarts, 0)
}

func TestRules(t *testing.T) {
	const s = patterns.Instant(time.Second)
	once := Config{Restarts: 1, Period: 5 * time.Second}
	twice := Config{Restarts: 2, Period: 5 * time.Second}
	otp := Config{Restarts: 1, Period: 5 * time.Second, Resolution: OTPResolution}
	type step struct {
		at    patterns.Instant
		ok    bool
		count int
	}
	for _, tt := range []struct {
		name  string
		cfg   Config
		steps []step
	}{
		{"the first restart is allowed whatever the clock says", once, []step{{-7 * s, true, 1}}},
		{"the earliest instant there is counts like any other", once, []step{{math.MinInt64, true, 1}, {math.MinInt64, false, 2}}},
		{"as many as allowed may come at one instant", twice, []step{{0, true, 1}, {0, true, 2}, {0, false, 3}}},
		{"a restart still counts when exactly a period has passed", once, []step{{0, true, 1}, {5 * s, false, 2}}},
		{"a nanosecond later it does not", once, []step{{0, true, 1}, {5*s + 1, true, 1}}},
		{"a refused restart counts", once, []step{{0, true, 1}, {4 * s, false, 2}, {6 * s, false, 2}}},
		{"a refusal forgets nothing", twice, []step{{0, true, 1}, {s, true, 2}, {2 * s, false, 3}, {6 * s, false, 3}}},
		{"left alone for a period it allows again", twice, []step{{0, true, 1}, {0, true, 2}, {0, false, 3}, {5*s + 1, true, 1}}},
		{"a restart every period / restarts goes on for ever", twice, []step{
			{0, true, 1},
			{5*s/2 + 1, true, 2},
			{5*s + 2, true, 2},
			{15*s/2 + 3, true, 2},
			{10*s + 4, true, 2},
		}},
		{"the count stops at one more than are allowed", once, []step{{0, true, 1}, {0, false, 2}, {0, false, 2}, {0, false, 2}}},
		{"never means never", Config{Restarts: Never}, []step{{0, false, 1}, {100 * s, false, 1}}},
		{"a clock that steps back freezes", once, []step{{10 * s, true, 1}, {2 * s, false, 2}, {15 * s, false, 2}, {20*s + 1, true, 1}}},
		{"OTP's whole seconds widen the window", otp, []step{{0, true, 1}, {6*s - 1, false, 2}}},
		{"and from the next whole second the restart is out", otp, []step{{s - 1, true, 1}, {6 * s, true, 1}}},
		{"whole seconds before the origin are cut downwards too", otp, []step{{-1, true, 1}, {5*s - 1, false, 2}}},
		{"zero fields mean 10 in 10 s", Config{}, []step{
			{0, true, 1},
			{0, true, 2},
			{0, true, 3},
			{0, true, 4},
			{0, true, 5},
			{0, true, 6},
			{0, true, 7},
			{0, true, 8},
			{0, true, 9},
			{10 * s, true, 10},
			{10 * s, false, 11},
			{20*s + 1, true, 1},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(tt.cfg)
			for i, s := range tt.steps {
				if ok := m.Restart(s.at); ok != s.ok {
					t.Errorf("step %d: Restart(%d) = %t", i, s.at, ok)
				}
				if n := m.Count(s.at); n != s.count {
					t.Errorf("step %d: Count(%d) = %d, want %d", i, s.at, n, s.count)
				}
			}
		})
	}
}

func TestCountLooksWithoutTouching(t *testing.T) {
	m := New(Config{Restarts: 3, Period: 10})
	if n := m.Count(0); n != 0 {
		t.Errorf("before the first restart: %d", n)
	}
	m.Restart(0)
	m.Restart(4)
	for _, tt := range []struct {
		at   patterns.Instant
		want int
	}{{100, 0}, {15, 0}, {14, 1}, {11, 1}, {10, 2}, {4, 2}, {-9, 2}} {
		if n := m.Count(tt.at); n != tt.want {
			t.Errorf("Count(%d) = %d, want %d", tt.at, n, tt.want)
		}
	}
}

func TestLimitIsWhatIsConfigured(t *testing.T) {
	for _, tt := range []struct {
		cfg      Config
		restarts int
		period   time.Duration
	}{
		{Config{}, DefaultRestarts, DefaultPeriod},
		{Config{Restarts: 2, Period: 3}, 2, 3},
		{Config{Restarts: Never}, 0, DefaultPeriod},
	} {
		if r, p := New(tt.cfg).Limit(); r != tt.restarts || p != tt.period {
			t.Errorf("%+v: Limit() = %d, %v", tt.cfg, r, p)
		}
	}
}

type vectors struct {
	Params struct {
		Intensity    int   `json:"intensity"`
		PeriodNS     int64 `json:"period_ns"`
		ResolutionNS int64 `json:"resolution_ns"`
	} `json:"params"`
	Steps []struct {
		TNS    int64  `json:"t_ns"`
		Op     string `json:"op"`
		Expect struct {
			OK    bool `json:"ok"`
			Count int  `json:"count"`
		} `json:"expect"`
	} `json:"steps"`
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/otp_intensity_*.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("want 3 vector files, found %v (%v)", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v vectors
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			replay(t, v)
		})
	}
}

// replay feeds v to two machines: New's, whose count stops at one more than are
// allowed, and one with memory for the exact count of all steps.
func replay(t *testing.T, v vectors) {
	t.Helper()
	cfg := Config{
		Restarts:   v.Params.Intensity,
		Period:     time.Duration(v.Params.PeriodNS),
		Resolution: time.Duration(v.Params.ResolutionNS),
	}
	if cfg.Restarts == 0 {
		cfg.Restarts = Never
	}
	bounded, exact := New(cfg), newMachine(cfg, len(v.Steps))
	for i, s := range v.Steps {
		if s.Op != "restart" {
			t.Fatalf("step %d: unknown op %q", i, s.Op)
		}
		now := patterns.Instant(s.TNS)
		if ok := exact.Restart(now); ok != s.Expect.OK {
			t.Errorf("step %d: exact: ok = %t", i, ok)
		}
		if n := exact.Count(now); n != s.Expect.Count {
			t.Errorf("step %d: exact: count = %d, want %d", i, n, s.Expect.Count)
		}
		if ok := bounded.Restart(now); ok != s.Expect.OK {
			t.Errorf("step %d: bounded: ok = %t", i, ok)
		}
		if n, want := bounded.Count(now), min(s.Expect.Count, v.Params.Intensity+1); n != want {
			t.Errorf("step %d: bounded: count = %d, want %d", i, n, want)
		}
	}
}

func TestMachineDecidesLikeTheFilteredList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		res := rapid.SampledFrom([]time.Duration{1, 3, 10}).Draw(t, "resolution")
		cfg := Config{
			Restarts:   rapid.SampledFrom([]int{Never, 1, 2, 3, 7}).Draw(t, "restarts"),
			Period:     res * time.Duration(rapid.Int64Range(1, 20).Draw(t, "periods")),
			Resolution: res,
		}
		m, w := New(cfg), newTwin(cfg)
		limit := max(cfg.Restarts, 0) + 1
		now := patterns.Instant(rapid.Int64Range(-100, 100).Draw(t, "origin"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += patterns.Instant(rapid.Int64Range(-5, int64(cfg.Period)).Draw(t, "step"))
			if rapid.Bool().Draw(t, "look") {
				if got, want := m.Count(now), min(w.count(now), limit); got != want {
					t.Fatalf("Count(%d) = %d, want %d", now, got, want)
				}
				continue
			}
			if got, want := m.Restart(now), w.restart(now); got != want {
				t.Fatalf("Restart(%d) = %t, want %t", now, got, want)
			}
		}
	})
}

// FuzzMachine checks, for any instants at all, that no window holds more allowed
// restarts than configured, that memory does not grow, and that a machine left
// alone allows again.
func FuzzMachine(f *testing.F) {
	f.Add(uint8(2), int64(10), int64(1), int64(0), int64(5), int64(10), int64(11))
	f.Add(uint8(0), int64(1), int64(1), int64(math.MinInt64), int64(math.MaxInt64), int64(0), int64(-1))
	f.Add(uint8(1), int64(MaxPeriod), int64(1<<62), int64(-1), int64(0), int64(1), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, restarts uint8, period, resolution, a, b, c, d int64) {
		cfg := Config{Restarts: int(restarts), Period: time.Duration(period), Resolution: time.Duration(resolution)}
		if restarts == 0 {
			cfg.Restarts = Never
		}
		if cfg.Validate() != nil {
			t.Skip()
		}
		m := New(cfg)
		size := len(m.ring)
		cfg = cfg.withDefaults()
		var allowed []patterns.Instant
		hi := patterns.Instant(math.MinInt64)
		for range 3 {
			for _, v := range [...]int64{a, b, c, d} {
				hi = max(hi, patterns.Instant(v))
				if m.Restart(patterns.Instant(v)) {
					allowed = append(allowed, hi)
				}
				if n := m.Count(patterns.Instant(v)); n < 1 || n > size {
					t.Fatalf("Count = %d of %d", n, size)
				}
			}
		}
		limit := max(cfg.Restarts, 0)
		for i := limit; i < len(allowed); i++ {
			if allowed[i].Sub(allowed[i-limit]) <= cfg.Period {
				t.Fatalf("%d restarts within a period: %d", limit+1, allowed[i-limit:i+1])
			}
		}
		if len(m.ring) != size {
			t.Fatal("the ring grew")
		}
		quiet := hi.Add(cfg.Period).Add(cfg.Resolution)
		if quiet != patterns.Never && m.Restart(quiet) != (limit > 0) {
			t.Fatalf("left alone from %d to %d: refused or allowed wrongly", hi, quiet)
		}
	})
}

func TestMachineDoesNotAllocate(t *testing.T) {
	m := New(Config{Restarts: 5, Period: 50})
	now := patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += 7
		m.Restart(now)
		m.Count(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRestart(b *testing.B) {
	m := New(Config{})
	now := patterns.Instant(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		m.Restart(now)
	}
}

func TestUnlimitedAllowsAndRemembersNothing(t *testing.T) {
	m := New(Config{Restarts: Unlimited, Period: time.Second})
	for range 100_000 {
		if !m.Restart(0) {
			t.Fatal("refused")
		}
	}
	if n, period := m.Limit(); m.Count(0) != 0 || n != math.MaxInt || period != time.Second || m.ring != nil {
		t.Errorf("count %d, limit %d in %v", m.Count(0), n, period)
	}
}
