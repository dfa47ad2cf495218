package mailbox

import "github.com/asynkron/protoactor-go/actor"

// expandBatch posts the members of a batch, and not, as proto.actor's own mailbox
// does, the batch too.
func expandBatch(msg any, post func(any)) bool {
	inner := msg
	if env, ok := msg.(*actor.MessageEnvelope); ok {
		inner = env.Message
	}
	batch, ok := inner.(actor.MessageBatch)
	if !ok {
		return false
	}
	for _, member := range batch.GetMessages() {
		post(member)
	}
	return true
}
