package actors

import (
	"cmp"
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// holder is an actor that has permits or waits for some. It is watched once,
// however many it has, and until it has none.
type holder struct {
	pid     *actor.PID
	key     string
	permits map[uint64]struct{}
	waiting map[*call]struct{}
	credit  *credit // if it produces
}

func (h *holder) idle() bool { return len(h.permits) == 0 && len(h.waiting) == 0 && h.credit == nil }

// holders are the watched ones, by address and id.
type holders map[string]*holder

func holderKey(pid *actor.PID) string { return pid.Address + "/" + pid.Id }

// enlist returns pid's holder, watched.
func (s *shell) enlist(pid *actor.PID) *holder {
	key := holderKey(pid)
	if h := s.holders[key]; h != nil {
		return h
	}
	h := &holder{pid: pid, key: key, permits: map[uint64]struct{}{}, waiting: map[*call]struct{}{}}
	if s.holders == nil {
		s.holders = holders{}
	}
	s.holders[key] = h
	s.tellHolder(h, &actor.Watch{Watcher: s.context.Self()})
	return h
}

// dismiss stops watching h if it has nothing left.
func (s *shell) dismiss(h *holder) {
	if h == nil {
		return
	}
	if h.credit != nil && h.credit.over() {
		h.credit = nil
	}
	if !h.idle() || s.holders[h.key] != h {
		return
	}
	delete(s.holders, h.key)
	s.tellHolder(h, &actor.Unwatch{Watcher: s.context.Self()})
}

// tellHolder is Watch and Unwatch of proto.actor's context, after the turn.
func (s *shell) tellHolder(h *holder, msg any) {
	s.outbox.put(&letter{to: h.pid, msg: msg, system: true})
	s.mailbox.After()
}

// releaseHolder takes back everything that pid holds and waits for.
func (s *shell) releaseHolder(pid *actor.PID) {
	if pid == nil {
		return
	}
	h := s.holders[holderKey(pid)]
	if h == nil {
		return
	}
	h.credit = nil
	// Nothing that comes back may go to another of its own requests.
	waiting := slices.SortedFunc(maps.Keys(h.waiting), func(a, b *call) int { return cmp.Compare(a.waitSequence, b.waitSequence) })
	for _, c := range waiting {
		s.leaveQueue(c)
	}
	for _, c := range waiting {
		s.refuse(c, &s.refusals().cancelled)
	}
	for _, id := range slices.Sorted(maps.Keys(h.permits)) {
		s.reclaim(id, ReclaimedHolderGone)
	}
	s.dismiss(h)
	s.pump()
}

// rewatch renews every watch for a new incarnation.
func (s *shell) rewatch() {
	for _, h := range s.holders {
		if s.dismiss(h); s.holders[h.key] != h { // the turn that enlisted it panicked
			continue
		}
		s.tellHolder(h, &actor.Watch{Watcher: s.context.Self()})
	}
}

// hold makes the permit end with its holder and at its deadline.
func (s *shell) hold(id uint64, c *call) {
	if c.holder == nil && c.request.HoldFor <= 0 {
		return
	}
	if c.holder != nil {
		c.holder.permits[id] = struct{}{}
	}
	s.ledger.setTerm(id, &term{holder: c.holder})
	if c.request.HoldFor > 0 {
		s.deadlines.add(deadline{at: s.now().Add(c.request.HoldFor), permit: id})
		s.arm()
	}
}
