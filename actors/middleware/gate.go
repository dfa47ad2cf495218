package middleware

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// gate is what a Receiver is for one actor. It outlives the actor's restarts, and
// belongs to the actor's turn. The actor's context is the one that it wraps.
type gate struct {
	actor.Context
	r        *Receiver
	patience attempts.Patience
	handle   func(context.Context) (any, error) // g.attempt, built once

	current  *actor.MessageEnvelope // what is being handled
	ran      bool
	reply    any
	stopping bool

	stash queue
	wait  *wait // for the first of the stash; nil if nobody asks for it
	seen  Snapshot
}

func newGate(r *Receiver, c actor.Context) *gate {
	g := &gate{Context: c, r: r, patience: attempts.Patience{Busy: ErrBusy}}
	g.handle = g.attempt
	g.seen.Guard = r.guard.Name()
	return g
}

// Receive is called by proto.actor for every message, in the actor's turn.
func (g *gate) Receive(envelope *actor.MessageEnvelope) {
	switch msg := envelope.Message.(type) {
	case *poke:
		if msg.gate == g {
			g.serveStash()
			return
		}
	case Inspect:
		if envelope.Sender != nil {
			g.send(envelope.Sender, g.snapshot())
		}
		return
	case *actor.Started:
		g.stopping = false
	case *actor.Restarting:
		g.abandon(ErrRestarting)
	case *actor.Stopping, *actor.Stopped:
		g.stopping = true
		g.abandon(ErrStopping)
	}
	if !g.r.selects(g.Logger(), envelope.Message) {
		g.Context.Receive(envelope)
		return
	}
	g.seen.Asked++
	g.admit(envelope)
}

// Respond is called by the actor.
func (g *gate) Respond(response any) {
	g.reply = response
	g.Context.Respond(response)
}

// Send is called by the actor. What it sends to the sender is a response.
func (g *gate) Send(pid *actor.PID, msg any) {
	if g.current != nil && isTo(pid, g.current.Sender) {
		g.reply = msg
	}
	g.Context.Send(pid, msg)
}

func isTo(pid, sender *actor.PID) bool { return pid != nil && sender != nil && pid.Equal(sender) }

// admit handles the message, or has it wait, or answers it.
func (g *gate) admit(envelope *actor.MessageEnvelope) {
	if attempts.Late(envelope.Message) {
		g.expire(envelope, ErrExpired)
		return
	}
	if g.stash.size() > 0 {
		if g.wait != nil && g.wait.over() { // the poke may have been lost in a full mailbox
			g.poke()
		}
		g.put(envelope, nil)
		return
	}
	request := g.r.request(g.Logger(), envelope.Message)
	request.NoWait = true
	err := g.attend(&g.patience, g.r.guard, request, envelope)
	switch err = g.patience.Of(err); {
	case err == nil:
	case g.r.cfg.Refused == Stash && passing(err):
		g.put(envelope, err)
	default:
		g.reject(envelope, err)
	}
}

// attend handles the message if guard grants the request; otherwise it returns why not.
func (g *gate) attend(ctx context.Context, guard patterns.Guard, r patterns.Request, envelope *actor.MessageEnvelope) error {
	g.current, g.ran, g.reply = envelope, false, nil
	defer func() {
		g.patience.Over()
		g.current, g.reply = nil, nil
	}()
	_, err := patterns.DoFor(ctx, guard, r, g.handle)
	if g.ran {
		return nil
	}
	return err
}

// attempt is the guarded function.
func (g *gate) attempt(context.Context) (any, error) {
	g.ran = true
	g.seen.Admitted++
	g.Context.Receive(g.current)
	return attempts.Verdict(g.reply)
}

// passing reports whether a refusal may be over some time: not if the request could
// never be granted, or the guard is gone.
func passing(err error) bool {
	return !errors.Is(err, patterns.ErrInvalidRequest) && !errors.Is(err, actors.ErrStopped) &&
		(errors.Is(err, patterns.ErrRejected) || errors.Is(err, ErrBusy))
}

// Deadlined is a message that must not be handled any more after some time. A Receiver, or
// a pool, answers it with ErrExpired then. ok is false if there is no such time.
type Deadlined interface {
	Deadline() (at time.Time, ok bool)
}

func (g *gate) reject(envelope *actor.MessageEnvelope, reason error) {
	g.seen.Rejected++
	g.answer(envelope, reason)
}

func (g *gate) expire(envelope *actor.MessageEnvelope, reason error) {
	g.seen.Expired++
	g.answer(envelope, reason)
}

// answer tells the sender that its message is not handled, and why.
func (g *gate) answer(envelope *actor.MessageEnvelope, reason error) {
	answer(g.ActorSystem(), envelope, &RejectedError{
		Guard: g.r.guard.Name(), Actor: g.Self(), Message: envelope.Message, Reason: reason,
	})
}

// answer sends refusal to the envelope's sender, or what the message itself says then.
func answer(system *actor.ActorSystem, envelope *actor.MessageEnvelope, refusal error) {
	if envelope.Sender == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil { // in a Refuser
			system.Logger().Error("refusing a message failed", slog.Any("reason", refusal), slog.Any("panic", r))
		}
	}()
	var reply any = refusal
	if m, ok := envelope.Message.(mailbox.Refuser); ok {
		reply = m.Refused(refusal)
	}
	if reply != nil {
		system.Root.Send(envelope.Sender, reply)
	}
}

func (g *gate) send(to *actor.PID, msg any) { g.ActorSystem().Root.Send(to, msg) }

func (g *gate) snapshot() Snapshot {
	s := g.seen
	s.Stashed = g.stash.size()
	return s
}
