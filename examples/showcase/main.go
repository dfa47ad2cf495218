// Showcase runs a shop with a guard for every danger, and lets the dangers come: clients
// that are faster than the backend, one that is greedy, an outage, CPU hogs, bursts of
// heavy work, a producer that does not stop, a mailer that keeps crashing, and a Redis that
// goes away while three processes share a limit through it. You will see a live table of all
// guards; then what became of every order, and promises with what was measured. The exit
// status is 0 if all of them held.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/examples/internal/fleet"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
)

// Exit statuses.
const (
	allHeld     = 0
	broken      = 1
	interrupted = 130
)

// options are what the command line says.
type options struct {
	duration time.Duration
	sabotage bool
	cpu      bool
}

func main() {
	if fleet.IsWorker() {
		fleet.Work()
		return
	}
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Second, "how long to run, 10s or more")
	flag.BoolVar(&o.sabotage, "sabotage", false, "never heal the backend, so that promises are broken")
	flag.BoolVar(&o.cpu, "cpu", true, "shed by the machine's CPU too; turn it off where others use the machine")
	flag.Parse()
	screen := newScreen(os.Stdout)
	log := newLog(screen)
	if o.duration < 10*time.Second {
		log.Fatal("too short to see anything", zap.Duration("duration", o.duration))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, log, screen, o)
	if err != nil {
		log.Fatal("showcase failed", zap.Error(err))
	}
	os.Exit(status)
}

func run(ctx context.Context, log *zap.Logger, screen *screen, o options) (status int, err error) {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system, actors.WithoutEventLog()) // the table shows them
	if err != nil {
		return broken, err
	}
	events, _ := guards.Subscribe(actors.Buffer(4096))
	p := newPlan(time.Now(), o.duration)
	backend, err := serve(p, o.sabotage)
	if err != nil {
		return broken, err
	}
	s, err := open(guards, backend.url, o.cpu)
	if err != nil {
		return broken, err
	}
	letters, err := openMail(ctx, system, p)
	if err != nil {
		return broken, err
	}

	// Everything that happens comes to one goroutine, which alone keeps the record.
	r := &record{plan: p, shop: s, backend: backend, mail: letters, started: time.Now()}
	results, seconds := make(chan result, 1024), make(chan fleet.Second, 1)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		watch(screen, r, results, seconds, events)
	}()
	err = r.play(ctx, system.Root, screen, results, seconds)
	err = errors.Join(err, backend.stop(), r.close(context.Background()), guards.Shutdown(context.Background()))
	<-kept

	if ctx.Err() != nil {
		r.summary(os.Stdout)
		screen.print("interrupted: no promise is judged")
		return interrupted, err
	}
	return r.report(os.Stdout), err
}

// play has everybody do what the plan says, and returns when all have ended.
func (r *record) play(ctx context.Context, root *actor.RootContext, s *screen, results chan<- result, seconds chan<- fleet.Second) (err error) {
	stream, producer := startStream(root, r.shop.valve.PID())
	r.stream = stream
	side, stop := context.WithDeadline(ctx, r.plan.end())
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { r.reports.run(side, r.shop.rooms) })
	all.Go(func() { runHogs(side, r.plan) })
	all.Go(func() { r.mail.run(side, root) })
	all.Go(func() { r.fleet, err = runFleet(side, r.plan, s, seconds) })
	all.Go(func() {
		<-side.Done()
		root.Send(producer, endOfStream{})
	})
	crowd(ctx, r.shop, r.plan, func(x result) {
		if x.end == served {
			r.mail.post(root, x.priority)
		}
		results <- x
	})
	close(results)
	all.Wait()
	return err
}
