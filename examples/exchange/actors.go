package main

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns"
)

// What the shop is asked, and answers.
type (
	order struct {
		Customer string
		Mood     mood // of the bank
		Relaxed  bool
	}
	paid struct {
		how      string
		attempts int
	}
	ping struct{}
	pong struct{}
)

// What the bank is asked, and answers.
type (
	charge  struct{ order order }
	charged struct{ how string }
)

type mood int

const (
	well mood = iota
	slow
	broken
	silent
)

// shop must not block: the answer of the bank comes in a later turn.
type shop struct {
	x                   *exchange.Exchanger
	bank                *actor.PID
	persistent, relaxed patterns.Guard
}

// Receive implements actor.Actor.
func (s *shop) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case ping:
		c.Respond(pong{})
	case order:
		guard := s.persistent
		if m.Relaxed {
			guard = s.relaxed
		}
		_, err := s.x.Ask(c, guard, s.bank, charge{m}, exchange.Then(func(a exchange.Answered) {
			if a.Err != nil {
				c.Respond(a.Err)
				return
			}
			c.Respond(paid{a.Reply.(charged).how, a.Attempts})
		}))
		if err != nil { // too many orders at once
			c.Respond(err)
		}
	}
}

// bank charges, in its mood. Nothing in it knows that it may be asked twice.
type bank struct{}

// Receive implements actor.Actor.
func (*bank) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case ping:
		c.Respond(pong{})
	case charge:
		attempt, _ := exchange.Of(c)
		switch {
		case m.order.Mood == slow:
			to, root := c.Sender(), c.ActorSystem().Root
			time.AfterFunc(1200*time.Millisecond, func() { root.Send(to, charged{"charged"}) })
		case m.order.Mood == broken && attempt.Number == 1:
			panic("a bug in the bank")
		case m.order.Mood != silent:
			c.Respond(charged{"charged"})
		}
	}
}
