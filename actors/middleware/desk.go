package middleware

import (
	"maps"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/ctxext"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/mailbox"
)

// deskID finds the desk of a context, whatever is wrapped around it. It is none of those
// that proto.actor hands out.
const deskID ctxext.ContextExtensionID = -0x62_75_6c

// Attach lets the actors that are spawned from props send requests through [Guarded]. It
// is an actor.PropsOption, and adds a context decorator to the props. Receiver.Guard
// includes it.
func Attach(props *actor.Props) {
	actor.WithContextDecorator(func(next actor.ContextDecoratorFunc) actor.ContextDecoratorFunc {
		return func(c actor.Context) actor.Context { return attached(next(c)) }
	})(props)
}

// attached returns c with a desk inside. A context that is still being decorated must not
// be asked for it.
func attached(c actor.Context) actor.Context {
	switch c.(type) {
	case *desk, *gate:
		return c
	}
	return &desk{Context: c, patience: attempts.Patience{Busy: ErrBusy}, out: map[*Target]int{}, open: map[*request]struct{}{}}
}

// deskOf returns the desk of an actor's context, or nil.
func deskOf(c actor.Context) (d *desk) {
	defer func() { _ = recover() }() // proto.actor's own context takes the id for an index
	d, _ = c.Get(deskID).(*desk)
	return d
}

// desk is what an actor needs for its requests. It outlives the actor's restarts, and
// belongs to its turn. It is the innermost of our contexts.
type desk struct {
	actor.Context
	errands  *errands.Desk // nil until it is needed
	patience attempts.Patience
	out      map[*Target]int
	open     map[*request]struct{}
	stopping bool

	origin    *origin // of what runs now, if it has sent requests
	later     bool    // what runs now is the end of a request
	responded bool
}

// origin is the message that a request is part of the handling of.
type origin struct {
	envelope *actor.MessageEnvelope
	answered bool
}

// ExtensionID makes a desk a ctxext.ContextExtension.
func (*desk) ExtensionID() ctxext.ContextExtensionID { return deskID }

// Get is called by deskOf, and by the actor.
func (d *desk) Get(id ctxext.ContextExtensionID) ctxext.ContextExtension {
	if id == deskID {
		return d
	}
	return d.Context.Get(id)
}

// Receive is called for every message, in the actor's turn.
func (d *desk) Receive(envelope *actor.MessageEnvelope) {
	switch msg := envelope.Message.(type) {
	case errands.Note:
		if d.errands == nil || d.errands.Handle(msg) {
			return
		}
	case *ended:
		if msg.of.desk == d {
			msg.of.end(msg.wait, msg.err)
			return
		}
	case *actor.Started:
		d.stopping = false
	case *actor.Restarting:
		d.abandon(ErrRestarting)
	case *actor.Stopping:
		d.stopping = true
		d.abandon(ErrStopping)
	case *actor.Stopped:
		d.abandon(ErrStopping)
		if d.errands != nil {
			d.errands.Close()
		}
	}
	d.anew()
	defer d.anew() // what runs next may be a continuation
	d.Context.Receive(envelope)
}

// anew forgets what ran before.
func (d *desk) anew() { d.origin, d.responded, d.later = nil, false, false }

// ReenterAfter is called by the actor. Requests that the continuation makes are part of
// the handling of the same message.
func (d *desk) ReenterAfter(f *actor.Future, continuation func(any, error)) {
	o := d.origin
	d.Context.ReenterAfter(f, func(reply any, err error) {
		if o != nil {
			d.as(o, func() { continuation(reply, err) })
			return
		}
		d.anew()
		defer d.anew()
		continuation(reply, err)
	})
}

// abandon gives up everything that is under way: the instance that began it ends.
func (d *desk) abandon(reason error) {
	if d.errands != nil {
		d.errands.Forget()
	}
	for r := range d.open {
		if r.wait != nil { // before permits come back, which it might get
			r.wait.end()
		}
	}
	for r := range d.open {
		r.permit.Release()
		d.apologise(r.origin, reason)
	}
	clear(d.open)
	clear(d.out)
}

// apologise tells who asked for what o is about that nothing comes of it.
func (d *desk) apologise(o *origin, reason error) {
	if o.answered || o.envelope.Sender == nil {
		return
	}
	o.answered = true
	d.ActorSystem().Root.Send(o.envelope.Sender, mailbox.Undelivered{Message: o.envelope.Message, Reason: reason})
}

// of returns the origin of what the actor does now.
func (d *desk) of() *origin {
	if d.origin == nil {
		envelope := &actor.MessageEnvelope{Message: d.Context.Message(), Sender: d.Context.Sender()}
		if header := d.Context.MessageHeader(); header != nil {
			for k, v := range maps.All(header.ToMap()) {
				envelope.SetHeader(k, v)
			}
		}
		d.origin = &origin{envelope: envelope, answered: d.responded}
	}
	return d.origin
}

// as runs f as a part of the handling of o. If it panics, who asked is answered.
func (d *desk) as(o *origin, f func()) {
	done := false
	d.origin, d.later = o, true
	defer func() {
		d.anew()
		if !done {
			d.apologise(o, mailbox.ErrPanicked)
		}
	}()
	f()
	done = true
}

// Respond is called by the actor.
func (d *desk) Respond(response any) {
	if d.responded = true; d.origin != nil {
		d.origin.answered = true
	}
	if d.later && d.origin.envelope.Sender != nil {
		d.Context.Send(d.origin.envelope.Sender, response)
		return
	}
	d.Context.Respond(response)
}

// Send is called by the actor. What it sends to the sender is a response.
func (d *desk) Send(pid *actor.PID, msg any) {
	if isTo(pid, d.Sender()) {
		if d.responded = true; d.origin != nil {
			d.origin.answered = true
		}
	}
	d.Context.Send(pid, msg)
}

// Sender is called by the actor.
func (d *desk) Sender() *actor.PID {
	if d.later {
		return d.origin.envelope.Sender
	}
	return d.Context.Sender()
}

// Message is called by the actor.
func (d *desk) Message() any {
	if d.later {
		return d.origin.envelope.Message
	}
	return d.Context.Message()
}

// MessageHeader is called by the actor.
func (d *desk) MessageHeader() actor.ReadonlyMessageHeader {
	if d.later {
		return d.origin.envelope.Header
	}
	return d.Context.MessageHeader()
}

// Forward is called by the actor. Whom it forwards to is to answer.
func (d *desk) Forward(pid *actor.PID) {
	if d.responded = true; d.origin != nil {
		d.origin.answered = true
	}
	if d.later {
		d.Context.Send(pid, d.origin.envelope)
		return
	}
	d.Context.Forward(pid)
}
