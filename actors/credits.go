package actors

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// maxWindow bounds how many permits one producer may have by Demands.
const maxWindow = 1 << 16

// credit is what a producer has been lent, and would like to have.
type credit struct {
	ref      uint64
	window   int
	request  patterns.Request
	permits  []uint64 // out, the oldest first
	fresh    int      // of them, those that it has not heard of
	standing *call    // its place in the queue; nil if it has none
}

// produce starts, changes or ends the sender's standing order.
func (s *shell) produce(sender *actor.PID, msg Produce) {
	if s.crashes != nil {
		s.crashes.before(msg)
	}
	switch {
	case sender == nil:
		s.counts.Unknown++
		s.note(slog.LevelWarn, "Produce without a sender: use Request, not Send")
		return
	case s.closing:
		s.reply(sender, Rejected{Ref: msg.Ref, Err: &s.refusals().stopped})
		return
	case msg.Window < 0 || msg.Window > maxWindow || !msg.Priority.Valid():
		s.reply(sender, Rejected{Ref: msg.Ref, Err: &s.refusals().invalid})
		return
	}
	h := s.enlist(sender)
	if h.credit == nil {
		h.credit = &credit{}
	}
	k := h.credit
	k.ref, k.window = msg.Ref, msg.Window
	k.request = patterns.Request{Key: msg.Key, Priority: msg.Priority}
	if c := k.standing; c != nil { // it may stand in another line now
		k.standing = nil
		s.withdraw(c, nil)
	}
	s.extend(h)
	s.sendDemand()
	s.settleCredit(h)
}

// extend asks for permits until the window is full or there are no more. Then the
// producer has a place in the queue.
func (s *shell) extend(h *holder) {
	for k := h.credit; k != nil && k.standing == nil && len(k.permits) < k.window; {
		c := k.ask(h)
		s.current = c
		d := s.admit(&c.request)
		switch d.Verdict {
		case patterns.Grant:
			s.handOut(c)
		case patterns.Refuse:
			s.refuse(c, d.Err)
		case patterns.Wait:
			s.stand(c, !s.waiters.ahead(&c.request))
		}
		s.current = nil
	}
}

// stand makes a producer wait, without asking the rules whether it may. asked is as for
// enqueue.
func (s *shell) stand(c *call, asked bool) {
	if s.queuer == nil {
		s.refuse(c, &s.refusals().queueFull)
		return
	}
	s.sequence++
	c.waitSequence = s.sequence
	c.waitsUntil = patterns.Never
	c.request.Asked = max(s.now(), 1)
	l := s.waiters.add(c, s.queuer.Order())
	c.holder.waiting[c] = struct{}{}
	c.credit.standing = c
	if asked {
		s.remind(l)
	}
}

// lend gives a producer the permit that c stood in for. If that waited in the queue, the
// next one does, behind all others.
func (s *shell) lend(c *call, id uint64) {
	h, k := c.holder, c.credit
	k.permits = append(k.permits, id)
	if k.fresh++; k.fresh == 1 {
		s.owing = append(s.owing, h)
	}
	if k.standing != c {
		return
	}
	k.standing = nil
	if len(k.permits) < k.window {
		s.counts.Asked++
		s.stand(k.ask(h), false)
	}
}

func (k *credit) ask(h *holder) *call {
	c := newCall().(*call)
	c.sender, c.ref, c.holder, c.credit, c.request = h.pid, k.ref, h, k, k.request
	return c
}

// refusedCredit ends the standing order of a producer that is told why.
func (s *shell) refusedCredit(k *credit) { k.window, k.standing = 0, nil }

// done ends some of the sender's permits.
func (s *shell) done(sender *actor.PID, msg Done) {
	if s.crashes != nil {
		s.crashes.before(msg)
	}
	var h *holder
	if sender != nil {
		h = s.holders[holderKey(sender)]
	}
	if h == nil || h.credit == nil {
		s.counts.Repeated += uint64(max(0, msg.N))
		return
	}
	k := h.credit
	n := max(0, min(msg.N, len(k.permits)))
	s.counts.Repeated += uint64(max(0, msg.N-n))
	for range n {
		id := k.permits[0]
		k.permits = k.permits[1:]
		if s.ledger.find(id) != nil {
			s.report(id, msg.Outcome, 0)
		}
	}
	if len(k.permits) == 0 {
		k.permits = nil
	}
	s.extend(h)
	s.sendDemand()
	s.settleCredit(h)
}

// sendDemand tells producers of the permits that they were lent in this turn.
func (s *shell) sendDemand() {
	for i, h := range s.owing {
		s.owing[i] = nil
		if k := h.credit; k != nil && k.fresh > 0 {
			n := k.fresh
			k.fresh = 0
			s.reply(h.pid, Demand{Ref: k.ref, N: n})
		}
	}
	s.owing = s.owing[:0]
}

// settleCredit forgets a producer that wants nothing more and has nothing.
func (s *shell) settleCredit(h *holder) {
	if k := h.credit; k != nil && k.window == 0 && len(k.permits) == 0 && k.standing == nil {
		h.credit = nil
		s.dismiss(h)
	}
}
