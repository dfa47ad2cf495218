package latency

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/quantile"
)

const (
	ms  = time.Millisecond
	sec = patterns.Instant(time.Second)
)

func usual() TimeoutConfig {
	return TimeoutConfig{
		Quantile: 0.99, Factor: 2, Min: 5 * ms, Max: 10 * time.Second, Initial: time.Second,
		Window: 10 * time.Second, MinSamples: 100,
	}
}

// near reports whether got is want within 3 %.
func near(got, want time.Duration) bool {
	return math.Abs(float64(got)-float64(want)) <= 0.03*float64(want)+1
}

func TestTimeout(t *testing.T) {
	answered := func(x *Timeout, now patterns.Instant, n int, d time.Duration) {
		for range n {
			x.Succeeded(now, d)
		}
	}
	expired := func(x *Timeout, now patterns.Instant, n int, d time.Duration) {
		for range n {
			x.Expired(now, d)
		}
	}
	for _, tt := range []struct {
		name string
		cfg  func(*TimeoutConfig)
		do   func(*Timeout)
		at   patterns.Instant
		want time.Duration
	}{
		{"it begins with what it is told", nil, func(*Timeout) {}, 0, time.Second},
		{"too few samples say nothing", nil, func(x *Timeout) { answered(x, 0, 99, 10*ms) }, 0, time.Second},
		{"enough are waited for, several times", nil, func(x *Timeout) { answered(x, 0, 100, 10*ms) }, 0, 20 * ms},
		{"it is the slow ones that count", nil, func(x *Timeout) { answered(x, 0, 98, 10*ms); answered(x, 0, 2, 40*ms) }, 0, 80 * ms},
		{"and not the slowest", nil, func(x *Timeout) { answered(x, 0, 99, 10*ms); answered(x, 0, 1, 40*ms) }, 0, 20 * ms},
		{"it has a least", nil, func(x *Timeout) { answered(x, 0, 100, 1*ms) }, 0, 5 * ms},
		{"and a most", nil, func(x *Timeout) { answered(x, 0, 100, time.Minute) }, 0, 10 * time.Second},
		{"samples are forgotten", nil, func(x *Timeout) { answered(x, 0, 100, 10*ms) }, 10 * sec, time.Second},
		{"as many as it says may be given up", nil, func(x *Timeout) { answered(x, 0, 98, 10*ms); expired(x, 0, 2, 20*ms) }, 0, 60 * ms},
		{"more than twice as many double it", nil, func(x *Timeout) { answered(x, 0, 97, 10*ms); expired(x, 0, 3, 20*ms) }, 0, 120 * ms},
		{"not while there are too few", nil, func(x *Timeout) { answered(x, 0, 50, 10*ms); expired(x, 0, 49, 20*ms) }, 0, time.Second},
		{"those that began before it doubled do not double it again", nil, func(x *Timeout) {
			answered(x, 0, 100, 10*ms)
			expired(x, 0, 300, 20*ms)      // doubles at the third, from 60 ms
			expired(x, sec/50, 300, 20*ms) // within those
		}, 0, 120 * ms},
		{"those that began after it do", nil, func(x *Timeout) {
			answered(x, 0, 100, 10*ms)
			expired(x, 0, 3, 20*ms)
			expired(x, sec, 100, 40*ms)
		}, sec, 4 * 120 * ms},
		{"a call that began just before it doubled, and was given up at the last moment", func(c *TimeoutConfig) { c.Min = 64 * ms }, func(x *Timeout) {
			answered(x, 0, 97, ms)
			expired(x, 0, 3, 2*ms)
			expired(x, patterns.Instant(64*ms), 100, 2*ms)
		}, sec, 128 * ms},
		{"and one that began just after", func(c *TimeoutConfig) { c.Min = 64 * ms }, func(x *Timeout) {
			answered(x, 0, 97, ms)
			expired(x, 0, 3, 2*ms)
			expired(x, patterns.Instant(64*ms)+1, 100, 2*ms)
		}, sec, 256 * ms},
		{"it doubles for as long as it remembers from before", nil, func(x *Timeout) {
			answered(x, 0, 97, 10*ms)
			expired(x, 0, 3, 20*ms)
			answered(x, 6*sec, 300, 10*ms)
		}, 10*sec - 1, 40 * ms},
		{"and no longer", nil, func(x *Timeout) {
			answered(x, 0, 97, 10*ms)
			expired(x, 0, 3, 20*ms)
			answered(x, 6*sec, 300, 10*ms)
		}, 10 * sec, 20 * ms},
		{"it does not double beyond the most", nil, func(x *Timeout) {
			for i := range patterns.Instant(50) {
				expired(x, i*sec/10, 100, 10*time.Second)
			}
			answered(x, 12*sec, 100, 10*ms)
		}, 12 * sec, 20 * ms},
		{"even from nothing it doubles", func(c *TimeoutConfig) { c.Min, c.Initial, c.Quantile = 0, 0, 0.9 }, func(x *Timeout) {
			for i := range patterns.Instant(50) {
				expired(x, i*sec/10, 300, 0)
			}
		}, 5 * sec, 1 << 32}, // each time it takes as long as it was to see that it is too short
		{"the longest beginning does not overflow", func(c *TimeoutConfig) { c.Initial, c.Max = math.MaxInt64, math.MaxInt64 }, func(*Timeout) {}, 0, math.MaxInt64},
		{"the longest durations do not overflow", func(c *TimeoutConfig) { c.Max = math.MaxInt64 }, func(x *Timeout) {
			answered(x, 0, 97, math.MaxInt64)
			expired(x, 0, 3, math.MaxInt64)
		}, 0, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := usual()
			if tt.cfg != nil {
				tt.cfg(&c)
			}
			x := NewTimeout(c)
			tt.do(&x)
			if got := x.Value(tt.at); !near(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if err := x.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// call is what the twin keeps a list of.
type call struct {
	at    patterns.Instant
	d     time.Duration // as it counts
	late  bool
	judge bool // counts in the share of those given up
}

// twin goes through the whole list for every answer.
type twin struct {
	cfg          TimeoutConfig
	start        patterns.Instant // of the slots of durations
	calls        []call
	doubled      int
	doubledAt    patterns.Instant
	before       time.Duration
	sinceDoubled int // index of the first call after it
}

func (w *twin) value(now patterns.Instant) time.Duration {
	doubled := w.doubled
	if now-w.doubledAt >= patterns.Instant(w.cfg.Window) {
		doubled = 0
	}
	width := (int64(w.cfg.Window) + slots - 1) / slots
	var held quantile.Histogram
	for _, c := range w.calls {
		if int64(c.at-w.start)/width > int64(now-w.start)/width-slots {
			held.Add(c.d)
		}
	}
	d := w.cfg.Initial
	if held.Count() >= uint64(w.cfg.MinSamples) {
		d, _ = held.Quantile(w.cfg.Quantile)
		d = time.Duration(float64(d) * w.cfg.Factor)
	}
	d = max(d, w.cfg.Min)
	for range doubled {
		d = min(2*d, w.cfg.Max)
	}
	return min(d, w.cfg.Max)
}

func (w *twin) add(now patterns.Instant, d time.Duration, late bool) {
	if now-w.doubledAt >= patterns.Instant(w.cfg.Window) {
		w.doubled = 0
	}
	if late {
		d = time.Duration(float64(d) * 1.5)
	}
	judge := !late || now > w.doubledAt.Add(w.before)
	w.calls = append(w.calls, call{now, d, late, judge})
	if !late || !judge {
		return
	}
	width := (int64(w.cfg.Window) + buckets - 1) / buckets
	all, gone := 0, 0
	for _, c := range w.calls[w.sinceDoubled:] {
		if c.judge && int64(c.at)/width > int64(now)/width-buckets {
			if all++; c.late {
				gone++
			}
		}
	}
	if all < w.cfg.MinSamples || float64(gone) <= 2*(1-w.cfg.Quantile)*float64(all) {
		return
	}
	if before := w.value(now); before < w.cfg.Max {
		w.doubled++
		w.doubledAt, w.before, w.sinceDoubled = now, before, len(w.calls)
	}
}

func TestTheTimeoutIsThatOfAllCallsCountedThrough(t *testing.T) {
	doubled := 0
	rapid.Check(t, func(t *rapid.T) {
		c := TimeoutConfig{
			Quantile: rapid.SampledFrom([]float64{0.5, 0.8, 0.9, 0.99}).Draw(t, "q"), Factor: rapid.Float64Range(1, 3).Draw(t, "factor"),
			Min: ms, Initial: 50 * ms, Max: time.Duration(rapid.Int64Range(int64(50*ms), int64(time.Second)).Draw(t, "max")),
			Window:     time.Duration(rapid.Int64Range(int64(100*ms), int64(2*time.Second)).Draw(t, "window")),
			MinSamples: rapid.IntRange(1, 8).Draw(t, "least"),
		}
		x, now := NewTimeout(c), patterns.Instant(rapid.Int64Range(0, 1e9).Draw(t, "begin"))
		w := twin{cfg: c, start: now, doubledAt: -1 << 62}
		x.Value(now) // time begins
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(0, int64(30*ms)), rapid.Just(int64(0)), rapid.Int64Range(0, int64(c.Window))).Draw(t, "wait")))
			d := time.Duration(rapid.Int64Range(0, int64(200*ms)).Draw(t, "d"))
			if late := rapid.IntRange(0, 2).Draw(t, "late") == 0; late {
				x.Expired(now, d)
				w.add(now, d, true)
			} else {
				x.Succeeded(now, d)
				w.add(now, d, false)
			}
			got, want := x.Value(now), w.value(now)
			if math.Abs(float64(got-want)) > 100 || got < c.Min || got > c.Max {
				t.Fatalf("at %d %v, want %v", now, got, want)
			}
			if err := x.Check(); err != nil {
				t.Fatal(err)
			}
			doubled += x.doubled
		}
	})
	if doubled == 0 {
		t.Error("none doubled")
	}
}

// lognormal draws the latency of a service whose median is given.
func lognormal(r *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(0.5*r.NormFloat64()))
}

// The time that a service takes becomes ten times longer, so that every call is given up,
// and later what it was.
func TestTheTimeoutRecoversFromALatencyThatItGaveUp(t *testing.T) {
	r, x := rand.New(rand.NewPCG(1, 2)), NewTimeout(usual())
	late := func(from, to patterns.Instant, median time.Duration) float64 {
		all, late := 0, 0
		for now := from; now < to; now += sec / 500 {
			limit, d := x.Value(now), lognormal(r, median)
			if all++; d > limit { // at a rate this low nobody minds that calls end at once
				late++
				x.Expired(now, limit)
			} else {
				x.Succeeded(now, d)
			}
		}
		return float64(late) / float64(all)
	}
	if share := late(0, 60*sec, 10*ms); share > 0.02 {
		t.Errorf("%v are given up in a calm", share)
	}
	calm := x.Value(60 * sec) // e^(2.33/2) of 10 ms is 32 ms, and Factor 2
	if calm < 55*ms || calm > 75*ms {
		t.Errorf("%v in a calm", calm)
	}
	late(60*sec, 62*sec, 100*ms)
	if share := late(62*sec, 120*sec, 100*ms); share > 0.02 {
		t.Errorf("%v are given up 2 s after the latency rose", share)
	}
	if slow := x.Value(120 * sec); slow < 550*ms || slow > 750*ms {
		t.Errorf("%v at ten times the latency", slow)
	}
	late(120*sec, 140*sec, 10*ms)
	if again := x.Value(140 * sec); again < 55*ms || again > 75*ms {
		t.Errorf("%v after it fell again", again)
	}
}

// Where nothing is added for what slow calls would have taken, the timeout follows what it
// leaves over, down to nothing: that is what the others must not do.
func TestTheTimeoutDoesNotFollowWhatItLeavesOver(t *testing.T) {
	c := usual()
	c.Quantile, c.Factor, c.Min = 0.95, 1, ms
	r, x, naive := rand.New(rand.NewPCG(3, 4)), NewTimeout(c), quantile.NewRecent(c.Window, slots)
	low := time.Duration(math.MaxInt64)
	for now := patterns.Instant(0); now < 300*sec; now += sec / 500 {
		d := lognormal(r, 10*ms)
		if limit := x.Value(now); d > limit {
			x.Expired(now, limit)
		} else {
			x.Succeeded(now, d)
		}
		if now > 10*sec {
			low = min(low, x.Value(now))
		}
		if limit, ok := naive.Quantile(now, c.Quantile); !ok || naive.Count(now) < 100 || d <= limit {
			naive.Add(now, d)
		}
	}
	if quiet := 22 * ms; low < quiet*9/10 { // e^(1.645/2) of 10 ms
		t.Errorf("it fell to %v, want %v", low, quiet)
	}
	if d, _ := naive.Quantile(300*sec, c.Quantile); d > 12*ms {
		t.Errorf("without that it is %v, so this test shows nothing", d)
	}
}

func hedging() HedgeConfig {
	return HedgeConfig{
		Quantile: 0.95, Min: ms, Max: time.Second, Initial: 50 * ms, Window: 10 * time.Second, MinSamples: 100,
	}
}

func TestHedge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		done   int
		d      time.Duration
		outrun int
		after  time.Duration
		at     patterns.Instant
		want   time.Duration
	}{
		{"it begins with what it is told", 0, 0, 0, 0, 0, 50 * ms},
		{"too few say nothing", 99, 10 * ms, 0, 0, 0, 50 * ms},
		{"enough do", 100, 10 * ms, 0, 0, 0, 10 * ms},
		{"those that were outrun count among them", 95, 10 * ms, 5, 40 * ms, 0, 10 * ms},
		{"as longer than they ran", 94, 10 * ms, 6, 40 * ms, 0, 60 * ms},
		{"it has a least", 100, 1000, 0, 0, 0, ms},
		{"and a most", 100, time.Minute, 0, 0, 0, time.Second},
		{"attempts are forgotten", 100, 10 * ms, 0, 0, 10 * sec, 50 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHedge(hedging())
			for range tt.done {
				h.Succeeded(0, tt.d)
			}
			for range tt.outrun {
				h.Outrun(0, tt.after)
			}
			if got := h.Delay(tt.at); !near(got, tt.want) || h.Check() != nil {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// Whoever feeds it the winners, each from its own beginning, sees the slow ones replaced by
// the fast ones that outran them, and hedges more and more.
func TestHedgesStayAsManyAsTheQuantileLeaves(t *testing.T) {
	r, h, naive := rand.New(rand.NewPCG(5, 6)), NewHedge(hedging()), NewHedge(hedging())
	draw := func() time.Duration { // one in ten is slow
		if r.IntN(10) == 0 {
			return lognormal(r, 300*ms)
		}
		return lognormal(r, 10*ms)
	}
	all, hedges, more := 0, 0, 0
	for now := patterns.Instant(0); now < 300*sec; now += sec / 500 {
		one, other := draw(), draw()
		delay, short := h.Delay(now), naive.Delay(now)
		if one <= delay+other {
			h.Succeeded(now, one)
		} else {
			h.Outrun(now, delay+other)
		}
		if one <= short+other {
			naive.Succeeded(now, one)
		} else {
			naive.Succeeded(now, other)
		}
		if now < 20*sec {
			continue
		}
		if all++; one > delay {
			hedges++
		}
		if one > short {
			more++
		}
	}
	if share := float64(hedges) / float64(all); share < 0.04 || share > 0.06 {
		t.Errorf("%v are hedged, want 0.05", share)
	}
	if share := float64(more) / float64(all); share < 0.1 {
		t.Errorf("%v where it is fed the winners, so this test shows nothing", share)
	}
}

func TestReconfiguringKeepsWhatWasLearned(t *testing.T) {
	x, h := NewTimeout(usual()), NewHedge(hedging())
	for range 200 {
		x.Succeeded(0, 10*ms)
		h.Succeeded(0, 10*ms)
	}
	c, g := usual(), hedging()
	c.Factor, g.Min = 3, 20*ms
	x.Reconfigure(sec, c)
	h.Reconfigure(sec, g)
	if !near(x.Value(sec), 30*ms) || h.Delay(sec) != 20*ms {
		t.Errorf("%v, %v", x.Value(sec), h.Delay(sec))
	}
	c.Window, g.Window = 2*time.Second, 2*time.Second
	g.Min = ms
	x.Reconfigure(sec, c)
	h.Reconfigure(sec, g)
	if !near(x.Value(sec), 30*ms) || !near(h.Delay(sec), 10*ms) || x.Value(3*sec) != time.Second || h.Delay(3*sec) != 50*ms {
		t.Errorf("%v, %v", x.Value(3*sec), h.Delay(3*sec))
	}
	c.MinSamples, g.MinSamples = 201, 201
	x.Succeeded(3*sec, 10*ms)
	h.Succeeded(3*sec, 10*ms)
	x.Reconfigure(3*sec, c)
	h.Reconfigure(3*sec, g)
	if x.Value(3*sec) != time.Second || h.Delay(3*sec) != 50*ms || x.Check() != nil || h.Check() != nil {
		t.Errorf("%v, %v", x.Value(3*sec), h.Delay(3*sec))
	}
	x.Reset()
	h.Reset()
	if x.latency.recent.Count(0) != 0 || h.latency.recent.Count(0) != 0 {
		t.Error("they remember")
	}
}

func TestDecidingDoesNotAllocate(t *testing.T) {
	x, h, now := NewTimeout(usual()), NewHedge(hedging()), patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(30 * ms)
		x.Succeeded(now, 10*ms)
		x.Expired(now, 20*ms)
		x.Value(now)
		h.Succeeded(now, 10*ms)
		h.Outrun(now, 20*ms)
		h.Delay(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTimeout(b *testing.B) {
	x, now := NewTimeout(usual()), patterns.Instant(0)
	for b.Loop() {
		now += 1000
		x.Succeeded(now, time.Duration(now)&0xffff)
		x.Value(now)
	}
}
