// Exchange has a shop, which is an actor, ask a bank, which is another, under a retry and a
// timeout. You will see a bank that is well, one that is slow, so that it is asked several
// times and charges once all the same, one that crashes, and one that does not answer at
// all; and that both go on serving others meanwhile.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func main() {
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.ErrorLevel))) // every retry is an event
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("exchange failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	persistent, relaxed, err := policies(guards)
	if err != nil {
		return err
	}
	x, err := exchange.New(system, exchange.Config{})
	if err != nil {
		return err
	}
	once, err := exchange.NewOnce(exchange.OnceConfig{})
	if err != nil {
		return err
	}
	bank := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &bank{} }, once.Attach))
	shop := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &shop{x: x, bank: bank, persistent: persistent, relaxed: relaxed}
	}, actor.WithReceiverMiddleware(x.EndOnRestart)))
	if err := story(ctx, system, shop, bank); err != nil {
		return err
	}
	return errors.Join(x.Stop(ctx), guards.Shutdown(ctx))
}

// policies are those of customers that must pay now, and of those that need not.
func policies(guards *actors.Registry) (persistent, relaxed patterns.Guard, err error) {
	again, err1 := retry.Spawn(guards, "again", retry.Config{Attempts: 50, Backoff: retry.Constant(10 * time.Millisecond)})
	soon, err2 := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: 500 * time.Millisecond})
	instead, err3 := fallback.Spawn(guards, "instead", fallback.Config[any]{
		Steps: fallback.Chain(fallback.Value[any](charged{"on the bill"})),
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, nil, err
	}
	persistent, err1 = pipeline.New("persistent", again, soon)
	relaxed, err2 = pipeline.New("relaxed", instead, soon)
	return persistent, relaxed, errors.Join(err1, err2)
}

func story(ctx context.Context, system *actor.ActorSystem, shop, bank *actor.PID) error {
	for _, chapter := range []struct {
		title string
		order order
	}{
		{"The bank is well.", order{"ann", well, false}},
		{"\nThe bank needs 1.2 s, and an attempt has 500 ms.", order{"bob", slow, false}},
		{"\nThe bank crashes.", order{"cleo", broken, false}},
		{"\nThe bank does not answer.", order{"dave", silent, true}},
	} {
		fmt.Println(chapter.title)
		done := make(chan error, 1)
		go func() {
			paid, err := actors.Ask[paid](ctx, system, shop, chapter.order)
			fmt.Printf("%-5s %s; asked more than once: %v\n", chapter.order.Customer+":", paid.how, paid.attempts > 1)
			done <- err
		}()
		for _, pid := range []*actor.PID{shop, bank} {
			if _, err := actors.Ask[pong](ctx, system, pid, ping{}); err != nil {
				return err
			}
		}
		if err := <-done; err != nil {
			return err
		}
	}
	s, err := actors.Ask[exchange.OnceSnapshot](ctx, system, bank, exchange.Inspect{})
	fmt.Printf("\nshop and bank answered others meanwhile; the bank has charged %d customers\n", s.Remembered)
	return err
}
