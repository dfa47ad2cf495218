package actorstest

import (
	"context"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/internal/inject"
)

// Guard is a guard that is run by an actor of its own: whatever embeds an
// *actors.Handle.
type Guard interface {
	Name() string
	PID() *actor.PID
	System() *actor.ActorSystem
}

// A CrashOption says where and how often Crash makes a guard's actor panic.
type CrashOption func(*inject.Crash)

// At makes it panic at the next message of msg's type, before anything is done
// about it: actors.Acquire, Report, Cancel, Release, Produce, Done, Inspect, Consult,
// Operate or Reconfigure. A call of the handle's method counts as its message;
// Permit.Release is a Cancel.
func At(msg any) CrashOption {
	return func(c *inject.Crash) { c.At, c.After = msg, false }
}

// AtTick makes it panic when its timer next goes off.
func AtTick() CrashOption { return At(inject.Tick{}) }

// AfterDeciding makes it panic at the next message of msg's type when the pattern's
// rules have decided, and before anybody is told.
func AfterDeciding(msg any) CrashOption {
	return func(c *inject.Crash) { c.At, c.After = msg, true }
}

// Times makes it panic n times instead of once.
func Times(n int) CrashOption {
	return func(c *inject.Crash) { c.Times = n }
}

// Crash makes the guard's actor panic, as a bug in it would, and returns when it is
// ready to. It replaces what an earlier Crash asked for and has not happened yet.
func Crash(t testing.TB, guard Guard, opts ...CrashOption) {
	t.Helper()
	var c inject.Crash
	for _, o := range opts {
		o(&c)
	}
	if c.At == nil {
		t.Fatalf("actorstest: Crash of %q does not say where: use At, AtTick or AfterDeciding", guard.Name())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	if _, err := actors.Ask[actors.Ack](ctx, guard.System(), guard.PID(), c); err != nil {
		t.Fatalf("actorstest: guard %q cannot be crashed: %v", guard.Name(), err)
	}
}

// patience is how long to wait before a test fails.
func patience() time.Duration {
	if inBubble() {
		return time.Hour
	}
	return 10 * time.Second
}
