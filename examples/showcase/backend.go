package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// workers of the backend, and how long each of them takes for a call.
	workers = 8
	service = 20 * time.Millisecond
	// capacity is how many calls a second that makes.
	capacity = workers * int(time.Second/service)
	// slowness is how late the slow backend answers.
	slowness = 400 * time.Millisecond
)

// backend is a real HTTP server with few workers, as well as the plan says. Who finds no
// worker waits, however long.
type backend struct {
	plan     plan
	sabotage bool
	workers  chan struct{}
	server   http.Server
	served   chan error
	url      string
	arrived  atomic.Int64
}

func serve(p plan, sabotage bool) (*backend, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{
		plan: p, sabotage: sabotage, workers: make(chan struct{}, workers),
		url: "http://" + listener.Addr().String(), served: make(chan error, 1),
	}
	b.server.Handler = b
	go func() { b.served <- b.server.Serve(listener) }()
	return b, nil
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.arrived.Add(1)
	now := time.Now()
	if b.failing(now) {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	select {
	case b.workers <- struct{}{}:
		defer func() { <-b.workers }()
	case <-r.Context().Done():
		return
	}
	if b.plan.at(now) == outage {
		time.Sleep(slowness)
		return
	}
	time.Sleep(service)
}

func (b *backend) failing(now time.Time) bool {
	s := b.plan.at(now)
	return s == outage && now.Before(b.plan.slow()) || b.sabotage && s >= outage
}

// stop waits for the requests under way.
func (b *backend) stop() error {
	err := b.server.Shutdown(context.Background())
	if served := <-b.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
