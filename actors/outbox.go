package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// outbox carries what a guard sends to other actors out of the turn: a receiver whose
// mailbox runs it on the sender's goroutine must not run inside our turn, nor may a
// subscriber of the event stream, which hears of what cannot be delivered. Letters are
// put in in a turn and sent, in that order, by one goroutine at a time outside of it.
type outbox struct {
	unsent  atomic.Int64
	sending atomic.Bool
	first   *letter // owned by whoever sends
	last    *letter // owned by the turn
}

type letter struct {
	next   atomic.Pointer[letter]
	to     *actor.PID
	msg    any
	sender *actor.PID
	system bool // overtakes what else waits in the receiver's mailbox
}

func (o *outbox) init() {
	o.first = new(letter)
	o.last = o.first
}

func (o *outbox) put(l *letter) {
	o.last.next.Store(l)
	o.last = l
	o.unsent.Add(1)
}

// send sends what there is. complain hears of foreign code that panicked.
func (o *outbox) send(system *actor.ActorSystem, complain func(reason any)) {
	for o.unsent.Load() > 0 && o.sending.CompareAndSwap(false, true) {
		o.empty(system, complain)
	}
}

func (o *outbox) empty(system *actor.ActorSystem, complain func(reason any)) {
	done := false
	defer func() {
		o.sending.Store(false)
		if done {
			return
		}
		reason := recover()
		complain(reason)
		if reason == nil { // the goroutine exits
			go o.send(system, complain)
		}
	}()
	for l := o.first.next.Load(); l != nil; l = l.next.Load() {
		to, msg, sender := l.to, l.msg, l.sender
		l.to, l.msg, l.sender = nil, nil, nil
		o.first = l
		o.unsent.Add(-1)
		switch {
		case l.system:
			p, _ := system.ProcessRegistry.Get(to)
			p.SendSystemMessage(to, msg)
		case sender != nil:
			system.Root.RequestWithCustomSender(to, msg, sender)
		default:
			system.Root.Send(to, msg)
		}
	}
	done = true
}
