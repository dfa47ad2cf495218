// Showcase runs a backend that is well, fails, gets slow and heals, and a client that
// calls it 200 times a second through a breaker actor. You will see that live; then a
// table, and promises with what was measured. The exit status is 0 if all of them held.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// policy is the breaker's.
var policy = circuitbreaker.Config{
	FailureRatio: 0.5,
	SlowRatio:    0.5,
	SlowCall:     200 * time.Millisecond,
	Window:       circuitbreaker.Last(20),
	MinSamples:   10,
	OpenFor:      time.Second,
	Probes:       2,
}

// Exit statuses.
const (
	allHeld     = 0
	broken      = 1
	interrupted = 130
)

func main() {
	duration := flag.Duration("duration", 19*time.Second, "how long to run, 5s or more")
	sabotage := flag.Bool("sabotage", false, "never heal the backend, so that a promise is broken")
	flag.Parse()
	screen := newScreen(os.Stdout)
	log := newLog(screen)
	if *duration < 5*time.Second {
		log.Fatal("too short to see anything", zap.Duration("duration", *duration))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, log, screen, *duration, *sabotage)
	if err != nil {
		log.Fatal("showcase failed", zap.Error(err))
	}
	os.Exit(status)
}

func run(ctx context.Context, log *zap.Logger, screen *screen, duration time.Duration, sabotage bool) (status int, err error) {
	guards, err := actors.NewRegistry(actor.NewActorSystem(zaplog.ForActorSystem(log)))
	if err != nil {
		return broken, err
	}
	breaker, err := circuitbreaker.Spawn(guards, "backend", policy)
	if err != nil {
		return broken, err
	}
	changes, _ := guards.Subscribe(actors.Only[circuitbreaker.StateChanged]())

	plan := newPlan(time.Now(), duration)
	backend, err := serve(plan, sabotage)
	if err != nil {
		return broken, err
	}
	client := newClient(breaker, backend.url)

	// Everything that happens comes to one goroutine, which alone keeps the record.
	kept := make(chan *record)
	go func() { kept <- watch(screen, plan, client.results, backend.arrivals, changes) }()

	client.run(ctx, plan.end())
	err = backend.stop()
	final, _ := breaker.Snapshot(context.Background())
	err = errors.Join(err, guards.Shutdown(context.Background()))
	record := <-kept
	record.final = final

	if ctx.Err() != nil {
		record.summary(os.Stdout)
		screen.print("interrupted: no promise is judged")
		return interrupted, err
	}
	return record.report(os.Stdout), err
}
