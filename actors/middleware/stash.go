package middleware

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// maxPause is after what time a guard is asked again, whatever it said.
const maxPause = time.Second

// burst is how many stashed messages one turn handles before it lets others have theirs.
const burst = 32

// stashed is a message that waits. The envelope has its sender and its headers.
type stashed struct {
	envelope *actor.MessageEnvelope
	until    time.Time
}

// queue is first in, first out.
type queue struct {
	items []stashed
	head  int
}

func (q *queue) size() int { return len(q.items) - q.head }

func (q *queue) front() stashed { return q.items[q.head] }

func (q *queue) push(s stashed) {
	if q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, s)
}

func (q *queue) pop() stashed {
	s := q.items[q.head]
	q.items[q.head] = stashed{}
	if q.head++; q.head == len(q.items) { // a burst that is over keeps no memory
		*q = queue{}
	}
	return s
}

// put stashes the message behind all others. refusal is why, or nil if others wait.
func (g *gate) put(envelope *actor.MessageEnvelope, refusal error) {
	switch {
	case g.stopping:
		g.reject(envelope, errors.Join(ErrStopping, refusal))
		return
	case g.stash.size() >= g.r.cfg.Stash:
		g.reject(envelope, errors.Join(ErrStashFull, refusal))
		return
	}
	g.stash.push(stashed{envelope, time.Now().Add(g.r.cfg.TTL)})
	if g.wait == nil {
		g.ask(refusal)
	}
}

// serveStash handles what is stashed, as far as the guard permits, if the first message
// has got its answer.
func (g *gate) serveStash() {
	if g.stash.size() == 0 {
		return
	}
	if g.wait != nil {
		a, ok := g.wait.take()
		if !ok {
			return
		}
		g.wait = nil
		g.conclude(a)
	}
	for range burst {
		if g.stash.size() == 0 {
			return
		}
		if err := g.next(); err != nil {
			g.ask(err)
			return
		}
	}
	g.poke()
}

// conclude does with the first message what the guard has decided.
func (g *gate) conclude(a answered) {
	first := g.stash.pop()
	switch {
	case a.err == nil && (attempts.Late(first.envelope.Message) || !time.Now().Before(first.until)):
		a.permit.Release()
		g.expire(first.envelope, ErrExpired)
	case a.err == nil:
		g.replay(context.Background(), attempts.Held{Guard: g.r.guard, Permit: a.permit}, patterns.Request{}, first)
	case errors.Is(a.err, ErrExpired):
		g.expire(first.envelope, a.err)
	default:
		g.reject(first.envelope, a.err)
	}
}

// next asks for the first message on the spot. An error says that it has to wait.
func (g *gate) next() error {
	first := g.stash.front()
	if attempts.Late(first.envelope.Message) || !time.Now().Before(first.until) {
		g.expire(g.stash.pop().envelope, ErrExpired)
		return nil
	}
	request := g.r.request(g.Logger(), first.envelope.Message)
	request.NoWait = true
	permit, err := g.patience.Try(g.r.guard, request)
	switch {
	case err == nil:
		g.replay(context.Background(), attempts.Held{Guard: g.r.guard, Permit: permit}, request, g.stash.pop())
		return nil
	case passing(err):
		return err
	}
	g.reject(g.stash.pop().envelope, err)
	return nil
}

// replay handles a stashed message. If the actor panics, the mailbox knows nothing of
// the message, so that the sender is answered here.
func (g *gate) replay(ctx context.Context, guard patterns.Guard, r patterns.Request, s stashed) {
	done := false
	defer func() {
		if done {
			return
		}
		answer(g.ActorSystem(), s.envelope, mailbox.Undelivered{Message: s.envelope.Message, Reason: mailbox.ErrPanicked})
		g.poke() // should the actor be resumed
	}()
	g.seen.Replayed++
	_ = g.attend(ctx, guard, r, s.envelope)
	done = true
}

// abandon answers everybody who is stashed: the actor, as they knew it, ends.
func (g *gate) abandon(reason error) {
	if g.wait != nil {
		g.wait.end()
		g.wait = nil
	}
	for g.stash.size() > 0 {
		g.seen.Abandoned++
		g.answer(g.stash.pop().envelope, reason)
	}
}

// poke has the gate look at its stash in a later turn.
type poke struct{ gate *gate }

func (*poke) ofMiddleware() {}

// Lane is Urgent: what is stashed was there before what is queued.
func (*poke) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that a poke that comes too late is nothing to log.
func (*poke) IgnoreDeadLetterLogging() {}

func (g *gate) poke() {
	if g.stash.size() > 0 {
		g.send(g.Self(), &poke{g})
	}
}

// wait is a goroutine that asks a guard on behalf of the first message of a stash, or of a
// request. The guard may have a queue, in which it then waits.
type wait struct {
	ctx    context.Context
	cancel context.CancelFunc
	result chan answered
}

func newWait() *wait {
	w := &wait{result: make(chan answered, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

type answered struct {
	permit patterns.Permit
	err    error // not passing, or ErrExpired
}

// ask starts to wait for the first message. refusal, if not nil, is what the guard has
// just said to it.
func (g *gate) ask(refusal error) {
	first := g.stash.front()
	until := first.until
	if d, ok := first.envelope.Message.(Deadlined); ok {
		if at, ok := d.Deadline(); ok && at.Before(until) {
			until = at
		}
	}
	w := newWait()
	g.wait = w
	request := g.r.request(g.Logger(), first.envelope.Message)
	system, self, p := g.ActorSystem(), g.Self(), &poke{g}
	go func() {
		w.put(w.seek(g.r.guard, request, until, g.r.cfg.Recheck, refusal))
		system.Root.Send(self, p)
	}()
}

// seek asks until the guard grants, or will never, or time is up.
func (w *wait) seek(guard patterns.Guard, r patterns.Request, until time.Time, recheck time.Duration, refusal error) (a answered) {
	defer func() {
		if p := recover(); p != nil {
			a = answered{err: fmt.Errorf("guard panicked: %v", p)}
		}
	}()
	ctx, cancel := context.WithDeadline(w.ctx, until)
	defer cancel()
	for {
		if after, known := patterns.RetryAfter(refusal); known && after > 0 {
			pause(ctx, min(max(after, MinRecheck), maxPause)) // it may be reset before
		}
		permit, err := guard.AcquireFor(ctx, r)
		switch {
		case err == nil:
			return answered{permit: permit}
		case ctx.Err() != nil:
			return answered{err: errors.Join(ErrExpired, refusal)}
		case !passing(err):
			return answered{err: err}
		}
		if refusal = err; !retries(err) {
			pause(ctx, recheck)
		}
	}
}

// retries reports whether err says when to come again.
func retries(err error) bool {
	after, known := patterns.RetryAfter(err)
	return known && after > 0
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// put leaves the answer for the actor to take, if it still wants one.
func (w *wait) put(a answered) {
	w.result <- a
	if w.ctx.Err() != nil {
		w.drain()
	}
}

// over reports whether there is an answer to take.
func (w *wait) over() bool { return len(w.result) > 0 }

func (w *wait) take() (a answered, ok bool) {
	select {
	case a = <-w.result:
		w.cancel()
		return a, true
	default:
		return a, false
	}
}

// end gives up waiting: the permit, should there be one, goes back.
func (w *wait) end() {
	w.cancel()
	w.drain()
}

func (w *wait) drain() {
	select {
	case a := <-w.result:
		a.permit.Release()
	default:
	}
}
