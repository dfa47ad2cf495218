package main

import "github.com/asynkron/protoactor-go/actor"

// What the bank is asked, and what it answers.
type (
	charge struct {
		Ref      uint64
		Customer string
	}
	charged    struct{ Ref uint64 }
	notCharged struct{ Ref uint64 }
	goDown     struct{}
)

// bank is the dependency that the breaker guards. It knows nothing of it.
type bank struct{ down bool }

// Receive implements actor.Actor.
func (b *bank) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case goDown:
		b.down = true
	case charge:
		if b.down {
			c.Respond(notCharged{m.Ref})
			return
		}
		c.Respond(charged{m.Ref})
	}
}
