package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// broken is a body that fails after some of it.
type broken struct {
	from   io.Reader
	err    error
	closed atomic.Bool
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *broken) Close() error { b.closed.Store(true); return nil }

func TestABodyThatFailsHalfWayIsNotTheHostsFailure(t *testing.T) {
	for proto, start := range map[string]func(testing.TB, http.Handler) *httptest.Server{
		"HTTP/1.1": func(t testing.TB, h http.Handler) *httptest.Server { return serve(t, h) },
		"HTTP/2":   serveHTTP2,
	} {
		t.Run(proto, func(t *testing.T) {
			guards := registry(t)
			read := make(chan error, 10)
			s := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				read <- err
			}))
			t.Cleanup(s.Client().CloseIdleConnections)
			b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
			errOwn := errors.New("the disk is gone")
			for name, g := range map[string]patterns.Guard{"alone": b, "in a pipeline": line(t, newRetry(t, guards, 3), b)} {
				c := &http.Client{Transport: nethttp.Transport(s.Client().Transport, g)}
				body := &broken{from: strings.NewReader("half of it"), err: errOwn}
				r := request(t, http.MethodPut, s.URL, body)
				r.ContentLength = 100
				if got := send(t, c, r); !errors.Is(got.err, errOwn) || errors.Is(got.err, patterns.ErrRejected) {
					t.Errorf("%s: got %d, %v", name, got.status, got.err)
				}
				select {
				case err := <-read:
					if err == nil {
						t.Errorf("%s: the server has all of it", name)
					}
				case <-time.After(hung):
					t.Fatalf("%s: the server waits for the rest", name)
				}
				if !body.closed.Load() {
					t.Errorf("%s: it is not closed", name)
				}
			}
			hosts := newEjector(t, guards, outlier.Config{}, s.URL)
			p, err := nethttp.NewPool(nethttp.PoolConfig{Name: "x.internal", Hosts: hosts, Base: s.Client().Transport})
			if err != nil {
				t.Fatal(err)
			}
			r := request(t, http.MethodPut, strings.Replace(s.URL, s.Listener.Addr().String(), "x.internal", 1), &broken{from: strings.NewReader("half"), err: errOwn})
			r.ContentLength = 100
			if got := send(t, &http.Client{Transport: p}, r); !errors.Is(got.err, errOwn) {
				t.Errorf("in a pool: got %d, %v", got.status, got.err)
			}
			if err := <-read; err == nil {
				t.Error("in a pool: the server has all of it")
			}
			if h := members(t, hosts)[0]; h.Calls != 0 || h.InFlight != 0 {
				t.Errorf("%+v", h)
			}
			if n := balanced(t, b); n.Ignored != 2 || n.Granted != 2 || len(read) != 0 {
				t.Errorf("%+v, %d more requests", n, len(read))
			}
		})
	}
}

func TestHintsArriveAndTheAttemptAfterThemCounts(t *testing.T) {
	guards := registry(t)
	var n atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	b := newBreaker(t, guards, circuitbreaker.Config{FailureRatio: 1})
	var hints []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		hints = append(hints, code)
		return nil
	}})
	wantBody(t, send(t, guarded(t, line(t, newRetry(t, guards, 3), b)), request(t, http.MethodGet, s.URL, nil).WithContext(ctx)), 200, "ok")
	if c := balanced(t, b); !slices.Equal(hints, []int{103, 103}) || c.Success != 1 || c.Failure+c.Dropped != 1 || s.conns.Load() != 1 {
		t.Errorf("%v, %+v, %d connections", hints, c, s.conns.Load())
	}
}

func TestABodyThatIsNotAskedForIsSentByTheAttemptThatIs(t *testing.T) {
	guards := registry(t)
	var n atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503) // without a 100 Continue
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	base := wire(t)
	base.ExpectContinueTimeout = hung
	c := &http.Client{Transport: nethttp.Transport(base, newRetry(t, guards, 3))}
	wantBody(t, send(t, c, request(t, http.MethodPut, s.URL, strings.NewReader("order"), "Expect", "100-continue")), 200, "order")
}

func TestARedirectIsAnotherHostsRequestWithTheWholeBody(t *testing.T) {
	guards := registry(t)
	second := newSite(t, flaky(503))
	var n atomic.Int64
	first := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		http.Redirect(w, r, second.URL, http.StatusTemporaryRedirect)
	})
	again := newRetry(t, guards, 3)
	var breakers []*circuitbreaker.Breaker
	c := guarded(t, nethttp.PerHost(func(host string) (patterns.Guard, error) {
		b, err := circuitbreaker.Spawn(guards, "bank/"+host, circuitbreaker.Config{FailureRatio: 1})
		breakers = append(breakers, b)
		if err != nil {
			return nil, err
		}
		return line(t, again, b), nil
	}))
	wantBody(t, send(t, c, request(t, http.MethodPut, first.URL, strings.NewReader("order"))), 200, "2 order")
	if len(breakers) != 2 || first.requests.Load() != 2 || second.requests.Load() != 2 || first.conns.Load() != 1 || second.conns.Load() != 1 {
		t.Fatalf("%d guards; %d and %d requests; %d and %d connections",
			len(breakers), first.requests.Load(), second.requests.Load(), first.conns.Load(), second.conns.Load())
	}
	for _, b := range breakers {
		s, _ := b.Snapshot(t.Context())
		if c := s.Counts; c.Success != 1 || c.Failure+c.Dropped != 1 || c.InFlight != 0 {
			t.Errorf("%s: %+v", b.Name(), c)
		}
	}
}

func TestOneHostsBreakerIsNothingToAnother(t *testing.T) {
	guards := registry(t)
	bad, good := newSite(t, answer(500)), newSite(t, say("fine"))
	c := guarded(t, nethttp.PerHost(func(host string) (patterns.Guard, error) {
		return circuitbreaker.Spawn(guards, "bank/"+host, circuitbreaker.Config{ConsecutiveFailures: 2})
	}))
	for i := range 4 {
		if got := fetch(t, c, bad.URL); errors.Is(got.err, circuitbreaker.ErrOpen) != (i >= 2) {
			t.Errorf("request %d: got %d, %v", i, got.status, got.err)
		}
		wantBody(t, fetch(t, c, good.URL), 200, "fine")
	}
	if bad.requests.Load() != 2 {
		t.Errorf("%d requests", bad.requests.Load())
	}
}

func TestWhoLeavesTheQueueIsNeverSent(t *testing.T) {
	guards := registry(t)
	inside, open := make(chan struct{}), make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-open
		_, _ = io.WriteString(w, "ok")
	})
	r, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := guarded(t, r)
	first := make(chan reply, 1)
	go func() { first <- fetch(t, c, s.URL) }()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	body := &watched{Reader: strings.NewReader("x")}
	second := make(chan reply, 1)
	go func() { second <- send(t, c, request(t, http.MethodPut, s.URL, body).WithContext(ctx)) }()
	for deadline := time.Now().Add(hung); ; {
		if snap, _ := r.Snapshot(t.Context()); snap.Waiting == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
	cancel()
	if got := <-second; !errors.Is(got.err, context.Canceled) || !body.closed.Load() {
		t.Errorf("got %d, %v, closed %v", got.status, got.err, body.closed.Load())
	}
	close(open)
	wantBody(t, <-first, 200, "ok")
	if n := balanced(t, roomOf(r)); n.Cancelled != 1 || s.requests.Load() != 1 {
		t.Errorf("%+v, %d requests", n, s.requests.Load())
	}
}

func TestWhoLeavesBetweenAttemptsIsToldAtOnce(t *testing.T) {
	guards := registry(t)
	s := newSite(t, flaky(503))
	again, err := retry.Spawn(guards, "again", retry.Config{Backoff: retry.Constant(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	events, stop := guards.Subscribe()
	defer stop()
	c := guarded(t, again)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for e := range events {
			if _, ok := e.(retry.Retried); ok { // it waits
				cancel()
			}
		}
	}()
	if got := send(t, c, request(t, http.MethodGet, s.URL, nil).WithContext(ctx)); !errors.Is(got.err, context.Canceled) {
		t.Errorf("got %d, %v", got.status, got.err)
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestAFailureThatNeverEndsIsNotReadToItsEnd(t *testing.T) {
	guards := registry(t)
	var n atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) > 1 {
			_, _ = io.WriteString(w, "ok")
			return
		}
		w.WriteHeader(503)
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	wantBody(t, fetch(t, guarded(t, newRetry(t, guards, 3)), s.URL), 200, "ok")
	if got := s.conns.Load(); got != 2 {
		t.Errorf("%d connections", got)
	}
}

func TestAHedgesLoserIsOneStreamOfAConnection(t *testing.T) {
	guards := registry(t)
	var n atomic.Int64
	gone := make(chan struct{})
	s := serveHTTP2(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			<-r.Context().Done()
			close(gone)
			return
		}
		_, _ = io.WriteString(w, r.Proto)
	}))
	t.Cleanup(s.Client().CloseIdleConnections)
	h, err := hedge.Spawn(guards, "beside", hedge.Config{Delay: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 10, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: nethttp.Transport(s.Client().Transport, line(t, h, room))}
	wantBody(t, fetch(t, c, s.URL), 200, "HTTP/2.0")
	select {
	case <-gone:
	case <-time.After(hung):
		t.Fatal("the server still works for the loser")
	}
	all, err := room.AcquireFor(t.Context(), patterns.Request{Weight: 10}) // once the loser has ended
	if err != nil {
		t.Fatal(err)
	}
	all.Report(patterns.Ignored)
	balanced(t, roomOf(room))
}

func TestAFailureThatAFallbackReplacesIsOver(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = w.Write(make([]byte, 16<<10))
	})
	instead, err := fallback.Spawn(guards, "cache", fallback.Config[*http.Response]{
		Steps: fallback.Chain(nethttp.Canned(203, nil, []byte("as of yesterday"))),
	})
	if err != nil {
		t.Fatal(err)
	}
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := guarded(t, line(t, instead, room))
	for range 5 {
		wantBody(t, fetch(t, c, s.URL), 203, "as of yesterday")
	}
	if n := s.requests.Load(); n != 5 { // each had the room
		t.Errorf("%d requests", n)
	}
	last, err := room.Acquire(t.Context()) // once it is over
	if err != nil {
		t.Fatal(err)
	}
	last.Report(patterns.Ignored)
	balanced(t, roomOf(room))
}

func TestAnAttemptGoesElsewhereWhateverOthersDo(t *testing.T) {
	guards := registry(t)
	hosts := newEjector(t, guards, outlier.Config{Consecutive: 1000}, "http://a", "http://b")
	var asked []string
	p, err := nethttp.NewPool(nethttp.PoolConfig{Name: "x", Hosts: hosts, Base: tripper(func(r *http.Request) (*http.Response, error) {
		other, err := hosts.Choose(context.Background()) // so that it would be this host's turn again
		if err != nil {
			t.Error(err)
		}
		other.Release()
		asked = append(asked, r.URL.Host)
		return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	_ = fetch(t, &http.Client{Transport: nethttp.Transport(p, newRetry(t, guards, 2))}, "http://x")
	if slices.Sort(asked); !slices.Equal(asked, []string{"a", "b"}) {
		t.Errorf("%v were asked", asked)
	}
}
