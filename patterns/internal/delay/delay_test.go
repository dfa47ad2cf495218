package delay

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

const (
	ms   = time.Millisecond
	sec  = time.Second
	most = time.Duration(math.MaxInt64)
)

func TestBackoffsFollowTheVectors(t *testing.T) {
	files, _ := filepath.Glob("testdata/backoff_*.json")
	if len(files) != 6 {
		t.Fatalf("%d vectors", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { follow(t, file) })
	}
}

func follow(t *testing.T, file string) {
	var v struct {
		Params struct {
			Kind      string        `json:"kind"`
			Base      time.Duration `json:"base_ns"`
			Factor    float64       `json:"factor"`
			Max       time.Duration `json:"max_ns"`
			Tolerance float64       `json:"tolerance_rel"`
		} `json:"params"`
		Steps []struct {
			Op   string `json:"op"`
			Args struct {
				Attempt int `json:"attempt"`
			} `json:"args"`
			Expect struct {
				Delay time.Duration `json:"delay_ns"`
			} `json:"expect"`
		} `json:"steps"`
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil || len(v.Steps) < 16 {
		t.Fatalf("%d steps, %v", len(v.Steps), err)
	}
	p := v.Params
	if p.Max == 0 {
		p.Max = most
	}
	b := map[string]Backoff{
		"const": Constant(p.Base), "linear": Linear(p.Base, p.Max), "exponential": Exponential(p.Base, p.Max).By(p.Factor).Exact(),
	}[p.Kind]
	if f := faults.Of("x"); b == (Backoff{}) {
		t.Fatalf("kind %q", p.Kind)
	} else if b.Complain(f, "Backoff"); f.Any() {
		t.Fatal(f.Err())
	}
	for i, s := range v.Steps {
		if s.Op != "delay" {
			t.Fatalf("step %d: %s", i, s.Op)
		}
		got := b.Next(&Course{attempts: s.Args.Attempt}, 0.5)
		if off := math.Abs(float64(got - s.Expect.Delay)); off > 1 && off > p.Tolerance*float64(s.Expect.Delay) {
			t.Fatalf("attempt %d: %d, want %d", s.Args.Attempt, got, s.Expect.Delay)
		}
	}
}

func TestBackoff(t *testing.T) {
	const almost = 1 - 0x1p-53
	us := func(us ...float64) []float64 { return us }
	count := func(attempt int, u float64) time.Duration { return time.Duration(attempt)*sec + time.Duration(u*1000) }
	for _, tt := range []struct {
		name string
		b    Backoff
		us   []float64
		want []time.Duration
	}{
		{"the zero Backoff does not wait", Backoff{}, us(0, 0.5), []time.Duration{0, 0}},
		{"constant waits do not grow", Constant(sec), us(0, 0.9), []time.Duration{sec, sec}},
		{"they may be none", Constant(0), us(0, 0.9), []time.Duration{0, 0}},
		{"and may have jitter", Constant(sec).EqualJitter(), us(0, 0.5), []time.Duration{sec / 2, 750 * ms}},
		{"linear ones grow by the first", Linear(sec, 3*sec), us(0, 0, 0, 0), []time.Duration{sec, 2 * sec, 3 * sec, 3 * sec}},
		{"exponential ones double", Exponential(sec, 5*sec).Exact(), us(0, 0, 0, 0), []time.Duration{sec, 2 * sec, 4 * sec, 5 * sec}},
		{"or grow by another factor", Exponential(sec, 5*sec).By(1.5).Exact(), us(0, 0, 0), []time.Duration{sec, 1500 * ms, 2250 * ms}},
		{"and have full jitter unless told otherwise", Exponential(sec, 5*sec), us(0, 0.5, 0.25), []time.Duration{0, sec, sec}},
		{"the jitter said last is the one", Exponential(sec, 5*sec).Around(1).EqualJitter().FullJitter(), us(0.5), []time.Duration{sec / 2}},
		{"equal jitter keeps half", Exponential(sec, 5*sec).EqualJitter(), us(0, 0.5, almost), []time.Duration{sec / 2, 1500 * ms, 4*sec - 1}},
		{"of an odd wait too", Constant(5).EqualJitter(), us(0, almost), []time.Duration{2, 4}},
		{"jitter around goes both ways", Constant(sec).Around(0.25), us(0, 0.5, 0.75), []time.Duration{750 * ms, sec, 1125 * ms}},
		{"and spreads even the longest waits", Linear(sec, 2500*ms).Around(0.25), us(0.5, 0.5, 0, almost), []time.Duration{sec, 2 * sec, 1500 * ms, 2500 * ms}},
		{"all of it around goes down to nothing", Constant(sec).Around(1), us(0, 0.75), []time.Duration{0, 1500 * ms}},
		{"decorrelated begins between base and three times that", Decorrelated(sec, 10*sec), us(0), []time.Duration{sec}},
		{"goes on from the wait before", Decorrelated(sec, 10*sec), us(0.5, 0.5, 0), []time.Duration{2 * sec, 3500 * ms, sec}},
		{"up to the most", Decorrelated(sec, 4*sec), us(0.75, 0.75, 0.5), []time.Duration{2500 * ms, 4 * sec, 4 * sec}},
		{"custom waits are told the attempts so far", Custom("count", time.Minute, count), us(0, 0.5), []time.Duration{sec, 2*sec + 500}},
		{"and are not longer than the most", Custom("count", sec, count), us(0, 0.5), []time.Duration{sec, sec}},
		{"nor negative", Custom("back", sec, func(int, float64) time.Duration { return -1 }), us(0), []time.Duration{0}},
		{"a number that is not in [0, 1) is the nearest that is", Constant(sec).FullJitter(), us(-1, math.NaN(), 1, math.Inf(1)), []time.Duration{0, 0, sec - 1, sec - 1}},
		{"a smooth wait may be none", Smooth(sec, time.Minute), us(0), []time.Duration{0}},
		{"or half a power and more", Smooth(sec, time.Minute), us(0.25, 0.25), []time.Duration{646923706, 1013569986}},
		{"up to the most", Smooth(sec, 100*ms), us(0.5), []time.Duration{100 * ms}},
		{"a smooth base of nothing stays nothing", Smooth(0, sec), us(0.5, 0.5), []time.Duration{0, 0}},
		{"the longest wait there is", Exponential(1, most).By(math.MaxFloat64), us(almost, almost), []time.Duration{0, most - 1023}},
		{"what is not valid does not wait", Constant(-1), us(0.5), []time.Duration{0}},
		{"nor what is negative at most", Linear(1, -1), us(0.5), []time.Duration{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Course
			for i, u := range tt.us {
				if got := tt.b.Next(&c, u); got != tt.want[i] {
					t.Errorf("wait %d is %v (%d), want %v", i, got, got, tt.want[i])
				}
			}
		})
	}
}

// drawBackoff draws any Backoff, valid or not, and whose numbers may be extremes.
func drawBackoff(t *rapid.T) Backoff {
	length := rapid.OneOf(rapid.Int64Range(0, int64(time.Minute)), rapid.SampledFrom([]int64{-1, 0, 1, math.MaxInt64, math.MinInt64}), rapid.Int64())
	base, limit := time.Duration(length.Draw(t, "base")), time.Duration(length.Draw(t, "most"))
	answer := time.Duration(length.Draw(t, "answer"))
	b := []Backoff{
		Constant(base), Linear(base, limit), Exponential(base, limit), Decorrelated(base, limit), Smooth(base, limit),
		Custom("c", limit, func(int, float64) time.Duration { return answer }),
		{},
	}[rapid.IntRange(0, 6).Draw(t, "kind")]
	number := rapid.OneOf(rapid.Float64Range(0, 3), rapid.Custom(func(t *rapid.T) float64 {
		return math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
	}))
	if rapid.Bool().Draw(t, "by") {
		b = b.By(number.Draw(t, "factor"))
	}
	return []Backoff{b, b.Exact(), b.FullJitter(), b.EqualJitter(), b.Around(number.Draw(t, "share"))}[rapid.IntRange(0, 4).Draw(t, "jitter")]
}

func TestNoWaitIsNegativeOrTooLong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBackoff(t)
		c := Course{attempts: rapid.SampledFrom([]int{0, 0, 1, 60, 1020, math.MaxInt - 1}).Draw(t, "attempts")}
		for range 10 {
			u := rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{-1, math.NaN(), math.Inf(1)})).Draw(t, "u")
			if d := b.Next(&c, u); d < 0 || d > max(b.most, 0) {
				t.Fatalf("%v waits for %d", b, d)
			}
		}
	})
}

// plain is the wait without jitter and without haste: by adding and multiplying.
func plain(b Backoff, n int) float64 {
	d := float64(b.base)
	for i := range n {
		switch b.shape {
		case linear:
			d = float64(b.base) * float64(i+2)
		case exponential:
			d *= b.factor
		}
	}
	return min(d, float64(b.most))
}

func TestJitterSpreadsThePlainWaitAsItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base"))
		limit := base * time.Duration(rapid.Int64Range(1, 500).Draw(t, "times"))
		b := []Backoff{Constant(base), Linear(base, limit), Exponential(base, limit).By(rapid.Float64Range(1, 4).Draw(t, "factor"))}[rapid.IntRange(0, 2).Draw(t, "kind")]
		share := rapid.Float64Range(0.001, 1).Draw(t, "share")
		var a, e, f, r Course
		for n := range 12 {
			u := rapid.Float64Range(0, 0.999999).Draw(t, "u")
			d := plain(b, n)
			near(t, "exact", b.Exact().Next(&e, u), d)
			near(t, "full", b.FullJitter().Next(&f, u), u*d)
			near(t, "equal", b.EqualJitter().Next(&r, u), d/2+u*d/2)
			d = min(d, float64(b.most)/(1+share))
			near(t, "around", b.Around(share).Next(&a, u), d+d*share*(2*u-1))
		}
	})
}

func near(t *rapid.T, what string, got time.Duration, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 4+1e-9*want {
		t.Fatalf("%s: %d, want %f", what, got, want)
	}
}

func TestADecorrelatedWaitLiesBetweenBaseAndThriceTheOneBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base"))
		b := Decorrelated(base, base*time.Duration(rapid.Int64Range(1, 500).Draw(t, "times")))
		var c Course
		before := base
		for range 12 {
			u := rapid.Float64Range(0, 0.999999).Draw(t, "u")
			d := b.Next(&c, u)
			near(t, "wait", d, min(float64(base)*(1-u)+3*u*float64(before), float64(b.most)))
			if d < base {
				t.Fatalf("%v is below %v", d, base)
			}
			before = d
		}
	})
}

// All smooth waits of a call together are where the last one ends on the curve: nothing
// else about the draws before it matters.
func TestSmoothWaitsAddUpToTheirCurve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(1, int64(sec)).Draw(t, "base"))
		b, c, sum := Smooth(base, most), Course{}, 0.0
		for n := range rapid.IntRange(1, 25).Draw(t, "waits") {
			u := rapid.Float64Range(0, 0.999999).Draw(t, "u")
			sum += float64(b.Next(&c, u))
			x := float64(n) + u
			e := math.Exp(4 * math.Sqrt(x)) // tanh y is 1 - 2/(e^2y + 1)
			if want := math.Pow(2, x) * (1 - 2/(e+1)) * float64(base) / 1.4; math.Abs(sum-want) > 1e-9*want+float64(n)+2 {
				t.Fatalf("%f, want %f", sum, want)
			}
		}
	})
}

// The retries of many callers that failed together: those of a jittered power of two come
// in waves, the smooth ones ever more thinly.
func TestSmoothRetriesComeAsAStream(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	waves := func(b Backoff) (rises int) {
		density := make([]int, 120) // by tenths of a second
		for range 100_000 {
			var c Course
			at := time.Duration(0)
			for range 6 {
				if at += b.Next(&c, r.Float64()); int(at/(sec/10)) < len(density) {
					density[at/(sec/10)]++
				}
			}
		}
		for i := 20; i < len(density); i++ {
			if density[i] > density[i-4]*11/10 {
				rises++
			}
		}
		return rises
	}
	if n := waves(Smooth(sec, time.Hour)); n != 0 {
		t.Errorf("smooth retries rise %d times", n)
	}
	if n := waves(Exponential(sec, time.Hour).Around(0.25)); n == 0 {
		t.Error("waves are not seen where there are some")
	}
}

func TestJitterIsUniform(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 100_000
	for _, tt := range []struct {
		b         Backoff
		low, high float64
	}{
		{Constant(sec).FullJitter(), 0, 1},
		{Constant(sec).EqualJitter(), 0.5, 1},
		{Constant(sec).Around(0.3), 0.7, 1.3},
		{Decorrelated(sec, time.Hour), 1, 3},
	} {
		draws := make([]float64, n)
		for i := range draws {
			draws[i] = (tt.b.Next(new(Course), r.Float64()).Seconds() - tt.low) / (tt.high - tt.low)
		}
		slices.Sort(draws)
		worst := 0.0 // Kolmogorov and Smirnov's distance
		for i, x := range draws {
			worst = max(worst, math.Abs(x-(float64(i)+0.5)/n))
		}
		if limit := 1.95 / math.Sqrt(n); worst > limit { // one in a thousand seeds
			t.Errorf("%v: off by %v, want %v at most", tt.b, worst, limit)
		}
	}
}

func TestWhatIsNotABackoffIsSaid(t *testing.T) {
	f := func(int, float64) time.Duration { return 0 }
	for _, tt := range []struct {
		name string
		b    Backoff
		want string // part of the error; "" if there is none
	}{
		{"the zero Backoff is a default", Backoff{}, ""},
		{"no wait is valid", Constant(0), ""},
		{"so are the smallest", Linear(1, 1), ""},
		{"and the largest", Exponential(most, most).By(math.MaxFloat64).Around(1), ""},
		{"decorrelated and smooth", Decorrelated(1, 2), ""},
		{"smooth", Smooth(1, 2), ""},
		{"custom", Custom("f", 1, f), ""},
		{"nothing with jitter", Backoff{}.FullJitter(), "x: Backoff none, full jitter: has a factor or jitter"},
		{"a negative wait", Constant(-1), "x: Backoff -1ns: must wait for more than 0"},
		{"growth from nothing", Linear(0, 1), "x: Backoff linear 0s up to 1ns: must wait for more than 0"},
		{"an end below the beginning", Linear(2, 1), "x: Backoff linear 2ns up to 1ns: must not end below where it begins"},
		{"a custom one that never waits", Custom("f", 0, f), "x: Backoff custom f up to 0s: must not end below"},
		{"a factor of what has none", Linear(1, 2).By(2), "has a factor"},
		{"a factor below 1", Exponential(1, 2).By(0.999), "x: Backoff exponential 1ns ×0.999 up to 2ns, full jitter: must grow by"},
		{"NaN is no factor", Exponential(1, 2).By(math.NaN()), "must grow by"},
		{"nor is infinity", Exponential(1, 2).By(math.Inf(1)), "must grow by"},
		{"jitter around by nothing", Constant(1).Around(0), "x: Backoff 1ns, jitter ±0: must have a jitter above 0"},
		{"or by more than all", Constant(1).Around(1.001), "must have a jitter above 0"},
		{"or by NaN", Constant(1).Around(math.NaN()), "must have a jitter above 0"},
		{"jitter of what has its own", Decorrelated(1, 2).FullJitter(), "x: Backoff decorrelated 1ns up to 2ns, full jitter: has a jitter"},
		{"or is smooth", Smooth(1, 2).EqualJitter(), "x: Backoff smooth 1ns up to 2ns, equal jitter: has a jitter"},
		{"no function", Custom("f", 1, nil), "must have a function"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := faults.Of("x")
			tt.b.Complain(f, "Backoff")
			if tt.want == "" {
				if f.Any() {
					t.Error(f.Err())
				}
			} else if !f.Any() || !strings.HasPrefix(f.Err().Error(), tt.want) && !strings.Contains(f.Err().Error(), ": "+tt.want) {
				t.Errorf("%v, want %q", f.Err(), tt.want)
			} else if strings.Count(f.Err().Error(), "\n") > 1 {
				t.Errorf("one mistake is said so often: %v", f.Err())
			}
		})
	}
}

func TestBackoffsAreValues(t *testing.T) {
	f := func(int, float64) time.Duration { return 0 }
	c := Custom("f", 1, f)
	if Exponential(1, 2) != Exponential(1, 2) || Exponential(1, 2) == Exponential(1, 2).Exact() || c != c.Exact() || c == Custom("f", 1, f) {
		t.Error("they are not compared by what they say")
	}
}

func TestWhatWasAskedForIsNotCutShort(t *testing.T) {
	for _, tt := range []struct {
		name       string
		own, pause time.Duration
		u          float64
		want       time.Duration
	}{
		{"nothing was asked for", sec, 0, 0.5, sec},
		{"less was asked for", sec, sec / 2, 0.5, sec},
		{"more was asked for", sec, 10 * sec, 0, 10 * sec},
		{"and jitter only lengthens it", sec, 10 * sec, 0.5, 10*sec + sec/2},
		{"the longest pause there is", sec, most, 0.9, most},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Asked(tt.own, tt.pause, tt.u); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestWaitingDoesNotAllocate(t *testing.T) {
	for _, b := range []Backoff{
		Constant(sec).Around(0.5), Linear(sec, time.Hour).EqualJitter(), Exponential(sec, time.Hour), Decorrelated(sec, time.Hour),
		Smooth(sec, time.Hour), Custom("f", sec, func(n int, _ float64) time.Duration { return time.Duration(n) }),
	} {
		if n := testing.AllocsPerRun(100, func() {
			var c Course
			b.Next(&c, 0.5)
			b.Next(&c, 0.7)
		}); n != 0 {
			t.Errorf("%v: %v allocations", b, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	x := Exponential(sec, time.Hour)
	var c Course
	for b.Loop() {
		c.attempts = 4
		x.Next(&c, 0.5)
	}
}
