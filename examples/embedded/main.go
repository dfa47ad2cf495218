// Embedded is a system of actors that take orders, with a guard wherever one of them
// might suffer from another. You will see a customer in a hurry slowed down by a rate
// limiter; parcels wait in the packers' stashes, as a bulkhead lets two be packed at once;
// the bank fail, its breaker open, and orders put off without anybody waiting; a packer
// crash, and be asked no more for a while; and nothing left over at the end.
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("embedded failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	shop, err := open(ctx, guards)
	if err != nil {
		return err
	}
	s := &story{ctx: ctx, shop: shop}
	for _, chapter := range []func() error{s.calm, s.rush, s.parcels, s.outage, s.crash, s.end} {
		if err := chapter(); err != nil {
			return err
		}
	}
	return nil
}

type story struct {
	ctx  context.Context
	shop *shop
}

// place places orders, all at once, and returns the answers in their order.
func (s *story) place(customers ...string) []any {
	futures := make([]*actor.Future, len(customers))
	for i, customer := range customers {
		futures[i] = s.shop.system.Root.RequestFuture(s.shop.desk, order{customer}, 10*time.Second)
	}
	answers := make([]any, len(futures))
	for i, f := range futures {
		answer, err := f.Result()
		if err != nil {
			answer = err
		}
		answers[i] = answer
	}
	return answers
}

func (s *story) calm() error {
	fmt.Println("A calm day.")
	for i, answer := range s.place("ann", "bob") {
		fmt.Printf("%s: %v\n", []string{"ann", "bob"}[i], answer)
	}
	return nil
}

// rush has one customer order more than the limiter of the desk lets a customer.
func (s *story) rush() error {
	fmt.Println("\nCleo orders seven times at once, and Dave once. Five an hour are what a customer may.")
	shipped, later, soonest := 0, 0, time.Duration(0)
	for _, answer := range s.place("cleo", "cleo", "cleo", "cleo", "cleo", "cleo", "cleo") {
		switch err, refused := answer.(error); {
		case !refused:
			shipped++
		case errors.Is(err, patterns.ErrRejected):
			later++
			soonest, _ = patterns.RetryAfter(err)
		default:
			return err
		}
	}
	fmt.Printf("cleo: %d shipped, %d told to come again in about %v\n", shipped, later, soonest.Round(time.Minute))
	fmt.Println("dave:", s.place("dave")[0])
	return nil
}

// parcels has more packed than the room has tables.
func (s *story) parcels() error {
	fmt.Println("\nTwelve parcels for three packers, and two tables.")
	customers := make([]string, 12)
	for i := range customers {
		customers[i] = fmt.Sprint("eve-", i)
	}
	shipped := 0
	for _, answer := range s.place(customers...) {
		if answer == "shipped" {
			shipped++
		}
	}
	fmt.Printf("%d shipped, never more than two packed at once: %v\n", shipped, s.shop.tables.most.Load() <= 2)
	return nil
}

// outage has the bank fail for a while.
func (s *story) outage() error {
	fmt.Println("\nThe bank is down.")
	s.shop.system.Root.Send(s.shop.bank, outage{true})
	for _, customer := range []string{"finn", "gwen", "hugo"} {
		fmt.Printf("%s: %v\n", customer, s.place(customer)[0])
	}
	answer := s.place("ines")[0]
	refused, _ := answer.(error)
	after, _ := patterns.RetryAfter(refused)
	fmt.Printf("ines: put off by an open breaker (%v), with a hint when to come again (%v)\n",
		errors.Is(refused, circuitbreaker.ErrOpen), after > 0)
	s.shop.system.Root.Send(s.shop.bank, outage{false})
	for {
		answer, err := s.again("ines", after)
		if err != nil {
			return err
		}
		if refused, ok := answer.(error); ok && errors.Is(refused, patterns.ErrRejected) {
			after, _ = patterns.RetryAfter(refused)
			continue
		}
		fmt.Println("ines, later:", answer)
		return nil
	}
}

// again orders after a while.
func (s *story) again(customer string, after time.Duration) (any, error) {
	select {
	case <-time.After(max(after, 10*time.Millisecond)):
		return s.place(customer)[0], nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// crash has a packer panic on a parcel.
func (s *story) crash() error {
	fmt.Println("\nJack's parcel ticks.")
	fmt.Println("jack:", s.place("jack")[0])
	open := 0
	for range circuitbreaker.NotClosed(s.ctx, s.shop.guards) {
		open++
	}
	fmt.Println("packers that are left alone for a while:", open)
	fmt.Println("kate:", s.place("kate")[0])
	return nil
}

// end stops everybody, and looks for what is left.
func (s *story) end() error {
	fmt.Println("\nThe shop closes.")
	if err := s.shop.close(s.ctx); err != nil {
		return err
	}
	for name, snapshot := range s.shop.guards.All() {
		if counts, ok := countsOf(snapshot); ok && (counts.InFlight > 0 || counts.Waiting > 0 || !counts.Balanced()) {
			fmt.Printf("%s: something is left: %+v\n", name, counts)
		}
	}
	fmt.Println("no permit is left over")
	return s.shop.guards.Shutdown(s.ctx)
}
