package actors

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/actors/internal/inject"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// tick is what the timer asks for.
func (s *shell) tick() {
	s.armed = patterns.Never
	if s.crashes != nil {
		s.crashes.before(inject.Tick{})
	}
	now := s.now()
	s.dueBy(now)
	s.sweepCells(now)
	changed := s.rules.Tick(now)
	if s.crashes != nil {
		s.crashes.after(inject.Tick{})
	}
	if at := s.rules.Wake(); at <= now {
		panic(fmt.Sprintf("bulwark: %s is still due at %d after Tick(%d)", s.name, at, now))
	}
	s.settle()
	switch {
	case s.waiters.count == 0:
	case changed, s.waiters.order != patterns.Keyed:
		s.pump()
	default:
		s.pumpReturned()
	}
	if s.closing {
		s.checkDrained()
	}
}

// dueBy ends what has waited, or was held, for long enough, and asks again for those who
// were told to wait until now.
func (s *shell) dueBy(now patterns.Instant) {
	for d, ok := s.deadlines.due(now); ok; d, ok = s.deadlines.due(now) {
		switch {
		case !d.names(&s.ledger):
		case d.waiter != nil:
			s.expire(d.waiter, now)
		case d.line != nil:
			d.line.alarm = patterns.Never
			if s.waiters.order == patterns.Keyed {
				s.pumpKey(d.line.key)
			}
		case d.permit == errandAlarm:
			s.overdue(now)
		default:
			s.reclaim(d.permit, ReclaimedExpired)
		}
	}
}

// arm sets the timer to the next instant at which there is something to do.
func (s *shell) arm() {
	s.deadlines.sweep(int(s.ledger.live)+2*s.waiters.count, &s.ledger)
	at := min(s.rules.Wake(), s.deadlines.earliest(), s.cells.wake())
	if at == s.armed {
		return
	}
	s.armed = at
	// Not 0: bubbles of tests run such timers at once, side by side, on one race context.
	switch after := max(1, time.Duration(at)-time.Since(s.origin)); {
	case at == patterns.Never:
		s.disarm()
	case s.timer == nil:
		s.timer = time.AfterFunc(after, s.fire)
	default:
		s.timer.Reset(after) // the old time, if it fires all the same, does no harm
	}
}

// fire runs on the timer's goroutine.
func (s *shell) fire() { s.tell(s.tick) }

// tell runs f in a turn, some time soon, unless the guard stops first.
func (s *shell) tell(f func()) {
	c := newCall().(*call)
	c.kind, c.control = callControl, f
	_ = s.mailbox.Post(&c.node, mailbox.Urgent) // a stopped guard has nothing to do
}
