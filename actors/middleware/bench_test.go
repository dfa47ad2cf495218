package middleware_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// inline has a message's turn run by whoever sends it, so that no goroutine is switched to.
func inline(f actor.ReceiveFunc, opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromFunc(f, append(opts, actor.WithMailbox(mailbox.Producer(mailbox.Config{Inline: true})))...)
}

// BenchmarkReceive is one message, of which the guard is asked, and what there is to
// compare it with: no middleware at all, and middleware that does nothing.
func BenchmarkReceive(b *testing.B) {
	guards := actorstest.NewRegistry(b)
	breaker, err := circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := middleware.NewReceiver(breaker, middleware.ReceiveConfig{})
	if err != nil {
		b.Fatal(err)
	}
	nothing := func(next actor.ReceiverFunc) actor.ReceiverFunc { return next }
	for name, opts := range map[string][]actor.PropsOption{
		"plain": nil, "nothing": {actor.WithReceiverMiddleware(nothing)}, "attached": {middleware.Attach}, "guarded": {r.Guard},
	} {
		b.Run(name, func(b *testing.B) {
			pid := guards.System().Root.Spawn(inline(func(actor.Context) {}, opts...))
			defer guards.System().Root.Stop(pid)
			var msg any = job{1}
			b.ReportAllocs()
			for b.Loop() {
				guards.System().Root.Send(pid, msg)
			}
		})
	}
}

// BenchmarkRequest is one request of an actor to another, with its reply, without and with
// a guard, and through a future.
func BenchmarkRequest(b *testing.B) {
	guards := actorstest.NewRegistry(b)
	root := guards.System().Root
	breaker, err := circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{})
	if err != nil {
		b.Fatal(err)
	}
	target := root.Spawn(inline(func(c actor.Context) {
		if m, ok := c.Message().(job); ok {
			c.Respond(m)
		}
	}))
	defer root.Stop(target)
	to, err := middleware.Guarded(target, breaker, middleware.RequestConfig{})
	if err != nil {
		b.Fatal(err)
	}
	var msg any = job{1}
	done := 0
	for name, ask := range map[string]func(actor.Context){
		"guarded": func(c actor.Context) { to.Request(c, msg, func(any, error) { done++ }) },
		"future": func(c actor.Context) {
			c.ReenterAfter(c.RequestFuture(target, msg, time.Second), func(any, error) { done++ })
		},
	} {
		b.Run(name, func(b *testing.B) {
			pid := root.Spawn(inline(func(c actor.Context) {
				if _, ok := c.Message().(order); ok {
					ask(c)
				}
			}, middleware.Attach))
			defer root.Stop(pid)
			var start any = order{}
			done = 0
			b.ReportAllocs()
			for b.Loop() {
				root.Send(pid, start)
			}
			if done == 0 {
				b.Error("no replies")
			}
		})
	}
}
