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
	last     bool
}

// kind is what can be told of a message without a function of somebody else's.
type kind uint8

const (
	usual   kind = iota
	last         // control that must overtake nothing
	first        // control and replies, which end what loads the actor: Urgent
	asking       // it has a lane or a deadline of its own
	several      // a batch
	command      // for the mailbox itself
)

func kindOf(message any) kind {
	switch message.(type) {
	case *actor.PoisonPill, *actor.ReceiveTimeout:
		return last
	case Undelivered, Demand, *actor.DeadLetterResponse, *actor.Touch, *actor.Touched:
		return first
	case Produce:
		return command
	case actor.AutoReceiveMessage, actor.SystemMessage:
		return first
	case Laned, Expiring:
		return asking
	case actor.MessageBatch:
		return several
	}
	return usual
}

// ask finds out about a message without its envelope. What it calls may panic.
func (b *box) ask(inner any) (f facts) {
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
