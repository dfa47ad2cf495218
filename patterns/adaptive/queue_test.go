package adaptive

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// queued is a still limit with a queue in front of it.
func queued(limit int, change ...func(*Config)) Config {
	c := still(limit)
	c.MaxWaiting = 10
	for _, f := range change {
		f(&c)
	}
	return c
}

// join asks to wait behind so many others, and returns until when, or why not.
func (h *host) join(r patterns.Request, waiting int) (until patterns.Instant, c Cause) {
	h.t.Helper()
	until, _, err := h.m.Join(h.now, &r, patterns.Queue{Waiting: waiting, Total: waiting, Ahead: waiting, Oldest: h.now})
	if e, ok := errors.AsType[*LimitError](err); ok {
		if !errors.Is(err, ErrLimit) || !errors.Is(err, patterns.ErrRejected) {
			h.t.Errorf("%v matches too little", err)
		}
		return until, e.Cause
	}
	return until, CauseNone
}

// turn asks for one that has waited since then.
func (h *host) turn(since patterns.Instant, change ...func(*patterns.Request)) patterns.Decision {
	r := patterns.Request{Asked: since}
	for _, f := range change {
		f(&r)
	}
	return h.acquire(r)
}

func TestQueue(t *testing.T) {
	second := patterns.Instant(time.Second)
	tests := []struct {
		name string
		cfg  Config
		do   func(t *testing.T, h *host)
	}{
		{"as many wait as may", queued(1), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			if _, c := h.join(patterns.Request{}, 9); c != CauseNone {
				t.Error("the tenth:", c)
			}
			if _, c := h.join(patterns.Request{}, 10); c != CauseQueue {
				t.Error("the eleventh:", c)
			}
		}},
		{"and how many is changed while it runs, for newcomers", queued(1), func(t *testing.T, h *host) {
			h.take(1, patterns.Request{})
			h.m.Reconfigure(0, still(1))
			if d := h.acquire(patterns.Request{}); cause(d) != CauseLimit {
				t.Errorf("a newcomer: %+v", d)
			}
			if d := h.turn(1); d.Verdict != patterns.Wait {
				t.Errorf("who waits: %+v", d)
			}
			h.m.Reconfigure(0, queued(1))
			if d := h.acquire(patterns.Request{}); d.Verdict != patterns.Wait {
				t.Errorf("a newcomer: %+v", d)
			}
		}},
		{"who does not wait is refused, with a place or others in the way", queued(1), func(t *testing.T, h *host) {
			if d := h.acquire(patterns.Request{NoWait: true}); d.Verdict != patterns.Grant {
				t.Errorf("with a place free: %+v", d)
			}
			if d := h.acquire(patterns.Request{NoWait: true}); cause(d) != CauseLimit {
				t.Errorf("%+v", d)
			}
			if _, c := h.join(patterns.Request{NoWait: true}, 1); c != CauseWaiters {
				t.Error(c)
			}
		}},
		{"a wait ends after MaxWait, and says so", queued(1, func(c *Config) { c.MaxWait = time.Second }), func(t *testing.T, h *host) {
			h.now = 5
			if until, _ := h.join(patterns.Request{}, 0); until != 5+second {
				t.Error("until", until)
			}
			_, err := h.m.Expired(5+second, &patterns.Request{Asked: 5})
			if e, _ := errors.AsType[*LimitError](err); e == nil || e.Cause != CauseMaxWait {
				t.Error(err)
			}
		}},
		{"and never without one", queued(1), func(t *testing.T, h *host) {
			if until, _ := h.join(patterns.Request{}, 0); until != patterns.Never {
				t.Error("until", until)
			}
		}},
		{"what can never be granted does not wait", queued(1), func(t *testing.T, h *host) {
			if _, c := h.join(patterns.Request{Weight: 101}, 1); c != CauseWeight {
				t.Error(c)
			}
		}},
		{"nobody waits while all are refused", queued(1), func(t *testing.T, h *host) {
			must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.ForceOpen}))
			if _, c := h.join(patterns.Request{}, 1); c != CauseForced {
				t.Error(c)
			}
			if d := h.turn(1); cause(d) != CauseForced {
				t.Errorf("%+v", d)
			}
		}},
		{"a priority that is cut off does not wait", queued(4), func(t *testing.T, h *host) {
			h.m.cutoff.reserve[levels-1], h.m.cutoff.held = 2, true
			h.take(4, patterns.Request{Priority: patterns.Critical})
			if _, c := h.join(patterns.Request{}, 1); c != CauseLimit {
				t.Error(c)
			}
			if _, c := h.join(patterns.Request{Priority: patterns.Critical}, 1); c != CauseNone {
				t.Error(c)
			}
		}},
		{"a tenant above its share lets those behind it pass", queued(10, func(c *Config) { c.Fair = true }), func(t *testing.T, h *host) {
			noisy := func(r *patterns.Request) { r.Key = "noisy" }
			h.acquire(patterns.Request{Key: "quiet"})
			h.take(8, patterns.Request{Key: "noisy"})
			if d := h.turn(1, noisy); d.Verdict != patterns.Grant {
				t.Errorf("with nothing kept: %+v", d)
			}
			h.report(1, patterns.Success, ms)
			h.m.cutoff.fair, h.m.cutoff.held = 2, true
			if d := h.turn(1, noisy); cause(d) != CauseShare {
				t.Errorf("with a place kept: %+v", d)
			}
			if d := h.turn(1, func(r *patterns.Request) { r.Key = "quiet" }); d.Verdict != patterns.Grant {
				t.Errorf("whom it is kept for: %+v", d)
			}
			if d := h.turn(1, noisy); d.Verdict != patterns.Wait {
				t.Errorf("with none: %+v", d)
			}
		}},
		{"a turn that comes too late is no use", queued(4, func(c *Config) { c.DeadlineForTurn = true }), func(t *testing.T, h *host) {
			h.m.latency, h.m.spread = 1000, 500
			for _, tt := range []struct {
				ahead    int
				deadline patterns.Instant
				want     Cause
			}{{3, 1000, CauseNone}, {3, 999, CauseDeadline}, {7, 2000, CauseNone}, {7, 1999, CauseDeadline}, {7, 0, CauseNone}, {7, patterns.Never, CauseNone}} {
				if _, c := h.join(patterns.Request{Deadline: tt.deadline}, tt.ahead); c != tt.want {
					t.Errorf("%+v: %q", tt, c)
				}
			}
			h.take(4, patterns.Request{})
			if d := h.turn(1, func(r *patterns.Request) { r.Deadline = 1 }); d.Verdict != patterns.Wait {
				t.Errorf("%+v", d)
			}
		}},
		{"nor is an answer that does, however many calls take less", queued(4), func(t *testing.T, h *host) {
			h.m.latency, h.m.spread = 1000, 500
			if _, c := h.join(patterns.Request{Deadline: 3999}, 3); c != CauseDeadline {
				t.Error(c)
			}
			if _, c := h.join(patterns.Request{Deadline: 4000}, 3); c != CauseNone {
				t.Error(c)
			}
			h.take(1, patterns.Request{})
			h.now = 100
			if d := h.turn(1, func(r *patterns.Request) { r.Deadline = 3099 }); cause(d) != CauseDeadline {
				t.Errorf("%+v", d)
			}
			if d := h.turn(1, func(r *patterns.Request) { r.Deadline = 3100 }); d.Verdict != patterns.Grant {
				t.Errorf("%+v", d)
			}
		}},
		{"but one is tried when nothing else runs", queued(4), func(t *testing.T, h *host) {
			h.m.latency = 1000
			if d := h.turn(1, func(r *patterns.Request) { r.Deadline = 10 }); d.Verdict != patterns.Grant {
				t.Errorf("%+v", d)
			}
		}},
		{"who is served first has no one ahead", queued(4, func(c *Config) { c.Queue, c.DeadlineForTurn = LIFO, true }), func(t *testing.T, h *host) {
			h.m.latency = 1000
			if _, c := h.join(patterns.Request{Deadline: 250}, 9); c != CauseNone {
				t.Error(c)
			}
			if _, c := h.join(patterns.Request{Deadline: 249}, 9); c != CauseDeadline {
				t.Error(c)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, tt.cfg)
			tt.do(t, h)
			h.sound()
		})
	}
}

func TestOrders(t *testing.T) {
	fair := func(c *Config) { c.Fair = true }
	for _, tt := range []struct {
		cfg  Config
		want patterns.Order
	}{
		{queued(1), patterns.FIFO},
		{queued(1, fair), patterns.Fair},
		{queued(1, func(c *Config) { c.Queue = LIFO }), patterns.LIFO},
		{queued(1, fair, func(c *Config) { c.Queue = LIFO }), patterns.LIFO},
		{queued(1, func(c *Config) { c.Queue = CoDel }), patterns.FIFO},
		{queued(1, func(c *Config) { c.Queue = AdaptiveLIFO }), patterns.FIFO},
	} {
		if got := newHost(t, tt.cfg).m.Order(); got != tt.want {
			t.Errorf("%+v: %v", tt.cfg, got)
		}
	}
}

func TestAdaptiveLIFOTurnsRoundWhenSomebodyAlwaysWaits(t *testing.T) {
	h := newHost(t, queued(1, func(c *Config) { c.Queue, c.Interval = AdaptiveLIFO, 100*ms }))
	h.now = patterns.Instant(time.Hour)
	h.take(1, patterns.Request{})
	if d := h.acquire(patterns.Request{}); d.Dirty || h.m.Order() != patterns.FIFO {
		t.Fatalf("turned for a newcomer: %+v", d)
	}
	began := h.now
	h.join(patterns.Request{}, 0)
	h.now += patterns.Instant(100 * ms)
	if d := h.turn(began); d.Dirty || h.m.Order() != patterns.FIFO {
		t.Errorf("turned after an Interval: %+v", d)
	}
	h.now++
	if d := h.turn(began); !d.Dirty || h.m.Order() != patterns.LIFO {
		t.Errorf("not turned: %+v", d)
	}
	if d := h.turn(began); d.Dirty {
		t.Error("turned twice")
	}
	h.join(patterns.Request{}, 1)
	if h.m.Order() != patterns.LIFO {
		t.Error("turned back while somebody waits")
	}
	r := patterns.Request{}
	if _, dirty, _ := h.m.Join(h.now, &r, patterns.Queue{}); !dirty || h.m.Order() != patterns.FIFO {
		t.Error("not turned back when nobody did")
	}
}

func TestCoDelRefusesWhenWaitingIsLongForAnInterval(t *testing.T) {
	h := newHost(t, queued(1, func(c *Config) { c.Queue, c.Target, c.Interval = CoDel, 5*ms, 100*ms }))
	h.take(1, patterns.Request{})
	h.now = patterns.Instant(time.Second)
	since := h.now
	if d := h.acquire(patterns.Request{}); d.Verdict != patterns.Wait || h.m.Again() != since+patterns.Instant(5*ms) {
		t.Fatalf("%+v, again at %v", d, h.m.Again())
	}
	h.join(patterns.Request{}, 0)
	refused := 0
	for h.now < since+patterns.Instant(400*ms) {
		h.now = h.m.Again() // a service that does nothing at all
		switch d := h.turn(since); {
		case d.Verdict == patterns.Wait && h.m.Again() > h.now:
		case cause(d) == CauseSojourn:
			if refused++; refused == 1 && h.now != since+patterns.Instant(105*ms) {
				t.Errorf("the first one after %v", h.now.Sub(since))
			}
		default:
			t.Fatalf("%+v, again at %v", d, h.m.Again())
		}
	}
	if refused < 4 || refused > 8 {
		t.Errorf("%d refused", refused)
	}
	h.join(patterns.Request{}, 0) // nobody waited any more
	if h.m.line.law.Dropping() {
		t.Error("still short of patience")
	}
	h.release(0)
	if d := h.turn(h.now - patterns.Instant(time.Second)); d.Verdict != patterns.Grant {
		t.Errorf("remembers an old queue: %+v", d)
	}
	if h.m.Reconfigure(h.now, queued(1)); h.m.Again() != patterns.Never || h.m.line.law.Dropping() {
		t.Error("a FIFO queue with CoDel's alarm")
	}
	if d := h.turn(1); d.Verdict != patterns.Wait || h.m.Again() != patterns.Never {
		t.Errorf("%+v", d)
	}
}

func TestACrowdIsRefusedInGradesTheLowestPrioritiesFirst(t *testing.T) {
	h := newHost(t, queued(10, func(c *Config) { c.MaxWaiting, c.RefuseFrom = 1000, 2 }))
	h.take(10, patterns.Request{})
	share := func(waiting int) (refused [levels]int) {
		for range 100 {
			for p, n := range map[patterns.Priority]int{patterns.Critical: 1, patterns.Normal: 6, patterns.Low: 3} {
				for range n {
					if _, c := h.join(patterns.Request{Priority: p}, waiting); c == CauseCrowd {
						refused[p-patterns.Background]++
					}
				}
			}
		}
		return refused
	}
	const low, normal, critical = 1, 2, 4
	h.m.cutoff = cutoff{}
	share(0)
	for _, tt := range []struct {
		waiting               int
		low, normal, critical int // percent
	}{{20, 0, 0, 0}, {21, 33, 0, 0}, {23, 100, 0, 0}, {25, 100, 33, 0}, {28, 100, 83, 0}, {30, 100, 100, 100}, {99, 100, 100, 100}} {
		h.m.cutoff.reserve = [levels]float64{}
		got := share(tt.waiting)
		for level, want := range map[int]int{low: 3 * tt.low, normal: 6 * tt.normal, critical: tt.critical} {
			if d := got[level] - want; d < -30 || d > 30 {
				t.Errorf("%d waiting, level %d: %d refused, want about %d", tt.waiting, level, got[level], want)
			}
		}
	}
}

// However the newcomers are mixed, the share of them that is refused is the one that is
// asked for, and nobody is refused while somebody lower is not.
func TestGradesRefuseTheShareTheyAreAskedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		mix := rapid.SliceOfN(rapid.IntRange(0, 5), levels, levels).Draw(t, "mix")
		var g grades
		var seen, refused [levels]int
		total := 0
		for round := range 400 {
			for level, n := range mix {
				for range n {
					no := g.refuse(level, share)
					if round < 200 { // the shares are learned by then
						continue
					}
					total++
					seen[level]++
					if no {
						refused[level]++
					}
				}
			}
		}
		all := 0
		for i := range refused {
			all += refused[i]
			if lower := i - 1; lower >= 0 && seen[i] > 0 && seen[lower] > 0 {
				if refused[i] > seen[i]/10 && refused[lower] < seen[lower]*8/10 {
					t.Fatalf("refused %v of %v", refused, seen)
				}
			}
		}
		if off := float64(all) - share*float64(total); off > 0.08*float64(total)+1 || off < -0.08*float64(total)-1 {
			t.Fatalf("%d of %d refused, asked for %.3f", all, total, share)
		}
	})
}

func TestAShortageEndsLeasesOnceAndLearningGoesOn(t *testing.T) {
	h := newHost(t, still(20))
	lent := h.m.Lease(0, 64)
	h.take(20, patterns.Request{})
	if h.m.Epoch() != 2 || h.m.Check() != nil {
		t.Fatalf("epoch %d", h.m.Epoch())
	}
	if d := h.acquire(patterns.Request{}); d.Dirty || h.m.Epoch() != 2 {
		t.Errorf("epoch %d, %+v", h.m.Epoch(), d)
	}
	if counted, _ := h.m.SettleLease(0, 1, patterns.Tally{Unused: lent - 1}); !counted {
		t.Error("a lease that was called back does not count")
	}
	if counted, _ := h.m.Report(0, patterns.PermitID{Epoch: 1, ID: 1 << 63}, patterns.Dropped, ms); !counted || h.m.limit != 18 {
		t.Errorf("a lost call teaches nothing: limit %d", h.m.limit)
	}
	must(t, h.m.Operate(0, patterns.Operation{Kind: patterns.Reset}))
	if h.report(0, patterns.Dropped, ms) {
		t.Error("what began before a Reset counts")
	}
}

func TestALenderTimesNobodyWhileHalfOfTheLimitIsFree(t *testing.T) {
	leased := func(change ...func(*Config)) Config {
		c := still(20)
		c.Mode = patterns.Leased(0, 0)
		for _, f := range change {
			f(&c)
		}
		return c
	}
	h := newHost(t, leased())
	if h.m.Measured() {
		t.Fatal("times the first")
	}
	h.take(1, patterns.Request{})
	if h.report(0, patterns.Failure, 0); h.m.latency != 0 {
		t.Error("learned from a call that was not timed")
	}
	h.m.latency = 1e6
	h.take(1, patterns.Request{})
	if h.report(0, patterns.Dropped, 0); h.m.limit != 18 || h.m.latency != 1e6 {
		t.Errorf("limit %d after a lost call", h.m.limit)
	}
	h.take(9, patterns.Request{})
	if h.m.Measured() {
		t.Error("times the ninth of 18")
	}
	if d := h.acquire(patterns.Request{}); !d.Dirty || !h.m.Measured() {
		t.Error("does not time the tenth")
	}
	for len(h.out) > 4 {
		h.report(0, patterns.Success, 2*ms)
		h.sound()
	}
	if h.m.Measured() || h.m.latency < 1.2e6 {
		t.Errorf("times who is alone; latency %v", h.m.latency)
	}
	h.m.Reconfigure(0, leased(func(c *Config) { c.MaxLatency = ms }))
	if h.sound(); !h.m.Measured() {
		t.Error("with a MaxLatency")
	}
	if h := newHost(t, still(20)); !h.m.Measured() {
		t.Error("without leases")
	}
}

func TestTheNamesOfQueues(t *testing.T) {
	for q := range Queue(queues + 1) {
		name, wrong := q.String(), fmt.Sprintf("queue(%d)", q)
		if q.Valid() != (name != wrong) {
			t.Errorf("%d is %q", q, name)
		}
	}
}
