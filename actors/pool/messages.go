package pool

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

type (
	// Broadcast is sent to every member that is there, whatever its breaker says. Replies
	// go to the sender, one of each member, and no outcome is taken from them.
	Broadcast struct{ Message any }

	// Inspect asks for a Snapshot.
	Inspect struct{}

	// closing has the router pass nothing more on, and replace nobody. It is answered with
	// actors.Ack.
	closing struct{}

	// respawn has the router replace members that have stopped.
	respawn struct{}
)

// Lane is Urgent.
func (Inspect) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (closing) Lane() mailbox.Lane { return mailbox.Urgent }

// Lane is Urgent.
func (respawn) Lane() mailbox.Lane { return mailbox.Urgent }

// IgnoreDeadLetterLogging says that there is nothing to log.
func (respawn) IgnoreDeadLetterLogging() {}

// Snapshot is how a pool is, and what it has done. At every moment
//
//	Asked = Refused + Answered + Failed + Abandoned + Told + InFlight
type Snapshot struct {
	Pool    string
	Members []Member

	Asked     uint64 // messages to be passed on to a member
	Refused   uint64 // of them, not passed on: no member, or too many out
	Answered  uint64 // replied to by a member, or by its mailbox
	Failed    uint64 // not replied to: timed out, or the member was gone
	Abandoned uint64 // not replied to because the pool restarted
	Told      uint64 // passed on, without a sender
	InFlight  int    // out now

	Retried  uint64 // tried on another member, as the first was full
	Replaced uint64 // members spawned in the place of others
}

// Member is how one of a pool's members is.
type Member struct {
	Breaker  string     // the name of its breaker
	PID      *actor.PID // nil if it has stopped
	InFlight int        // requests out to it
	Sent     uint64     // requests that it was ever sent
}
