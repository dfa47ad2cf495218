// Hedge searches an index that has two replicas, of which one is stuck now and then. You will
// see how long the slowest calls take with and without a hedge, how many more calls that
// costs, what a breaker inside thinks of the attempts that lost, and what a budget is for.
package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

func main() {
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.ErrorLevel)))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("hedge failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	if err := stuck(ctx, guards); err != nil {
		return err
	}
	if err := slow(ctx, guards); err != nil {
		return err
	}
	return guards.Shutdown(ctx)
}

const (
	calls = 20
	delay = 200 * time.Millisecond
	hangs = time.Second
)

// index answers at once, but each tenth search that is the first attempt of its call hangs,
// or each of them.
type index struct{ each int }

func (x index) search(call int) func(context.Context) (string, error) {
	first := make(chan struct{}, 1)
	first <- struct{}{}
	return func(ctx context.Context) (string, error) {
		select {
		case <-first:
			if call%x.each == x.each-1 {
				return "found late", wait(ctx, hangs)
			}
		default:
		}
		return "found", nil
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func stuck(ctx context.Context, guards *actors.Registry) error {
	fmt.Println("One search in ten is stuck for 1 s.")
	breaker, err := circuitbreaker.Spawn(guards, "index", circuitbreaker.Config{})
	if err != nil {
		return err
	}
	fmt.Println("without a hedge:  the slowest takes", bucket(slowest(ctx, breaker, index{each: 10})))
	twice, err := hedge.Spawn(guards, "twice", hedge.Config{Delay: delay})
	if err != nil {
		return err
	}
	both, err := pipeline.New("search", twice, breaker)
	if err != nil {
		return err
	}
	fmt.Println("with one of 200ms: the slowest takes", bucket(slowest(ctx, both, index{each: 10})))
	s, _ := twice.Snapshot(ctx)
	fmt.Printf("%d calls cost %d attempts; %d were answered by the extra one\n", s.Calls, s.Attempts, s.ExtraWon)
	b := settled(ctx, breaker)
	fmt.Printf("the breaker inside counted %d failures, and ignored %d that were cancelled\n", b.Failure, b.Ignored)
	return nil
}

// settled waits for the losers, which report once they notice that they were cancelled.
func settled(ctx context.Context, breaker *circuitbreaker.Breaker) circuitbreaker.Snapshot {
	for {
		b, ok := breaker.Snapshot(ctx)
		if !ok || b.InFlight == 0 {
			return b
		}
		_ = wait(ctx, time.Millisecond)
	}
}

func slow(ctx context.Context, guards *actors.Registry) error {
	fmt.Println("\nEvery search is slow, and nothing is gained by asking twice.")
	budget, err := retry.SpawnBudget(guards, "index-budget", retry.BudgetConfig{Ratio: 0.2, MinPerSecond: retry.None})
	if err != nil {
		return err
	}
	for _, cfg := range []hedge.Config{{}, {Budget: budget}} {
		cfg.Delay = 20 * time.Millisecond
		twice, err := hedge.Spawn(guards, fmt.Sprint("twice with a budget: ", cfg.Budget != nil), cfg)
		if err != nil {
			return err
		}
		for range calls {
			_ = patterns.Run(ctx, twice, func(ctx context.Context) error { return wait(ctx, 120*time.Millisecond) })
		}
		s, _ := twice.Snapshot(ctx)
		with := "without"
		if cfg.Budget != nil {
			with = "with"
		}
		fmt.Printf("%-7s a budget %d calls cost %d attempts\n", with, s.Calls, s.Attempts)
	}
	return nil
}

// slowest returns how long the slowest call took.
func slowest(ctx context.Context, g patterns.Guard, x index) time.Duration {
	took := make([]time.Duration, calls)
	for i := range took {
		began := time.Now()
		_, _ = patterns.Do(ctx, g, x.search(i))
		took[i] = time.Since(began)
	}
	return slices.Max(took)
}

// bucket says it so roughly that it is the same each time.
func bucket(d time.Duration) string {
	switch {
	case d < delay:
		return "no time"
	case d < hangs:
		return "200 ms and more"
	}
	return "1 s and more"
}
