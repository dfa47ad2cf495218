package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/inject"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// incarnation is what proto.actor starts and restarts. It holds nothing: what must
// survive is in the shell.
type incarnation struct {
	shell *shell
}

// Receive takes the protocol's messages from other actors. A panic while it stops must
// not get out: it would undo the stop, or leave a zombie.
func (i *incarnation) Receive(c actor.Context) {
	s := i.shell
	done := false
	defer func() {
		if !done {
			s.broken.failing = true
		}
	}()
	switch msg := c.Message().(type) {
	case *actor.Started:
		s.context = c
		s.started()
	case *actor.Restarting:
		s.protect("restart", s.disarm)
	case *actor.Stopping:
		s.protect("stop", s.stop)
	case *actor.Stopped:
		s.protect("stopped", s.stopped)
	case *actor.Terminated:
		if !s.broken.failing { // the next incarnation will hear of it again
			s.releaseHolder(msg.Who)
		}
	default:
		if s.family == nil || s.shard != 0 || !s.route(c.Sender(), msg) {
			s.receive(c, msg)
		}
	}
	done = true
}

func (s *shell) protect(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			s.note(slog.LevelError, "guard's lifecycle step failed", slog.String("step", what), slog.Any("panic", r))
		}
	}()
	f()
}

func (s *shell) receive(c actor.Context, msg any) {
	sender := c.Sender()
	done := false
	defer func() {
		if !done {
			s.fail(sender, msg)
		}
	}()
	switch msg := msg.(type) {
	case Acquire:
		s.acquireByMessage(sender, msg)
	case Report:
		s.report(msg.Permit.ID, msg.Outcome, msg.Elapsed)
	case Cancel:
		s.cancelByMessage(sender, msg)
	case Release:
		if s.crashes != nil {
			s.crashes.before(msg)
		}
		s.releaseHolder(msg.Holder)
	case releaseLater:
		s.releaseHolder(msg.Holder)
	case Produce:
		s.produce(sender, msg)
	case Done:
		s.done(sender, msg)
	case Inspect:
		s.replyTo(sender, s.inspect())
	case Consult:
		if s.errands != nil {
			c := newCall().(*call)
			c.kind, c.sender, c.question = callConsult, sender, msg.Question
			s.inquiry(c)
			break
		}
		answer, err := s.consult(msg.Question)
		if err != nil {
			answer = Refused{Err: err}
		}
		s.replyTo(sender, answer)
	case Operate:
		err := s.operate(msg.Operation)
		s.acknowledge(sender, err)
		s.auditMessage(msg, sender, err)
	case Reconfigure:
		err := s.reconfigure(msg.Config)
		s.acknowledge(sender, err)
		s.auditMessage(msg, sender, err)
	case inject.Crash:
		s.crashes = newCrashPlan(msg)
		s.replyTo(sender, Ack{})
	default:
		s.counts.Unknown++
		s.note(slog.LevelWarn, "unknown message to a guard", slog.String("type", fmt.Sprintf("%T", msg)))
	}
	done = true
}

// fail answers a message whose turn panics, unless it has been answered. The mailbox would
// do so in the turn.
func (s *shell) fail(sender *actor.PID, msg any) {
	failed := &s.refusals().failed
	switch msg := msg.(type) {
	case Acquire:
		if s.current != nil {
			s.replyTo(sender, Rejected{Ref: msg.Ref, Err: failed})
		}
	case Produce:
		s.broken.producer = sender
		if !msg.search {
			s.replyTo(sender, Rejected{Ref: msg.Ref, Err: failed})
		}
	case Inspect:
		s.replyTo(sender, mailbox.Undelivered{Message: msg, Reason: failed})
	case Consult:
		s.replyTo(sender, Refused{Err: failed})
	case Operate, Reconfigure:
		s.replyTo(sender, Refused{Err: failed})
		s.auditMessage(msg, sender, failed)
	case Report:
		s.broken.permit = msg.Permit.ID
	case Cancel:
		s.broken.permit = msg.Permit.ID
	case Release:
		s.broken.holder = msg.Holder
	}
}

func (s *shell) replyTo(sender *actor.PID, msg any) {
	if sender != nil {
		s.reply(sender, msg)
	}
}

func (s *shell) acknowledge(sender *actor.PID, err error) {
	if err != nil {
		s.replyTo(sender, Refused{Err: err})
		return
	}
	s.replyTo(sender, Ack{})
}

// acquireByMessage handles a request of another actor. One without a sender could
// never be answered, so it is not granted either.
func (s *shell) acquireByMessage(sender *actor.PID, msg Acquire) {
	if sender == nil {
		s.counts.Unknown++
		s.note(slog.LevelWarn, "Acquire without a sender: use Request, not Send")
		return
	}
	c := newCall().(*call)
	c.sender, c.ref = sender, msg.Ref
	c.request = patterns.Request{
		Key: msg.Key, Weight: msg.Weight, Priority: msg.Priority, HoldFor: msg.HoldFor, NoWait: msg.NoWait, Spend: msg.Spend,
	}
	if !msg.Deadline.IsZero() {
		c.waitsBy = patterns.Instant(msg.Deadline.Sub(s.origin))
		c.request.Deadline = c.waitsBy
		if c.waitsBy <= s.now() {
			s.counts.Asked++
			s.refuse(c, &s.refusals().expired)
			return
		}
	}
	if msg.Holder != nil {
		c.holder = s.enlist(msg.Holder)
	}
	s.acquire(c)
	s.dismiss(c.holder)
}

func (s *shell) cancelByMessage(sender *actor.PID, msg Cancel) {
	if msg.Permit != (patterns.PermitID{}) {
		s.release(msg.Permit.ID)
		return
	}
	if sender == nil {
		s.counts.Unknown++
		return
	}
	if s.waiters.count > 0 {
		for c := s.waiters.oldest; c != nil; c = c.newer {
			if c.ref == msg.Ref && c.sender != nil && c.sender.Equal(sender) {
				s.withdraw(c, &s.refusals().cancelled)
				return
			}
		}
	}
	for c := range s.afar() {
		if c.kind == callAcquire && c.ref == msg.Ref && c.sender != nil && c.sender.Equal(sender) {
			s.withdraw(c, &s.refusals().cancelled)
			return
		}
	}
	if !msg.search {
		s.counts.Repeated++
	}
}

// started begins an incarnation: the first, or one that follows a failure.
func (s *shell) started() {
	if !s.begun {
		s.begun = true
		s.settle()
		return
	}
	s.counts.Restarts++
	repaired := s.recover()
	s.rewatch()
	s.armed = patterns.Never
	s.settle()
	s.moved()
	if gone := s.broken.holder; gone != nil {
		s.broken.holder = nil
		s.releaseHolder(gone)
	}
	s.extendAll()
	if s.errands != nil {
		s.tell(s.errands.unload)
	}
	s.broken.failing = false
	s.publish(Restarted{Name: s.name, Restarts: s.counts.Restarts, Repaired: repaired, At: time.Now()})
}

func (s *shell) disarm() {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.armed = patterns.Never
}

// stop answers everybody who waits.
func (s *shell) stop() {
	if !s.broken.failing {
		s.orderly.Store(true)
	} else if s.foreign {
		s.publish(GaveUp{Name: s.name, Reason: "its supervisor stopped it after a failure", Policy: s.policy, At: time.Now()})
	}
	s.disarm()
	s.closing = true
	if s.broken.failing {
		_ = s.mend() // there is nobody left to repair the rules for
	}
	s.revokeCells()
	s.refuseAll(&s.refusals().stopped)
	if s.errands != nil {
		s.errands.end()
	}
}

// refuseAll answers everybody who waits, and ends all standing orders.
func (s *shell) refuseAll(err error) {
	for s.waiters.count > 0 {
		c := s.waiters.oldest
		s.leaveQueue(c)
		s.refuse(c, err)
		s.dismiss(c.holder)
	}
	for c := range s.afar() {
		s.leaveQueue(c)
		s.refuse(c, err)
		s.dismiss(c.holder)
	}
	for _, h := range s.producers() { // who have all that they want, and would wait for more
		h.credit.refused()
		s.reply(h.pid, Rejected{Ref: h.credit.ref, Err: err})
		s.dismiss(h)
	}
}

// stopped leaves the last snapshot behind.
func (s *shell) stopped() {
	s.crashes = nil
	var snapshot any
	defer func() { // even if the rules panic
		s.final.Store(&snapshot)
		s.publish(Stopped{Name: s.name, InFlight: s.totals().InFlight, At: time.Now()})
		s.endDrains()
		if s.free != nil {
			go s.free()
		}
	}()
	s.sealCells()
	snapshot = s.inspect()
}

// totals are the counts of the shell and of the cells together.
func (s *shell) totals() patterns.Counts {
	c := s.counts
	leased := s.leaseTotals()
	refused := s.refusedEarly()
	successes := leased.settled - leased.others
	c.InFlight = s.ledger.live + leased.issued - leased.settled
	c.Asked += refused + leased.issued
	c.Rejected += refused
	c.Granted += leased.issued
	c.Success += successes
	c.Reported = c.Success + c.Failure + c.Dropped + c.Ignored
	c.Repeated += s.cells.repeated.Load()
	c.Waiting = s.waiting()
	return c
}

// waiting is how many requests wait for an answer.
func (s *shell) waiting() uint64 {
	n := s.waiters.count
	if s.errands != nil {
		n += s.errands.standing
	}
	return uint64(n)
}

func (s *shell) inspect() any {
	if s.crashes != nil {
		s.crashes.before(Inspect{})
	}
	now := s.now()
	if s.lessor != nil {
		s.foldCells(now)
		s.moved()
	}
	return s.snapshot(now)
}

func (s *shell) operate(op patterns.Operation) error {
	if s.crashes != nil {
		s.crashes.before(Operate{})
	}
	if !op.Kind.Valid() || op.For < 0 {
		return fmt.Errorf("%w: %v for %v", ErrUnsupported, op.Kind, op.For)
	}
	now := s.now()
	s.callIn(now)
	if err := s.rules.Operate(now, op); err != nil {
		return unsupported(err)
	}
	if s.crashes != nil {
		s.crashes.after(Operate{})
	}
	s.settle()
	s.moved()
	return nil
}

// unsupported has the fault that a pattern finds with a command itself match ErrUnsupported.
func unsupported(err error) error {
	fault, ok := errors.AsType[*patterns.ConfigError](err)
	if !ok || fault.Field != "Kind" || errors.Is(err, ErrUnsupported) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnsupported, err)
}

func (s *shell) reconfigure(config any) error {
	if s.crashes != nil {
		s.crashes.before(Reconfigure{})
	}
	now := s.now()
	s.callIn(now)
	if err := s.configure(now, config); err != nil {
		return err
	}
	if s.crashes != nil {
		s.crashes.after(Reconfigure{})
	}
	s.settle()
	s.moved()
	return nil
}

// drain admits nothing more, and closes done when nothing is in flight.
func (s *shell) drain(done chan struct{}) {
	s.closing = true
	s.drained = append(s.drained, done)
	s.revokeCells()
	s.refuseAll(&s.refusals().stopped)
	if e := s.errands; e != nil {
		e.referrer.Farewell(s.now())
		s.send()
	}
	s.checkDrained()
}

func (s *shell) checkDrained() {
	if s.drained != nil && s.totals().InFlight == 0 && (s.errands == nil || !s.errands.carrying) {
		s.endDrains()
	}
}

func (s *shell) endDrains() {
	for _, done := range s.drained {
		close(done)
	}
	s.drained = nil
}
