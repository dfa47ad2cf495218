// Httpserver runs a shop's server with guards in front of its handlers, and a client that
// asks it for things on a real socket. You will see a bank that goes down and is left alone,
// a cache that answers in its place, a report that takes too long, a customer who has had
// enough, made-up addresses that help nobody, a stream that holds its place until it ends,
// and that all permits are back.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
		log.Fatal("httpserver failed", zap.Error(err))
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
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	c := &client{url: "http://" + listener.Addr().String()}
	err = errors.Join(visit(ctx, c, s), server.Shutdown(ctx))
	if closed := <-served; !errors.Is(closed, http.ErrServerClosed) {
		err = errors.Join(err, closed)
	}
	return errors.Join(err, s.books(ctx), guards.Shutdown(ctx))
}

// visit is what the client does.
func visit(ctx context.Context, c *client, s *shop) error {
	for _, scene := range []func(context.Context, *client, *shop) error{bank, rates, report, customer, stream} {
		if err := scene(ctx, c, s); err != nil {
			return err
		}
	}
	return nil
}

// bank goes down.
func bank(ctx context.Context, c *client, s *shop) error {
	fmt.Println("The bank works, and then does not.")
	if err := c.show(ctx, "/pay"); err != nil {
		return err
	}
	s.bankIsDown.Store(true)
	for range 4 { // three failures open the breaker
		if err := c.show(ctx, "/pay"); err != nil {
			return err
		}
	}
	return c.show(ctx, "/health")
}

// rates come from the cache as long as the bank is left alone.
func rates(ctx context.Context, c *client, _ *shop) error {
	fmt.Println("\nIts rates come from a cache meanwhile.")
	return c.show(ctx, "/rates")
}

// report takes too long.
func report(ctx context.Context, c *client, _ *shop) error {
	fmt.Println("\nA report takes too long.")
	return c.show(ctx, "/report")
}

// customer asks for too much.
func customer(ctx context.Context, c *client, _ *shop) error {
	fmt.Println("\nThree questions an hour for each customer.")
	for range 4 {
		if err := c.show(ctx, "/ask", "RateLimit-Policy", "X-RateLimit-Remaining"); err != nil {
			return err
		}
	}
	through := 0
	for i := range 50 {
		got, err := c.get(ctx, "/ask", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
		if err != nil {
			return err
		}
		if got.status == http.StatusOK {
			through++
		}
	}
	fmt.Println("from 50 made-up addresses:", through, "more")
	return nil
}

// stream holds its place.
func stream(ctx context.Context, c *client, s *shop) error {
	fmt.Println("\nOne stream at a time.")
	events, err := c.open(ctx, "/events")
	if err != nil {
		return err
	}
	first, err := events.next()
	if err != nil {
		return err
	}
	fmt.Println("first event:  ", first)
	if err := c.show(ctx, "/events"); err != nil {
		return err
	}
	close(s.lastOrder) // and with it the stream
	if err := events.end(); err != nil {
		return err
	}
	return c.show(ctx, "/events")
}
