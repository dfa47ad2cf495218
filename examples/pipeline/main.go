// Pipeline puts several guards around one bank. You will see that a call which an inner guard
// refuses costs nothing outside, what each kind of trouble looks like to the caller, and what
// Lint says of an order that defeats itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func main() {
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.ErrorLevel))) // what guards do is an event
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("pipeline failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := refund(ctx, guards); err != nil {
		return err
	}
	if err := trouble(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

// refund has the innermost of three guards refuse.
func refund(ctx context.Context, guards *actors.Registry) error {
	quota, err := ratelimiter.Spawn(guards, "quota", ratelimiter.Config{Rate: ratelimiter.MustParse("10/hour")})
	if err != nil {
		return err
	}
	breaker, err := circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{})
	if err != nil {
		return err
	}
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		return err
	}
	bank, err := pipeline.New("bank", quota, breaker, room)
	if err != nil {
		return err
	}
	fmt.Println(bank)
	left := func() int64 {
		a, _ := quota.Peek(ctx, "")
		return a.Remaining
	}

	busy, err := bank.Acquire(ctx) // somebody is in the room
	if err != nil {
		return err
	}
	fmt.Println("one call runs, of the quota are left:          ", left())
	full := 0
	for range 100 {
		err := patterns.Run(ctx, bank, func(context.Context) error { return errors.New("not reached") })
		if errors.Is(err, bulkhead.ErrFull) {
			full++
		}
	}
	fmt.Printf("%d more were refused by the room, are left:    %d\n", full, left())
	busy.Report(patterns.Success)
	err = patterns.Run(ctx, bank, func(context.Context) error { return nil })
	fmt.Printf("the room is free, a call passes (%v), are left: %d\n", err == nil, left())
	return nil
}

type balance string

var errDown = errors.New("the bank is down")

// trouble calls a bank that is slow, down and well through five guards.
func trouble(ctx context.Context, guards *actors.Registry) error {
	instead, err := fallback.Spawn(guards, "instead", fallback.Config[balance]{LastGood: time.Minute})
	if err != nil {
		return err
	}
	again, err := retry.Spawn(guards, "again", retry.Config{Attempts: 3, Backoff: retry.Constant(10 * time.Millisecond)})
	if err != nil {
		return err
	}
	circuit, err := circuitbreaker.Spawn(guards, "circuit", circuitbreaker.Config{ConsecutiveFailures: 6, OpenFor: time.Hour})
	if err != nil {
		return err
	}
	soon, err := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: 50 * time.Millisecond})
	if err != nil {
		return err
	}

	wrong, err := pipeline.New("", soon, again, instead, circuit)
	if err != nil {
		return err
	}
	fmt.Println("\n" + wrong.String())
	for _, w := range pipeline.Lint(wrong) {
		fmt.Println(w)
	}

	bank, err := pipeline.New("balances", instead, again, circuit, soon)
	if err != nil {
		return err
	}
	fmt.Println("\n"+bank.String()+", warnings:", len(pipeline.Lint(bank)))
	calls := 0
	ask := func(title string, fn func(context.Context) (balance, error)) {
		calls = 0
		b, err := patterns.Do(ctx, bank, fn)
		fmt.Printf("%-26s %d calls, %q, error: %v\n", title, calls, b, err)
	}
	well := func(context.Context) (balance, error) { calls++; return "12.50", nil }
	down := func(context.Context) (balance, error) { calls++; return "", errDown }
	slow := func(ctx context.Context) (balance, error) { calls++; <-ctx.Done(); return "", ctx.Err() }
	ask("well:", well)
	ask("slow, three times 50 ms:", slow)
	ask("down, the circuit opens:", down)
	ask("not called any more:", well)

	_, err = patterns.Do(ctx, circuit, well)
	open, _ := errors.AsType[*circuitbreaker.OpenError](err)
	fmt.Printf("the circuit alone would say: refused %v, by %q, open for an hour %v\n",
		errors.Is(err, patterns.ErrRejected), open.Name, open.RetryAfter() > 59*time.Minute)
	return nil
}
