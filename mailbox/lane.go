package mailbox

import "github.com/asynkron/protoactor-go/actor"

// Lane is the class in which a message is queued.
type Lane uint8

const (
	// Ordinary is for everything that takes: it is served last and is bounded.
	Ordinary Lane = iota
	// Urgent is for what frees capacity and for operators' commands: it overtakes
	// Ordinary and is never refused, because it is what ends an overload.
	Urgent
)

// A Laned message chooses its lane.
type Laned interface{ Lane() Lane }

// laneOf looks inside the envelope, which proto.actor's own priority mailbox does
// not.
func laneOf(msg any) Lane {
	if env, ok := msg.(*actor.MessageEnvelope); ok {
		msg = env.Message
	}
	if l, ok := msg.(Laned); ok && l.Lane() == Urgent {
		return Urgent
	}
	return Ordinary
}
