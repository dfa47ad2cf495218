package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// handlers are ways to put a breaker in front of an http.Handler.
func handlers() family {
	const direct, loopback = "http/direct", "http/loopback"
	budgets := []budget{
		{of: point{direct, "bulwark", 1}, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01},
		{
			what: "of bare's requests/s, over a socket", of: point{loopback, "bulwark", 64}, to: point{loopback, "bare", 64},
			metric: opsPerS, compare: ratio, is: atLeast, limit: 0.97,
		},
	}
	for _, g := range calledAt {
		budgets = append(budgets, atMostTimes(direct, g, "bulwark", 0.5, "failsafe"))
	}
	return family{
		cases: []benchCase{
			{
				name: direct, baseline: "failsafe", how: tight{}, goroutines: calledAt, subjects: served(startDirect),
				about: "A breaker in front of a handler that writes two bytes, called with no socket: what the middleware itself takes.",
			},
			{
				name: loopback, baseline: "bare", how: tight{}, goroutines: calledAt, subjects: served(startLoopback),
				about: "The same in a server on the loopback interface, one keep-alive connection for each goroutine.",
			},
		},
		budgets: budgets,
	}
}

// served are the subjects, each started in the same way.
func served(start func(http.Handler, func()) (*instance, error)) []subject {
	guarded := func(spawn func(*actors.Registry) (patterns.Guard, error)) func(settings) (*instance, error) {
		return func(settings) (*instance, error) {
			g, stop, err := spawned(spawn)
			if err != nil {
				return nil, err
			}
			return start(nethttp.Guard(g)(twoBytes), stop)
		}
	}
	return []subject{
		{"bare", func(settings) (*instance, error) { return start(twoBytes, func() {}) }},
		{"bulwark", guarded(func(r *actors.Registry) (patterns.Guard, error) {
			return circuitbreaker.Spawn(r, "b", breakerConfig(patterns.Strict))
		})},
		{"bulwark-timeout", guarded(func(r *actors.Registry) (patterns.Guard, error) {
			return timeout.Spawn(r, "soon", timeout.Config{PerAttempt: patience})
		})},
		{"failsafe", func(settings) (*instance, error) {
			policy := fsbreaker.NewBuilder[*http.Response]().WithFailureThreshold(5).WithDelay(time.Hour).WithSuccessThreshold(2).Build()
			return start(failsafehttp.NewHandlerWithExecutor(twoBytes, failsafe.With[*http.Response](policy)), func() {})
		}},
	}
}

// twoBytes is the handler. It has nothing to allocate.
var twoBytes = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(okBody) })

var okBody = []byte("ok")

// sink is a response that goes nowhere, and counts.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }

func startDirect(h http.Handler, stop func()) (*instance, error) {
	ctx, cancel := context.WithCancel(context.Background()) // a server's requests can be cancelled, too
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://shop/pay", nil)
	if err != nil {
		cancel()
		stop()
		return nil, err
	}
	return &instance{
		each: func() func() bool {
			s := &sink{header: make(http.Header)}
			return func() bool {
				before := s.bytes
				h.ServeHTTP(s, request)
				return s.bytes == before+len(okBody)
			}
		},
		stop: func() { cancel(); stop() },
	}, nil
}

func startLoopback(h http.Handler, stop func()) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return &instance{
		each: func() func() bool { return newBrowser(listener.Addr().String()).get },
		stop: func() {
			_ = server.Close() // and with it the browsers' connections
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				panic(err)
			}
			stop()
		},
	}, nil
}

// browser is a client that does as little as it can, so that the server is what is measured.
type browser struct {
	conn   net.Conn
	answer []byte
}

func newBrowser(address string) *browser {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return &browser{}
	}
	b := &browser{conn: conn, answer: make([]byte, 4096)}
	n, err := b.ask()
	if err != nil {
		return &browser{}
	}
	b.answer = b.answer[:n] // all answers are as long
	return b
}

var getRequest = []byte("GET /pay HTTP/1.1\r\nHost: shop\r\n\r\n")

// ask returns how long the answer is, which comes in one piece.
func (b *browser) ask() (int, error) {
	if _, err := b.conn.Write(getRequest); err != nil {
		return 0, err
	}
	n, err := b.conn.Read(b.answer)
	if err == nil && !bytes.HasPrefix(b.answer, []byte("HTTP/1.1 200 OK\r\n")) {
		err = fmt.Errorf("answered %q", b.answer[:n])
	}
	return n, err
}

func (b *browser) get() bool {
	if b.conn == nil {
		return false
	}
	if n, err := b.ask(); err != nil || n != len(b.answer) {
		_ = b.conn.Close()
		b.conn = nil
		return false
	}
	return true
}
