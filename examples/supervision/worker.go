package main

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// dependency is what a worker needs to work.
type dependency struct{ down atomic.Bool }

// worker returns props of an actor that answers, and panics if what it needs is down.
// Its mailbox is of the kind that answers for an actor that does not.
func worker(on *dependency) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		if msg, ok := c.Message().(string); ok {
			if on.down.Load() {
				panic("connection refused")
			}
			c.Respond(msg + ": done")
		}
	}, actor.WithMailbox(mailbox.MustNew()))
}
