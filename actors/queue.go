package actors

import "github.com/bulwark-go/bulwark/patterns"

// enqueue makes c wait for capacity, if the rules let it. asked says that the rules were
// asked for c itself and have it wait, and not only for others.
func (s *shell) enqueue(c *call, asked bool) {
	if c.sender == nil && c.state.Load() == abandoned {
		s.counts.Cancelled++
		return
	}
	until, err := s.join(&c.request)
	if err != nil {
		s.dismiss(c.holder)
		s.refuse(c, err)
		return
	}
	s.sequence++
	c.waitSequence = s.sequence
	c.waitsUntil = until
	c.request.Asked = max(s.last, 1)
	l := s.waiters.add(c, s.queuer.Order())
	if c.holder != nil {
		c.holder.waiting[c] = struct{}{}
	}
	by := until
	if c.waitsBy != 0 {
		by = min(by, c.waitsBy)
	}
	if by != patterns.Never {
		s.deadlines.add(deadline{at: by, waiter: c, sequence: c.waitSequence})
		s.arm()
	}
	if asked {
		s.remind(l)
	}
	s.unlessReturned()
}

// join asks the rules whether r may wait.
func (s *shell) join(r *patterns.Request) (until patterns.Instant, err error) {
	if s.queuer == nil {
		return 0, &s.refusals().queueFull
	}
	until, dirty, err := s.queuer.Join(s.now(), r, s.waiters.view(r))
	if dirty {
		s.settle()
	}
	if err == nil && r.NoWait {
		err = &s.refusals().queueFull
	}
	return until, err
}

// remind sets the time at which to ask again for the head of the line, as the rules have
// just said.
func (s *shell) remind(l *line) {
	at := max(s.queuer.Again(), s.last+1)
	if at == l.alarm {
		return
	}
	l.alarm = at
	s.sequence++
	l.alarmID = s.sequence
	if at != patterns.Never {
		s.deadlines.add(deadline{at: at, line: l, sequence: l.alarmID})
		s.arm()
	}
}

// pump serves those who wait as long as the rules let it.
func (s *shell) pump() {
	if s.waiters.count == 0 {
		return
	}
	if s.lessor != nil {
		s.cells.returned = false
	}
	if s.waiters.order == patterns.Keyed {
		// Lines come and go meanwhile: those that have been served go to the end.
		for n := len(s.waiters.byKey); n > 0 && s.waiters.order == patterns.Keyed; n-- {
			if l := s.waiters.nextLine(); l != nil {
				s.pumpKey(l.key)
			}
		}
		return
	}
	for c := s.waiters.head(); c != nil && s.serve(c); {
		c = s.waiters.head()
	}
	if len(s.owing) > 0 {
		s.sendDemand()
	}
}

// pumpFreed is pump after a permit of that key, or of any, has ended.
func (s *shell) pumpFreed(key string, all bool) {
	if all || s.waiters.order != patterns.Keyed {
		s.pump()
		return
	}
	s.pumpKey(key)
	s.pumpReturned()
}

// pumpKey is pump for the requests of one key, as long as the order is Keyed: if that
// changes, pump is about to come.
func (s *shell) pumpKey(key string) {
	for s.waiters.order == patterns.Keyed {
		l := s.waiters.byKey[key] // which may not be the one of before
		if l == nil || !s.serve(l.head()) {
			break
		}
	}
	if len(s.owing) > 0 {
		s.sendDemand()
	}
}

// pumpReturned is pump, in Keyed order, after permits of leases came back: they are of no
// key.
func (s *shell) pumpReturned() {
	if s.lessor != nil && s.cells.returned {
		s.cells.returned = false
		s.pumpKey("")
	}
}

// unlessReturned is called when the rules have somebody wait. If a lease ended because of
// just that, its permits came too late for the decision.
func (s *shell) unlessReturned() {
	if s.lessor != nil && s.cells.returned {
		s.cells.returned = false
		s.tell(s.pump)
	}
}

// serve asks the rules for c, whose turn it is, and reports whether to go on with the
// next: c does not wait any more.
func (s *shell) serve(c *call) bool {
	if s.closing { // all are about to be refused
		return false
	}
	if c.sender == nil && c.state.Load() == abandoned {
		s.leaveQueue(c)
		s.counts.Cancelled++
		s.dismiss(c.holder)
		return true
	}
	if c.errand != 0 { // it is being asked for
		return false
	}
	s.serving = c
	d := s.decide(&c.request)
	l, i := c.line, level(c.request.Priority)
	if d.Verdict == patterns.Wait {
		s.serving = nil
		s.remind(l)
		s.unlessReturned()
		return false
	}
	if d.Verdict == patterns.Refer {
		s.serving = nil
		s.refer(c)
		return false
	}
	s.leaveQueue(c)
	if d.Verdict == patterns.Grant {
		s.waiters.served(l, i)
		s.handOut(c)
	} else {
		s.serving = nil
		s.refuse(c, d.Err)
		s.dismiss(c.holder)
	}
	return true
}

func (s *shell) leaveQueue(c *call) bool {
	stoodBy := s.recall(c) // first: it matters whether c has a place
	if !s.waiters.remove(c) {
		return stoodBy
	}
	c.waitSequence = 0
	if c.holder != nil {
		delete(c.holder.waiting, c)
	}
	return true
}

// withdraw takes c out of the queue: its requester left (err is nil), or is to be
// told why.
func (s *shell) withdraw(c *call, err error) {
	if !s.leaveQueue(c) {
		return
	}
	key := c.request.Key
	if s.errands != nil {
		s.errands.bury()
	}
	if err == nil {
		s.countLeft(c)
	} else {
		s.refuse(c, err)
	}
	s.dismiss(c.holder)
	// Whoever stood behind a heavy one may fit.
	if s.waiters.count == 0 {
		return
	}
	if s.waiters.order == patterns.Keyed {
		s.pumpKey(key)
	} else {
		s.pump()
	}
}

// expire refuses c, which has waited for too long.
func (s *shell) expire(c *call, now patterns.Instant) {
	err := error(&s.refusals().expired)
	if c.waitsUntil <= now {
		s.serving = c // its deadline will not come again
		dirty, refusal := s.queuer.Expired(now, &c.request)
		if refusal != nil {
			err = refusal
		}
		if dirty {
			s.settle()
		}
		s.serving = nil
	}
	s.withdraw(c, err)
}
