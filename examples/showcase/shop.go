package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// What the guards are told. Nobody tells them what the backend can do.
var (
	edgePolicy = loadshedder.Config{
		MaxInFlight: 400, MaxQueue: loadshedder.NoQueue,
		SchedulingLatency: 20 * time.Millisecond,
		SampleInterval:    100 * time.Millisecond, Smoothing: 200 * time.Millisecond,
		RaiseAfter: 200 * time.Millisecond, ClearAfter: 500 * time.Millisecond,
	}
	customerPolicy = ratelimiter.Config{Rate: ratelimiter.MustParse("100/second"), MaxKeys: 10_000}
	backendPolicy  = adaptive.Config{}
	breakerPolicy  = circuitbreaker.Config{
		FailureRatio: 0.5, SlowRatio: 0.5, SlowCall: 300 * time.Millisecond,
		Window: circuitbreaker.Last(50), MinSamples: 20, OpenFor: 500 * time.Millisecond, Probes: 2,
	}
	roomPolicy  = bulkhead.Config{MaxConcurrent: 4, MaxWaiting: 4, MaxWait: 300 * time.Millisecond}
	valvePolicy = backpressure.Config{MaxPending: 100}
)

// shop is a web server with a guard for every danger. An order passes four of them:
//
//	edge: is this process well? ─▶ customers: has this one had enough? ─▶
//	backend: how much can it take? ─▶ breaker: does it work at all? ─▶ HTTP
type shop struct {
	edge      *loadshedder.Shedder
	customers *ratelimiter.Limiter
	backend   *adaptive.Limiter
	breaker   *circuitbreaker.Breaker
	rooms     *bulkhead.Bulkhead
	valve     *backpressure.Valve

	front *front
	http  http.Client // for the backend
	url   string      // of the backend
}

func open(guards *actors.Registry, url string, cpu bool) (*shop, error) {
	edge := edgePolicy
	if !cpu {
		edge.CPU = loadshedder.Off
	}
	s := &shop{url: url, http: http.Client{
		Timeout: time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 500},
	}}
	var errs [6]error
	s.edge, errs[0] = loadshedder.Spawn(guards, "edge", edge)
	s.customers, errs[1] = ratelimiter.Spawn(guards, "customers", customerPolicy)
	s.backend, errs[2] = adaptive.Spawn(guards, "backend", backendPolicy)
	s.breaker, errs[3] = circuitbreaker.Spawn(guards, "breaker", breakerPolicy)
	s.rooms, errs[4] = bulkhead.Spawn(guards, "reports", roomPolicy)
	s.valve, errs[5] = backpressure.Spawn(guards, "events", valvePolicy)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	line, err := pipeline.New("orders", s.edge, s.customers, s.backend, s.breaker)
	if err != nil {
		return nil, err
	}
	orders, err := nethttp.New(
		line,
		nethttp.Key(nethttp.ByHeader(customerHeader)),
		nethttp.Priority(nethttp.Priorities{
			Header: nethttp.DefaultPriorityHeader,
			Caps:   []nethttp.Cap{{From: []string{"127.0.0.0/8"}, Most: patterns.Critical}},
		}),
		nethttp.Refused(http.HandlerFunc(sayWhoRefused)),
	)
	if err != nil {
		return nil, err
	}
	s.front, err = openFront(orders(http.HandlerFunc(s.order)))
	return s, err
}

// order has the backend do it.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		http.Error(w, "this is no order", http.StatusInternalServerError)
		return
	}
	response, err := s.http.Do(request)
	if err != nil {
		http.Error(w, "the backend does not answer", http.StatusBadGateway)
		return
	}
	defer func() { _ = response.Body.Close() }()
	w.WriteHeader(response.StatusCode)
}
