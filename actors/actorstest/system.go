package actorstest

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
)

// throttle is proto.actor's dead-letter throttle interval, for which a goroutine of
// its own outlives the last dead letter.
const throttle = time.Millisecond

// NewSystem returns an actor system that logs nothing and is shut down when the test
// ends. Options of yours come last. The guards and actors in it are yours to stop; a
// registry made by NewRegistry stops its own.
func NewSystem(t testing.TB, opts ...actor.ConfigOption) *actor.ActorSystem {
	t.Helper()
	quiet := []actor.ConfigOption{
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(throttle),
	}
	system := actor.NewActorSystem(append(quiet, opts...)...)
	t.Cleanup(func() {
		system.Shutdown()
		if inBubble() {
			time.Sleep(2 * system.Config.DeadLetterThrottleInterval)
		}
	})
	return system
}

// NewRegistry returns a registry in a system of its own, from NewSystem. When the
// test ends it is shut down without waiting for permits that are still out; which
// those are is logged.
func NewRegistry(t testing.TB, opts ...actors.RegistryOption) *actors.Registry {
	t.Helper()
	return NewRegistryIn(t, NewSystem(t), opts...)
}

// NewRegistryIn is NewRegistry in a system of yours.
func NewRegistryIn(t testing.TB, system *actor.ActorSystem, opts ...actors.RegistryOption) *actors.Registry {
	t.Helper()
	guards, err := actors.NewRegistry(system, opts...)
	if err != nil {
		t.Fatalf("actorstest: %v", err)
	}
	keep(system, Record(t, guards))
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := guards.Shutdown(ended); err != nil {
			t.Logf("actorstest: %v", err)
		}
	})
	return guards
}

// inBubble reports whether the test runs in a synctest bubble, where it then also
// waits for everything else to come to rest.
func inBubble() (in bool) {
	defer func() { in = recover() == nil }() // Wait panics outside of a bubble
	synctest.Wait()
	return true
}
