// Retry calls a bank that fails now and then, and then one that is down. You will see a call
// that succeeds at its third attempt, one that gives up as soon as its deadline leaves no time
// for another, and how many calls an outage gets with and without a budget.
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
	"github.com/bulwark-go/bulwark/patterns/retry"
)

func main() {
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.ErrorLevel))) // every retry is an event
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("retry failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := flaky(ctx, guards); err != nil {
		return err
	}
	if err := outage(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

var errDown = errors.New("the bank is down")

// bank fails so often, and counts the calls that it gets.
type bank struct{ failures, calls int }

func (b *bank) charge(context.Context) error {
	b.calls++
	if b.calls <= b.failures {
		return errDown
	}
	return nil
}

func flaky(ctx context.Context, guards *actors.Registry) error {
	again, err := retry.Spawn(guards, "bank", retry.Config{
		Attempts: 4, Backoff: retry.Linear(100*time.Millisecond, time.Second),
	})
	if err != nil {
		return err
	}
	fmt.Println("A bank that fails twice.")
	b := &bank{failures: 2}
	err = patterns.Run(ctx, again, b.charge)
	fmt.Printf("after %d calls:     answered (%v)\n", b.calls, err == nil)

	fmt.Println("\nA caller that has 550 ms: the waits would take 100, 200 and 300.")
	hurried, cancel := context.WithTimeout(ctx, 550*time.Millisecond)
	defer cancel()
	b = &bank{failures: 9}
	err = patterns.Run(hurried, again, b.charge)
	gaveUp, _ := errors.AsType[*retry.ExhaustedError](err)
	fmt.Printf("after %d calls:     %s, and the deadline has passed: %v\n", gaveUp.Attempts, gaveUp.Cause, hurried.Err() != nil)
	fmt.Println("is the bank's own: ", errors.Is(err, errDown))
	return nil
}

func outage(ctx context.Context, guards *actors.Registry) error {
	budget, err := retry.SpawnBudget(guards, "bank-budget", retry.BudgetConfig{Ratio: 0.2, MinPerSecond: retry.None})
	if err != nil {
		return err
	}
	fmt.Println("\nThe bank is down, and a thousand callers try, three times each.")
	for _, cfg := range []retry.Config{{}, {Budget: budget}} {
		cfg.Backoff = retry.Constant(0)
		again, err := retry.Spawn(guards, fmt.Sprint("bank with a budget: ", cfg.Budget != nil), cfg)
		if err != nil {
			return err
		}
		b := &bank{failures: 1_000_000}
		for range 1000 {
			_ = patterns.Run(ctx, again, b.charge)
		}
		s, _ := again.Snapshot(ctx)
		with := "without"
		if cfg.Budget != nil {
			with = "with"
		}
		fmt.Printf("%-7s a budget it gets %d calls, of which %d are retries\n", with, b.calls, s.Retries)
	}
	return nil
}
