package redislimiter

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// twin is the limiter as one would explain it: lists of what was taken, given back and owed,
// from which every number is counted anew.
type twin struct {
	most    int64
	cfg     Config // with its defaults
	taken   []entry
	back    []entry
	debts   []entry // one of each key
	passed  []entry // by this instance's part of the limit
	row     int     // calls in a row that failed
	mute    int     // calls in a row without an answer in time
	down    bool
	retryAt patterns.Instant
	lost    int64 // given back in vain
	without [2]uint64
}

type entry struct {
	key string
	n   int64
}

func sum(all []entry, key string) (n int64) {
	for _, e := range all {
		if e.key == key {
			n += e.n
		}
	}
	return n
}

const (
	passes = "passes"
	sent   = "is sent"
	tooFew = "too few"
	heavy  = "too heavy"
	outed  = "an outage"
	misfit = "a misfit"
)

func (w *twin) ask(e entry) string {
	switch {
	case e.n > w.most:
		return heavy
	case w.down:
		return w.policy(e)
	}
	return sent
}

func (w *twin) policy(e entry) string {
	switch w.cfg.OnOutage {
	case FailClosed:
		w.without[1]++
		return outed
	case Local:
		part := max(1, w.most/int64(w.cfg.Instances))
		switch {
		case e.n > part:
			w.without[1]++
			return heavy
		case sum(w.passed, e.key)+e.n > part:
			w.without[1]++
			return tooFew
		}
		w.passed = append(w.passed, e)
	}
	w.without[0]++
	w.owe(e)
	return passes
}

func (w *twin) owe(e entry) {
	for i := range w.debts {
		if w.debts[i].key == e.key {
			w.debts[i].n = min(w.most, w.debts[i].n+e.n)
			return
		}
	}
	w.debts = append(w.debts, e)
}

func (w *twin) release(e entry) {
	if w.cfg.Algorithm == ratelimiter.SlidingLog {
		w.lost += e.n
		return
	}
	w.back = append(w.back, e)
}

// arrive is what a call does to Redis: what passed before, what comes back, then requests. It
// returns what each request took.
func (w *twin) arrive(debts, back, requests []entry) (took []bool) {
	for _, d := range debts {
		w.taken = append(w.taken, entry{d.key, min(d.n, w.most-sum(w.taken, d.key))})
	}
	for _, e := range back {
		w.taken = append(w.taken, entry{e.key, -min(e.n, sum(w.taken, e.key))})
	}
	for _, e := range requests {
		fits := sum(w.taken, e.key)+e.n <= w.most
		if took = append(took, fits); fits {
			w.taken = append(w.taken, e)
		}
	}
	return took
}

// extras takes what goes with a call: so many things at most.
func (w *twin) extras() (debts, back []entry) {
	n := min(w.cfg.MaxBatch, len(w.debts))
	debts, w.debts = w.debts[:n:n], w.debts[n:]
	if w.down {
		return debts, nil
	}
	n = min(w.cfg.MaxBatch-n, len(w.back))
	back, w.back = w.back[:n:n], w.back[n:]
	return debts, back
}

// fail is a call that failed: the limit is given up after so many in a row, or two without an
// answer in time.
func (w *twin) fail(now patterns.Instant, late bool, debts, back []entry) {
	for _, d := range debts {
		w.owe(d)
	}
	for _, e := range back {
		w.lost += e.n
	}
	if w.mute++; !late {
		w.mute = 0
	}
	if w.row++; w.down || w.row >= w.cfg.Failures || w.mute == 2 {
		w.down, w.retryAt = true, now.Add(w.cfg.RetryEvery)
	}
}

func (w *twin) succeed(now patterns.Instant) {
	w.row, w.mute = 0, 0
	if w.down {
		w.retryAt = now
		w.down = len(w.debts) > w.cfg.MaxBatch
	}
}

// said is what a caller was told, in the words of the twin.
func said(c *caller) string {
	_, limited := errors.AsType[*ratelimiter.LimitError](c.err)
	_, weight := errors.AsType[*ratelimiter.WeightError](c.err)
	switch {
	case !c.told:
		return sent
	case c.err == nil:
		return passes
	case errors.Is(c.err, ErrOutage):
		return outed
	case errors.Is(c.err, ErrStore):
		return misfit
	case limited:
		return tooFew
	case weight:
		return heavy
	}
	return c.err.Error()
}

// pair is the Machine and its twin, and the calls that the twin knows of.
type pair struct {
	*twin
	h           *host
	queue, away []*caller
	owing, home []entry // on the way
	remote      map[uint64]bool
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := int64(rapid.IntRange(1, 8).Draw(t, "most"))
		cfg := Config{
			OnOutage: Outage(rapid.IntRange(0, 2).Draw(t, "policy")), Instances: rapid.IntRange(1, 3).Draw(t, "instances"),
			Failures: rapid.IntRange(1, 3).Draw(t, "failures"), MaxBatch: rapid.IntRange(1, 4).Draw(t, "batch"),
			Algorithm: rapid.SampledFrom([]ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.TokenBucket, ratelimiter.SlidingLog}).Draw(t, "algorithm"),
		}
		h := newHost(t, most, cfg)
		p := &pair{twin: &twin{most: most, cfg: h.m.cfg}, h: h, remote: map[uint64]bool{}}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			p.step(t)
			p.same(t)
		}
	})
}

func (p *pair) step(t *rapid.T) {
	switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
	case op <= 3:
		e := entry{rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f"}).Draw(t, "key"), int64(rapid.IntRange(1, 4).Draw(t, "weight"))}
		want := p.ask(e)
		c := p.h.ask(e.key, int(e.n))
		if got := said(c); got != want {
			t.Fatalf("%d: %s, want %s (%v)", c.id, got, want, c.err)
		}
		if want == sent {
			p.queue = append(p.queue, c)
		}
	case op <= 5:
		p.depart(t)
	case op <= 7:
		p.comeBack(t, fate(rapid.IntRange(0, int(fates)-1).Draw(t, "fate")))
	case op == 8 && len(p.h.out) > 0:
		release := rapid.Bool().Draw(t, "release")
		c := p.h.end(rapid.IntRange(0, len(p.h.out)-1).Draw(t, "who"), release)
		if release && p.remote[c.id] {
			p.release(request(c))
		}
	case op == 8 && len(p.away) > 0:
		p.h.leave(rapid.SampledFrom(p.away).Draw(t, "who leaves"))
	case op == 9:
		p.h.pass(time.Duration(rapid.IntRange(1, 8).Draw(t, "pass")) * 100 * time.Millisecond)
	}
}

func request(c *caller) entry { return entry{c.r.Key, int64(c.r.Weight)} }

func (p *pair) depart(t *rapid.T) {
	if p.h.flying != nil {
		return
	}
	due := len(p.queue) > 0 || len(p.back) > 0 || len(p.debts) > 0
	if p.down {
		due = p.h.now >= p.retryAt
	}
	if went := p.h.depart(); went != due {
		t.Fatalf("something is sent: %v, want %v", went, due)
	}
	if due {
		n := min(p.cfg.MaxBatch, len(p.queue))
		p.away, p.queue = p.queue[:n:n], p.queue[n:]
		p.owing, p.home = p.extras()
	}
}

func (p *pair) comeBack(t *rapid.T, how fate) {
	if p.h.flying == nil {
		return
	}
	var requests []entry
	for _, c := range p.away {
		requests = append(requests, request(c))
	}
	var took []bool
	if how == answered || how == vanished {
		took = p.arrive(p.owing, p.home, requests)
	}
	switch how {
	case failed, vanished:
		p.fail(p.h.now, how == vanished, p.owing, p.home)
	case refused:
		p.fail(p.h.now, false, p.owing, p.home)
		p.row, p.mute, p.down = 0, 0, false // it is no outage: Redis lives, and lets nobody pass
	case answered:
		p.succeed(p.h.now)
	}
	want := map[uint64]string{}
	if p.down { // those who queue are decided on first
		for _, c := range p.queue {
			want[c.id] = p.policy(request(c))
		}
		p.queue = nil
	}
	away := p.away
	p.away = nil
	for i, c := range away {
		e := request(c)
		switch {
		case c.left && how == answered && took[i]:
			p.release(e)
		case c.left:
		case how == refused:
			want[c.id] = misfit
		case how != answered:
			want[c.id] = p.policy(e)
		case took[i]:
			p.remote[c.id] = true
			want[c.id] = passes
		default:
			want[c.id] = tooFew
		}
	}
	all := append(append([]*caller(nil), p.h.queue...), away...)
	p.h.comeBack(how, false)
	for _, c := range all {
		if c.left {
			continue
		}
		if w, ok := want[c.id]; ok && said(c) != w {
			t.Fatalf("%d: %s, want %s (%v)", c.id, said(c), w, c.err)
		} else if !ok && c.told {
			t.Fatalf("%d is told: %s", c.id, said(c))
		}
	}
	p.owing, p.home = nil, nil
}

func (p *pair) same(t *rapid.T) {
	for _, key := range []string{"", "a", "b", "c", "d", "e", "f"} {
		if got, want := p.h.shelf.used(key), sum(p.taken, key); got != want {
			t.Fatalf("%d of %q are used, want %d", got, key, want)
		}
	}
	if err := p.h.m.Check(); err != nil {
		t.Fatal(err)
	}
	s := p.h.m.Snapshot(p.h.now, patterns.Counts{})
	got := fmt.Sprint(s.Down, s.Owing, s.PassedWithout, s.RefusedWithout, s.NotReturned)
	if want := fmt.Sprint(p.down, len(p.debts), p.without[0], p.without[1], p.lost); got != want {
		t.Fatalf("down, owing, passed, refused, not returned: %s, want %s", got, want)
	}
	if at := p.h.m.outage.retryAt; p.down && p.h.flying == nil && at != p.retryAt {
		t.Fatalf("it tries again at %d, want %d", at, p.retryAt)
	}
	if s.Down && p.h.flying == nil && s.Cause == "" {
		t.Fatal("it is down for no cause")
	}
}

// A call that fails while what passed without Redis is being charged is followed by the next
// one after RetryEvery, as in any outage.
func TestAChargeThatFailsIsTriedAgainInItsTime(t *testing.T) {
	h := newHost(t, 8, Config{Failures: 2, MaxBatch: 1})
	call := func(how fate) {
		if !h.depart() {
			t.Fatal("nothing was sent")
		}
		h.comeBack(how, false)
	}
	for range 2 {
		h.ask("", 1)
		call(failed)
	}
	for _, key := range []string{"a", "b", "c"} {
		h.ask(key, 1) // passes, and is to be charged
	}
	h.pass(h.m.cfg.RetryEvery)
	call(answered)
	call(failed)
	if at, want := h.m.outage.retryAt, h.now.Add(h.m.cfg.RetryEvery); at != want || !h.m.outage.down {
		t.Errorf("it is tried again at %d, want %d; down: %v", at, want, h.m.outage.down)
	}
}
