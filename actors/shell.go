package actors

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// shell is the one actor that hosts every Machine. It adds what rules must not
// have: a mailbox, a clock, a timer, identities of permits, waiting callers and
// their holders. It is owned by the turn, and it outlives incarnations: a restart
// puts a new shellActor around the same shell.
type shell struct {
	// Two callers that take turns on two processors hand every cache line that a turn
	// writes back and forth. So what a turn only reads comes first, then, on one line,
	// what every turn writes: see TestWhatEveryTurnWritesIsOnOneCacheLine.
	rules    Rules
	lessor   Lessor // nil in Strict mode
	ledger   ledger // ends with what it writes
	granting uint64 // taken from the ledger, not yet handed to its caller
	counts   patterns.Counts

	last     patterns.Instant
	timeless bool // rules.Timeless
	measured bool // rules.Measured
	closing  bool // admits nothing more
	begun    bool // has been started once
	spends   bool // takes requests with Spend
	foreign  bool // supervised by a user's actor
	fresh    bool // last was read by the caller whose turn this is, and will do for now
	ageless  bool // Report looks at no time
	broken   broken
	crashes  *crashPlan // nil except in tests
	waiters  waiters
	current  *call            // being handled, not yet answered
	serving  *call            // taken up by pump, not yet answered
	scratch  patterns.Request // of a request decided on the spot
	blank    patterns.Request

	// Looked at now and then.
	name       string
	origin     time.Time
	policy     patterns.FailPolicy
	mailbox    *mailbox.Combining
	system     *actor.ActorSystem
	context    actor.Context // of the current incarnation
	relay      *relay
	pool       sync.Pool // of calls, none of which another shell may touch: deadlines name them
	holders    holders
	deadlines  deadlines
	timer      *time.Timer
	armed      patterns.Instant
	drained    []chan struct{} // closed when closing and nothing is in flight
	outbox     outbox
	sequence   uint64
	queuer     Queuer     // nil if nobody waits
	consultant Consultant // nil if it answers no questions
	errands    *errands   // nil if the rules refer nothing
	free       func()     // frees what is outside of the actor; may be nil
	family     *family    // of a shard
	owing      []*holder  // producers that are to hear of new credits
	ending     []uint64   // permits that a Done is about to end, and has if it panics
	shard      int
	snapshot   func(now patterns.Instant) any
	configure  func(now patterns.Instant, config any) error

	published
	cells *cells
}

// spentID stands for a permit that was spent as it was granted.
const spentID = ^uint64(0)

// now reads the clock, unless the caller whose turn this is has just done so.
func (s *shell) now() patterns.Instant {
	if s.fresh {
		s.fresh = false
		return s.last
	}
	s.last = patterns.Instant(time.Since(s.origin))
	return s.last
}

// hear is the time of a report: last, where the rules do not look at it. Within report it
// would slow the guards that need no time at all.
//
//go:noinline
func (s *shell) hear(last patterns.Instant) patterns.Instant {
	if s.ageless {
		return last
	}
	return s.now()
}

// glance takes over the clock reading that a caller made just before its turn; 0 is none.
func (s *shell) glance(at patterns.Instant) {
	if at != 0 {
		s.last, s.fresh = max(s.last, at), true
	}
}

// Turn handles a call that had to queue.
func (s *shell) Turn(n *mailbox.Node) {
	c := n.Value().(*call)
	switch c.kind {
	case callAcquire:
		s.acquire(c)
	case callReport:
		s.broken.permit = c.permit // should this turn panic
		s.report(c.permit, c.outcome, c.elapsed)
		s.broken.permit = 0
		s.recycle(c)
	case callRelease:
		s.broken.permit = c.permit
		s.release(c.permit)
		s.broken.permit = 0
		s.recycle(c)
	case callWithdraw:
		s.withdraw(c.target, nil)
		s.recycle(c)
	case callControl:
		s.current = c
		c.control()
		s.current = nil
		c.answer(0, nil)
	case callConsult:
		s.inquiry(c)
	}
}

// Refuse answers a call that will not be handled any further. If the turn panicked after
// it was answered, there is nothing left to say, and its requester may be using it again.
func (s *shell) Refuse(n *mailbox.Node, reason error) {
	c := n.Value().(*call)
	if errors.Is(reason, mailbox.ErrPanicked) {
		s.broken.failing = true
		if s.current != c {
			return
		}
		s.current = nil
		s.leaveQueue(c)
	}
	if c.kind == callAcquire || c.kind == callControl || c.kind == callConsult {
		err := s.refusals().of(reason)
		c.forgo(err)
		c.answer(0, err)
	}
}

// After sends the messages that turns left behind.
func (s *shell) After() {
	s.outbox.send(s.system, func(reason any) {
		s.note(slog.LevelError, "what a guard's message ran into panicked", slog.Any("panic", reason))
	})
}

// decide asks the rules for one permit.
func (s *shell) decide(r *patterns.Request) patterns.Decision {
	now := s.last
	if !s.timeless {
		now = s.now()
	}
	id := s.ledger.next()
	return s.entered(id, r, s.rules.Acquire(now, id, r))
}

// entered completes what the rules decided on a request. A granted one is in the ledger.
func (s *shell) entered(id uint64, r *patterns.Request, d patterns.Decision) patterns.Decision {
	if d.Verdict == patterns.Refuse && d.Err == nil { // the zero Decision lets nobody through
		d.Err = patterns.ErrRejected
	}
	if d.Verdict == patterns.Grant {
		if r.Spend {
			s.granting = spentID
		} else {
			s.ledger.take(d.Epoch)
			s.granting = id
		}
	}
	if d.Dirty {
		s.settle()
	}
	return d
}

// admit decides on a newcomer, who must not overtake those who wait.
func (s *shell) admit(r *patterns.Request) patterns.Decision {
	s.counts.Asked++
	if s.crashes != nil {
		s.crashes.before(Acquire{})
	}
	switch {
	case s.closing:
		return patterns.Decision{Err: &s.refusals().stopped}
	case r.Weight < 0 || !r.Priority.Valid() || r.HoldFor < 0:
		return patterns.Decision{Err: &s.refusals().invalid}
	case s.ledger.full():
		return patterns.Decision{Err: &s.refusals().overloaded}
	case r.Spend && !s.spends:
		return patterns.Decision{Err: &s.refusals().invalid}
	case s.waiters.ahead(r):
		return s.unlessNoWait(r)
	}
	d := s.decide(r)
	if d.Verdict == patterns.Wait && d.Dirty && s.lessor != nil { // leases have ended: what they held may be enough
		s.foldCells(s.now())
		d = s.decide(r)
	}
	if s.crashes != nil {
		s.crashes.after(Acquire{})
	}
	if d.Verdict == patterns.Wait {
		return s.unlessNoWait(r)
	}
	return d
}

// unlessNoWait refuses a request that would have to wait and does not.
func (s *shell) unlessNoWait(r *patterns.Request) patterns.Decision {
	if !r.NoWait {
		return patterns.Decision{Verdict: patterns.Wait}
	}
	_, err := s.join(r)
	return patterns.Decision{Err: err}
}

// acquire handles a request whose requester waits for c, or gets a message. One whose
// permit is spent at once gets a real one all the same, so that it can be undone until
// it is handed out.
func (s *shell) acquire(c *call) {
	s.current = c
	d := patterns.Decision{}
	if c.spend = c.request.Spend && s.spends; c.spend {
		c.request.Spend = false
	}
	if c.cell != nil {
		var id uint64
		if id, d = s.acquireLeased(c.cell, &c.request); id&leasedBit != 0 {
			s.handOutLeased(c, id)
			return
		}
	} else {
		d = s.admit(&c.request)
	}
	switch d.Verdict {
	case patterns.Grant:
		s.handOut(c)
	case patterns.Refuse:
		s.refuse(c, d.Err)
	case patterns.Wait:
		s.enqueue(c, !s.waiters.ahead(&c.request))
	case patterns.Refer:
		s.refer(c)
	}
	s.current = nil
}

// handOut gives the permit that decide took to c's requester, or takes it back if
// the requester has left.
func (s *shell) handOut(c *call) {
	id := s.granting
	s.hold(id, c)
	s.granting, s.serving = 0, nil
	if s.current == c { // a panic from now on finds it answered
		s.current = nil
	}
	s.counts.Granted++
	switch {
	case c.spend:
		s.handOutSpent(c, id)
		return
	case c.credit != nil:
		s.lend(c, id)
		return
	}
	if c.sender != nil {
		if s.measured { // a Handle measures for itself
			s.ledger.began(id, s.now())
		}
		s.reply(c.sender, Granted{Ref: c.ref, Permit: patterns.PermitID{Epoch: s.ledger.find(id).epoch, ID: id}})
		return
	}
	if !c.answer(id, nil) {
		s.ungrant(id)
	}
}

// handOutSpent is handOut for a permit that ends with it.
func (s *shell) handOutSpent(c *call, id uint64) {
	if c.sender != nil {
		s.reply(c.sender, Granted{Ref: c.ref})
	} else if !c.answer(spentID, nil) {
		s.ungrant(id)
		return
	}
	ended, t, _ := s.ledger.end(id)
	if t != nil {
		s.forget(id, t)
	}
	s.count(patterns.Success)
	counted, dirty := s.rules.Report(s.last, patterns.PermitID{Epoch: ended.epoch, ID: id}, patterns.Success, 0)
	if !counted {
		s.counts.Stale++
	}
	if dirty {
		s.settle()
	}
}

// ungrant undoes a grant whose requester left before it could see it.
func (s *shell) ungrant(id uint64) {
	s.counts.Granted--
	s.counts.Cancelled++
	s.giveBack(id)
}

func (s *shell) refuse(c *call, err error) {
	if c.kind == callConsult {
		s.refuseQuestion(c, err)
		return
	}
	if c.credit != nil {
		c.credit.refused()
	}
	if c.sender != nil {
		s.counts.Rejected++
		after, _ := patterns.RetryAfter(err)
		s.reply(c.sender, Rejected{Ref: c.ref, Err: err, RetryAfter: after})
		return
	}
	if c.answer(0, err) {
		s.counts.Rejected++
	} else {
		s.counts.Cancelled++
	}
}

// report ends a permit with a verdict.
func (s *shell) report(id uint64, o patterns.Outcome, elapsed time.Duration) bool {
	if id&leasedBit != 0 {
		return s.reportLeased(id, o, elapsed)
	}
	if s.crashes != nil {
		s.crashes.before(Report{})
	}
	since := patterns.Instant(0)
	if s.measured && elapsed <= 0 {
		since = s.ledger.since(id)
	}
	ended, t, ok := s.ledger.end(id)
	if !ok {
		s.counts.Repeated++
		return false
	}
	if t != nil {
		s.forget(id, t)
	}
	if !o.Valid() {
		o = patterns.Failure
	}
	s.count(o)
	now := s.last
	if !s.timeless || o != patterns.Success {
		now = s.hear(now)
	}
	if since != 0 {
		elapsed = now.Sub(since)
	}
	if s.lessor != nil && (s.measured || o != patterns.Success) {
		s.foldCells(now)
	}
	counted, dirty := s.rules.Report(now, patterns.PermitID{Epoch: ended.epoch, ID: id}, o, elapsed)
	if s.crashes != nil {
		s.crashes.after(Report{})
	}
	if !counted {
		s.counts.Stale++
	}
	s.freed(dirty)
	return counted
}

func (s *shell) count(o patterns.Outcome) {
	switch o {
	case patterns.Success:
		s.counts.Success++
	case patterns.Failure:
		s.counts.Failure++
	case patterns.Dropped:
		s.counts.Dropped++
	case patterns.Ignored:
		s.counts.Ignored++
	}
}

// release ends a permit without a verdict, as its holder wishes.
func (s *shell) release(id uint64) {
	if s.crashes != nil {
		s.crashes.before(Cancel{})
	}
	if id&leasedBit != 0 {
		s.releaseLeased(id)
		return
	}
	if s.ledger.find(id) == nil {
		s.counts.Repeated++
		return
	}
	s.counts.Reclaimed++
	s.giveBack(id)
	if s.crashes != nil {
		s.crashes.after(Cancel{})
	}
}

// reclaim ends a permit without a verdict, whatever its holder wishes.
func (s *shell) reclaim(id uint64, cause ReclaimCause) {
	e := s.ledger.find(id)
	if e == nil {
		return
	}
	permit := patterns.PermitID{Epoch: e.epoch, ID: id}
	s.counts.Reclaimed++
	s.giveBack(id)
	s.publish(PermitReclaimed{Name: s.name, Permit: permit, Cause: cause, At: time.Now()})
}

// giveBack strikes the permit out and tells the rules.
func (s *shell) giveBack(id uint64) {
	ended, t, ok := s.ledger.end(id)
	if !ok {
		return
	}
	if t != nil {
		s.forget(id, t)
	}
	s.freed(s.rules.Release(s.now(), patterns.PermitID{Epoch: ended.epoch, ID: id}))
}

func (s *shell) forget(id uint64, t *term) {
	if t.holder != nil {
		delete(t.holder.permits, id)
		s.dismiss(t.holder)
	}
}

// freed goes on after a permit ended.
func (s *shell) freed(dirty bool) {
	key, all := "", true
	if s.waiters.count > 0 && s.waiters.order == patterns.Keyed {
		key, all = s.queuer.Freed() // before anything else is freed
	}
	if dirty {
		s.settle()
	}
	if s.waiters.count > 0 {
		s.pumpFreed(key, all)
	}
	if s.closing {
		s.checkDrained()
	}
}

// moved goes on after something happened that may let anybody pass.
func (s *shell) moved() {
	s.pump()
	if s.closing {
		s.checkDrained()
	}
}

// settle carries out what a dirty step of the rules asks for.
func (s *shell) settle() {
	s.timeless, s.measured = s.rules.Timeless(), s.rules.Measured()
	if s.lessor != nil {
		s.cells.learn(s.lessor)
	}
	for ev := range s.rules.Drain() {
		s.publish(ev)
	}
	if s.waiters.count > 0 && s.waiters.reorder(s.queuer.Order()) {
		s.tell(s.pump) // whoever is first now was not asked for
	}
	s.openGate()
	s.arm()
	if s.errands != nil {
		s.send()
	}
}

func (s *shell) publish(ev Event) { s.relay.publish(ev) }
