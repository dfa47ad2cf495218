package actors

import (
	"context"

	"github.com/bulwark-go/bulwark/mailbox"
)

// post sends a call of a guard that refers. Whoever cannot leave before the answer asks in a
// turn on the spot if there is one, and carries the errand itself if nobody else carries: two
// goroutines that wake each other take as long as the way to another process and back, as
// soon as the machine has something else to do.
func (h *Handle) post(ctx context.Context, c *call) error {
	s := h.shell
	if s.errands == nil || ctx.Done() != nil || !s.mailbox.TryEnterIdle() {
		return s.mailbox.Post(&c.node, mailbox.Ordinary)
	}
	if t := s.offer(c); t != nil {
		s.fetch(t)
	}
	return nil
}

// offer handles c in the turn that the caller has entered, and leaves it. It returns the trip
// that the caller is to carry, or nil.
func (s *shell) offer(c *call) (t *trip) {
	e := s.errands
	done := false
	defer func() {
		if done {
			return
		}
		t, e.offered, s.fresh = nil, false, false
		if e.accepted {
			e.accepted = false
			go s.carry(nil)
		}
		s.Refuse(&c.node, mailbox.ErrPanicked)
		s.mailbox.Crashed(recover(), c.kind.message())
	}()
	e.offered = true
	s.Turn(&c.node)
	if e.offered = false; e.accepted {
		t, _ = s.load(nil)
		e.accepted = false
	}
	done = true // from here on a panic is not this turn's
	s.leave()
	return t
}

// message is what a call that crashed is to its supervisor.
func (k callKind) message() any {
	if k == callConsult {
		return Consult{}
	}
	return Acquire{}
}

// fetch carries one trip, and leaves whatever is to be carried after it to others.
func (s *shell) fetch(t *trip) {
	defer s.comeBack(t) // even if what carries it ends the goroutine
	ctx, cancel := context.WithDeadline(s.errands.context, s.due(t))
	defer cancel()
	s.bear(ctx, t)
}

func (s *shell) comeBack(t *trip) {
	c := s.pool.Get().(*call)
	b := homecoming{trip: t}
	if s.inTurn(c, func() { s.takeBack(&b) }) {
		s.recycle(c)
	}
}

// homecoming is load for one who does not carry any more, as far as it has got: if it panics
// it is done again.
type homecoming struct {
	trip    *trip
	begun   bool
	carries bool
}

func (s *shell) takeBack(b *homecoming) {
	e := s.errands
	if !b.begun {
		b.begun = true
		if b.carries = !b.trip.lost; b.trip.lost {
			e.lost--
		}
	}
	if b.carries {
		if e.out == b.trip {
			s.takeHome(b.trip)
		}
		e.carrying, b.carries = false, false // now others may; before, the same trip could be out again
	}
	s.send()
	s.unload()
}
