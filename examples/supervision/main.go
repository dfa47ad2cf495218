// Supervision runs a tree of actors that fail. You will see a mailer that crashes again
// and again come back after longer and longer waits, a gateway that keeps failing
// being left alone, refusing what it is asked at once, and being tried with one
// message; the tree, live, while all that happens; and everybody stop in good order.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("supervision failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	events := listen(system)

	smtp, bank := &dependency{}, &dependency{}
	shop, err := supervisor.Start(ctx, system, tree(smtp, bank))
	if err != nil {
		return err
	}
	s := story{ctx, system, shop, events}
	if err := s.backoff(smtp); err != nil {
		return err
	}
	if err := s.breaker(bank); err != nil {
		return err
	}
	fmt.Println("\nEverybody stops, children first, once they have served what they have.")
	if err := shop.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Println("stopped in good order")
	return nil
}

// tree says who is under whom, and what becomes of whom.
func tree(smtp, bank *dependency) supervisor.Spec {
	return supervisor.Spec{
		Name:   "shop",
		Config: supervisor.Config{Intensity: supervisor.IntensityConfig{Restarts: 3, Period: time.Minute}},
		Children: []supervisor.Child{
			{Name: "catalogue", Props: worker(&dependency{})},
			{Tree: &supervisor.Spec{
				Name: "mail",
				Config: supervisor.Config{
					Backoff: supervisor.BackoffConfig{Base: 50 * time.Millisecond, Max: 200 * time.Millisecond, Jitter: -1},
				},
				Children: []supervisor.Child{{Name: "mailer", Props: worker(smtp)}},
			}},
			{Tree: &supervisor.Spec{
				Name: "payments",
				Config: supervisor.Config{
					Breaker: supervisor.BreakerConfig{Intensity: 2, Period: time.Minute, OpenFor: 500 * time.Millisecond},
				},
				Children: []supervisor.Child{{Name: "gateway", Props: worker(bank)}, {Name: "ledger", Props: worker(&dependency{})}},
			}},
		},
	}
}

type story struct {
	ctx    context.Context
	system *actor.ActorSystem
	shop   *supervisor.Root
	events <-chan any
}

// backoff lets the mailer crash four times.
func (s *story) backoff(smtp *dependency) error {
	fmt.Println("The mail server is down, and the mailer crashes with each message.")
	smtp.down.Store(true)
	for range 4 {
		reply, err := s.ask("shop/mail/mailer", "welcome")
		if err != nil {
			return err
		}
		fmt.Printf("mailer: %v;", reply)
		waits, err := next(s, func(e supervisor.ChildChanged) bool { return e.To == supervisor.Restarting })
		if err != nil {
			return err
		}
		fmt.Println(" restarted in", waits.Until.Sub(waits.At).Round(time.Millisecond))
		if _, err := next(s, func(supervisor.ChildRestarted) bool { return true }); err != nil {
			return err
		}
	}
	smtp.down.Store(false)
	reply, err := s.ask("shop/mail/mailer", "welcome")
	fmt.Println("mailer:", reply)
	return err
}

// breaker lets the gateway fail once too often, and recover.
func (s *story) breaker(bank *dependency) error {
	fmt.Println("\nThe bank is down. The gateway is restarted twice; then it is left alone.")
	bank.down.Store(true)
	for range 3 {
		reply, err := s.ask("shop/payments/gateway", "charge")
		if err != nil {
			return err
		}
		fmt.Println("gateway:", reply)
	}
	if _, err := next(s, func(e supervisor.ChildChanged) bool { return e.To == supervisor.Open }); err != nil {
		return err
	}
	for range 2 {
		began := time.Now()
		reply, err := s.ask("shop/payments/gateway", "charge")
		if err != nil {
			return err
		}
		refused, _ := reply.(error)
		away, _ := errors.AsType[*supervisor.AwayError](refused)
		after, _ := patterns.RetryAfter(refused)
		fmt.Printf("gateway: refused at once (%v), as it is %v; retry after a while (%v)\n",
			time.Since(began) < 100*time.Millisecond, away.State, after > 0)
	}
	if err := s.show(); err != nil {
		return err
	}
	bank.down.Store(false)
	if _, err := next(s, func(e supervisor.ChildChanged) bool { return e.To == supervisor.HalfOpen }); err != nil {
		return err
	}
	fmt.Println("\nThe bank is back, and the gateway was restarted to be tried with one message.")
	reply, err := s.insist("shop/payments/gateway", "charge")
	if err != nil {
		return err
	}
	fmt.Println("gateway:", reply)
	if _, err := next(s, func(e supervisor.ChildChanged) bool { return e.To == supervisor.Running }); err != nil {
		return err
	}
	return s.show()
}

func (s *story) show() error {
	tree, err := s.shop.Tree(s.ctx)
	fmt.Printf("\n%v", tree)
	return err
}

// ask returns the actor's answer, or why there is none.
func (s *story) ask(id, msg string) (any, error) {
	return s.system.Root.RequestFuture(s.system.NewLocalPID(id), msg, 5*time.Second).Result()
}

// insist asks again, as soon as that makes sense, if it is refused: the gateway's mailbox
// may not know yet what its supervisor has just announced.
func (s *story) insist(id, msg string) (any, error) {
	for {
		reply, err := s.ask(id, msg)
		refused, _ := reply.(error)
		if !errors.Is(refused, patterns.ErrRejected) {
			return reply, err
		}
		after, _ := patterns.RetryAfter(refused)
		select {
		case <-time.After(max(after, 10*time.Millisecond)):
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
}

// next waits for the next event that is a fitting E.
func next[E any](s *story, fits func(E) bool) (E, error) {
	for {
		select {
		case e := <-s.events:
			if e, ok := e.(E); ok && fits(e) {
				return e, nil
			}
		case <-s.ctx.Done():
			var none E
			return none, s.ctx.Err()
		}
	}
}

// listen returns what happens in the system. Its subscriber runs in the turns of
// supervising actors, and must not wait.
func listen(system *actor.ActorSystem) <-chan any {
	events := make(chan any, 1000)
	system.EventStream.Subscribe(func(e any) {
		select {
		case events <- e:
		default:
		}
	})
	return events
}
