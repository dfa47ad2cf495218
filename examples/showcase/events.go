package main

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// consumed is how many events a second the consumer can write. The producer could make
// any number.
const consumed = 1000

// stream is a producer and a consumer, both actors, with a valve in between: the producer
// makes as many events as it has credit for.
type stream struct {
	valve, consumer      *actor.PID
	produced, written    atomic.Int64
	pending, mostPending atomic.Int64
}

// event is what flows from one to the other.
type event struct{ number int64 }

// endOfStream has the producer stop asking for credit.
type endOfStream struct{}

func startStream(root *actor.RootContext, valve *actor.PID) (s *stream, producer *actor.PID) {
	s = &stream{valve: valve}
	s.consumer = root.Spawn(actor.PropsFromFunc(s.consume))
	return s, root.Spawn(actor.PropsFromFunc(s.produce))
}

// produce is the producer's turn.
func (s *stream) produce(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		c.Request(s.valve, actors.Produce{Window: valvePolicy.MaxPending})
	case actors.Demand:
		for range m.N {
			s.mostPending.Store(max(s.mostPending.Load(), s.pending.Add(1)))
			c.Request(s.consumer, event{s.produced.Add(1)})
		}
	case actors.Done: // the consumer's word, passed on by who has the credit
		c.Request(s.valve, m)
	case endOfStream:
		c.Request(s.valve, actors.Produce{Window: 0})
	}
}

// consume is the consumer's turn.
func (s *stream) consume(c actor.Context) {
	if _, ok := c.Message().(event); ok {
		time.Sleep(time.Second / consumed)
		s.written.Add(1)
		s.pending.Add(-1)
		c.Respond(actors.Done{N: 1, Outcome: patterns.Success})
	}
}
