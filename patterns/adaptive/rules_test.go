package adaptive

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
	"github.com/bulwark-go/bulwark/patterns"
)

// known is a knee that knows a service of 10 workers and 10 ms, and a window of it.
func known() (*knee, *window) {
	l := Knee{}.New(Bounds{Initial: 20, Min: 1, Max: 1000}).(*knee)
	l.base, l.rate, l.sure, l.spread = 1e7, 1e-6, true, 0.28
	w := &window{open: true, last: patterns.Instant(100 * ms), n: 100, sum: 100 * 1.5e7, hits: 50, area: 15 * 1e8}
	return l, w
}

func TestKneeRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(l *knee, w *window) (ok bool)
	}{
		{"the limit at most doubles at once", func(l *knee, _ *window) bool {
			l.rate = 1e-3
			l.aim()
			return l.limit == 40
		}},
		{"throughput while the limit is not used is no reason to lower it", func(l *knee, w *window) bool {
			w.n, w.hits = 50, 0
			l.learnRate(w)
			return l.rate == 1e-6
		}},
		{"throughput while the limit is used is", func(l *knee, w *window) bool {
			w.n, w.hits = 50, 50
			l.learnRate(w)
			return l.rate < 0.8e-6
		}},
		{"an incident teaches no baseline", func(l *knee, w *window) bool {
			w.drops, w.hits, w.low, w.lowSum, l.quiet = 10, 0, 100, 100*9e7, true
			l.learnBase(0, w)
			return l.base == 1e7
		}},
		{"quiet windows in a row teach the baseline", func(l *knee, w *window) bool {
			w.hits, w.low, w.lowSum, l.quiet = 0, 100, 100*2e7, true
			l.learnBase(0, w)
			return l.base == 1.3e7
		}},
		{"a window under load below the baseline lowers it, and casts doubt", func(l *knee, w *window) bool {
			w.sum = 100 * 0.5e7
			l.learnBase(0, w)
			return l.base == 0.75e7 && !l.sure
		}},
		{"lost calls halve the margin", func(l *knee, w *window) bool {
			l.margin, w.drops = 8, 3
			l.adjust(w)
			return l.margin == 4
		}},
		{"losing many lowers the ceiling below what was in flight", func(l *knee, w *window) bool {
			w.drops = 6
			l.adjust(w)
			return l.ceiling == 0.9*15
		}},
		{"but not far below the knee", func(l *knee, w *window) bool {
			w.drops, w.area = 6, 1e8
			l.adjust(w)
			return l.ceiling == 0.9*10
		}},
		{"and losing none raises it again", func(l *knee, w *window) bool {
			l.ceiling = 10
			l.adjust(w)
			return l.ceiling == 10.5
		}},
		{"what does not drain ends the probe", func(l *knee, _ *window) bool {
			l.refer()
			l.descend(0, l.probe.first(l.limit, l.size()))
			s := Sample{Now: patterns.Instant(199 * ms), RTT: 10 * ms, InFlight: 20}
			if l.drained(s); l.probe.phase != draining {
				return false
			}
			s.Now = patterns.Instant(201 * ms)
			l.drained(s)
			return l.probe.phase == cruising && l.limit > 15
		}},
		{"a probe looks below the knee", func(l *knee, _ *window) bool {
			l.refer()
			l.descend(0, l.probe.first(l.limit, l.size()))
			return l.looking() && l.limit == 7.5
		}},
		{"and further below where throughput broke down", func(l *knee, _ *window) bool {
			l.probe.broken = true
			return l.probe.first(20, 10) == 6.5 && l.probe.first(10, 10) == 5
		}},
		{"a probe goes on at a half, or a little below the knee if that shows", func(l *knee, _ *window) bool {
			return l.probe.next(8, 1) == 4 && l.probe.next(9, 0.9) == 7
		}},
		{"a probe whose halves differ looks again", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 1.4e-6, 20, 7
			w.fresh, w.freshSum, w.half, w.halfSum = 40, 20*1e7+20*5e7, 20, 20*1e7
			l.close(0, w)
			l.close(0, w)
			again := l.probe.phase == probing
			l.close(0, w)
			return again && l.probe.phase == cruising
		}},
		{"a limit that is not used tells nothing: the probe ends", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 1e-6, 20, 7
			w.fresh, w.freshSum, w.area = 40, 40*1e7, 2.7*1e8
			l.close(0, w)
			return l.probe.phase == cruising && l.base == 1e7 && l.rate == 1e-6 && l.limit > 19
		}},
		{"but if it is used by a half it does", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 1e-6, 20, 7
			w.fresh, w.freshSum, w.area = 40, 40*1e7, 3.5*1e8
			l.close(0, w)
			return l.probe.phase == draining
		}},
		{"and the next probe is later each time, until one tells something", func(l *knee, w *window) bool {
			l.sure = false
			due := func(windows int) bool { l.probe.windows = windows; return l.doubts(0, w) }
			at4 := due(4)
			l.abandon(0)
			not4, at5 := !due(4), due(5)
			l.abandon(0)
			not6, at7 := !due(6), due(7)
			for range 10 {
				l.abandon(0)
			}
			not66, at67 := !due(66), due(67)
			l.probe.rate, l.limit = 2e-6, 7
			w.fresh, w.freshSum, w.area = 40, 40*1e7, 1e9
			l.judge(0, w)
			return at4 && not4 && at5 && not6 && at7 && not66 && at67 && l.probe.wait == 0
		}},
		{"a probe waits for twice as many calls as it needs, and not less than two latencies", func(l *knee, _ *window) bool {
			l.probe.phase, l.limit = probing, 7
			at := func(n int, span time.Duration) bool {
				l.window = window{open: true, n: n, sum: float64(n) * 1e7, last: patterns.Instant(span)}
				return l.overdue()
			}
			return at(84, 20*ms) && !at(79, 20*ms) && !at(84, 19*ms) && !at(0, time.Hour)
		}},
		{"or for twice as long as they would take", func(l *knee, _ *window) bool {
			l.probe.phase, l.limit, l.spread = probing, 7.9, 0
			at := func(span time.Duration) bool {
				l.window = window{open: true, n: 20, sum: 20 * 1e7, last: patterns.Instant(span)}
				return l.overdue()
			}
			return at(115*ms) && !at(114*ms)
		}},
		{"only a probe is ever overdue", func(l *knee, _ *window) bool {
			l.limit, l.spread = 7, 1
			grown := func(p phase) bool {
				l.probe.phase = p
				l.window = window{open: true, n: 20, sum: 20 * 1e7, last: patterns.Instant(time.Hour)}
				l.Observe(Sample{Now: patterns.Instant(time.Hour), RTT: 10 * ms})
				return l.window.n == 21
			}
			return grown(cruising) && grown(referring) && !grown(probing)
		}},
		{"a probe needs fewer calls where they are alike by now", func(l *knee, w *window) bool {
			w.n, w.fresh, w.freshSum, w.sum, w.squares = 60, 60, 60*1e7, 60*1e7, 60*1e14
			alike := w.looked(1)
			w.squares = 60 * 1.5e14
			return alike && !w.looked(1)
		}},
		{"the halves of a probe are halves", func(l *knee, _ *window) bool {
			l.probe.phase, l.limit, l.probe.rate = probing, 5, 1
			l.window.begin(0, 0)
			for i := range 39 {
				l.Observe(Sample{Now: patterns.Instant(i+1) * 1e6, RTT: 5 * ms, InFlight: 5, Left: 4})
			}
			return l.window.half == 20 && l.window.fresh == 39
		}},
		{"a window is judged after 20 calls", func(l *knee, _ *window) bool {
			l.spread, l.rate = 0.1, 0
			l.window.begin(0, 0)
			for i := range 20 {
				l.Observe(Sample{Now: patterns.Instant(i+1) * 1e6, RTT: ms, InFlight: 5, Left: 4, Full: true})
			}
			return l.rate > 0
		}},
		{"chance is no difference", func(_ *knee, w *window) bool {
			w.fresh, w.freshSum, w.half, w.halfSum = 40, 20*1e7+20*1.4e7, 20, 20*1e7
			calm := w.steady(0.28)
			w.freshSum = 20*1e7 + 20*1.6e7
			return calm && !w.steady(0.1) && w.steady(1)
		}},
		{"throughput that follows ends a probe", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 1.2e-6, 20, 7
			w.fresh, w.freshSum, w.area = 40, 40*1e7, 1e9
			l.judge(0, w)
			return l.probe.phase == cruising && l.base == 1e7 && l.rate == 1.2e-6
		}},
		{"and if it does not quite, and calls are much slower, that must be seen again", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 1.25e-6, 20, 7
			w.fresh, w.freshSum = 40, 40*2e7
			l.judge(0, w)
			return l.probe.phase == draining && l.limit == 0.7*7/0.8
		}},
		{"a service that has become slower works on as much at once, not on more", func(l *knee, w *window) bool {
			l.probe.phase, l.probe.rate, l.probe.resume, l.limit = probing, 2e-6, 20, 7
			w.fresh, w.freshSum = 40, 40*5e7
			l.judge(0, w)
			return l.base == 5e7 && l.rate == 10/5e7
		}},
		{"a calm, well known service is not probed", func(l *knee, w *window) bool {
			l.probe.windows, l.probe.samples = 100, probeEvery*probeLeast
			return !l.doubts(1e12, w)
		}},
		{"it is after thousands of calls and hundreds of latencies", func(l *knee, w *window) bool {
			l.probe.samples = probeEvery*probeLeast + 1
			return l.doubts(301*1.5e7, w) && !l.doubts(299*1.5e7, w)
		}},
		{"a breakdown of throughput is a reason for a probe", func(l *knee, w *window) bool {
			l.probe.windows, w.n, w.hits = 4, 50, 50
			return l.doubts(0, w) && l.probe.broken
		}},
		{"losing calls is one, if it goes on", func(l *knee, w *window) bool {
			l.probe.windows, w.hits, w.drops = 4, 100, 6
			return !l.doubts(0, w) && l.doubts(0, w)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if l, w := known(); !tt.do(l, w) {
				t.Errorf("%+v %+v", l, w)
			}
		})
	}
}

func TestTheMarginIsGivenBackWhenOverloadComes(t *testing.T) {
	m := after(func(s *simulation.Scenario) {
		s.Phases = []simulation.Phase{{Load: 1}, {At: 15 * time.Second, Load: 5}}
	})
	if s := m.Snapshot(0, patterns.Counts{}); s.Margin > 4 {
		t.Errorf("margin %v", s.Margin)
	}
}

func TestReservesAreForThoseWhoCanBeHeldBack(t *testing.T) {
	var c cutoff
	c.refused(0, levels-1, true, 10)
	if c.held {
		t.Errorf("nobody to hold back: %+v", c)
	}
	c.inFlight[0], c.greedy = 1, 1
	c.refused(0, levels-1, true, 10)
	if c.reserve[levels-1] != 1 || c.fair != 1 || c.kept(0, false) != 2 || c.kept(levels-1, true) != 0 {
		t.Errorf("%+v", c)
	}
	for range 100 {
		c.refused(0, levels-1, true, 10)
	}
	if c.reserve[levels-1] != 10 || c.fair != 10 {
		t.Errorf("more than the limit: %+v", c)
	}
}

func TestTenants(t *testing.T) {
	cfg := Config{MaxTenants: 2}
	ts := newTenants(&cfg, 1)
	a, b := ts.find(0, "a", nil), ts.find(0, "b", nil)
	if a == b || ts.find(0, "a", nil) != a {
		t.Fatal("tenants mixed up")
	}
	if ts.find(0, "c", nil) != 0 || ts.find(0, "d", nil) != 0 {
		t.Error("more tenants than may be told apart")
	}
	ts.all[a].inFlight = 1
	for i := range patterns.Instant(5) {
		ts.find(i*period, "c", nil)
	}
	if ts.find(5*period, "a", nil) != a || ts.all[a].inFlight != 1 {
		t.Error("a tenant with a call in flight was forgotten")
	}
	if ts.find(5*period, "c", nil) == 0 {
		t.Error("a tenant that left keeps its place")
	}
}

func TestLongKeysAreTenantsToo(t *testing.T) {
	long := make([]byte, 1<<20)
	if hash(1, string(long)) == hash(1, string(long[1:])) || hash(1, "") == hash(2, "") {
		t.Error("hashes collide")
	}
}

func TestRefusalsAreFresh(t *testing.T) {
	h := newHost(t, still(1))
	h.take(1, patterns.Request{})
	first := h.acquire(patterns.Request{}).Err
	h.now += freshFor
	if second := h.acquire(patterns.Request{}).Err; errors.Is(first, second) {
		t.Error("an old refusal")
	}
}
