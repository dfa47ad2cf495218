package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// How a server feels.
const (
	well int32 = iota
	failing
	busyOnce
	stuck
)

// stuckFor is how long one that is stuck takes.
const stuckFor = 5 * time.Second

// bank is several servers.
type bank struct{ servers []*server }

type server struct {
	bank     *bank
	http     http.Server
	url      string
	served   chan error
	closed   bool
	mood     atomic.Int32
	requests atomic.Int64
}

func openBank(n int) (*bank, error) {
	b := new(bank)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		s := &server{bank: b, url: "http://" + l.Addr().String(), served: make(chan error, 1)}
		s.http = http.Server{Handler: s, ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		go func() { s.served <- s.http.Serve(l) }()
		b.servers = append(b.servers, s)
	}
	return b, nil
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	switch s.mood.Load() {
	case failing:
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case busyOnce:
		s.bank.all(well)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	case stuck:
		select {
		case <-r.Context().Done(): // the shop has another answer
		case <-time.After(stuckFor):
		}
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /balance":
		_, _ = io.WriteString(w, "7 EUR")
	case "GET /search":
		_, _ = io.WriteString(w, "found")
	case "POST /pay":
		_, _ = io.WriteString(w, "paid")
	default:
		http.NotFound(w, r)
	}
}

func (b *bank) urls() (urls []string) {
	for _, s := range b.servers {
		urls = append(urls, s.url)
	}
	return urls
}

func (b *bank) all(mood int32) {
	for _, s := range b.servers {
		s.mood.Store(mood)
	}
}

func (b *bank) forget() {
	for _, s := range b.servers {
		s.requests.Store(0)
	}
}

func (b *bank) requests() (n []int64) {
	for _, s := range b.servers {
		n = append(n, s.requests.Load())
	}
	return n
}

func (b *bank) sum() (n int64) {
	for _, i := range b.requests() {
		n += i
	}
	return n
}

func (b *bank) close() (err error) {
	for _, s := range b.servers {
		if s.closed {
			continue
		}
		s.closed = true
		err = errors.Join(err, s.http.Close())
		if end := <-s.served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serving: %w", end))
		}
	}
	return err
}
