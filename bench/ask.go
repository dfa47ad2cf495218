package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// askTimeout is far longer than any answer takes.
const askTimeout = time.Minute

type (
	askAcquire struct{}
	askGranted struct{ generation uint64 }
	askRefused struct{ err error }
	askReport  struct {
		generation uint64
		ok         bool
	}
)

// asked is the breaker one would write with proto.actor alone: a request and its
// future to acquire, a message to report.
type asked struct {
	system *actor.ActorSystem
	pid    *actor.PID
}

func newAsked(system *actor.ActorSystem, b *plain) asked {
	props := actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case askAcquire:
			generation, err := b.acquire()
			if err != nil {
				c.Respond(askRefused{err})
				return
			}
			c.Respond(askGranted{generation})
		case askReport:
			b.report(msg.generation, msg.ok)
		}
	})
	return asked{system: system, pid: system.Root.Spawn(props)}
}

func (a asked) do(ctx context.Context, fn task) (int, error) {
	reply, err := a.system.Root.RequestFuture(a.pid, askAcquire{}, askTimeout).Result()
	if err != nil {
		return 0, err
	}
	switch reply := reply.(type) {
	case askRefused:
		return 0, reply.err
	case askGranted:
		ok := false
		defer func() { a.system.Root.Send(a.pid, askReport{reply.generation, ok}) }()
		v, err := fn(ctx)
		ok = err == nil
		return v, err
	}
	return 0, fmt.Errorf("unexpected reply %T", reply)
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}
