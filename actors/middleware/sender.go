package middleware

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/patterns"
)

// Sender guards what actors just send, without looking at what comes of it: right for rate
// limiters and shedders, and to keep messages from a target whose breaker others have
// opened. A permit is reported as Ignored as soon as the message is sent, as nothing is
// known of its fate, so that it occupies no slot and closes no breaker.
type Sender struct {
	guard patterns.Guard
	wiring
}

// NewSender returns a Sender that asks guard for a permit for each message. Give its
// method Middleware to actor.WithSenderMiddleware, or to a RootContext. Use Only, or
// Key, to tell messages apart.
func NewSender(guard patterns.Guard, opts ...Option) (*Sender, error) {
	if guard == nil {
		return nil, fmt.Errorf("middleware: %w", patterns.ErrNilGuard)
	}
	return &Sender{guard: guard, wiring: wire(opts)}, nil
}

// Middleware is an actor.SenderMiddleware. A message that the guard refuses is not sent:
// the message's sender, or else the actor that sends it, gets a *RejectedError. What
// begins no work (see the package), and what goes to the sender of the message that is
// being handled, which is the reply to it, always passes.
func (s *Sender) Middleware(next actor.SenderFunc) actor.SenderFunc {
	return func(c actor.SenderContext, target *actor.PID, envelope *actor.MessageEnvelope) {
		log := c.Logger()
		if isTo(target, c.Sender()) || !s.selects(log, envelope.Message) {
			next(c, target, envelope)
			return
		}
		permit, err := (&attempts.Patience{Busy: ErrBusy}).Try(s.guard, s.request(log, envelope.Message))
		if err != nil {
			refused := &actor.MessageEnvelope{Message: envelope.Message, Sender: envelope.Sender}
			if refused.Sender == nil {
				refused.Sender = c.Self()
			}
			answer(c.ActorSystem(), refused, &RejectedError{Guard: s.guard.Name(), Actor: target, Message: envelope.Message, Reason: err})
			return
		}
		defer permit.Report(patterns.Ignored) // whatever the mailbox does
		next(c, target, envelope)
	}
}
