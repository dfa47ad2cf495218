package mailbox

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
)

// host is what the mailbox needs to know of the actor that it belongs to.
// proto.actor's context has it, though MessageInvoker does not say so.
type host struct {
	system  *actor.ActorSystem
	self    *actor.PID
	parent  *actor.PID
	process actor.Process // as registered; a later actor of the same name has another
}

func hostOf(invoker actor.MessageInvoker) host {
	c, ok := invoker.(interface {
		ActorSystem() *actor.ActorSystem
		Self() *actor.PID
		Parent() *actor.PID
	})
	if !ok {
		return host{}
	}
	h := host{system: c.ActorSystem(), self: c.Self(), parent: c.Parent()}
	h.process, _ = h.system.ProcessRegistry.GetLocal(h.self.Id)
	return h
}

// gone reports whether the actor has stopped.
func (h *host) gone() bool {
	if h.system == nil {
		return false
	}
	p, ok := h.system.ProcessRegistry.GetLocal(h.self.Id)
	return !ok || p != h.process
}

// terminated tells the parent that the actor is gone, which proto.actor omits when
// the actor panics on Stopped; the parent could then never stop.
func (h *host) terminated() {
	if h.parent == nil {
		return
	}
	if p, ok := h.system.ProcessRegistry.Get(h.parent); ok {
		p.SendSystemMessage(h.parent, &actor.Terminated{Who: h.self})
	}
}

func (h *host) log(msg string, args ...any) {
	if h.system != nil {
		h.system.Logger().Error(msg, append(args, slog.Any("self", h.self))...)
	}
}

func (m *Combining) refuseNode(n *Node, reason error) {
	if n.plain {
		m.refuse(n.recycle(), reason)
		return
	}
	m.cfg.Handler.Refuse(n, reason)
}

// refuse answers the sender of msg, if there is one.
func (m *Combining) refuse(msg any, reason error) {
	_, inner, sender := actor.UnwrapEnvelope(msg)
	var reply any = Undelivered{Message: inner, Reason: reason}
	if r, ok := inner.(Refuser); ok {
		reply = r.Refused(reason)
	}
	if sender == nil || reply == nil || m.host.system == nil {
		return
	}
	m.host.system.Root.Send(sender, reply)
}
