package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
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

// shop is a service with a guard for every danger. An order passes four of them:
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

	http http.Client
	url  string
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
	return s, errors.Join(errs[:]...)
}

// order is one call, through all guards. Each inner refusal is nothing that an outer guard
// learns from.
func (s *shop) order(ctx context.Context, customer string, p patterns.Priority) error {
	r := patterns.Request{Key: customer, Priority: p}
	_, err := patterns.DoFor(ctx, s.edge, r, func(ctx context.Context) (none, error) {
		return patterns.DoFor(ctx, s.customers, r, func(ctx context.Context) (none, error) {
			return patterns.DoFor(ctx, s.backend, r, func(ctx context.Context) (none, error) {
				return patterns.Do(ctx, s.breaker, s.call)
			})
		})
	})
	return err
}

type none struct{}

func (s *shop) call(ctx context.Context) (none, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return none{}, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return none{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusInternalServerError {
		return none{}, fmt.Errorf("backend: %s", response.Status)
	}
	return none{}, nil
}
