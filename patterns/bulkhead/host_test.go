package bulkhead

import (
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "b", Origin: origin, Config: c})
}

// host does for a Machine what the shell and the handle do: it keeps the queue, in order,
// knows which permits are out, spares the clock where the Machine is Timeless, ticks when
// asked, and says when a request was made.
type host struct {
	t        complainer
	m        *Machine
	now      patterns.Instant
	last     patterns.Instant // that the Machine was given
	timeless bool
	ids      uint64
	queue    []waiter
	out      map[int]patterns.PermitID
	granted  []int // since it was last looked at
	refused  []int // of the queue, since it was last looked at
	events   []patterns.Event
}

// complainer is a testing.TB or a rapid.T.
type complainer interface {
	Fatal(...any)
	Fatalf(string, ...any)
	Helper()
}

type waiter struct {
	label int
	r     patterns.Request
}

func newHost(t complainer, c Config) *host {
	m := newTestMachine(c)
	return &host{t: t, m: m, now: 1, timeless: m.Timeless(), out: map[int]patterns.PermitID{}}
}

func (h *host) clock() patterns.Instant {
	if !h.timeless {
		h.last = h.now
	}
	return h.last
}

func (h *host) settle(dirty bool) {
	if !dirty {
		return
	}
	h.timeless = h.m.Timeless()
	h.events = slices.AppendSeq(h.events, h.m.Drain())
}

// done ends a turn: whoever waits is asked, and then the timer may go off.
func (h *host) done() {
	h.pump()
	if h.m.Wake() <= h.now+1 {
		h.now++
		h.tick()
	}
	if err := h.m.Check(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) tick() {
	h.last = h.now
	h.m.Tick(h.now)
	h.settle(true)
	if w := h.m.Wake(); w <= h.now {
		h.t.Fatalf("at %d it still wants to be woken at %d", h.now, w)
	}
	h.pump()
}

// pass lets d pass, ticking whenever the Machine asked for it.
func (h *host) pass(d time.Duration) {
	for end := h.now.Add(d); ; h.tick() {
		w := h.m.Wake()
		if w > end {
			h.now = max(h.now, end)
			break
		}
		h.now = max(h.now, w)
	}
	h.done()
}

func (h *host) pump() {
	for len(h.queue) > 0 {
		w := h.queue[0]
		d := h.ask(w.label, &w.r)
		switch d.Verdict {
		case patterns.Wait:
			return
		case patterns.Refuse:
			h.refused = append(h.refused, w.label)
		}
		h.queue = h.queue[1:]
	}
}

func (h *host) ask(label int, r *patterns.Request) patterns.Decision {
	h.ids++
	d := h.m.Acquire(h.clock(), h.ids, r)
	h.settle(d.Dirty)
	if (d.Err != nil) != (d.Verdict == patterns.Refuse) {
		h.t.Fatalf("decision %+v", d)
	}
	if d.Verdict == patterns.Grant {
		h.out[label] = patterns.PermitID{Epoch: d.Epoch, ID: h.ids}
		h.granted = append(h.granted, label)
	}
	return d
}

// acquire returns granted, queued or rejected, and why. A Deadline of 0 becomes what the
// handle makes of it.
func (h *host) acquire(label int, r patterns.Request) (string, error) {
	defer h.done()
	if r.Deadline == 0 {
		r.Deadline = asked(h.now)
	}
	if len(h.queue) == 0 {
		switch d := h.ask(label, &r); d.Verdict {
		case patterns.Grant:
			return "granted", nil
		case patterns.Refuse:
			return "rejected", d.Err
		}
	}
	if len(h.queue) >= h.m.cfg.MaxWaiting {
		return "rejected", nil
	}
	h.queue = append(h.queue, waiter{label, r})
	return "queued", nil
}

func (h *host) release(label int, o patterns.Outcome) string {
	defer h.done()
	p, ok := h.out[label]
	if !ok {
		return "unknown"
	}
	delete(h.out, label)
	now := h.now
	if o == patterns.Success {
		now = h.clock()
	}
	if h.last = now; o == patterns.Ignored {
		h.settle(h.m.Release(now, p))
		return "released"
	}
	counted, dirty := h.m.Report(now, p, o, 0)
	if !counted {
		h.t.Fatal("a report did not count")
	}
	h.settle(dirty)
	return "released"
}

func (h *host) cancel(label int) string {
	defer h.done()
	for i, w := range h.queue {
		if w.label == label {
			h.queue = slices.Delete(h.queue, i, i+1)
			return "cancelled"
		}
	}
	return "unknown"
}

func (h *host) operator(do func(now patterns.Instant)) {
	defer h.done()
	h.last = h.now
	do(h.now)
	h.settle(true)
}

// taken returns the labels that were granted since the last call.
func (h *host) taken() []int {
	g := h.granted
	h.granted = nil
	return g
}

// drained returns the events since the last call.
func (h *host) drained() []patterns.Event {
	e := h.events
	h.events = nil
	return e
}
