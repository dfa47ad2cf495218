package supervisor

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// handled is a message whose requester was answered, in a failure that is handed up.
type handled struct{ Message any }

// answer tells whoever sent the message on which a child failed that it did, as
// package mailbox does, unless somebody has. It returns the message, and whether it
// was answered already, and comes from a mailbox with a gate.
func (s *Strategy) answer(system *actor.ActorSystem, parent actor.Supervisor, message any) (inner any, answered, gated bool) {
	switch m := message.(type) {
	case mailbox.Failed:
		return m.Message, true, true
	case handled:
		return m.Message, true, false
	}
	_, request, sender := actor.UnwrapEnvelope(message)
	if sender == nil {
		return message, false, false
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
	return message, true, false
}
