package fiberguard_test

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/gofiber/fiber/v3"

	"github.com/bulwark-go/bulwark/patterns"
)

// start has app serve l, and returns when it does: a Shutdown before that would not end it.
func start(app *fiber.App, l net.Listener) (stop func() error) {
	accepting, served := make(chan struct{}), make(chan error, 1)
	go func() {
		served <- app.Listener(listener{l, sync.OnceFunc(func() { close(accepting) })}, fiber.ListenConfig{DisableStartupMessage: true})
	}()
	select {
	case <-accepting:
	case err := <-served:
		served <- err
	}
	return func() error { return errors.Join(app.Shutdown(), <-served) }
}

// listener says when somebody accepts.
type listener struct {
	net.Listener
	accepting func()
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	l.accepting()
	return l.Listener.Accept()
}

// keeper is a guard that remembers what it was asked for. It is for one request at a time.
type keeper struct {
	patterns.Guard
	keys []string
}

// AcquireFor implements patterns.Guard.
func (k *keeper) AcquireFor(ctx context.Context, q patterns.Request) (patterns.Permit, error) {
	k.keys = append(k.keys, q.Key)
	q.Key = ""
	return k.Guard.AcquireFor(ctx, q)
}

// watched is a guard that says when a permit of it has ended.
type watched struct {
	patterns.Guard
	ended chan struct{}
}

func watch(g patterns.Guard) watched { return watched{g, make(chan struct{}, 10)} }

// AcquireFor implements patterns.Guard.
func (w watched) AcquireFor(ctx context.Context, q patterns.Request) (patterns.Permit, error) {
	p, err := w.Guard.AcquireFor(ctx, q)
	if err != nil {
		return p, err
	}
	return patterns.NewPermit(&settler{p, w.ended}, 1, 0), nil
}

// Acquire implements patterns.Guard.
func (w watched) Acquire(ctx context.Context) (patterns.Permit, error) {
	return w.AcquireFor(ctx, patterns.Request{})
}

type settler struct {
	permit patterns.Permit
	ended  chan struct{}
}

// Settle implements patterns.Settler.
func (s *settler) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	ok := s.permit.Report(o)
	s.ended <- struct{}{}
	return ok
}

// Release implements patterns.Settler.
func (s *settler) Release(uint64) {
	s.permit.Release()
	s.ended <- struct{}{}
}
