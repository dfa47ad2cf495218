// Package machinetest hosts a Machine in tests as the shell of package actors does, one
// step at a time and in plain sight.
package machinetest

import (
	"iter"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Machine is what a Host needs of the Rules and the Queuer of package actors.
type Machine interface {
	Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision
	Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool)
	Release(now patterns.Instant, p patterns.PermitID) (dirty bool)
	Tick(now patterns.Instant) (dirty bool)
	Wake() patterns.Instant
	Drain() iter.Seq[patterns.Event]
	Timeless() bool
	Check() error

	Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error)
	Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error)
	Order() patterns.Order
	Again() patterns.Instant
	Freed() (key string, all bool)
}

// T is a testing.TB or a rapid.T.
type T interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

// Host keeps the queue, in FIFO or Keyed order, knows which permits are out, spares the
// clock where the Machine is Timeless, and ticks when asked. Callers are known by label.
// After each step of it the Machine's invariants hold, and nobody waits who need not.
type Host[M Machine] struct {
	M   M
	Now patterns.Instant
	// Queue is who waits, in the order of arrival, and Out who has a permit.
	Queue []Waiter
	Out   map[int]patterns.PermitID
	// Refused is who was refused while it waited, and why, since it was last cleared.
	Refused []Refusal

	t        T
	last     patterns.Instant // that the Machine was given
	timeless bool
	ids      uint64
	granted  []int
	events   []patterns.Event
	again    map[string]patterns.Instant // by key, in Keyed order
}

// Waiter is a request that waits.
type Waiter struct {
	Label   int
	Request patterns.Request
	Until   patterns.Instant
}

// Refusal is of one that waited.
type Refusal struct {
	Label int
	Err   error
}

// New returns a Host of m at the instant now.
func New[M Machine](t T, m M, now patterns.Instant) *Host[M] {
	return &Host[M]{
		M: m, Now: now, t: t, timeless: m.Timeless(),
		Out: map[int]patterns.PermitID{}, again: map[string]patterns.Instant{},
	}
}

// maxTicks is how often a Machine may want to be woken in one Pass.
const maxTicks = 100_000

// Answers to an Acquire.
const (
	Granted  = "granted"
	Queued   = "queued"
	Rejected = "rejected"
)

// Acquire returns one of the answers above, and why it was rejected.
func (h *Host[M]) Acquire(label int, r patterns.Request) (answer string, err error) {
	h.t.Helper()
	defer h.done()
	asked := false
	for range 2 { // a handle asks on the spot, and again when it has to queue
		if asked = !h.ahead(&r); !asked {
			break
		}
		switch d := h.ask(label, &r); d.Verdict {
		case patterns.Grant:
			return Granted, nil
		case patterns.Refuse:
			return Rejected, d.Err
		}
		if r.NoWait {
			break
		}
	}
	h.last = h.Now
	until, dirty, err := h.M.Join(h.Now, &r, h.view(&r))
	h.settle(dirty)
	switch {
	case err != nil:
		return Rejected, err
	case r.NoWait:
		h.t.Fatalf("%d waits, who would not", label)
	}
	r.Asked = max(h.Now, 1)
	h.Queue = append(h.Queue, Waiter{label, r, until})
	if asked {
		h.remind(&r)
	}
	return Queued, nil
}

// Stand is Acquire for a producer's standing order: it waits without being asked whether
// it may.
func (h *Host[M]) Stand(label int, r patterns.Request) (answer string, err error) {
	h.t.Helper()
	defer h.done()
	if asked := !h.ahead(&r); asked {
		switch d := h.ask(label, &r); d.Verdict {
		case patterns.Grant:
			return Granted, nil
		case patterns.Refuse:
			return Rejected, d.Err
		}
		defer h.remind(&r)
	}
	h.last = h.Now
	r.Asked = max(h.Now, 1)
	h.Queue = append(h.Queue, Waiter{label, r, patterns.Never})
	return Queued, nil
}

// End ends the permit of label with an outcome, or without a verdict if it is Ignored. It
// reports whether there was one.
func (h *Host[M]) End(label int, o patterns.Outcome) bool {
	h.t.Helper()
	p, ok := h.Out[label]
	if !ok {
		return false
	}
	defer h.done()
	delete(h.Out, label)
	now := h.Now
	if o == patterns.Success {
		now = h.clock()
	}
	h.last = now
	if o == patterns.Ignored {
		h.settle(h.M.Release(now, p))
	} else {
		counted, dirty := h.M.Report(now, p, o, 0)
		if !counted {
			h.t.Fatal("a report did not count")
		}
		h.settle(dirty)
	}
	if h.M.Order() == patterns.Keyed {
		if key, all := h.M.Freed(); !all {
			h.serve(key)
			return true
		}
	}
	h.pump()
	return true
}

// Cancel takes label out of the queue, and reports whether it was there.
func (h *Host[M]) Cancel(label int) bool {
	h.t.Helper()
	i := slices.IndexFunc(h.Queue, func(w Waiter) bool { return w.Label == label })
	if i < 0 {
		return false
	}
	defer h.done()
	h.leave(i)
	return true
}

// leave takes the i-th out of the queue and serves who stood behind it.
func (h *Host[M]) leave(i int) {
	key := h.line(&h.Queue[i].Request)
	h.Queue = slices.Delete(h.Queue, i, i+1)
	h.serve(key)
}

// Operator runs a command.
func (h *Host[M]) Operator(do func(now patterns.Instant)) {
	h.t.Helper()
	defer h.done()
	h.last = h.Now
	do(h.Now)
	h.settle(true)
	h.pump()
}

// Pass lets d pass, ticking whenever the Machine, or somebody who waits, has to be looked
// at.
func (h *Host[M]) Pass(d time.Duration) {
	h.t.Helper()
	ticks := 0
	for end := h.Now.Add(d); ; h.tick() {
		if ticks++; ticks > maxTicks {
			h.t.Fatalf("%d ticks, and it is still %d", ticks, h.Now)
		}
		at := h.M.Wake()
		for _, w := range h.Queue {
			at = min(at, w.Until)
		}
		for _, again := range h.again {
			at = min(at, again)
		}
		if at > end {
			h.Now = max(h.Now, end)
			break
		}
		h.Now = max(h.Now, at)
	}
	h.done()
}

// Taken returns the labels that were granted since the last call.
func (h *Host[M]) Taken() []int {
	g := h.granted
	h.granted = nil
	return g
}

// Drained returns the events since the last call.
func (h *Host[M]) Drained() []patterns.Event {
	e := h.events
	h.events = nil
	return e
}

// Labels returns who has a permit, in order.
func (h *Host[M]) Labels() (all []int) {
	for l := range h.Out {
		all = append(all, l)
	}
	slices.Sort(all)
	return all
}

func (h *Host[M]) clock() patterns.Instant {
	if !h.timeless {
		h.last = h.Now
	}
	return h.last
}

func (h *Host[M]) settle(dirty bool) {
	if !dirty {
		return
	}
	h.timeless = h.M.Timeless()
	h.events = slices.AppendSeq(h.events, h.M.Drain())
}

// done ends a turn: the timer may go off at once.
func (h *Host[M]) done() {
	h.t.Helper()
	due := h.M.Wake()
	for _, again := range h.again {
		due = min(due, again)
	}
	if due <= h.Now+1 {
		h.Now++
		h.tick()
	}
	if err := h.M.Check(); err != nil {
		h.t.Fatal(err)
	}
	for _, key := range h.lines() {
		before := len(h.granted)
		if h.serve(key); len(h.granted) > before {
			h.t.Fatalf("%v waited in vain", h.granted[before:])
		}
	}
}

func (h *Host[M]) tick() {
	h.t.Helper()
	h.last = h.Now
	for {
		late := -1
		for i, w := range h.Queue {
			if w.Until <= h.Now && (late < 0 || w.Until < h.Queue[late].Until) {
				late = i
			}
		}
		if late < 0 {
			break
		}
		w := h.Queue[late]
		dirty, err := h.M.Expired(h.Now, &w.Request)
		h.settle(dirty)
		h.Refused = append(h.Refused, Refusal{w.Label, err})
		h.leave(late)
	}
	for key, again := range h.again {
		if again <= h.Now {
			delete(h.again, key)
			h.serve(key)
		}
	}
	changed := h.M.Tick(h.Now)
	h.settle(true)
	if w := h.M.Wake(); w <= h.Now {
		h.t.Fatalf("at %d it still wants to be woken at %d", h.Now, w)
	}
	if changed || h.M.Order() != patterns.Keyed {
		h.pump()
	}
}

// line names the queue that r waits in.
func (h *Host[M]) line(r *patterns.Request) string {
	if h.M.Order() == patterns.Keyed {
		return r.Key
	}
	return ""
}

// lines names all queues, in the order in which they began.
func (h *Host[M]) lines() (keys []string) {
	for i := range h.Queue {
		if key := h.line(&h.Queue[i].Request); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// head is the index of the one whose turn is next in the queue key, or -1.
func (h *Host[M]) head(key string) int {
	best := -1
	for i := range h.Queue {
		r := &h.Queue[i].Request
		if h.line(r) == key && (best < 0 || r.Priority > h.Queue[best].Request.Priority) {
			best = i
		}
	}
	return best
}

func (h *Host[M]) ahead(r *patterns.Request) bool {
	i := h.head(h.line(r))
	return i >= 0 && h.Queue[i].Request.Priority >= r.Priority
}

func (h *Host[M]) view(r *patterns.Request) patterns.Queue {
	q := patterns.Queue{Total: len(h.Queue), Oldest: patterns.Never}
	for i := range h.Queue {
		w := &h.Queue[i].Request
		if h.line(w) != h.line(r) {
			continue
		}
		q.Waiting++
		q.Oldest = min(q.Oldest, w.Asked)
		if w.Priority >= r.Priority {
			q.Ahead += max(1, w.Weight)
		}
	}
	return q
}

func (h *Host[M]) pump() {
	for _, key := range h.lines() {
		h.serve(key)
	}
}

// serve asks for the head of a queue as long as it gets an answer.
func (h *Host[M]) serve(key string) {
	h.t.Helper()
	for i := h.head(key); i >= 0; i = h.head(key) {
		w := h.Queue[i]
		d := h.ask(w.Label, &w.Request)
		switch d.Verdict {
		case patterns.Wait:
			h.remind(&w.Request)
			return
		case patterns.Refuse:
			h.Refused = append(h.Refused, Refusal{w.Label, d.Err})
		}
		h.Queue = slices.Delete(h.Queue, i, i+1)
	}
	delete(h.again, key)
}

func (h *Host[M]) remind(r *patterns.Request) {
	if at := h.M.Again(); at == patterns.Never {
		delete(h.again, h.line(r))
	} else {
		h.again[h.line(r)] = at
	}
}

func (h *Host[M]) ask(label int, r *patterns.Request) patterns.Decision {
	h.t.Helper()
	h.ids++
	d := h.M.Acquire(h.clock(), h.ids, r)
	h.settle(d.Dirty)
	if (d.Err != nil) != (d.Verdict == patterns.Refuse) {
		h.t.Fatalf("decision %+v", d)
	}
	if d.Verdict == patterns.Grant {
		h.Out[label] = patterns.PermitID{Epoch: d.Epoch, ID: h.ids}
		h.granted = append(h.granted, label)
	}
	return d
}
