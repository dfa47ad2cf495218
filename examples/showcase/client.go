package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// rate is how many calls a second are made, however slow the answers are.
const rate = 200

// ending is how a call ended for the caller.
type ending int

const (
	succeeded  ending = iota
	failed            // the backend was called, in vain
	failedFast        // the breaker refused, and the backend was not called

	endings
)

// result is one call.
type result struct {
	at   time.Time
	took time.Duration
	end  ending
}

// client calls the backend through a guard.
type client struct {
	guard   patterns.Guard
	http    http.Client
	url     string
	results chan result // of every call
}

func newClient(guard patterns.Guard, url string) *client {
	return &client{
		guard: guard, url: url, results: make(chan result, 1024),
		http: http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: rate}},
	}
}

// run calls at a steady rate until end, or until ctx ends, waits for the calls under
// way and closes results.
func (c *client) run(ctx context.Context, end time.Time) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	var calls sync.WaitGroup
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			calls.Go(func() { c.results <- c.call() })
		case <-ctx.Done():
		}
	}
	calls.Wait()
	close(c.results)
	c.http.CloseIdleConnections()
}

func (c *client) call() result {
	r := result{at: time.Now()}
	err := patterns.Run(context.Background(), c.guard, c.get)
	r.took = time.Since(r.at)
	switch {
	case errors.Is(err, patterns.ErrRejected):
		r.end = failedFast
	case err != nil:
		r.end = failed
	}
	return r
}

// get is what is guarded.
func (c *client) get(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("backend: %s", response.Status)
	}
	return nil
}
