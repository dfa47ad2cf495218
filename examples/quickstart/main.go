// Quickstart guards a function with a circuit breaker, in as few lines as it takes.
// You will see a bank fail three payments, the breaker refuse the fourth without
// calling the bank, and the payments go through again once the bank is well.
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
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	if err := run(context.Background(), log); err != nil {
		log.Fatal("quickstart failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}

	breaker, err := circuitbreaker.Spawn(guards, "bank", circuitbreaker.Config{
		ConsecutiveFailures: 3,
		OpenFor:             time.Second,
	})
	if err != nil {
		return err
	}

	var bank bank
	charge := patterns.Wrap(breaker, bank.charge) // the same type as bank.charge
	for order := 1; order <= 7; order++ {
		receipt, err := charge(ctx, order)
		switch open, isOpen := errors.AsType[*circuitbreaker.OpenError](err); {
		case isOpen:
			fmt.Printf("order %d: refused, the breaker is %v (%v)\n", order, open.State, open.Cause)
			time.Sleep(open.RetryAfter())
		case err != nil:
			fmt.Printf("order %d: failed, %v\n", order, err)
		default:
			fmt.Printf("order %d: paid, %s\n", order, receipt)
		}
	}

	s, _ := breaker.Snapshot(ctx)
	fmt.Printf("the breaker is %v: of %d calls it let %d pass and refused %d; the bank got %d\n",
		s.State, s.Asked, s.Granted, s.Rejected, bank.calls)
	return guards.Shutdown(ctx)
}

// bank is down for its first three calls.
type bank struct{ calls int }

func (b *bank) charge(_ context.Context, order int) (receipt string, err error) {
	b.calls++
	if b.calls <= 3 {
		return "", errors.New("the bank is down")
	}
	return fmt.Sprintf("receipt %d", order), nil
}
