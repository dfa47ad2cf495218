package ratelimiter

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// causeOf returns why err refuses.
func causeOf(err error) Cause {
	if e, ok := errors.AsType[*LimitError](err); ok {
		return e.Cause
	}
	return "none of ours"
}

func TestCallersPassInTheOrderOfAskingAndWhenTheyWereTold(t *testing.T) {
	h := newHost(t, alone(with(Config{Rate: Rate{10, sec, 2}}, func(c *Config) { c.MaxWaiting = 4 })))
	var callers []*caller
	for i, n := range []int{2, 1, 2, 1, 1, 1} {
		h.now++
		c := h.ask(patterns.Request{Weight: n, Key: strconv.Itoa(i)})
		callers = append(callers, c)
	}
	h.now++
	if last := callers[5]; causeOf(last.refused) != CauseQueue || last.told != 600*1e6+2 {
		t.Errorf("the queue is full: %v, %d", last.refused, last.told)
	}
	if c := h.ask(patterns.Request{NoWait: true}); causeOf(c.refused) != CauseWaiters {
		t.Errorf("somebody waits: %v", c.refused)
	}
	if c := h.ask(patterns.Request{Weight: 3}); !errors.Is(c.refused, patterns.ErrInvalidRequest) {
		t.Errorf("never passes: %v", c.refused)
	}
	h.pass(sec)
	for i, want := range []patterns.Instant{2, 100*1e6 + 2, 300*1e6 + 2, 400*1e6 + 2, 500*1e6 + 2} {
		if c := callers[i]; c.passed != want || c.told != want {
			t.Errorf("caller %d passed at %d, was told %d, want %d", i, c.passed, c.told, want)
		}
	}
}

func TestCallersOfOneKeyDoNotWaitForThoseOfAnother(t *testing.T) {
	h := newHost(t, with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting = 2 }))
	var last []*caller
	for _, key := range []string{"a", "b", ""} {
		for range 3 {
			last = append(last, h.ask(patterns.Request{Key: key}))
		}
		if c := h.ask(patterns.Request{Key: key}); causeOf(c.refused) != CauseQueue {
			t.Errorf("%q: %v", key, c.refused)
		}
	}
	h.pass(sec)
	for i, c := range last {
		if want := patterns.Instant(1 + i%3*100*1e6); c.passed != want || c.told != want {
			t.Errorf("%q passed at %d, was told %d, want %d", c.r.Key, c.passed, c.told, want)
		}
	}
}

// The shell's timer may be late. Those behind are not any later for it, and after a long
// pause one more passes than may, and not all at once.
func TestALateTimerDelaysNobodyElse(t *testing.T) {
	for _, key := range []string{"", "k"} {
		m := newTestMachine(with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting = 9 }))
		m.Take(0, request(key, 1))
		r := &patterns.Request{Key: key, Asked: 1}
		for i, tt := range []struct{ now, again time.Duration }{
			{120 * ms, 200 * ms}, {299 * ms, 300 * ms}, {300 * ms, 400 * ms}, {2000 * ms, 0}, {2000 * ms, 2100 * ms}, {2150 * ms, 2200 * ms},
		} {
			now := patterns.Instant(tt.now)
			if d := m.Acquire(now, uint64(i), r); d.Verdict != patterns.Grant {
				t.Fatalf("%q at %v: %v", key, tt.now, d)
			}
			if tt.again == 0 {
				continue
			}
			if d := m.Acquire(now, uint64(i), r); d.Verdict != patterns.Wait || m.Again() != patterns.Instant(tt.again) {
				t.Errorf("%q after %v: %v, again at %v", key, tt.now, d, m.Again())
			}
		}
		r.Asked = patterns.Instant(3 * sec) // who did not wait for long loses what came before
		if m.Acquire(r.Asked, 9, r); m.Peek(r.Asked, request(key, 1)).RetryAfter != 100*ms {
			t.Errorf("%q: %+v", key, m.Peek(r.Asked, request(key, 1)))
		}
	}
}

func TestNobodyJoinsAQueueThatIsClosed(t *testing.T) {
	h := newHost(t, with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting = 2 }))
	h.ask(patterns.Request{})
	last := h.ask(patterns.Request{})
	h.operator(func(m *Machine, now patterns.Instant) {
		m.Reconfigure(now, with(m.cfg, func(c *Config) { c.MaxWaiting = 0 }))
	})
	if c := h.ask(patterns.Request{}); causeOf(c.refused) != CauseWaiters {
		t.Error(c.refused)
	}
	if h.pass(sec); last.passed != 100*1e6+1 {
		t.Errorf("passed at %d", last.passed)
	}
}

func TestTheQueuesOfAllKeysAreBoundedTogether(t *testing.T) {
	m := newTestMachine(with(Config{Rate: Rate{1, sec, 1}}, func(c *Config) { c.MaxWaiting = 2 }))
	r := &patterns.Request{Key: "k"}
	m.Take(0, r)
	full := patterns.Queue{Total: maxWaitingKeys}
	if _, _, err := m.Join(0, r, full); causeOf(err) != CauseQueue {
		t.Errorf("one more than may: %v", err)
	}
	full.Total--
	if _, _, err := m.Join(0, r, full); err != nil {
		t.Error(err)
	}
	m.Reconfigure(0, with(m.cfg, func(c *Config) { c.MaxWaiting = 2 * maxWaitingKeys }))
	full.Total = 2*maxWaitingKeys - 1
	if _, _, err := m.Join(0, r, full); err != nil {
		t.Error(err)
	}
}

func TestWhoWouldWaitForTooLongIsRefusedAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		want int // of callers at once, of which the first passes, who wait for at most a second
	}{
		"a bucket":         {Config{Rate: Rate{10, sec, 1}}, 11},
		"something smooth": {Config{Rate: Rate{Count: 10, Per: sec}, Algorithm: Smooth}, 11},
		"a log":            {Config{Rate: Rate{Count: 10, Per: sec}, Algorithm: SlidingLog}, 20},
		"fixed windows":    {Config{Rate: Rate{Count: 10, Per: sec}, Algorithm: FixedWindow}, 20},
		"sliding windows":  {Config{Rate: Rate{Count: 10, Per: sec}, Algorithm: SlidingWindow}, 10},
		"two rates":        {Config{Tiers: Several(Rate{10, sec, 1}, Rate{5, time.Minute, 5})}, 5},
	} {
		for how, limit := range map[string]func(*Config, *patterns.Request){
			"MaxWait":  func(c *Config, _ *patterns.Request) { c.MaxWait = sec },
			"deadline": func(_ *Config, r *patterns.Request) { r.Deadline = second(1) + 2 },
		} {
			cfg, r := with(tt.cfg, func(c *Config) { c.MaxWaiting = 100 }), patterns.Request{}
			limit(&cfg, &r)
			h := newHost(t, cfg)
			passed := 0
			var callers []*caller
			for range 50 {
				callers = append(callers, h.ask(r))
			}
			h.pass(2 * sec)
			for i, c := range callers {
				switch {
				case c.passed != 0:
					passed++
				case causeOf(c.refused) != CauseMaxWait || c.r.Asked != 0:
					t.Errorf("%s, %s: caller %d: %+v", name, how, i, c)
				}
			}
			if passed != tt.want {
				t.Errorf("%s, %s: %d passed, want %d", name, how, passed, tt.want)
			}
		}
	}
}

// A forecast that was too good, or has been overtaken by events, ends in a refusal.
func TestWhoHasWaitedForMaxWaitIsRefused(t *testing.T) {
	h := newHost(t, with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting, c.MaxWait = 9, 300*ms }))
	h.ask(patterns.Request{})
	first, second := h.ask(patterns.Request{}), h.ask(patterns.Request{})
	h.operator(func(m *Machine, now patterns.Instant) {
		m.Reconfigure(now, with(m.cfg, func(c *Config) { c.Rate = MustParse("5/second burst 1") }))
	})
	h.pass(sec)
	if first.passed != 200*1e6+1 || causeOf(second.refused) != CauseMaxWait {
		t.Errorf("passed at %d; %v", first.passed, second.refused)
	}
	if e, _ := errors.AsType[*LimitError](second.refused); !e.RetryAt.Equal(origin.Add(400*ms + 1)) {
		t.Errorf("may retry at %v", e.RetryAt)
	}
	// It was asked for when it became the head, and its turn was too late by then.
	if second.until != 300*1e6+2 {
		t.Errorf("would have waited until %d", second.until)
	}
	m := newTestMachine(with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting = 9 }))
	m.Take(0, request("k", 1))
	if _, err := m.Expired(0, request("k", 1)); causeOf(err) != CauseMaxWait {
		t.Error(err)
	}
	if _, err := m.Expired(0, request("k", 2)); !errors.Is(err, patterns.ErrInvalidRequest) {
		t.Error(err)
	}
	newScript(t, m).run("force-open")
	if _, err := m.Expired(0, request("k", 1)); causeOf(err) != CauseForced {
		t.Error(err)
	}
	if _, _, err := m.Join(0, request("k", 1), patterns.Queue{}); causeOf(err) != CauseForced {
		t.Error(err)
	}
}

func TestWhatIsGivenBackGoesToWhoWaits(t *testing.T) {
	for _, key := range []string{"", "k", strings.Repeat("k", longestWaiting)} {
		for _, c := range []Config{per(1, time.Hour), alone(per(1, time.Hour))} {
			h := newHost(t, with(c, func(c *Config) { c.MaxWaiting = 9 }))
			held := h.ask(patterns.Request{Key: key})
			other := &caller{}
			if h.m.keyed {
				other = h.ask(patterns.Request{Key: "other"})
			}
			var wait []*caller
			for range 3 {
				wait = append(wait, h.ask(patterns.Request{Key: key}))
			}
			h.leave(wait[0])
			if h.release(held); wait[1].passed != h.now {
				t.Errorf("a key of %d bytes: it does not pass at once", len(key))
			}
			if h.release(wait[1]); wait[2].passed != h.now {
				t.Errorf("a key of %d bytes: the next does not", len(key))
			}
			if h.m.keyed {
				if h.release(other); other.passed == 0 || h.m.queue.freed != nobody {
					t.Error("nobody waited, and somebody is served")
				}
			}
		}
	}
}

// A key that nobody waits for is forgotten: when it is next asked for, when nobody waits
// at all, and when there are many of them.
func TestKeysThatNobodyWaitsForAreForgotten(t *testing.T) {
	h := newHost(t, with(per(1, time.Hour), func(c *Config) { c.MaxWaiting = 9 }))
	stale := func(n int) {
		for i := range n {
			key := strconv.Itoa(i)
			h.ask(patterns.Request{Key: key, NoWait: true})
			h.leave(h.ask(patterns.Request{Key: key}))
		}
	}
	if stale(5); len(h.m.queue.waiting) != 1 {
		t.Errorf("%d keys, but nobody waits", len(h.m.queue.waiting))
	}
	h.ask(patterns.Request{Key: "x", NoWait: true})
	h.ask(patterns.Request{Key: "x"})
	if stale(5); len(h.m.queue.waiting) != 6 {
		t.Errorf("%d keys", len(h.m.queue.waiting))
	}
	if h.ask(patterns.Request{Key: "3", NoWait: true}); len(h.m.queue.waiting) != 5 {
		t.Errorf("%d keys, one of which was asked for", len(h.m.queue.waiting))
	}
	if stale(3 * spareWaiting); len(h.m.queue.waiting) > spareWaiting+2 {
		t.Errorf("%d keys for one that waits", len(h.m.queue.waiting))
	}
}

// twinLimiter is a limiter with a queue that does what it does a millisecond at a time,
// with tokens in thousandths.
type twinLimiter struct {
	rate     Rate
	smooth   bool
	maxWait  time.Duration
	tokens   int64
	queue    []*twinCaller
	queueMax int
	now      int64 // ms
}

type twinCaller struct {
	n, asked, by int64
	passed       int64 // 0: not
	gone         bool
}

// step lets a millisecond pass. Rates are such that whole thousandths of a token come.
func (l *twinLimiter) step() {
	l.now++
	l.tokens = min(l.tokens+l.rate.Count*1000/l.rate.Per.Milliseconds(), l.burst()*1000)
	l.serve()
}

func (l *twinLimiter) burst() int64 {
	if l.smooth {
		return 1
	}
	return l.rate.Burst
}

// need is what has to be there before n may pass.
func (l *twinLimiter) need(n int64) int64 {
	if l.smooth {
		return 1000
	}
	return n * 1000
}

func (l *twinLimiter) serve() {
	for len(l.queue) > 0 {
		c := l.queue[0]
		if l.tokens < l.need(c.n) {
			return
		}
		l.tokens -= c.n * 1000
		c.passed = l.now
		l.queue = l.queue[1:]
	}
}

// ask runs ahead with a copy to see when c would pass, and refuses it if that is too late.
func (l *twinLimiter) ask(c *twinCaller) {
	if len(l.queue) > l.queueMax {
		c.gone = true
		return
	}
	copied := *l
	copied.queue = nil
	for _, o := range append(l.queue[:len(l.queue):len(l.queue)], c) {
		ghost := *o
		copied.queue = append(copied.queue, &ghost)
	}
	ghost := copied.queue[len(copied.queue)-1]
	waiting := len(l.queue)
	copied.serve()
	if ghost.passed == 0 && waiting >= l.queueMax {
		c.gone = true
		return
	}
	for ghost.passed == 0 {
		copied.step()
	}
	if at := ghost.passed; l.maxWait > 0 && at-c.asked > l.maxWait.Milliseconds() || c.by > 0 && at >= c.by && at > c.asked {
		c.gone = true
		return
	}
	l.queue = append(l.queue, c)
	l.serve()
}

func TestWhoWaitsPassesAsInTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SampledFrom([]int64{1, 2, 4, 5}).Draw(t, "count")
		cfg := Config{Rate: Rate{Count: count, Per: 20 * ms}, MaxWaiting: rapid.IntRange(1, 6).Draw(t, "queue")}
		if rapid.Bool().Draw(t, "smooth") {
			cfg.Algorithm = Smooth
		} else {
			cfg.Rate.Burst = rapid.Int64Range(1, 6).Draw(t, "burst")
		}
		cfg = cfg.withDefaults()
		if rapid.Bool().Draw(t, "max wait") {
			cfg.MaxWait = time.Duration(rapid.IntRange(1, 60).Draw(t, "ms")) * ms
		}
		h := newHost(t, cfg)
		h.now = patterns.Instant(ms)
		twins := map[string]*twinLimiter{}
		type both struct {
			c *caller
			w *twinCaller
		}
		var all []both
		for range rapid.IntRange(1, 40).Draw(t, "callers") {
			key := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
			twin := twins[key]
			if twin == nil {
				twin = &twinLimiter{
					rate: cfg.Rate, smooth: cfg.Algorithm == Smooth, maxWait: cfg.MaxWait, queueMax: cfg.MaxWaiting,
					now: int64(h.now) / 1e6,
				}
				twin.tokens = twin.burst() * 1000
				twins[key] = twin
			}
			n := rapid.Int64Range(1, min(3, max(cfg.Rate.Burst, 1))).Draw(t, "n")
			if cfg.Algorithm == Smooth {
				n = min(n, count)
			}
			r, w := patterns.Request{Key: key, Weight: int(n)}, &twinCaller{n: n, asked: twin.now}
			if rapid.Bool().Draw(t, "deadline") {
				w.by = twin.now + int64(rapid.IntRange(1, 60).Draw(t, "by"))
				r.Deadline = patterns.Instant(w.by * 1e6)
			}
			twin.ask(w)
			all = append(all, both{h.ask(r), w})
			steps := rapid.IntRange(0, 15).Draw(t, "later")
			h.pass(time.Duration(steps) * ms)
			for range steps {
				for _, twin := range twins {
					twin.step()
				}
			}
		}
		h.pass(10 * sec)
		for range 10_000 {
			for _, twin := range twins {
				twin.step()
			}
		}
		for i, b := range all {
			if got := int64(b.c.passed+patterns.Instant(ms)-1) / 1e6; got != b.w.passed || (b.c.refused != nil) != b.w.gone {
				t.Fatalf("%v: caller %d %+v: passed at %d, refused %v; the twin's at %d, gone %v", cfg.Rate, i, b.c.r, got, b.c.refused, b.w.passed, b.w.gone)
			}
			if b.c.passed != 0 && b.c.passed != b.c.told {
				t.Fatalf("caller %d passed at %d, was told %d", i, b.c.passed, b.c.told)
			}
		}
	})
}
