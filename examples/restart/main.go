// Restart makes a breaker's own actor panic, while calls are in flight and again while
// it is open. You will see that only the request that met the panic is refused, and a
// table of what the supervisor's restart kept: all of it. The open breaker stays open.
package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func main() {
	sabotage := flag.Bool("sabotage", false, "let the panic break the state too, so that it cannot all be kept")
	flag.Parse()
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log, *sabotage); err != nil {
		log.Fatal("restart failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger, sabotage bool) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	breaker, err := spawnBrittle(guards, "bank", circuitbreaker.Config{ConsecutiveFailures: 5}, sabotage)
	if err != nil {
		return err
	}

	// Two calls are in flight, and four have failed: one more will open the breaker.
	first, err1 := breaker.Acquire(ctx)
	second, err2 := breaker.Acquire(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for range 4 {
		_ = patterns.Run(ctx, breaker, func(context.Context) error { return errors.New("the bank is down") })
	}

	var r report
	inUse := r.crash(ctx, breaker, func() error {
		_, err := breaker.AcquireFor(ctx, patterns.Request{Key: poison})
		return err
	})

	r.promise("a call from before the panic fails: that counts, and opens the breaker", first.Report(patterns.Failure))

	// While the breaker is open, the handle refuses by itself. A message gets there.
	open := r.crash(ctx, breaker, func() error {
		reply, err := actors.Ask[actors.Rejected](ctx, system, breaker.PID(), actors.Acquire{Key: poison})
		return errors.Join(reply.Err, err)
	})

	_, err = breaker.Acquire(ctx)
	r.promise("the next call is refused by the breaker: it stayed open", errors.Is(err, circuitbreaker.ErrOpen))
	second.Release()

	r.table(inUse, open)
	if r.broken {
		return errors.New("a promise was broken")
	}
	return guards.Shutdown(ctx)
}
