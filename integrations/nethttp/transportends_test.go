package nethttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func TestAllocationsOfATransportAreNone(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := registry(t)
	response := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}
	base := tripper(func(*http.Request) (*http.Response, error) { return response, nil })
	r := request(t, http.MethodGet, "http://host/pay", nil)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	for _, tt := range []struct {
		name string
		g    patterns.Guard
		most float64
	}{
		{"a breaker", b, 0},
		{"one per host", nethttp.PerHost(func(string) (patterns.Guard, error) { return b, nil }), 0},
		{"a retry and a breaker", line(t, newRetry(t, guards, 3), b), 16},
	} {
		rt := nethttp.Transport(base, tt.g)
		n := testing.AllocsPerRun(1000, func() {
			if _, err := rt.RoundTrip(r); err != nil {
				t.Fatal(err)
			}
		})
		if n > tt.most {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestAPanicBelowIsAFailureAndGoesOn(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	r := must[*bulkhead.Bulkhead](t)(bulkhead.Spawn(guards, "room", bulkhead.Config{}))
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: hung})
	for name, end := range map[string]func(){"panic": func() { panic("below") }, "Goexit": runtime.Goexit} {
		rt := nethttp.Transport(tripper(func(*http.Request) (*http.Response, error) {
			end()
			return nil, nil
		}), b)
		around := nethttp.Transport(tripper(func(*http.Request) (*http.Response, error) {
			end()
			return nil, nil
		}), line(t, b, soon, r))
		for _, rt := range []http.RoundTripper{rt, around} {
			unwound := make(chan any)
			go func() {
				defer func() { unwound <- recover() }()
				_, _ = rt.RoundTrip(request(t, http.MethodGet, "http://a", nil))
				t.Errorf("%s: it returned", name)
			}()
			if p := <-unwound; (p == nil) != (name == "Goexit") {
				t.Errorf("%s: %v", name, p)
			}
		}
	}
	if n := balanced(t, b); n.Failure != 4 {
		t.Errorf("%+v", n)
	}
	if n := balanced(t, roomOf(r)); n.Failure != 2 {
		t.Errorf("%+v", n)
	}
}

func TestARoundTripperThatReturnsNothingHasFailed(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	none := tripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	for _, g := range []patterns.Guard{b, line(t, b, newTimeout(t, guards, timeout.Config{PerAttempt: hung}))} {
		if response, err := nethttp.Transport(none, g).RoundTrip(request(t, http.MethodGet, "http://a", nil)); response != nil || err == nil {
			t.Errorf("got %v, %v", response, err)
		}
	}
	if n := balanced(t, b); n.Failure != 2 {
		t.Errorf("%+v", n)
	}
}

func TestAServerThatDoesNotListenIsLeftBehind(t *testing.T) {
	guards := registry(t)
	gone := make(chan struct{})
	body := &watched{Reader: strings.NewReader("late")}
	deaf := tripper(func(r *http.Request) (*http.Response, error) {
		<-gone
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r, ContentLength: -1}, nil
	})
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: 10 * time.Millisecond, Abandon: true})
	r := must[*bulkhead.Bulkhead](t)(bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 1}))
	_, err := nethttp.Transport(deaf, line(t, soon, r)).RoundTrip(request(t, http.MethodGet, "http://a", nil))
	if !errors.Is(err, timeout.ErrTimeout) {
		t.Errorf("got %v", err)
	}
	close(gone)
	last, err := r.Acquire(t.Context()) // once it has ended
	if err != nil {
		t.Fatal(err)
	}
	last.Report(patterns.Success)
	if !body.closed.Load() {
		t.Error("the late response is open")
	}
	balanced(t, roomOf(r))
}

func TestABreakersOwnTimeoutIsForTheHeaderToo(t *testing.T) {
	guards := registry(t)
	const limit = 50 * time.Millisecond
	late := make(chan struct{})
	time.AfterFunc(3*limit, func() { close(late) })
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stalls" {
			<-r.Context().Done()
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-late
		_, _ = io.WriteString(w, "whole")
	})
	b := newBreaker(t, guards, circuitbreaker.Config{CallTimeout: limit})
	c := guarded(t, b)
	wantBody(t, fetch(t, c, s.URL), 200, "whole")
	if got := fetch(t, c, s.URL+"/stalls"); !errors.Is(got.err, patterns.ErrCallTimeout) && !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("got %d, %v", got.status, got.err)
	}
	if n := balanced(t, b); n.Success != 1 || n.Failure+n.Dropped != 1 {
		t.Errorf("%+v", n)
	}
}

func TestAClientsDeadlineIsForTheBodyToo(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r := must[*bulkhead.Bulkhead](t)(bulkhead.Spawn(guards, "room", bulkhead.Config{}))
	for _, g := range []patterns.Guard{r, line(t, newRetry(t, guards, 3), r)} {
		c := guarded(t, g)
		c.Timeout = 50 * time.Millisecond
		if got := fetch(t, c, s.URL); got.status != 200 || got.body != "half" || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("got %d %q, %v", got.status, got.body, got.err)
		}
	}
	for range 2 { // what ends with the context ends beside the client
		p, err := r.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Report(patterns.Success)
	}
}

func TestWhatFallsBackInVainIsWhatTheServerSaid(t *testing.T) {
	guards := registry(t)
	s := newSite(t, flaky(503))
	f := must[*fallback.Fallback[*http.Response]](t)(fallback.Spawn(guards, "f", fallback.Config[*http.Response]{
		Steps: fallback.Chain(fallback.Func(func(context.Context, error) (*http.Response, error) { return nil, errors.New("no cache") })),
	}))
	wantBody(t, fetch(t, guarded(t, f), s.URL), 503, "1 ")
}

func TestAFallbackThatGivesNothingHasFailed(t *testing.T) {
	guards := registry(t)
	s := newSite(t, flaky(503))
	f := must[*fallback.Fallback[*http.Response]](t)(fallback.Spawn(guards, "f", fallback.Config[*http.Response]{
		Steps: fallback.Chain(fallback.Value[*http.Response](nil)),
	}))
	if got := fetch(t, guarded(t, f), s.URL); got.err == nil {
		t.Errorf("got %d", got.status)
	}
}

func TestARefusalBelowIsNoReasonNotToTryAPostAgain(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	again := must[*retry.Retry](t)(retry.Spawn(guards, "again", retry.Config{RetryRejected: true, Backoff: retry.Constant(time.Millisecond)}))
	var n atomic.Int64
	inner := tripper(func(r *http.Request) (*http.Response, error) {
		defer closed(r)
		if n.Add(1) == 1 {
			return nil, fmt.Errorf("full: %w", patterns.ErrRejected)
		}
		text, _ := io.ReadAll(r.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text))), Request: r}, nil
	})
	got := send(t, &http.Client{Transport: nethttp.Transport(inner, line(t, again, b))}, request(t, http.MethodPost, "http://a", strings.NewReader("order")))
	wantBody(t, got, 200, "order")
	if n := balanced(t, b); n.Failure != 0 || n.Ignored != 1 {
		t.Errorf("%+v", n)
	}
}

func closed(r *http.Request) { _ = r.Body.Close() }
