// Grpc runs a server with guards in front of its methods, and clients that call it on a real
// socket. You will see a customer who has had enough, a handler that needs a bank which is
// left alone, a client that tries again when the server says so, but only what may be made
// again, streams that hold their places until they end, a tap that refuses before anything is
// decoded, and that all permits are back.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/actors"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("grpc failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	s, err := open(guards)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(listener) }()
	again, err := retry.Spawn(guards, "again", retry.Config{})
	if err != nil {
		return err
	}
	cc, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpcguard.UnaryClient(again, grpcguard.Idempotent("/shop.Shop/Rates")))
	if err != nil {
		return err
	}
	err = visit(ctx, client{cc}, s)
	err = errors.Join(err, cc.Close())
	s.server.GracefulStop()
	return errors.Join(err, <-served, s.books(ctx), guards.Shutdown(ctx))
}

// visit is what the client does.
func visit(ctx context.Context, c client, s *shop) error {
	for _, scene := range []func(context.Context, client, *shop) error{customer, bank, rates, streams, full} {
		if err := scene(ctx, c, s); err != nil {
			return err
		}
	}
	return nil
}

// customer calls more often than the limiter lets it.
func customer(ctx context.Context, c client, _ *shop) error {
	fmt.Println("A customer who may order twice a minute.")
	for range 3 {
		show("Order", c.call(ctx, "Order"))
	}
	return nil
}

// bank goes down, and the breaker in the handler opens.
func bank(ctx context.Context, c client, s *shop) error {
	fmt.Println("\nThe bank is down: what the handler's breaker refuses is Unavailable, and says nothing of the bank.")
	s.bankIsDown.Store(true)
	for range 3 { // two failures open it
		show("Pay", c.call(ctx, "Pay"))
	}
	show("Health", c.health(ctx))
	return nil
}

// rates fail at first, and the server says when to come again.
func rates(ctx context.Context, c client, s *shop) error {
	fmt.Println("\nWhat is idempotent is tried again, when the server says; what is not is not.")
	began := time.Now()
	show("Rates", c.call(ctx, "Rates"))
	fmt.Printf("  %d calls, and it waited as long as it was told: %v\n", s.rates.Load(), time.Since(began) >= comeAgain)
	show("Quote", c.call(ctx, "Quote"))
	fmt.Printf("  %d call\n", s.quotes.Load())
	return nil
}

// streams hold their places until they end.
func streams(ctx context.Context, c client, s *shop) error {
	fmt.Println("\nTwo streams may run. A third has no place until one of them ends.")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, stop := context.WithCancel(ctx)
	defer stop()
	for i, ctx := range []context.Context{first, ctx} {
		if err := c.watch(ctx); err != nil {
			return fmt.Errorf("stream %d: %w", i+1, err)
		}
	}
	show("Watch", c.watch(ctx))
	stop()
	select { // until the handler has returned
	case <-s.left:
	case <-ctx.Done():
		return ctx.Err()
	}
	show("Watch", c.watch(ctx))
	return nil
}

// full is a server whose tap has no permit left.
func full(ctx context.Context, c client, s *shop) error {
	fmt.Println("\nThe tap is full. Nothing was decoded, and no handler has run.")
	permits, err := s.fill(ctx)
	for _, p := range permits {
		defer p.Release()
	}
	if err != nil {
		return err
	}
	show("Pay", c.call(ctx, "Pay"))
	show("Health", c.health(ctx))
	return nil
}

// show prints what a call came to: its code, the reason, and when to come again.
func show(method string, err error) {
	s := status.Convert(err)
	line := fmt.Sprintf("%-7s %v", method, s.Code())
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			line += fmt.Sprintf(", %s", d.GetReason())
		case *errdetails.RetryInfo:
			wait := d.GetRetryDelay().AsDuration()
			if wait > 10*time.Second { // this machine may be slow
				wait = wait.Round(10 * time.Second)
			}
			line += fmt.Sprintf(", come again in %v", wait.Round(10*time.Millisecond))
		}
	}
	if s.Message() != "" {
		line += ": " + s.Message()
	}
	fmt.Println(line)
}
