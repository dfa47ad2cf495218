package actors

import (
	"log/slog"
	"maps"
	"slices"

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
	case msg.search:
		s.endOrder(s.holders[holderKey(sender)])
		return
	case s.closing:
		s.reply(sender, Rejected{Ref: msg.Ref, Err: &s.refusals().stopped})
		return
	case s.errands != nil:
		s.reply(sender, Rejected{Ref: msg.Ref, Err: &s.refusals().invalid})
		return
	case msg.Window < 0 || msg.Window > maxWindow || !msg.Priority.Valid():
		s.reply(sender, Rejected{Ref: msg.Ref, Err: &s.refusals().invalid})
		return
	}
	h := s.enlist(sender)
	if h.credit == nil {
		h.credit = &credit{}
	}
	k, r := h.credit, patterns.Request{Key: msg.Key, Priority: msg.Priority}
	stays := k.request == r && msg.Window > len(k.permits)
	k.ref, k.window, k.request = msg.Ref, msg.Window, r
	if !stays {
		s.standDown(k)
	} else if k.standing != nil {
		k.standing.ref = msg.Ref
	}
	s.extend(h)
	s.sendDemand()
	s.dismiss(h)
}

// standDown gives up a producer's place in the queue.
func (s *shell) standDown(k *credit) {
	if c := k.standing; c != nil {
		k.standing = nil
		s.withdraw(c, nil)
	}
}

// endOrder ends the standing order of h, if it has one, and tells it nothing.
func (s *shell) endOrder(h *holder) {
	if h == nil || h.credit == nil {
		return
	}
	h.credit.window = 0
	s.standDown(h.credit)
	s.sendDemand()
	s.dismiss(h)
}

// extend asks for permits until the window is full or there are no more. Then the
// producer has a place in the queue.
func (s *shell) extend(h *holder) {
	for k := h.credit; k != nil && k.wants(); {
		c := k.ask(h)
		s.serving = c
		d := s.admit(&c.request)
		switch d.Verdict {
		case patterns.Grant:
			s.handOut(c)
		case patterns.Refuse:
			s.refuse(c, d.Err)
		case patterns.Wait:
			s.stand(c, !s.waiters.ahead(&c.request))
		}
		s.serving = nil
	}
}

// extendAll is extend for every producer, should a panic have come between.
func (s *shell) extendAll() {
	for _, h := range s.producers() {
		s.extend(h)
		s.dismiss(h)
	}
	s.sendDemand()
}

// producers are the holders that have a standing order, by address and id.
func (s *shell) producers() (all []*holder) {
	for _, key := range slices.Sorted(maps.Keys(s.holders)) {
		if h := s.holders[key]; h.credit != nil && h.credit.window > 0 {
			all = append(all, h)
		}
	}
	return all
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
	s.unlessReturned()
}

// lend gives a producer the permit that c stood in for. If that waited in the queue, the
// next one does, behind all others.
func (s *shell) lend(c *call, id uint64) {
	h, k := c.holder, c.credit
	if s.measured {
		s.ledger.began(id, s.now())
	}
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
	return &call{sender: h.pid, ref: k.ref, holder: h, credit: k, request: k.request}
}

// refused ends the standing order of a producer that is told why.
func (k *credit) refused() { k.window, k.standing = 0, nil }

// wants reports that the producer is to ask for another permit.
func (k *credit) wants() bool { return k.standing == nil && len(k.permits) < k.window }

// over reports that the producer wants nothing more and has nothing.
func (k *credit) over() bool { return k.window == 0 && len(k.permits) == 0 && k.standing == nil }

// done ends some of the sender's permits.
func (s *shell) done(sender *actor.PID, msg Done) {
	if sender == nil {
		s.counts.Unknown++
		s.note(slog.LevelWarn, "Done without a sender: use Request, not Send")
		return
	}
	h := s.holders[holderKey(sender)]
	var ending []uint64
	if h != nil && h.credit != nil {
		ending = h.credit.pop(msg.N)
	}
	if excess := msg.N - len(ending); excess > 0 {
		s.doneElsewhere(sender, msg, excess)
	}
	if h == nil || h.credit == nil {
		return
	}
	s.ending = ending // if this turn panics, they end with it
	if s.crashes != nil {
		s.crashes.before(msg)
	}
	k := h.credit
	if s.waiters.count > 0 && k.wants() && len(ending) > 0 { // it takes turns with those who wait
		s.counts.Asked++
		s.stand(k.ask(h), false)
	}
	for _, id := range ending {
		if s.ledger.find(id) != nil {
			s.report(id, msg.Outcome, 0)
		}
	}
	s.ending = nil
	if k.standing != nil { // in a line that no report may have been about
		s.pumpKey(k.request.Key)
	}
	s.extend(h)
	s.sendDemand()
	s.dismiss(h)
}

// pop takes n permits out, the oldest ones, or as many as there are.
func (k *credit) pop(n int) (oldest []uint64) {
	n = max(0, min(n, len(k.permits)))
	oldest = k.permits[:n:n]
	if k.permits = k.permits[n:]; len(k.permits) == 0 {
		k.permits = nil
	}
	k.fresh = min(k.fresh, len(k.permits))
	return oldest
}

// doneElsewhere passes a Done of more permits than the sender has of this shard on to the
// next, and counts what it has of none.
func (s *shell) doneElsewhere(sender *actor.PID, msg Done, excess int) {
	if s.family == nil || s.shard == len(s.family.pids)-1 {
		s.counts.Repeated += uint64(excess)
		return
	}
	msg.N = excess
	s.pass(sender, msg, s.shard+1)
}

// sendDemand tells producers of the permits that they were lent in this turn.
func (s *shell) sendDemand() {
	if s.ending != nil { // there may be more
		return
	}
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
