package actors

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// The permit protocol, the same for every pattern. Messages are values: send
// Acquire{…}, never &Acquire{…}. Requests are imperative, replies and events are in
// the past tense.
//
//	caller ──Acquire──▶ guard ──Granted | Rejected──▶ caller   (at once, or when its turn comes)
//	caller ──Report───▶ guard
//	caller ──Cancel───▶ guard
//	producer ──Produce──▶ guard ──Demand | Rejected──▶ producer   (as often as there is room)
//	producer ──Done─────▶ guard
//	anyone ──Inspect──▶ guard ──the pattern's Snapshot──▶ anyone
//	anyone ──Consult──▶ guard ──the pattern's answer | Refused──▶ anyone
//	operator ──Operate | Reconfigure──▶ guard ──Ack | Refused──▶ operator
type (
	// Acquire asks for a permit. The reply, Granted or Rejected, goes to the sender.
	Acquire struct {
		// Ref comes back in the reply, so that a sender with several requests out can
		// tell them apart. Cancel uses it too.
		Ref uint64
		// Key, Weight and Priority are as in patterns.Request.
		Key      string
		Weight   int
		Priority patterns.Priority
		// NoWait and Spend are as in patterns.Request. The permit of a Spend is zero.
		NoWait, Spend bool
		// Deadline is when the request is refused if it still waits. Zero means never.
		Deadline time.Time
		// HoldFor bounds how long the permit may be held. 0 means no bound.
		HoldFor time.Duration
		// Holder, if set, is watched: when it stops, its permits and its places in the
		// queue come back by themselves.
		Holder *actor.PID
	}

	// Granted is the answer to an Acquire that may go ahead.
	Granted struct {
		Ref    uint64
		Permit patterns.PermitID
	}

	// Rejected is the other answer to an Acquire. Err matches patterns.ErrRejected.
	Rejected struct {
		Ref        uint64
		Err        error
		RetryAfter time.Duration // 0 if unknown
	}

	// Report ends a permit, of which the ID alone is looked at, with an outcome. There is no
	// reply. Elapsed may be 0: the guard then measures from the grant.
	Report struct {
		Permit  patterns.PermitID
		Outcome patterns.Outcome
		Elapsed time.Duration
	}

	// Cancel ends a permit without a verdict, or, if Permit is zero, withdraws the
	// request Ref of the sender that still waits; that is answered with Rejected.
	Cancel struct {
		Permit patterns.PermitID
		Ref    uint64
		search bool // only one of several shards can know it
	}

	// Release gives back everything that Holder holds and waits for.
	Release struct{ Holder *actor.PID }

	// releaseLater is a Release that overtakes no Acquire: those that its holder sent
	// before may still be on their way.
	releaseLater struct{ Holder *actor.PID }

	// Produce says that the sender is an actor that produces work, and would like to have
	// Window pieces of it under way, at most, each with a permit of the guard. The guard
	// answers with a Demand now, if it can, and with others as permits become free, until a
	// Produce with another Window, or a Window of 0, or a Rejected: then it is over, and
	// permits that are out may still be Done. Producers take turns with all others who
	// wait, and each has one place in the queue, of which no limit is kept. The sender is
	// the permits' holder.
	Produce struct {
		Ref      uint64
		Window   int // 0 to 65,536
		Key      string
		Priority patterns.Priority
		search   bool // only one of several shards can know the producer
	}

	// Demand gives a producer N more permits.
	Demand struct {
		Ref uint64
		N   int
	}

	// Done ends N of the sender's permits from Demands, the oldest first, with an outcome.
	// Of a guard of several shards they are those of the first shard that has some, and so
	// on. There is no reply.
	Done struct {
		N       int
		Outcome patterns.Outcome
	}

	// Inspect asks for the pattern's Snapshot.
	Inspect struct{}

	// Consult asks a question of the pattern's own, such as ratelimiter.Peek. The reply is
	// the answer that goes with it, or Refused.
	Consult struct{ Question any }

	// Operate tells a guard what to do. The reply is Ack or Refused. If Operation does not
	// say who gives it, that is the sender.
	Operate struct {
		Operation patterns.Operation
		quiet     bool // another shard says what came of it
	}

	// Reconfigure gives a guard a new Config, of the pattern's own type. The reply is
	// Ack or Refused.
	Reconfigure struct {
		Config any
		// By and Note are who gives it, and why, as in patterns.Operation.
		By, Note string
		quiet    bool // another shard says what came of it
	}

	// Ack says that a command was carried out.
	Ack struct{}

	// Refused says that a command was not carried out, and why.
	Refused struct{ Err error }
)

// Lane is Urgent, as for all frees and commands below: they end an overload, so they
// overtake the requests that make it.
func (Report) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Done) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Cancel) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Release) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Inspect) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Operate) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Reconfigure) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent, as for all replies below: a user actor's mailbox never sheds them, for
// with a permit that nobody knows of nobody gives it back.
func (Granted) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Rejected) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Demand) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Ack) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (Refused) Lane() mailbox.Lane { return mailbox.Urgent }

// Refused answers an Acquire that the mailbox will not deliver. One that the guard
// panicked on it has answered itself.
func (m Acquire) Refused(reason error) any {
	return unlessPanicked(reason, Rejected{Ref: m.Ref, Err: refusalFor("", reason)})
}

// Refused answers an Inspect that the mailbox will not deliver.
func (m Inspect) Refused(reason error) any {
	return unlessPanicked(reason, mailbox.Undelivered{Message: m, Reason: refusalFor("", reason)})
}

// Refused answers a Consult that the mailbox will not deliver.
func (Consult) Refused(reason error) any {
	return unlessPanicked(reason, Refused{Err: refusalFor("", reason)})
}

// Refused answers an Operate that the mailbox will not deliver.
func (Operate) Refused(reason error) any {
	return unlessPanicked(reason, Refused{Err: refusalFor("", reason)})
}

// Refused answers a Reconfigure that the mailbox will not deliver.
func (Reconfigure) Refused(reason error) any {
	return unlessPanicked(reason, Refused{Err: refusalFor("", reason)})
}

func unlessPanicked(reason error, reply any) any {
	if errors.Is(reason, mailbox.ErrPanicked) {
		return nil
	}
	return reply
}

// Refused drops a Report that the mailbox will not deliver: there is nobody to count it.
func (Report) Refused(error) any { return nil }

// Refused answers a Produce that the mailbox will not deliver.
func (m Produce) Refused(reason error) any {
	return unlessPanicked(reason, Rejected{Ref: m.Ref, Err: refusalFor("", reason)})
}

// Refused drops a Done that the mailbox will not deliver.
func (Done) Refused(error) any { return nil }

// Refused drops a Cancel that the mailbox will not deliver.
func (Cancel) Refused(error) any { return nil }

// Refused drops a Release that the mailbox will not deliver.
func (Release) Refused(error) any { return nil }
