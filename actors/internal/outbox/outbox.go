// Package outbox carries what an actor whose turns run on its posters' goroutines sends to
// others out of the turn: a receiver whose mailbox runs it on the sender's goroutine must
// not run inside such a turn, nor may a subscriber of the event stream, which hears of what
// cannot be delivered.
package outbox

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// Outbox holds letters. They are put in in a turn and sent, in that order, by one goroutine
// at a time outside of it. The zero value needs Init.
type Outbox struct {
	unsent  atomic.Int64
	sending atomic.Bool
	first   *node // owned by whoever sends
	last    *node // owned by the turn
}

// Letter is a message on its way out.
type Letter struct {
	To     *actor.PID
	Msg    any // or an envelope, if there is no Sender
	Sender *actor.PID
	System bool // overtakes what else waits in the receiver's mailbox
}

type node struct {
	next   atomic.Pointer[node]
	letter Letter
}

// Init makes o empty.
func (o *Outbox) Init() {
	o.first = new(node)
	o.last = o.first
}

// Put puts l in. It is called in a turn.
func (o *Outbox) Put(l Letter) {
	n := &node{letter: l}
	o.last.next.Store(n)
	o.last = n
	o.unsent.Add(1)
}

// Send sends what there is. It is called after turns, on any goroutine. complain hears of
// foreign code that panicked.
func (o *Outbox) Send(system *actor.ActorSystem, complain func(reason any)) {
	for o.unsent.Load() > 0 && o.sending.CompareAndSwap(false, true) {
		o.empty(system, complain)
	}
}

func (o *Outbox) empty(system *actor.ActorSystem, complain func(reason any)) {
	done := false
	defer func() {
		o.sending.Store(false)
		if done {
			return
		}
		reason := recover()
		complain(reason)
		if reason == nil { // the goroutine exits
			go o.Send(system, complain)
		}
	}()
	for n := o.first.next.Load(); n != nil; n = n.next.Load() {
		l := n.letter
		n.letter = Letter{}
		o.first = n
		o.unsent.Add(-1)
		switch {
		case l.System:
			p, _ := system.ProcessRegistry.Get(l.To)
			p.SendSystemMessage(l.To, l.Msg)
		case l.Sender != nil:
			system.Root.RequestWithCustomSender(l.To, l.Msg, l.Sender)
		default:
			system.Root.Send(l.To, l.Msg)
		}
	}
	done = true
}
