// Messages asks a breaker from inside actors: by message, and nobody ever blocks.
// You will see orders charged, two workers die with permits in their hands (the
// permits come back by themselves), and orders put off while the bank is down.
package main

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("messages failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	payments, err := circuitbreaker.Spawn(guards, "payments", circuitbreaker.Config{ConsecutiveFailures: 3})
	if err != nil {
		return err
	}

	bank := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &bank{} }))
	desk := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return newOrders(payments.PID(), bank)
	}))
	place := func(customers ...string) error {
		for _, name := range customers {
			answer, err := actors.Ask[string](ctx, system, desk, placeOrder{Customer: name})
			if err != nil {
				return err
			}
			fmt.Printf("%-6s %s\n", name+":", answer)
		}
		return nil
	}

	fmt.Println("The bank is well.")
	if err := place("ann", "bob"); err != nil {
		return err
	}
	fmt.Println("\nWorkers die with permits in their hands.")
	if err := loseWorkers(ctx, guards, payments); err != nil {
		return err
	}
	fmt.Println("\nThe bank is down.")
	system.Root.Send(bank, goDown{})
	if err := place("cleo", "dave", "eve", "finn"); err != nil {
		return err
	}

	s, _ := payments.Snapshot(ctx)
	fmt.Printf("\nasked %d = granted %d + rejected %d; granted = reported %d + reclaimed %d + in flight %d\n",
		s.Asked, s.Granted, s.Rejected, s.Reported, s.Reclaimed, s.InFlight)
	return guards.Shutdown(ctx)
}
