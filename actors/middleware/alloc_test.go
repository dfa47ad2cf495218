package middleware_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// One allocation is proto.actor's, for the envelope that it makes for any middleware.
func TestAllocsOfAGuardedMessage(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	b := must[*circuitbreaker.Breaker](t)(circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{}))
	r := must[*middleware.Receiver](t)(middleware.NewReceiver(b, middleware.ReceiveConfig{}))
	root := guards.System().Root
	handled := 0
	pid := root.Spawn(inline(func(c actor.Context) {
		if _, ok := c.Message().(job); ok {
			handled++
		}
	}, r.Guard))
	var msg any = job{1}
	if n := testing.AllocsPerRun(1000, func() { root.Send(pid, msg) }); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	_ = root.StopFuture(pid).Wait()
	if handled != 1001 {
		t.Errorf("%d messages handled", handled)
	}
}
