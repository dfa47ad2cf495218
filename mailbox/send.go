package mailbox

import (
	"container/list"
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

// MaxParked is how many senders may be parked at one mailbox.
const MaxParked = 1 << 16

// From is who sends, or commands: an actor's Context, in its turn, or a system's Root.
type From interface {
	ActorSystem() *actor.ActorSystem
	Self() *actor.PID
}

// Send sends msg to an actor of this process with a mailbox of New, and says whether that
// took it. If it is full, and its policy is Block, Send parks the calling goroutine until
// there is room or ctx ends, first come, first served. Otherwise it waits for nothing.
//
// The error is why the message was not taken: one of this package's, ctx's, or that of an
// actor's supervisor that keeps senders away. A message that was taken may be refused or
// dropped later, as with an ordinary send; its sender, if it has one, is told then.
//
// In an actor's turn, from must be the actor's Context: then what it sends to itself is
// refused with ErrFull instead of waiting for itself. An actor that waits for another one
// serves nobody: give ctx a deadline, and mind circles.
func Send(ctx context.Context, from From, to *actor.PID, msg any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := find(from, to)
	if err != nil {
		return err
	}
	w := &waiter{arrived: make(chan error, 1)}
	if b.full != Block || to.Equal(from.Self()) {
		w = nil
	}
	if expanded := expandBatch(msg, func(member any) { err = errors.Join(err, b.sendOne(ctx, member, w)) }); expanded {
		return err
	}
	return b.sendOne(ctx, msg, w)
}

// errParked: the message is in the keeping of a waiter, who hears of it.
var errParked = errors.New("parked")

// waiter is a sender that is parked. Its channel has room for the one word that it waits
// for, so that nobody waits for it.
type waiter struct {
	arrived chan error
	item    item
	place   *list.Element
}

func (b *box) sendOne(ctx context.Context, msg any, w *waiter) error {
	inner := actor.UnwrapEnvelopeMessage(msg)
	err := b.submit(msg, inner, kindOf(inner), w)
	if !errors.Is(err, errParked) {
		if err != nil {
			b.count(err)
		}
		return err
	}
	select {
	case err = <-w.arrived:
	case <-ctx.Done():
		if b.withdraw(w) {
			return ctx.Err()
		}
		err = <-w.arrived // it has come, or was refused, while ctx ended
	}
	if err != nil {
		b.count(err)
	}
	return err
}

// parking is where senders wait for room, first come, first served.
type parking struct{ waiters list.List }

func (p *parking) len() int { return p.waiters.Len() }

// park makes w wait for room for it. b.mu is held.
func (b *box) park(it item, w *waiter) bool {
	if b.full != Block || b.maxCost > 0 && it.Cost > b.maxCost || b.parked.len() >= MaxParked {
		return false
	}
	w.item = it
	w.place = b.parked.waiters.PushBack(w)
	return true
}

// withdraw takes w out of the parking, unless it has left.
func (b *box) withdraw(w *waiter) bool {
	b.mu.Lock()
	if w.place == nil {
		b.mu.Unlock()
		return false
	}
	b.parked.waiters.Remove(w.place)
	w.place = nil
	looks := b.admit(b.now()) // those behind it may cost less
	b.mu.Unlock()
	if looks {
		b.m.announceOrdinary(false)
	}
	return true
}

func (b *box) unpark(w *waiter, word error) {
	b.parked.waiters.Remove(w.place)
	w.place = nil
	w.arrived <- word
}

// admit lets those in who are parked, while there is room. b.mu is held, and the caller
// sees to it that the turn looks at the shelf.
func (b *box) admit(now shelf.Instant) (came bool) {
	for b.parked.len() > 0 {
		w := b.parked.waiters.Front().Value.(*waiter)
		if !b.shelf.Room(now, w.item.Cost) {
			break
		}
		w.item.Since = now
		b.shelf.Push(w.item)
		b.m.depth.Add(1)
		b.unpark(w, nil)
		came = true
	}
	return came
}

// dismiss sends away all who are parked. b.mu is held.
func (b *box) dismiss(reason error) {
	for b.parked.len() > 0 {
		b.unpark(b.parked.waiters.Front().Value.(*waiter), reason)
	}
}
