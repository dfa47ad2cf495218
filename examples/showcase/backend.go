package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// slowness is how late the slow backend answers.
const slowness = 400 * time.Millisecond

// backend is a real HTTP server, as well as the plan says.
type backend struct {
	plan     plan
	sabotage bool
	server   http.Server
	served   chan error
	url      string
	arrivals chan time.Time // of every request
}

func serve(p plan, sabotage bool) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		plan: p, sabotage: sabotage, url: "http://" + listener.Addr().String(),
		served: make(chan error, 1), arrivals: make(chan time.Time, 1024),
	}
	b.server.Handler = b
	go func() { b.served <- b.server.Serve(listener) }()
	return b, nil
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	b.arrivals <- now
	switch b.phase(now) {
	case failing:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case slow:
		time.Sleep(slowness)
	}
}

func (b *backend) phase(now time.Time) phase {
	p := b.plan.at(now)
	if b.sabotage && p == healed {
		return failing
	}
	return p
}

// stop waits for the requests under way and closes arrivals.
func (b *backend) stop() error {
	err := b.server.Shutdown(context.Background())
	if served := <-b.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	close(b.arrivals)
	return err
}
