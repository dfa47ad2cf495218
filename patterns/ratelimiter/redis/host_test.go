package redislimiter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// complainer is a testing.TB or a rapid.T.
type complainer interface {
	Fatalf(string, ...any)
	Helper()
}

// host does for a Machine what the shell does, one step at a time and in plain sight: it
// queues what is referred, sends one errand at a time, and hands out the answers. What it
// asks is a shelf.
type host struct {
	t      complainer
	m      *Machine
	shelf  *shelf
	now    patterns.Instant
	ids    uint64
	queue  []*caller
	flying *flight
	out    []*caller // who have a permit
	story  strings.Builder
	grants int64 // how much was ever granted
}

// caller is one who asked, and what it was told.
type caller struct {
	id     uint64
	r      patterns.Request
	ask    any // a question, or nil
	left   bool
	told   bool
	waits  bool // for its turn; asked again when the host is told to
	permit patterns.PermitID
	answer any
	err    error // why it was refused; nil if it passed
}

// flight is an errand and who it is for.
type flight struct {
	errand patterns.Errand
	calls  []*caller
}

// fate is what becomes of an errand.
type fate int

const (
	answered fate = iota
	failed        // and asked nothing
	vanished      // it was asked, and nobody heard of the answer
	refused       // for what is configured
	fates
)

var errAuth = &store.Fault{Class: store.NoAuth, Err: errors.New("NOAUTH")}

// testConfig is one whose permits do not come back while a test runs.
func testConfig(most int64, more Config) Config {
	more.Rate = ratelimiter.Rate{Count: most, Per: 300 * 24 * time.Hour}
	more.Client = offline()
	return more
}

func newHost(t complainer, most int64, c Config) *host {
	h := &host{t: t, shelf: newShelf(most), now: 1}
	c = testConfig(most, c)
	if err := c.Validate(); err != nil {
		t.Fatalf("a config of a test: %v", err)
	}
	h.m = newMachine(params{
		name: "test", origin: time.Unix(0, 0), now: h.now, config: c, run: h.shelf.run, seed: [2]uint64{1, 2},
	})
	return h
}

func (h *host) tell(format string, args ...any) { fmt.Fprintf(&h.story, format+"\n", args...) }

// ask is a request that does not wait for its turn.
func (h *host) ask(key string, n int) *caller {
	return h.request(patterns.Request{Key: key, Weight: n, NoWait: true})
}

func (h *host) request(r patterns.Request) *caller {
	h.ids++
	c := &caller{id: h.ids, r: r}
	h.decide(c, h.m.Acquire(h.now, c.id, &c.r))
	return c
}

func (h *host) consult(question any) *caller {
	h.ids++
	c := &caller{id: h.ids, ask: question}
	h.inform(c, h.m.Consult(h.now, question))
	return c
}

func (h *host) inform(c *caller, said patterns.Consultation) {
	if said.Refer {
		h.queue = append(h.queue, c)
		return
	}
	c.told, c.answer, c.err = true, said.Answer, said.Err
	h.tell("%d: %v %v", c.id, said.Answer, said.Err)
}

func (h *host) decide(c *caller, d patterns.Decision) {
	switch d.Verdict {
	case patterns.Refer:
		c.waits = false
		h.queue = append(h.queue, c)
		return
	case patterns.Wait:
		if again := h.m.Again(); c.r.NoWait || again <= h.m.hi || again == patterns.Never {
			h.t.Fatalf("at %d: %d is to wait until %d", h.m.hi, c.id, again)
		}
		c.waits = true
		h.queue = append(h.queue, c)
		return
	case patterns.Grant:
		c.permit = patterns.PermitID{Epoch: d.Epoch, ID: c.id}
		h.out = append(h.out, c)
		h.grants += max(1, int64(c.r.Weight))
	case patterns.Refuse:
		if c.err = d.Err; !errors.Is(c.err, patterns.ErrRejected) && !errors.Is(c.err, patterns.ErrInvalidRequest) {
			h.t.Fatalf("%d is refused: %v", c.id, c.err)
		}
	}
	c.told = true
	h.tell("%d: %v %v", c.id, d.Verdict, d.Err)
}

// depart sends what there is to send, and reports whether there was something.
func (h *host) depart() bool {
	if h.flying != nil || len(h.queue) == 0 && !h.m.Wants(h.now) {
		return false
	}
	f := &flight{}
	var rest []*caller
	full := false
	for _, c := range h.queue {
		switch {
		case c.left && c.told:
		case c.waits, full:
			rest = append(rest, c)
		case h.m.Load(h.now, len(f.calls), &c.r, c.ask):
			f.calls = append(f.calls, c)
		default:
			full = true
			rest = append(rest, c)
		}
	}
	h.queue = rest
	errand, within := h.m.Depart(h.now, len(f.calls))
	if errand == nil {
		return false
	}
	if f.errand = errand; within != h.m.cfg.callTimeout() {
		h.t.Fatalf("an errand may take %v", within)
	}
	for _, c := range errand.(*batch).checks {
		h.tell("asked %v %s %d", c.Kind, c.Key, c.Weight)
	}
	h.flying = f
	return true
}

// comeBack ends the errand under way, sends the next, and hands out the answers.
func (h *host) comeBack(how fate, next bool) {
	f := h.flying
	if f == nil {
		return
	}
	h.shelf.fault = map[fate]func(int) error{
		failed:  func(int) error { return errUnreachable },
		refused: func(int) error { return errAuth },
	}[how]
	err := f.errand.Carry(context.Background())
	if how == vanished {
		err = context.DeadlineExceeded
	}
	h.flying = nil
	if h.m.Return(h.now, f.errand, err) {
		h.reconsider()
	}
	if next {
		h.depart()
	}
	for i, c := range f.calls {
		switch {
		case c.left:
			h.m.Disown(h.now, f.errand, i)
		case c.ask != nil:
			h.inform(c, h.m.Inform(h.now, f.errand, i, c.ask))
		default:
			h.decide(c, h.m.Conclude(h.now, f.errand, i, c.id, &c.r))
		}
	}
}

// reconsider asks the Machine again about those who were not sent.
func (h *host) reconsider() {
	queue := h.queue
	h.queue = nil
	for _, c := range queue {
		switch {
		case c.left || c.waits:
			h.queue = append(h.queue, c)
		case c.ask != nil:
			h.inform(c, h.m.Consult(h.now, c.ask))
		default:
			h.decide(c, h.m.Acquire(h.now, c.id, &c.r))
		}
	}
}

// leave has a caller leave before it was told anything.
func (h *host) leave(c *caller) { c.left, c.told = true, true }

// end reports or releases the permit of a caller.
func (h *host) end(i int, release bool) *caller {
	c := h.out[i]
	h.out = append(h.out[:i:i], h.out[i+1:]...)
	if release {
		h.m.Release(h.now, c.permit)
	} else {
		h.m.Report(h.now, c.permit, patterns.Success, 0)
	}
	return c
}

// pass lets time pass, wakes the Machine when it wants to, and those who wait.
func (h *host) pass(d time.Duration) {
	end := h.now.Add(d)
	for ticks := 0; ; ticks++ {
		at := h.m.Wake()
		if at > end {
			break
		}
		if ticks > 1000 {
			h.t.Fatalf("it wakes 1000 times in %v", d)
		}
		h.now = max(h.now, at)
		h.m.Tick(h.now)
		if again := h.m.Wake(); again <= h.m.hi {
			h.t.Fatalf("ticked at %d, it wants to be woken at %d", h.m.hi, again)
		}
	}
	h.now = end
	for _, c := range h.queue {
		if c.waits && h.m.Again() <= h.now {
			c.waits = false
		}
	}
	h.reconsider()
}

// settle carries all there is to carry, with a server that is well, and fails the test if
// that has no end.
func (h *host) settle() {
	h.comeBack(answered, false)
	for range 2000 {
		if !h.depart() {
			if !h.m.outage.down {
				return
			}
			h.pass(h.m.cfg.RetryEvery)
			continue
		}
		h.comeBack(answered, false)
	}
	h.t.Fatalf("there is always something to send")
}

// events are what the Machine told since the last look.
func (h *host) events() (all []patterns.Event) {
	for e := range h.m.Drain() {
		all = append(all, e)
	}
	return all
}
