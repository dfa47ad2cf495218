package snippets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func control(ctx context.Context, guards *actors.Registry) error {
	// region: control
	control := guards.Control(actors.Operator{Name: "alice", Reason: "ticket 4711"})
	if _, err := control.Named("payments").ForceOpen(ctx, 10*time.Minute); err != nil {
		return err
	}
	done, err := control.Following("circuitbreaker").Reset(ctx) // or All, or Where
	if failed, ok := errors.AsType[*actors.ControlError](err); ok {
		for name, why := range failed.Guards { // all others have done it
			fmt.Println(name, why)
		}
	}
	fmt.Println(done.Done, "but not", done.Skipped) // those have no meaning for it
	// endregion
	return err
}

func steerAs(ctx context.Context, payments *circuitbreaker.Breaker) error {
	// region: control-handle
	ctx = actors.As(ctx, actors.Operator{Name: "alice", Reason: "ticket 4711"})
	return payments.Reconfigure(ctx, circuitbreaker.Config{ConsecutiveFailures: 3})
	// endregion
}

func audit(guards *actors.Registry, write func(actors.Operated)) (stop func()) {
	// region: audit
	events, stop := guards.Subscribe(actors.Only[actors.Operated](), actors.Buffer(1024))
	go func() {
		for e := range events {
			write(e.(actors.Operated)) // who, why, what, which guard, done or not, when
		}
	}()
	// endregion
	return stop
}
