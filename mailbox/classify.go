package mailbox

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox/internal/shelf"
)

// Expiring is a message that is of no use after its deadline. A mailbox of New refuses it
// then, with ErrExpired, instead of handing it to the actor. A zero time means never.
type Expiring interface{ Deadline() time.Time }

// Priority is for Lanes: the priority that proto.actor's own priority mailboxes go by, 0 to
// 7, and 4 by default. Give it eight weights. Unlike theirs, it sees messages that were sent
// with a sender.
func Priority(message any) int {
	if p, ok := message.(actor.PriorityMessage); ok {
		return int(p.GetPriority())
	}
	return int(actor.DefaultPriority)
}

// facts are what is known of a message when it is queued.
type facts struct {
	lane     Lane
	priority int // the lane of the shelf
	cost     int64
	deadline shelf.Instant // 0 is none
}

// sort returns the lane of msg, if that can be told without a function of somebody
// else's. Control and replies are Urgent: they end what loads the actor.
func (b *box) sort(msg any) (lane Lane, known bool) {
	switch actor.UnwrapEnvelopeMessage(msg).(type) {
	case *actor.PoisonPill, *actor.ReceiveTimeout: // control that must overtake nothing
		return Ordinary, true
	case Undelivered, Demand, *actor.DeadLetterResponse, *actor.Touch, *actor.Touched, actor.AutoReceiveMessage, actor.SystemMessage:
		return Urgent, true
	case Laned, Expiring:
		return Ordinary, false
	}
	return Ordinary, true
}

// ask finds out about msg. What it calls may panic.
func (b *box) ask(msg any) (f facts) {
	var known bool
	inner := actor.UnwrapEnvelopeMessage(msg)
	if f.lane, known = b.sort(msg); known && f.lane == Urgent || trails(msg) {
		return f
	}
	if l, ok := inner.(Laned); ok && l.Lane() == Urgent || b.protect != nil && b.protect(inner) {
		f.lane = Urgent
		return f
	}
	if e, ok := inner.(Expiring); ok {
		if at := e.Deadline(); !at.IsZero() {
			f.deadline = b.m.at(at)
		}
	}
	if b.laneOf != nil {
		f.priority = min(max(b.laneOf(inner), 0), len(b.weights)-1)
	}
	if b.costOf != nil {
		f.cost = max(b.costOf(inner), 0)
	}
	return f
}

// at is a time on the mailbox's clock.
func (m *Combining) at(t time.Time) shelf.Instant { return shelf.Instant(max(0, t.Sub(m.born)) + 1) }

// failed notes that a function of the user's panicked with reason, or, if that is nil,
// is ending the goroutine.
func (b *box) failed(reason any) (exits bool) {
	exits = reason == nil
	if exits {
		reason = errGoexit
	}
	text := fmt.Sprint(reason)
	b.fault.Store(&text)
	b.faults.Add(1)
	b.alert()
	return exits
}

// late reports whether an Ordinary message of the intake is of no use any more.
// It is called in a turn.
func (b *box) late(msg any, lane Lane) (late bool) {
	if lane == Urgent || b.shelf != nil {
		return false
	}
	e, ok := actor.UnwrapEnvelopeMessage(msg).(Expiring)
	if !ok {
		return false
	}
	done := false
	defer func() {
		if !done && b.failed(recover()) { // this goroutine is ending, and has the turn
			b.m.refuse(msg, ErrPanicked)
			b.m.handOver()
		}
	}()
	at := e.Deadline()
	done = true
	return !at.IsZero() && !time.Now().Before(at)
}
