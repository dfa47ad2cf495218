package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// outbox carries replies to actors out of the turn: a receiver whose mailbox runs
// it on the sender's goroutine must not run inside our turn. Letters are put in in
// a turn and sent, in that order, by one goroutine at a time outside of it.
type outbox struct {
	unsent  atomic.Int64
	sending atomic.Bool
	first   *letter // owned by whoever sends
	last    *letter // owned by the turn
}

type letter struct {
	next atomic.Pointer[letter]
	to   *actor.PID
	msg  any
}

func (o *outbox) init() {
	o.first = new(letter)
	o.last = o.first
}

func (o *outbox) put(to *actor.PID, msg any) {
	l := &letter{to: to, msg: msg}
	o.last.next.Store(l)
	o.last = l
	o.unsent.Add(1)
}

func (o *outbox) send(root *actor.RootContext) {
	for o.unsent.Load() > 0 && o.sending.CompareAndSwap(false, true) {
		for l := o.first.next.Load(); l != nil; l = l.next.Load() {
			o.first = l
			o.unsent.Add(-1)
			root.Send(l.to, l.msg)
			l.to, l.msg = nil, nil
		}
		o.sending.Store(false)
	}
}
