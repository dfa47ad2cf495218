package actors

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Handle is what callers hold of a guard's actor. It is safe for concurrent use,
// and stays usable while the actor restarts and after it stopped. Patterns embed a
// Handle in their own type.
type Handle struct {
	name  string
	kind  string
	shell *shell
	pid   *actor.PID
	terms *patterns.Terms
	spin  bool

	freeName func() // tells the registry that the name may be used again

	stopping  atomic.Bool   // in order; otherwise a stopped actor is one that failed
	unguarded atomic.Uint64 // calls let through because the actor failed for good
}

var (
	_ patterns.Guard   = (*Handle)(nil)
	_ patterns.Settler = (*Handle)(nil)
)

func newHandle(s *shell, terms *patterns.Terms) *Handle {
	h := &Handle{name: s.name, shell: s, terms: terms, spin: runtime.GOMAXPROCS(0) > 1}
	for i := range s.cells.all {
		s.cells.all[i].home = h
	}
	return h
}

// Name returns the name the guard was spawned with.
func (h *Handle) Name() string { return h.name }

// Pattern returns the name of the pattern that the guard follows, such as "bulkhead".
func (h *Handle) Pattern() string { return h.kind }

// PID is where to send the messages of the protocol.
func (h *Handle) PID() *actor.PID { return h.pid }

func (h *Handle) settlerOf(uint64) patterns.Settler { return h }

// System returns the actor system that the guard's actor belongs to.
func (h *Handle) System() *actor.ActorSystem { return h.shell.system }

// Terms returns what patterns.Do applies, or nil for the defaults.
func (h *Handle) Terms() *patterns.Terms { return h.terms }

// Stats says how the guard's mailbox is doing.
func (h *Handle) Stats() mailbox.Stats { return h.shell.mailbox.Stats() }

// Acquire asks for a permit and waits for its turn where the pattern queues. The
// error matches patterns.ErrRejected if the guard refused, and is ctx's if ctx
// ended first; then nothing is held. While the guard restarts, Acquire waits; if it
// does not come back, its patterns.FailPolicy decides.
func (h *Handle) Acquire(ctx context.Context) (patterns.Permit, error) {
	since, err := h.door(ctx)
	if err != nil {
		return patterns.Permit{}, h.terms.Rejected(err)
	}
	s := h.shell
	if s.lessor != nil {
		return h.lease(ctx, &s.blank, since)
	}
	if !s.refers() && s.mailbox.TryEnter() {
		switch id, err := h.spot(&s.blank, nil, since); {
		case err != nil:
			return patterns.Permit{}, h.terms.Rejected(err)
		case id != 0:
			return patterns.NewPermit(h, id, since), nil
		}
	}
	return h.queue(ctx, &patterns.Request{}, nil, since)
}

// AcquireFor is Acquire for a request with a key, weight or priority, or one that does
// not wait. A permit with HoldFor is taken back when it was not reported by then; that of
// a Spend is spent already, and the zero Permit. Requests with a key, weight, priority or
// HoldFor are never leased.
func (h *Handle) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	since, err := h.door(ctx)
	if err != nil {
		return patterns.Permit{}, h.terms.Rejected(err)
	}
	s := h.shell
	r.Deadline, r.Asked = 0, 0
	if s.lessor != nil && r.Key == "" && r.Weight <= 1 && r.Weight >= 0 && r.Priority == patterns.Normal && r.HoldFor == 0 {
		if r.Spend {
			return h.spendLeased(ctx, &r)
		}
		return h.lease(ctx, &r, since)
	}
	if r.HoldFor == 0 && !s.refers() && s.mailbox.TryEnter() {
		s.scratch = r // an argument of an interface method would be allocated
		switch id, err := h.spot(&s.scratch, nil, since); {
		case err != nil:
			return patterns.Permit{}, h.terms.Rejected(err)
		case id == spentID:
			return patterns.Permit{}, nil
		case id != 0:
			return patterns.NewPermit(h, id, since), nil
		}
	}
	return h.queue(ctx, &r, nil, since)
}

// TryAcquire is Acquire for a caller that does not wait.
func (h *Handle) TryAcquire() (patterns.Permit, error) {
	return h.TryAcquireFor(patterns.Request{})
}

// TryAcquireFor is AcquireFor for a caller that does not wait.
func (h *Handle) TryAcquireFor(r patterns.Request) (patterns.Permit, error) {
	r.NoWait = true
	return h.AcquireFor(context.Background(), r)
}

// door refuses who need not ask, and returns when an attempt begins if the rules measure.
func (h *Handle) door(ctx context.Context) (since patterns.Instant, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s := h.shell
	g := s.gate.Load()
	if g.refusal != nil && patterns.Instant(time.Since(s.origin)) < g.until {
		s.countRefusal(rand.Uint32())
		return 0, g.refusal
	}
	if g.measured {
		since = patterns.Instant(time.Since(s.origin))
	}
	return since, nil
}

// lease takes a permit of a cell, or goes to the actor for a lease.
func (h *Handle) lease(ctx context.Context, r *patterns.Request, since patterns.Instant) (patterns.Permit, error) {
	s := h.shell
	c := s.cells.hint.Get().(*cell)
	id, ok := c.take()
	s.cells.hint.Put(c)
	if ok {
		return patterns.NewPermit(c, id, since), nil
	}
	if s.mailbox.TryEnter() {
		s.scratch = *r
		switch id, err := h.spot(&s.scratch, c, since); {
		case err != nil:
			return patterns.Permit{}, h.terms.Rejected(err)
		case id != 0:
			return patterns.NewPermit(h, id, since), nil
		}
	}
	return h.queue(ctx, r, c, since)
}

// spendLeased is lease for a permit that is spent at once: an ordinary one that ends here.
func (h *Handle) spendLeased(ctx context.Context, r *patterns.Request) (patterns.Permit, error) {
	if !h.shell.spends {
		return h.queue(ctx, r, nil, 0) // which refuses it
	}
	r.Spend = false
	p, err := h.lease(ctx, r, 0)
	if err == nil {
		p.Report(patterns.Success)
	}
	return patterns.Permit{}, err
}

// spot decides in the turn that the caller has entered, and leaves it. Neither a
// permit nor an error means that the caller has to wait in the queue. If the turn
// panics, the caller gets a refusal and the supervisor the failure. at is when the caller
// last read the clock, or 0.
func (h *Handle) spot(r *patterns.Request, in *cell, at patterns.Instant) (id uint64, err error) {
	s := h.shell
	done := false
	defer func() {
		if done {
			return
		}
		s.fresh = false
		id, err = 0, &s.refusals().failed
		s.broken.failing = true
		s.mailbox.Crashed(recover(), Acquire{})
	}()
	s.glance(at)
	if in != nil {
		id, err = s.spotLeased(r, in)
	} else {
		id, err = s.conclude(s.admit(r))
	}
	done = true // from here on a panic is not this turn's
	s.leave()
	return id, err
}

// leave ends a turn on the spot.
func (s *shell) leave() {
	if s.fresh { // to write it would take the cache line from another processor
		s.fresh = false
	}
	s.mailbox.Exit()
}

func (s *shell) spotLeased(r *patterns.Request, in *cell) (id uint64, err error) {
	id, d := s.acquireLeased(in, r)
	if id&leasedBit != 0 {
		return id, nil
	}
	return s.conclude(d)
}

// conclude counts what a turn on the spot decided.
func (s *shell) conclude(d patterns.Decision) (id uint64, err error) {
	switch d.Verdict {
	case patterns.Grant:
		id, s.granting = s.granting, 0
		s.counts.Granted++
		if id == spentID {
			s.counts.Success++
		}
	case patterns.Refuse:
		s.counts.Rejected++
		err = d.Err
	case patterns.Wait, patterns.Refer:
		s.counts.Asked-- // it will ask again, in the queue
	}
	return id, err
}

// queue asks by message and waits for the answer.
func (h *Handle) queue(ctx context.Context, r *patterns.Request, in *cell, since patterns.Instant) (patterns.Permit, error) {
	s := h.shell
	c := s.pool.Get().(*call)
	c.kind, c.request, c.cell = callAcquire, *r, in
	if by, ok := ctx.Deadline(); ok {
		c.request.Deadline = patterns.Instant(by.Sub(s.origin))
	}
	c.state.Store(pending)
	if err := h.post(ctx, c); err != nil {
		s.pool.Put(c)
		return h.unposted(err)
	}
	if !c.await(ctx, h.spin) {
		h.withdraw(c)
		return patterns.Permit{}, ctx.Err()
	}
	id, err := c.granted, c.err
	s.pool.Put(c)
	if err != nil {
		if errors.Is(err, ErrStopped) {
			return h.away()
		}
		return patterns.Permit{}, h.terms.Rejected(err)
	}
	if id == spentID {
		return patterns.Permit{}, nil
	}
	return patterns.NewPermit(h, id, since), nil
}

// withdraw frees the place of an abandoned call in the queue.
func (h *Handle) withdraw(c *call) {
	w := h.shell.pool.Get().(*call)
	w.kind, w.target = callWithdraw, c
	if h.shell.mailbox.Post(&w.node, mailbox.Urgent) != nil {
		h.shell.recycle(w) // stopped: everybody was answered
	}
}

// Unguarded counts the calls that were let through because the guard's actor failed
// for good and its policy is patterns.FailOpen.
func (h *Handle) Unguarded() uint64 { return h.unguarded.Load() }

// Settle implements patterns.Settler for Permit.Report.
func (h *Handle) Settle(id uint64, since patterns.Instant, o patterns.Outcome) bool {
	if id == 0 { // let through unguarded
		return false
	}
	s := h.shell
	elapsed, at := time.Duration(0), patterns.Instant(0)
	if since != 0 {
		at = patterns.Instant(time.Since(s.origin))
		elapsed = at.Sub(since)
	}
	if id&leasedBit != 0 && o == patterns.Success && int64(elapsed) <= s.cells.slowAfter.Load() {
		switch s.cells.claim(id) {
		case claimed:
			return true
		case claimRepeated:
			s.cells.repeated.Add(1)
			return false
		}
	}
	if s.mailbox.TryEnter() {
		return h.spotReport(id, o, elapsed, at)
	}
	c := s.pool.Get().(*call)
	c.kind, c.permit, c.outcome, c.elapsed = callReport, id, o, elapsed
	if s.mailbox.Post(&c.node, mailbox.Urgent) != nil {
		s.pool.Put(c)
		return false
	}
	return true
}

func (h *Handle) spotReport(id uint64, o patterns.Outcome, elapsed time.Duration, at patterns.Instant) (counted bool) {
	s := h.shell
	done := false
	defer func() {
		if done {
			return
		}
		s.fresh = false
		counted = false
		s.broken = broken{failing: true, permit: id}
		s.mailbox.Crashed(recover(), Report{Permit: patterns.PermitID{ID: id}, Outcome: o, Elapsed: elapsed})
	}()
	s.glance(at)
	counted = s.report(id, o, elapsed)
	done = true
	s.leave()
	return counted
}

// Release implements patterns.Settler for Permit.Release.
func (h *Handle) Release(id uint64) {
	if id == 0 {
		return
	}
	c := h.shell.pool.Get().(*call)
	c.kind, c.permit = callRelease, id
	if h.shell.mailbox.Post(&c.node, mailbox.Urgent) != nil {
		h.shell.pool.Put(c)
	}
}

// control runs f in a turn and waits until it did, or ctx ends, or the guard has
// stopped.
func (h *Handle) control(ctx context.Context, f func()) error {
	return h.controlOr(ctx, f, nil)
}

// controlOr is control with something that hears why f was never run to its end, even after
// ctx has ended. It runs on any goroutine.
func (h *Handle) controlOr(ctx context.Context, f func(), instead func(error)) error {
	c := newCall().(*call)
	c.kind, c.control, c.instead = callControl, f, instead
	if err := h.shell.mailbox.Post(&c.node, mailbox.Urgent); err != nil {
		c.forgo(h.gone())
		return h.gone()
	}
	if !c.await(ctx, h.spin) {
		return ctx.Err()
	}
	if errors.Is(c.err, ErrStopped) {
		return h.gone()
	}
	return c.err
}

// Operate carries out an operator's command, and an Operated says so. Who gives it and why is
// what op says, or else ctx (see As). The error is ErrUnsupported if the pattern has no
// meaning for it, a *Refusal if the guard has stopped, or ctx's if that ended first: then the
// command may be carried out all the same.
func (h *Handle) Operate(ctx context.Context, op patterns.Operation) error {
	op = signed(ctx, op)
	return h.steer(ctx, h.shell.relay.audit(operated(h.name, op), 1), 0, func() error { return h.shell.operate(op) })
}
