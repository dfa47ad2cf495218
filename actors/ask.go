package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"
)

// ErrReply is matched when an actor answered something else than was asked for.
var ErrReply = errors.New("unexpected reply")

// Ask sends msg to pid and waits for one reply of type R or for ctx to end. Unlike
// proto.actor's Future it honours cancellation, and a second reply changes nothing.
// A reply of another type is lost: of an Acquire, ask for any and look what it is.
// A reply that is an error, such as mailbox.Undelivered, is returned as one, also of any,
// unless R is a type of errors. The error is ErrUnavailable if there is no such actor. Ask
// must not be called in a turn of the actor that it asks.
func Ask[R any](ctx context.Context, system *actor.ActorSystem, pid *actor.PID, msg any) (reply R, err error) {
	if system == nil {
		return reply, ErrNilSystem
	}
	if pid == nil {
		return reply, fmt.Errorf("%w: nil PID", ErrUnavailable)
	}
	p := &replyProcess{reply: make(chan any, 1)}
	self, ok := system.ProcessRegistry.Add(p, "ask"+system.ProcessRegistry.NextId())
	if !ok {
		return reply, fmt.Errorf("%w: ask id taken", ErrUnavailable)
	}
	defer system.ProcessRegistry.Remove(self)
	system.Root.RequestWithCustomSender(pid, msg, self)
	select {
	case v := <-p.reply:
		return replyAs[R](v)
	case <-ctx.Done():
		return reply, context.Cause(ctx)
	}
}

func replyAs[R any](v any) (reply R, err error) {
	wanted, ok := v.(R)
	if _, everything := any(&reply).(*any); ok && !everything {
		return wanted, nil
	}
	switch v := v.(type) {
	case *actor.DeadLetterResponse:
		return reply, ErrUnavailable
	case error:
		return reply, v
	}
	if ok {
		return wanted, nil
	}
	return reply, fmt.Errorf("%w: %T, want %T", ErrReply, v, reply)
}

// replyProcess takes the first reply.
type replyProcess struct{ reply chan any }

// SendUserMessage implements actor.Process.
func (p *replyProcess) SendUserMessage(_ *actor.PID, message any) {
	select {
	case p.reply <- actor.UnwrapEnvelopeMessage(message):
	default: // the first reply won
	}
}

// SendSystemMessage implements actor.Process.
func (*replyProcess) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (*replyProcess) Stop(*actor.PID) {}
