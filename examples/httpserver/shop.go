package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// shop is the server's handlers, behind their guards.
type shop struct {
	handler    http.Handler
	edge       *loadshedder.Shedder
	bank       *circuitbreaker.Breaker
	streams    *bulkhead.Bulkhead
	bankIsDown atomic.Bool
	lastOrder  chan struct{} // closed when there are no more
}

func open(guards *actors.Registry) (*shop, error) {
	s := &shop{lastOrder: make(chan struct{})}
	cached := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNonAuthoritativeInfo)
		_, _ = io.WriteString(w, "1 EUR = 1.1 USD, as of yesterday")
	})
	var errs [6]error
	s.edge, errs[0] = loadshedder.Spawn(guards, "edge", loadshedder.Config{MaxInFlight: 100, SampleInterval: loadshedder.Off})
	s.bank, errs[1] = circuitbreaker.Spawn(guards, "bank", circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: 30 * time.Second})
	s.streams, errs[2] = bulkhead.Spawn(guards, "streams", bulkhead.Config{MaxConcurrent: 1})
	instead, err := fallback.Spawn(guards, "cache", fallback.Config[http.Handler]{Steps: fallback.Chain(fallback.Value[http.Handler](cached))})
	errs[3] = err
	soon, err := timeout.Spawn(guards, "reports", timeout.Config{PerAttempt: 100 * time.Millisecond})
	errs[4] = err
	limiter, err := ratelimiter.Spawn(guards, "questions", ratelimiter.Config{Rate: ratelimiter.MustParse("3/hour")})
	errs[5] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	rates, err := pipeline.New("rates", instead, s.bank)
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "well") })
	mux.Handle("/pay", nethttp.Guard(s.bank)(http.HandlerFunc(s.pay)))
	mux.Handle("/rates", nethttp.Guard(rates)(http.HandlerFunc(s.pay)))
	mux.Handle("/report", nethttp.Guard(soon, nethttp.TimeoutStatus(http.StatusGatewayTimeout))(http.HandlerFunc(s.report)))
	mux.Handle("/ask", nethttp.RateLimit(limiter)(http.HandlerFunc(s.ask)))
	mux.Handle("/events", nethttp.Guard(s.streams)(http.HandlerFunc(s.events)))
	s.handler = nethttp.Guard(s.edge)(mux)
	return s, nil
}

func (s *shop) pay(w http.ResponseWriter, _ *http.Request) {
	if s.bankIsDown.Load() {
		http.Error(w, "the bank does not answer", http.StatusBadGateway)
		return
	}
	_, _ = io.WriteString(w, "paid")
}

// report is still at work when its time is over.
func (*shop) report(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	_, _ = io.WriteString(w, "too late")
}

func (*shop) ask(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "42") }

// events is a stream of orders.
func (s *shop) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: an order\n\n")
	_ = http.NewResponseController(w).Flush()
	select {
	case <-s.lastOrder:
	case <-r.Context().Done():
	}
}

// books shows that nothing was lost. The server is down.
func (s *shop) books(ctx context.Context) error {
	edge, ok1 := s.edge.Snapshot(ctx)
	bank, ok2 := s.bank.Snapshot(ctx)
	streams, ok3 := s.streams.Snapshot(ctx)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("a guard tells nothing")
	}
	fmt.Println("\nAll books balance, and no permit is out:",
		edge.Balanced() && bank.Balanced() && streams.Balanced() && edge.InFlight+bank.InFlight+streams.InFlight == 0)
	return nil
}
