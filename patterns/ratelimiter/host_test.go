package ratelimiter

import (
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// host does for a Machine what the shell does: it keeps a queue for each key, in order,
// asks again when it was told to, and sends away who has waited for too long.
type host struct {
	t     complainer
	m     *Machine
	now   patterns.Instant
	ids   uint64
	lines map[string][]*caller
	alarm map[string]patterns.Instant
	order []string // in which lines were made, so that nothing depends on a map
	ended []*caller
}

// complainer is a testing.TB or a rapid.T.
type complainer interface {
	Fatal(...any)
	Fatalf(string, ...any)
	Helper()
}

// caller is somebody who asked, and what became of it.
type caller struct {
	r       patterns.Request
	asked   patterns.Instant
	told    patterns.Instant // when it was said that it would pass
	until   patterns.Instant
	passed  patterns.Instant // 0: not yet, or never
	refused error
	left    bool // by its own deadline
	permit  patterns.PermitID
}

func newHost(t complainer, c Config) *host {
	return &host{t: t, m: newTestMachine(c), now: 1, lines: map[string][]*caller{}, alarm: map[string]patterns.Instant{}}
}

func (h *host) line(key string) string {
	if h.m.Order() != patterns.Keyed {
		key = ""
	}
	if _, ok := h.lines[key]; !ok {
		h.order = append(h.order, key)
		h.lines[key], h.alarm[key] = nil, patterns.Never
	}
	return key
}

func (h *host) total() (n int) {
	for _, l := range h.lines {
		n += len(l)
	}
	return n
}

func (h *host) view(key string) patterns.Queue {
	q := patterns.Queue{Waiting: len(h.lines[key]), Total: h.total(), Oldest: patterns.Never}
	for _, c := range h.lines[key] {
		q.Ahead += int(weight(&c.r))
	}
	return q
}

// ask has a newcomer ask, and wait if it may.
func (h *host) ask(r patterns.Request) *caller {
	c := &caller{r: r, asked: h.now, told: h.now}
	key := h.line(r.Key)
	asked := len(h.lines[key]) == 0
	if asked && h.decide(c) {
		return c
	}
	h.m.Behind(h.view(key))
	c.told = h.now.Add(h.m.Peek(h.now, &r).RetryAfter)
	h.m.Behind(patterns.Queue{})
	again := h.m.Again()
	until, _, err := h.m.Join(h.now, &c.r, h.view(key))
	if err != nil {
		c.refused = err
		return c
	}
	c.r.Asked, c.until = max(h.now, 1), until
	h.lines[key] = append(h.lines[key], c)
	if asked {
		h.alarm[key] = again
	}
	h.check()
	return c
}

// decide asks the Machine for c and reports whether that is the end of it.
func (h *host) decide(c *caller) bool {
	h.ids++
	switch d := h.m.Acquire(h.now, h.ids, &c.r); d.Verdict {
	case patterns.Grant:
		c.passed, c.permit = h.now, patterns.PermitID{Epoch: d.Epoch, ID: h.ids}
	case patterns.Refuse:
		c.refused = d.Err
	case patterns.Wait:
		if again := h.m.Again(); again <= h.now {
			h.t.Fatalf("at %d %+v is to be asked again at %d", h.now, c.r, again)
		}
		return false
	}
	h.ended = append(h.ended, c)
	return true
}

// pump serves a line as long as it can be.
func (h *host) pump(key string) {
	for len(h.lines[key]) > 0 {
		if c := h.lines[key][0]; !h.decide(c) {
			h.alarm[key] = h.m.Again()
			return
		}
		h.lines[key] = h.lines[key][1:]
	}
	h.alarm[key] = patterns.Never
}

func (h *host) pumpAll() {
	for _, key := range h.order {
		h.pump(key)
	}
}

func (h *host) release(c *caller) {
	h.m.Release(h.now, c.permit)
	switch key, all := h.m.Freed(); {
	case h.m.Order() != patterns.Keyed || all:
		h.pumpAll()
	case h.lines[key] != nil:
		h.pump(key)
	}
	h.check()
}

// leave has somebody who waits go away.
func (h *host) leave(c *caller) {
	key := h.line(c.r.Key)
	if i := slices.Index(h.lines[key], c); i >= 0 {
		c.left = true
		h.lines[key] = slices.Delete(h.lines[key], i, i+1)
		h.pump(key)
	}
	h.check()
}

// operator changes the rules.
func (h *host) operator(do func(m *Machine, now patterns.Instant)) {
	do(h.m, h.now)
	h.pumpAll()
	h.check()
}

// next is when there is something to do.
func (h *host) next() patterns.Instant {
	at := h.m.Wake()
	for key, l := range h.lines {
		at = min(at, h.alarm[key])
		for _, c := range l {
			at = min(at, c.until)
			if c.r.Deadline != 0 {
				at = min(at, c.r.Deadline)
			}
		}
	}
	return at
}

// pass lets d pass, and does what is due when it is due.
func (h *host) pass(d time.Duration) {
	for end := h.now.Add(d); ; {
		at := h.next()
		if at > end {
			h.now = end
			return
		}
		h.now = max(h.now, at)
		if h.m.Wake() <= h.now {
			if h.m.Tick(h.now) {
				h.pumpAll()
			}
			if h.m.Wake() <= h.now {
				h.t.Fatalf("at %d it still wants to be woken at %d", h.now, h.m.Wake())
			}
		}
		for _, key := range h.order {
			if h.alarm[key] <= h.now {
				h.pump(key)
			}
		}
		h.expire()
		h.check()
	}
}

func (h *host) expire() {
	for _, key := range h.order {
		for _, c := range slices.Clone(h.lines[key]) {
			switch {
			case !slices.Contains(h.lines[key], c):
			case c.r.Deadline != 0 && c.r.Deadline <= h.now:
				h.leave(c)
			case c.until <= h.now:
				_, c.refused = h.m.Expired(h.now, &c.r)
				h.lines[key] = slices.DeleteFunc(h.lines[key], func(o *caller) bool { return o == c })
				h.pump(key)
			}
		}
	}
}

func (h *host) check() {
	if err := h.m.Check(); err != nil {
		h.t.Fatal(err)
	}
}
