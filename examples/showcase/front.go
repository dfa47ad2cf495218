package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Headers of the shop's own.
const (
	customerHeader = "X-Customer"
	refusedHeader  = "X-Refused-By"
)

// front is the server that customers send their orders to, and what they send them with.
type front struct {
	server  http.Server
	served  chan error
	browser http.Client
	url     string
}

func openFront(h http.Handler) (*front, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{
		server: http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}, served: make(chan error, 1),
		browser: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}},
		url:     "http://" + listener.Addr().String() + "/order",
	}
	go func() { f.served <- f.server.Serve(listener) }()
	return f, nil
}

// stop waits for the orders under way.
func (f *front) stop(ctx context.Context) error {
	f.browser.CloseIdleConnections()
	err := f.server.Shutdown(ctx)
	if served := <-f.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// sayWhoRefused tells customers which guard it was, because the table wants to know.
func sayWhoRefused(w http.ResponseWriter, r *http.Request) {
	why, _ := nethttp.RefusalOf(r.Context())
	w.Header().Set(refusedHeader, refusedBy(why.Err).String())
	w.WriteHeader(why.Status)
}

func refusedBy(err error) ending {
	switch {
	case errors.Is(err, loadshedder.ErrShed):
		return byEdge
	case errors.Is(err, ratelimiter.ErrLimited):
		return byCustomers
	case errors.Is(err, adaptive.ErrLimit):
		return byBackend
	case errors.Is(err, circuitbreaker.ErrOpen):
		return byBreaker
	}
	return failed
}

// order sends one, and says how it ended.
func (f *front) order(ctx context.Context, customer string, p patterns.Priority) ending {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return failed
	}
	request.Header.Set(customerHeader, customer)
	request.Header.Set(nethttp.DefaultPriorityHeader, p.String())
	response, err := f.browser.Do(request)
	if err != nil {
		return failed
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return served
	}
	by := response.Header.Get(refusedHeader)
	for e := byEdge; e < endings; e++ {
		if by == e.String() {
			return e
		}
	}
	return failed
}
