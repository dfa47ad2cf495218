package supervisor

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// answer tells whoever sent the message on which a child failed that it did, as
// package mailbox does, unless that has done so already. It returns the message, and
// whether it comes from a mailbox of that package, which has a gate.
func (s *Strategy) answer(system *actor.ActorSystem, parent actor.Supervisor, message any) (inner any, gated bool) {
	if m, ok := message.(mailbox.Failed); ok {
		return m.Message, true
	}
	_, request, sender := actor.UnwrapEnvelope(message)
	if sender == nil {
		return message, false
	}
	defer func() {
		if r := recover(); r != nil { // in a Refuser, or in a process
			s.complain(system, parent, "answering a failed message failed", slog.Any("cause", r))
		}
	}()
	var reply any = mailbox.Undelivered{Message: request, Reason: mailbox.ErrPanicked}
	if r, ok := request.(mailbox.Refuser); ok {
		reply = r.Refused(mailbox.ErrPanicked)
	}
	// A future that was answered before the panic is no longer registered.
	if p, ok := system.ProcessRegistry.Get(sender); ok && reply != nil {
		p.SendUserMessage(sender, reply)
	}
	return message, false
}
