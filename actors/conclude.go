package actors

import (
	"slices"

	"github.com/bulwark-go/bulwark/patterns"
)

// reconsider asks the rules again for those that have not been sent: they may have come to
// know the answer.
func (s *shell) reconsider() {
	e := s.errands
	for i, n := e.sent, len(e.queue); i < n; i++ { // those that come meanwhile were asked for just now
		if c := e.queue[i]; c.live() {
			s.readmit(c.call)
		}
	}
}

// readmit decides on c, which was referred and has not been sent.
func (s *shell) readmit(c *call) {
	s.serving = c
	if c.kind == callConsult {
		answer := s.consultRules(c.question)
		s.serving = nil
		if !answer.Refer {
			s.recall(c)
			s.inform(c, &answer)
		}
		return
	}
	d := s.decide(&c.request)
	if d.Verdict == patterns.Refer {
		s.serving = nil
		return
	}
	s.carryOut(c, d)
}

// unload tells those that trips have been for.
func (s *shell) unload() {
	e := s.errands
	for len(e.home) > 0 {
		t := e.home[0]
		for t.next < len(t.calls) {
			i := t.next
			t.next++
			s.concludeOne(t, i)
		}
		e.home = slices.Delete(e.home, 0, 1)
		clear(t.calls)
		*t = trip{calls: t.calls[:0]}
		e.spare = append(e.spare, t)
	}
	if s.closing {
		s.checkDrained()
	}
	s.send()
}

// concludeOne tells a call what came of the i-th request of a trip.
func (s *shell) concludeOne(t *trip, i int) {
	c, r := t.calls[i], s.errands.referrer
	if s.dropped(c) {
		if r.Disown(s.last, t.errand, i) {
			s.settle()
		}
		return
	}
	s.serving = c.call
	if c.kind == callConsult {
		answer := r.Inform(s.last, t.errand, i, c.question)
		s.tally(&answer)
		s.recall(c.call)
		s.serving = nil
		s.inform(c.call, &answer)
		return
	}
	id := s.ledger.next()
	s.carryOut(c.call, s.entered(id, &c.request, r.Conclude(s.last, t.errand, i, id, &c.request)))
}

// carryOut does what was decided on c, which had been referred.
func (s *shell) carryOut(c *call, d patterns.Decision) {
	if c.line != nil {
		s.carryOutInLine(c, d)
		return
	}
	s.recall(c)
	if id := s.granting; d.Verdict == patterns.Grant && s.waiters.ahead(&c.request) {
		// One that asked before was told to wait, and must not be overtaken by a lighter one.
		s.granting = 0
		s.undo(id)
		d = patterns.Decision{Verdict: patterns.Wait}
	}
	if d.Verdict == patterns.Wait {
		d = s.unlessNoWait(&c.request)
	}
	switch d.Verdict {
	case patterns.Grant:
		s.handOut(c)
		return
	case patterns.Wait:
		s.serving = nil
		s.enqueue(c, !s.waiters.ahead(&c.request))
	case patterns.Refer:
		s.serving = nil
		s.refer(c)
	case patterns.Refuse:
		s.serving = nil
		s.turnAway(c, d.Err)
	}
}

// carryOutInLine is carryOut for one that has a place in the queue.
func (s *shell) carryOutInLine(c *call, d patterns.Decision) {
	c.errand = 0
	key := c.request.Key // once answered, c is another's
	switch d.Verdict {
	case patterns.Wait:
		s.serving = nil
		s.remind(c.line)
		return
	case patterns.Refer:
		s.serving = nil
		s.refer(c)
		return
	case patterns.Grant:
		l, i := c.line, level(c.request.Priority)
		s.leaveQueue(c)
		s.waiters.served(l, i)
		s.handOut(c)
	case patterns.Refuse:
		s.serving = nil
		s.turnAway(c, d.Err)
	}
	if s.waiters.order == patterns.Keyed {
		s.pumpKey(key)
		return
	}
	s.pump()
}
