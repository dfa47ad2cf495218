package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	mail "github.com/bulwark-go/bulwark/actors/internal/outbox"
)

// outbox carries what a guard sends to other actors out of the turn.
type outbox struct{ mail.Outbox }

type letter struct {
	to     *actor.PID
	msg    any
	sender *actor.PID
	system bool // overtakes what else waits in the receiver's mailbox
}

func (o *outbox) init() { o.Init() }

func (o *outbox) put(l *letter) {
	o.Put(mail.Letter{To: l.to, Msg: l.msg, Sender: l.sender, System: l.system})
}

func (o *outbox) send(system *actor.ActorSystem, complain func(reason any)) {
	o.Send(system, complain)
}
