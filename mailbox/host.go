package mailbox

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// host is what the mailbox needs to know of the actor that it belongs to.
// proto.actor's context has it, though MessageInvoker does not say so.
type host struct {
	context interface { // nil in a test without an actor
		actor.Context
		actor.Supervisor
	}
	system   *actor.ActorSystem
	self     *actor.PID
	process  actor.Process // as registered; a later actor of the same name has another
	watchers actor.PIDSet
}

func (h *host) init(invoker actor.MessageInvoker) {
	c, ok := invoker.(interface {
		actor.Context
		actor.Supervisor
	})
	if !ok {
		return
	}
	h.context, h.system, h.self = c, c.ActorSystem(), c.Self()
	h.process, _ = h.system.ProcessRegistry.GetLocal(h.self.Id)
}

// gone reports whether the actor has stopped.
func (h *host) gone() bool {
	if h.system == nil {
		return false
	}
	p, ok := h.system.ProcessRegistry.GetLocal(h.self.Id)
	return !ok || p != h.process
}

// terminated tells parent and watchers that the actor is gone, which proto.actor
// omits when the actor panics on Stopped; the parent could then never stop.
func (h *host) terminated() {
	if parent := h.context.Parent(); parent != nil {
		h.watchers.Add(parent)
	}
	h.watchers.ForEach(func(_ int, who *actor.PID) {
		if p, ok := h.system.ProcessRegistry.Get(who); ok {
			p.SendSystemMessage(who, &actor.Terminated{Who: h.self})
		}
	})
}

func (h *host) log(msg string, args ...any) {
	if h.system == nil {
		return
	}
	defer func() { _ = recover() }() // what is logged here is bad enough
	h.system.Logger().Error(msg, append(args, slog.Any("self", h.self))...)
}

// finishStop goes on with a stop that a panic of the actor's broke off. proto.actor
// would restart the actor, or leave it half stopped for ever, as the supervisor wishes.
func (m *Combining) finishStop(reason any) {
	h := &m.host
	if m.word.Load()&stopped != 0 {
		return
	}
	h.log("an actor that is stopping panicked: it is stopped all the same", slog.Any("reason", reason))
	over := h.gone()
	if !over {
		if children := h.context.Children(); len(children) > 0 {
			h.context.StopChildren(children...)
			return // when the last of them is gone, the context finishes the stop
		}
		h.context.CancelReceiveTimeout()
		h.system.ProcessRegistry.Remove(h.self)
	}
	m.over()
	defer h.terminated()
	if !over {
		m.farewell()
	}
}

func (m *Combining) farewell() {
	defer func() {
		if r := recover(); r != nil {
			m.host.log("an actor panicked on Stopped", slog.Any("reason", r))
		}
	}()
	m.invoker.InvokeUserMessage(&actor.Stopped{})
}

func (m *Combining) refuseNode(n *Node, reason error) {
	if n.plain {
		m.refuse(n.recycle(), reason)
		return
	}
	m.cfg.Handler.Refuse(n, reason)
}

// refuse answers the sender of msg, if there is one, and if it still waits: a future
// that was answered before the actor panicked is no longer registered.
func (m *Combining) refuse(msg any, reason error) {
	if m.user != nil {
		m.user.count(reason)
	}
	defer func() {
		if r := recover(); r != nil { // in a Refuser, or in who listens to the system's events
			m.host.log("refusing a message failed", slog.Any("reason", reason), slog.Any("panic", r))
		}
	}()
	_, inner, sender := actor.UnwrapEnvelope(msg)
	var reply any = Undelivered{Message: inner, Reason: reason}
	if r, ok := inner.(Refuser); ok {
		reply = r.Refused(reason)
	}
	if sender == nil || reply == nil || m.host.system == nil {
		return
	}
	if p, ok := m.host.system.ProcessRegistry.Get(sender); ok {
		p.SendUserMessage(sender, reply)
	}
}
