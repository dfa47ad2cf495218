package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	fstimeout "github.com/failsafe-go/failsafe-go/timeout"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// clients are ways to put a breaker, or several guards, around an http.Client's requests.
func clients() family {
	const alone, whole = "http/tripper", "http/client"
	budgets := []budget{
		{of: point{alone, "bulwark", 1}, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01},
		{
			what: "more allocations than bare, over a socket", of: point{whole, "bulwark", 1}, to: point{whole, "bare", 1},
			metric: allocsPerOp, compare: difference, is: atMost, limit: 1,
		},
	}
	for _, g := range calledAt {
		budgets = append(budgets,
			atMostTimes(alone, g, "bulwark", 0.5, "failsafe"), atMostTimes(alone, g, "bulwark-three", 0.5, "failsafe-three"))
	}
	return family{
		cases: []benchCase{
			{
				name: alone, baseline: "failsafe", how: tight{}, goroutines: calledAt, subjects: tripping(startTripper),
				about: "An http.RoundTripper around one that answers at once, without a socket: what it itself takes.",
			},
			{
				name: whole, baseline: "bare", how: tight{}, goroutines: calledAt, subjects: tripping(startClient),
				about: "An http.Client that gets two bytes over the loopback interface, on one keep-alive connection for each goroutine; a " +
					"request that opens another one fails.",
			},
		},
		budgets: budgets,
	}
}

// wrap puts guards around what makes the requests.
type wrap func(base http.RoundTripper) (http.RoundTripper, error)

// tripping are the subjects, each started in the same way.
func tripping(start func(wrap, func()) (*instance, error)) []subject {
	ours := func(spawn func(*actors.Registry) (wrap, error)) func(settings) (*instance, error) {
		return func(settings) (*instance, error) {
			r, stop, err := openRegistry()
			if err != nil {
				return nil, err
			}
			w, err := spawn(r)
			if err != nil {
				stop()
				return nil, err
			}
			return start(w, stop)
		}
	}
	theirs := func(policies ...failsafe.Policy[*http.Response]) func(settings) (*instance, error) {
		e := failsafe.With(policies...)
		return func(settings) (*instance, error) {
			return start(func(base http.RoundTripper) (http.RoundTripper, error) {
				return failsafehttp.NewRoundTripperWithExecutor(base, e), nil
			}, func() {})
		}
	}
	breaker := func() failsafe.Policy[*http.Response] {
		return fsbreaker.NewBuilder[*http.Response]().WithFailureThreshold(openAfter).WithDelay(openFor).WithSuccessThreshold(probes).Build()
	}
	return []subject{
		{"bare", func(settings) (*instance, error) {
			return start(func(base http.RoundTripper) (http.RoundTripper, error) { return base, nil }, func() {})
		}},
		{"bulwark", ours(perHost)},
		{"bulwark-three", ours(threePerHost)},
		{"bulwark-pool", ours(pooled)},
		{"failsafe", theirs(breaker())},
		{"failsafe-three", theirs(failsafehttp.NewRetryPolicyBuilder().Build(), breaker(), fstimeout.New[*http.Response](patience))},
	}
}

// perHost is a breaker for each host.
func perHost(r *actors.Registry) (wrap, error) {
	hosts := nethttp.PerHost(func(host string) (patterns.Guard, error) {
		return circuitbreaker.Spawn(r, "bank/"+host, breakerConfig(patterns.Strict))
	})
	return func(base http.RoundTripper) (http.RoundTripper, error) { return nethttp.NewTransport(base, hosts) }, nil
}

// threePerHost is that in a pipeline with a retry and a timeout.
func threePerHost(r *actors.Registry) (wrap, error) {
	again, err := retry.Spawn(r, "again", retry.Config{})
	if err != nil {
		return nil, err
	}
	soon, err := timeout.Spawn(r, "soon", timeout.Config{PerAttempt: patience})
	if err != nil {
		return nil, err
	}
	hosts := nethttp.PerHost(func(host string) (patterns.Guard, error) {
		b, err := circuitbreaker.Spawn(r, "bank/"+host, breakerConfig(patterns.Strict))
		if err != nil {
			return nil, err
		}
		return pipeline.New("bank", again, b, soon)
	})
	return func(base http.RoundTripper) (http.RoundTripper, error) { return nethttp.NewTransport(base, hosts) }, nil
}

// shop is the host of all requests.
const shop = "shop.internal"

// pooled sends what is for the shop to one of two hosts, which are the same one.
func pooled(r *actors.Registry) (wrap, error) {
	hosts, err := outlier.Spawn(r, "hosts", outlier.Config{Members: outlier.List("http://"+shop, "http://"+shop+":80")})
	if err != nil {
		return nil, err
	}
	return func(base http.RoundTripper) (http.RoundTripper, error) {
		return nethttp.NewPool(nethttp.PoolConfig{Name: shop, Hosts: hosts, Base: base})
	}, nil
}

// canned answers at once, always the same.
type canned struct{ response *http.Response }

func (c canned) RoundTrip(*http.Request) (*http.Response, error) { return c.response, nil }

func startTripper(w wrap, stop func()) (*instance, error) {
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+shop+"/pay", nil)
	if err != nil {
		cancel()
		stop()
		return nil, err
	}
	return &instance{
		each: func() func() bool {
			t, err := w(canned{&http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: http.NoBody}})
			return func() bool {
				if err != nil {
					return false
				}
				response, err := t.RoundTrip(request)
				return err == nil && response.StatusCode == http.StatusOK
			}
		},
		stop: func() { cancel(); stop() },
	}, nil
}

// startClient starts a server that knows how many connections it has been asked for.
func startClient(w wrap, stop func()) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	var opened, clients atomic.Int64
	server := &http.Server{
		Handler: twoBytes, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	address := listener.Addr().String()
	return &instance{
		each: func() func() bool {
			clients.Add(1)
			t, err := w(&http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}})
			c := &http.Client{Transport: t}
			var text bytes.Buffer
			return func() bool {
				return err == nil && got(c, &text) && opened.Load() <= clients.Load()
			}
		},
		stop: func() {
			_ = server.Close() // and with it all connections
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				panic(err)
			}
			stop()
		},
	}, nil
}

// got reports whether a request is answered as it should be.
func got(c *http.Client, text *bytes.Buffer) bool {
	response, err := c.Get("http://" + shop + "/pay")
	if err != nil {
		return false
	}
	text.Reset()
	_, err = text.ReadFrom(response.Body)
	return errors.Join(err, response.Body.Close()) == nil && bytes.Equal(text.Bytes(), okBody)
}
