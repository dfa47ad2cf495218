// Httpclient is a shop's client of a bank that has three servers, on real sockets. You will
// see one of them misbehave, be left out, and come back; a bank that says when to come again; an
// order that is not paid twice; a server that is stuck and not waited for; what a client gets
// when all of the bank is down; and that all permits are back.
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
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("httpclient failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	b, err := openBank(3)
	if err != nil {
		return err
	}
	s, err := newShop(guards, b)
	if err != nil {
		return errors.Join(err, b.close())
	}
	err = errors.Join(visit(ctx, s, b), b.close(), s.books(ctx))
	return errors.Join(err, guards.Shutdown(ctx))
}

// visit is what the shop does.
func visit(ctx context.Context, s *shop, b *bank) error {
	for _, scene := range []func(context.Context, *shop, *bank) error{works, misbehaves, returns, later, once, slow, down} {
		if err := scene(ctx, s, b); err != nil {
			return err
		}
	}
	return nil
}

func works(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("The bank has three servers.")
	for range 6 {
		if got := s.get(ctx, "/balance"); got != "200 7 EUR" {
			return fmt.Errorf("got %s", got)
		}
	}
	fmt.Println("6 requests, by server:", b.requests())
	return nil
}

// misbehaves lets one of them answer with errors.
func misbehaves(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("\nOne of them fails.")
	b.servers[1].mood.Store(failing)
	b.forget()
	for range 30 {
		if got := s.get(ctx, "/balance"); got != "200 7 EUR" {
			return fmt.Errorf("got %s", got)
		}
	}
	of, _ := s.hosts.Snapshot(ctx)
	fmt.Printf("30 requests succeed; %d reached it, then it is ejected: %v\n", b.servers[1].requests.Load(), of.Members[1].Ejected)
	return nil
}

// returns lets it work again.
func returns(ctx context.Context, s *shop, b *bank) error {
	b.servers[1].mood.Store(well)
	b.forget()
	for b.servers[1].requests.Load() == 0 {
		if got := s.get(ctx, "/balance"); got != "200 7 EUR" {
			return fmt.Errorf("got %s", got)
		}
	}
	fmt.Println("It works again, and has requests again after", ejectFor, "and more.")
	return nil
}

// later is a server that knows when to come again.
func later(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("\nThe bank is busy, and says to come again in 1 s.")
	b.all(busyOnce)
	began := time.Now()
	fmt.Println(s.get(ctx, "/balance"), "after 1 s and more:", time.Since(began) >= time.Second)
	b.all(well)
	return nil
}

// once is an order.
func once(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("\nThe bank fails, and an order must not be paid twice.")
	b.all(failing)
	b.forget()
	fmt.Print("without a key: ", s.pay(ctx, ""))
	fmt.Println("; attempts:", b.sum())
	b.forget()
	fmt.Print("with one:      ", s.pay(ctx, "order-7"))
	fmt.Println("; attempts:", b.sum())
	b.all(well)
	return nil
}

// slow is an answer that another one overtakes.
func slow(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("\nOne of them is stuck.")
	b.servers[0].mood.Store(stuck)
	b.forget()
	began := time.Now()
	for b.servers[0].requests.Load() == 0 { // until a search has met it
		if text, err := s.search(ctx); err != nil || text != "200 found" {
			return fmt.Errorf("got %s, %w", text, err)
		}
	}
	fmt.Println("A search that meets it is answered by another, without waiting for it:", time.Since(began) < stuckFor)
	b.all(well)
	return nil
}

// down is the end.
func down(ctx context.Context, s *shop, b *bank) error {
	fmt.Println("\nAll of them are down.")
	if err := b.close(); err != nil {
		return err
	}
	for range 3 {
		fmt.Println(s.get(ctx, "/rates"))
	}
	for range 2 {
		_ = s.get(ctx, "/balance")
	}
	fmt.Println("and the breaker is open:", s.get(ctx, "/balance"))
	return nil
}
