package nethttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// site is a server that counts its connections and requests.
type site struct {
	*httptest.Server
	conns, requests atomic.Int64
}

func newSite(t testing.TB, h http.HandlerFunc, edit ...func(*httptest.Server)) *site {
	s := new(site)
	count := func(server *httptest.Server) {
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				s.conns.Add(1)
			}
		}
	}
	s.Server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}), append(edit, count)...)
	return s
}

// wire is a plain transport of a test's own.
func wire(t testing.TB) *http.Transport {
	tr := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// guarded is a client behind a guard.
func guarded(t testing.TB, g patterns.Guard, opts ...nethttp.TransportOption) *http.Client {
	t.Helper()
	rt, err := nethttp.NewTransport(wire(t), g, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: rt}
}

func request(t testing.TB, method, url string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// send makes a request and reads the response to its end.
func send(t testing.TB, c *http.Client, r *http.Request) reply {
	t.Helper()
	response, err := c.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text), err}
}

func fetch(t testing.TB, c *http.Client, url string) reply {
	t.Helper()
	return send(t, c, request(t, http.MethodGet, url, nil))
}

// balanced returns the books of a guard whose requests have all ended.
func balanced(t testing.TB, g counted) patterns.Counts {
	t.Helper()
	c := g.counts(context.WithoutCancel(t.Context()))
	if !c.Balanced() || c.InFlight != 0 || c.Waiting != 0 || c.Reclaimed != 0 {
		t.Errorf("%s: permits are missing: %+v", g.Name(), c)
	}
	return c
}

func TestWhatAResponseMeansToABreaker(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		switch status {
		case 0:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "body")
		}
	})
	for _, tt := range []struct {
		path   string
		status int
		counts patterns.Outcome
	}{
		{"/200", 200, patterns.Success},
		{"/302", 302, patterns.Success},
		{"/404", 404, patterns.Success},
		{"/429", 429, patterns.Failure},
		{"/500", 500, patterns.Failure},
		{"/503", 503, patterns.Failure},
		{"/0", 0, patterns.Failure},
	} {
		for _, around := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.path, " around policies: ", around), func(t *testing.T) {
				b, err := circuitbreaker.Spawn(guards, strings.ReplaceAll(t.Name(), " ", "_"), circuitbreaker.Config{ConsecutiveFailures: 1})
				if err != nil {
					t.Fatal(err)
				}
				var g patterns.Guard = b
				if around {
					g = line(t, b, newTimeoutNamed(t, guards, "t"+tt.path[1:], time.Minute))
				}
				c := guarded(t, g)
				got := fetch(t, c, s.URL+tt.path)
				if got.status != tt.status || tt.status != 0 && (got.err != nil || got.body != "body") {
					t.Errorf("got %d %q, %v", got.status, got.body, got.err)
				}
				again := fetch(t, c, s.URL+"/200")
				if open := errors.Is(again.err, circuitbreaker.ErrOpen); open != (tt.counts == patterns.Failure) {
					t.Errorf("then got %d, %v", again.status, again.err)
				}
				balanced(t, breaker{b})
			})
		}
	}
}

func newTimeoutNamed(t testing.TB, guards *actors.Registry, name string, d time.Duration) *timeout.Timeout {
	t.Helper()
	soon, err := timeout.Spawn(guards, name, timeout.Config{PerAttempt: d})
	if err != nil {
		t.Fatal(err)
	}
	return soon
}

func TestAClientWhoLeavesIsNobodysFailure(t *testing.T) {
	guards := registry(t)
	asked := make(chan struct{}, 10)
	s := newSite(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
	why := errors.New("no longer needed")
	for name, g := range map[string]patterns.Guard{"alone": b, "in a pipeline": line(t, newRetry(t, guards, 3), b)} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-asked
				cancel(why)
			}()
			r := request(t, http.MethodGet, s.URL, nil).WithContext(ctx)
			got := send(t, guarded(t, g), r)
			if got.err == nil || !errors.Is(got.err, why) && !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %d, %v", got.status, got.err)
			}
			if n := balanced(t, b); n.Failure+n.Dropped != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// flaky fails with each status in turn, and then works. Bodies say how often it was asked.
func flaky(statuses ...int) http.HandlerFunc {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		i := n.Add(1)
		if int(i) <= len(statuses) {
			w.WriteHeader(statuses[i-1])
		}
		_, _ = fmt.Fprintf(w, "%d %s", i, text)
	}
}

func TestWhatIsMadeAgain(t *testing.T) {
	guards := registry(t)
	again := newRetry(t, guards, 3)
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("order")) } // has no GetBody
	everything := nethttp.Idempotent(func(*http.Request) bool { return true })
	for _, tt := range []struct {
		name     string
		method   string
		body     io.Reader
		headers  []string
		opts     []nethttp.TransportOption
		statuses []int
		status   int
		text     string
		requests int64
	}{
		{"what works is made once", "GET", nil, nil, nil, nil, 200, "1 ", 1},
		{"a get that failed", "GET", nil, nil, nil, []int{503, 500}, 200, "3 ", 3},
		{"up to the last attempt, whose response is the client's", "GET", nil, nil, nil, []int{503, 500, 502, 503}, 502, "3 ", 3},
		{"too many requests", "GET", nil, nil, nil, []int{429}, 200, "2 ", 2},
		{"not what the client got wrong", "GET", nil, nil, nil, []int{404}, 404, "1 ", 1},
		{"not what is not implemented", "GET", nil, nil, nil, []int{501}, 501, "1 ", 1},
		{"a put, its body too", "PUT", strings.NewReader("order"), nil, nil, []int{503, 503}, 200, "3 order", 3},
		{"a put whose body cannot be had again, once", "PUT", stream(), nil, nil, []int{503}, 503, "1 order", 1},
		{"unless it is kept", "PUT", stream(), nil, []nethttp.TransportOption{nethttp.BufferBody(5)}, []int{503}, 200, "2 order", 2},
		{"and is short enough for that", "PUT", stream(), nil, []nethttp.TransportOption{nethttp.BufferBody(4)}, []int{503}, 503, "1 order", 1},
		{"a delete", "DELETE", nil, nil, nil, []int{503}, 200, "2 ", 2},
		{"a post once", "POST", strings.NewReader("order"), nil, nil, []int{503}, 503, "1 order", 1},
		{"a patch once", "PATCH", strings.NewReader("order"), nil, nil, []int{503}, 503, "1 order", 1},
		{"a post with a key", "POST", strings.NewReader("order"), []string{"Idempotency-Key", "7"}, nil, []int{503}, 200, "2 order", 2},
		{"a post if somebody says so", "POST", strings.NewReader("order"), nil, []nethttp.TransportOption{everything}, []int{503}, 200, "2 order", 2},
		{"statuses may mean something else", "GET", nil, nil, []nethttp.TransportOption{nethttp.Statuses(map[int]patterns.Outcome{503: patterns.Success})}, []int{503}, 503, "1 ", 1},
		{"in both directions", "GET", nil, nil, []nethttp.TransportOption{nethttp.Statuses(map[int]patterns.Outcome{404: patterns.Failure})}, []int{404}, 200, "2 ", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, flaky(tt.statuses...))
			got := send(t, guarded(t, again, tt.opts...), request(t, tt.method, s.URL, tt.body, tt.headers...))
			wantBody(t, got, tt.status, tt.text)
			if n := s.requests.Load(); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
			if n := s.conns.Load(); n != 1 {
				t.Errorf("%d connections for %d requests", n, tt.requests)
			}
		})
	}
}

func TestAConnectionThatIsResetIsNoReasonToGiveUp(t *testing.T) {
	guards := registry(t)
	var n atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
	c := guarded(t, newRetry(t, guards, 3))
	wantBody(t, fetch(t, c, s.URL), 200, "ok")
	n.Store(0)
	if got := send(t, c, request(t, http.MethodPost, s.URL, strings.NewReader("x"))); got.err == nil || errors.Is(got.err, patterns.ErrRejected) || n.Load() != 1 {
		t.Errorf("a post: got %d after %d requests, %v", got.status, n.Load(), got.err)
	}
}

func TestWhatWasNeverSentIsMadeAgainWhateverItIs(t *testing.T) {
	guards := registry(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // nobody is there
	got := send(t, guarded(t, newRetry(t, guards, 3)), request(t, http.MethodPost, "http://"+l.Addr().String(), strings.NewReader("x")))
	e, ok := errors.AsType[*retry.ExhaustedError](got.err)
	if !ok || e.Attempts != 3 {
		t.Errorf("got %v", got.err)
	}
}

func TestAServerThatSaysWhenToComeAgainIsLeftAloneUntilThen(t *testing.T) {
	guards := registry(t)
	for _, tt := range []struct {
		name, value string
		least       time.Duration
	}{
		{"seconds", "1", time.Second},
		{"a date, by the server's own clock", "Sun, 06 Nov 1994 08:49:38 GMT", time.Second},
		{"nothing that is understood", "soon", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1) == 1 {
					w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
					w.Header().Set("Retry-After", tt.value)
					w.WriteHeader(503)
				}
			})
			r, err := retry.Spawn(guards, tt.name[:4], retry.Config{Backoff: retry.Constant(time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			wantBody(t, fetch(t, guarded(t, r), s.URL), 200, "")
			if took := time.Since(began); took < tt.least || tt.least == 0 && took > time.Second {
				t.Errorf("took %v, want %v and more", took, tt.least)
			}
		})
	}
}

func TestALongFailureOrASlowOneIsNotWaitedFor(t *testing.T) {
	guards := registry(t)
	for name, body := range map[string]func(w http.ResponseWriter, r *http.Request){
		"long": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"slow": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 {
					w.WriteHeader(503)
					body(w, r)
					return
				}
				_, _ = io.WriteString(w, "ok")
			})
			r, err := retry.Spawn(guards, name, retry.Config{Backoff: retry.Constant(time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			wantBody(t, fetch(t, guarded(t, r), s.URL), 200, "ok")
		})
	}
}

func TestNoMoreConnectionsAreMadeThanWithoutGuards(t *testing.T) {
	guards := registry(t)
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 100})
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t, guards, circuitbreaker.Config{FailureRatio: 1})
	g := line(t, newRetry(t, guards, 3), b, room, newTimeout(t, guards, timeout.Config{PerAttempt: hung}))
	const clients = 8
	var n atomic.Int64
	var warm atomic.Pointer[sync.WaitGroup]
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/warm": // each has a connection, and only then they go on
			warm.Load().Done()
			warm.Load().Wait()
		case n.Add(1)%5 == 0:
			w.WriteHeader(503)
		}
		_, _ = w.Write(make([]byte, 10000))
	})
	load := func(c *http.Client) int64 {
		each := func(times int, path string) {
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for range times {
						if got := fetch(t, c, s.URL+path); got.err != nil || len(got.body) != 10000 {
							t.Errorf("got %d, %d bytes, %v", got.status, len(got.body), got.err)
						}
					}
				})
			}
			all.Wait()
		}
		warm.Store(new(sync.WaitGroup))
		warm.Load().Add(clients)
		each(1, "/warm")
		before := s.conns.Load()
		each(50, "/")
		return s.conns.Load() - before
	}
	for name, c := range map[string]*http.Client{
		"nothing": {Transport: wire(t)}, "a breaker": guarded(t, b), "a pipeline": guarded(t, g, nethttp.Patient), "a room": guarded(t, room),
	} {
		if more := load(c); more != 0 {
			t.Errorf("%s: %d more connections", name, more)
		}
	}
	balanced(t, b)
	balanced(t, roomOf(room))
}

func roomOf(b *bulkhead.Bulkhead) room { return room{b} }

func TestARoomIsTakenUntilTheBodyEnds(t *testing.T) {
	guards := registry(t)
	more := make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			return
		}
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "whole")
	})
	defer close(more)
	b, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	full := func(c *http.Client) bool {
		got := send(t, c, request(t, http.MethodHead, s.URL, nil))
		return errors.Is(got.err, bulkhead.ErrFull)
	}
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: hung})
	for name, g := range map[string]patterns.Guard{"alone": b, "around policies": line(t, b, soon), "inside of policies": line(t, soon, b)} {
		for how, end := range map[string]func(r *http.Response, cancel func()){
			"read to the end": func(r *http.Response, _ func()) {
				more <- struct{}{}
				if text, err := io.ReadAll(r.Body); string(text) != "halfwhole" || err != nil {
					t.Errorf("read %q, %v", text, err)
				}
			},
			"closed": func(r *http.Response, _ func()) {
				_ = r.Body.Close()
				more <- struct{}{}
			},
			"left, and never closed": func(r *http.Response, cancel func()) {
				cancel()
				_, _ = io.ReadAll(r.Body)
				more <- struct{}{}
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				c := guarded(t, g)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				response, err := c.Do(request(t, http.MethodGet, s.URL, nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				if !full(c) {
					t.Error("there was room while the body was being read")
				}
				end(response, cancel)
				balanced(t, roomOf(b))
			})
		}
	}
	t.Run("unless somebody says otherwise", func(t *testing.T) {
		c := guarded(t, b, nethttp.HoldBody(nil))
		response, err := c.Do(request(t, http.MethodGet, s.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, roomOf(b))
		_ = response.Body.Close()
		more <- struct{}{}
	})
}

func TestHalfABodyIsAnErrorOfReadingIt(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	b := newBreaker(t, guards, circuitbreaker.Config{})
	r, err := bulkhead.Spawn(guards, "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	got := fetch(t, guarded(t, line(t, newRetry(t, guards, 3), b, r)), s.URL)
	if got.status != 200 || got.body != "half" || !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("got %d %q, %v", got.status, got.body, got.err)
	}
	balanced(t, b)
	balanced(t, roomOf(r))
}

func TestATimeoutIsForTheHeaderAndTheBodyComesInItsOwnTime(t *testing.T) {
	guards := registry(t)
	const limit = 100 * time.Millisecond
	late := make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stalls" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		<-late
		_, _ = io.WriteString(w, "whole")
	})
	b := newBreaker(t, guards, circuitbreaker.Config{})
	c := guarded(t, line(t, newRetry(t, guards, 2), b, newTimeout(t, guards, timeout.Config{PerAttempt: limit})))
	time.AfterFunc(3*limit, func() { close(late) })
	wantBody(t, fetch(t, c, s.URL), 200, "halfwhole")
	got := fetch(t, c, s.URL+"/stalls")
	if !errors.Is(got.err, timeout.ErrTimeout) || !errors.Is(got.err, retry.ErrExhausted) {
		t.Errorf("got %d, %v", got.status, got.err)
	}
	if n := balanced(t, b); n.Dropped != 2 {
		t.Errorf("%+v", n)
	}
}

func TestAHedgesLosersAreGoneAndTheWinnersBodyIsWhole(t *testing.T) {
	guards := registry(t)
	h, err := hedge.Spawn(guards, "hedge", hedge.Config{Delay: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 10, MaxWaiting: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
	late := make(chan struct{})
	var n atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if n.Add(1)%2 == 1 && r.URL.Path == "/slow" {
			<-late // which the hedge does not wait for
		} else if n.Load()%2 == 1 {
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(bytes.Repeat(text, 1<<14))
	})
	c := guarded(t, line(t, h, r, b))
	for range 5 {
		got := send(t, c, request(t, http.MethodPut, s.URL, strings.NewReader("0123456789")))
		if got.err != nil || len(got.body) != 10<<14 {
			t.Fatalf("got %d, %d bytes, %v", got.status, len(got.body), got.err)
		}
	}
	n.Store(0)
	time.AfterFunc(100*time.Millisecond, func() { close(late) })
	got := send(t, c, request(t, http.MethodPost, s.URL+"/slow", strings.NewReader("x")))
	if got.err != nil || n.Load() != 1 {
		t.Errorf("a post: got %d after %d requests, %v", got.status, n.Load(), got.err)
	}
	all, err := r.AcquireFor(t.Context(), patterns.Request{Weight: 10}) // once the losers have ended
	if err != nil {
		t.Fatal(err)
	}
	all.Report(patterns.Ignored)
	if n := balanced(t, b); n.Failure+n.Dropped != 0 {
		t.Errorf("%+v", n)
	}
	balanced(t, roomOf(r))
}

func TestWhatIsOpenIsNotAskedAndItsBodyIsClosed(t *testing.T) {
	guards := registry(t)
	s := newSite(t, answer(500))
	b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
	for name, g := range map[string]patterns.Guard{"alone": b, "in a pipeline": line(t, newRetry(t, guards, 3), b)} {
		c := guarded(t, g)
		_ = fetch(t, c, s.URL)
		body := &watched{Reader: strings.NewReader("x")}
		got := send(t, c, request(t, http.MethodPut, s.URL, body))
		if !errors.Is(got.err, circuitbreaker.ErrOpen) || !errors.Is(got.err, patterns.ErrRejected) || !body.closed.Load() {
			t.Errorf("%s: got %d, %v, closed %v", name, got.status, got.err, body.closed.Load())
		}
	}
	if n := s.requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// watched is a body that knows whether it was closed.
type watched struct {
	io.Reader
	closed atomic.Bool
}

func (w *watched) Close() error { w.closed.Store(true); return nil }

func TestAResponseThatARefusalFollowsIsTheClients(t *testing.T) {
	guards := registry(t)
	s := newSite(t, flaky(503, 503))
	b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
	got := fetch(t, guarded(t, line(t, newRetry(t, guards, 3), b)), s.URL) // open after the first
	wantBody(t, got, 503, "1 ")
}

func TestAFallbackTakesThePlaceOfFailuresAndRefusals(t *testing.T) {
	guards := registry(t)
	s := newSite(t, flaky(500, 500, 500))
	f, err := fallback.Spawn(guards, "cache", fallback.Config[*http.Response]{
		Steps: fallback.Chain(nethttp.Canned(203, http.Header{"Content-Type": {"text/plain"}}, []byte("as of yesterday"))),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 2})
	c := guarded(t, line(t, f, b))
	for range 4 {
		got := fetch(t, c, s.URL)
		wantBody(t, got, 203, "as of yesterday")
		if got.header.Get("Content-Type") != "text/plain" {
			t.Error(got.header)
		}
	}
	if n := s.requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestALimiterCountsByHost(t *testing.T) {
	guards := registry(t)
	one, two := newSite(t, say("one")), newSite(t, say("two"))
	l, err := ratelimiter.Spawn(guards, "per-host", ratelimiter.Config{Rate: ratelimiter.MustParse("2/hour")})
	if err != nil {
		t.Fatal(err)
	}
	c := guarded(t, l, nethttp.CountBy(nethttp.ByHost()))
	for _, s := range []*site{one, two} {
		for i := range 3 {
			if got := fetch(t, c, s.URL); errors.Is(got.err, ratelimiter.ErrLimited) != (i == 2) {
				t.Errorf("request %d: %d, %v", i, got.status, got.err)
			}
		}
	}
}

func TestJudgesSeeResponsesAndTheirErrors(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/500" {
			w.WriteHeader(500)
		}
	})
	seen := make(chan string, 10)
	b, err := circuitbreaker.Spawn(guards, "b", circuitbreaker.Config{ConsecutiveFailures: 1}, actors.WithJudge(
		patterns.JudgeResult(func(v any) patterns.Outcome {
			seen <- fmt.Sprint(v.(*http.Response).StatusCode)
			return patterns.Success
		}),
		patterns.JudgeError(func(err error) patterns.Outcome {
			e, _ := errors.AsType[*nethttp.ResponseError](err)
			seen <- strings.Replace(e.Error(), s.Listener.Addr().String(), "host", 1)
			return patterns.Success
		})))
	if err != nil {
		t.Fatal(err)
	}
	c := guarded(t, b)
	for path, want := range map[string]string{"/": "200", "/500": "host answered 500 Internal Server Error"} {
		_ = fetch(t, c, s.URL+path)
		if got := next(t, seen); got != want {
			t.Errorf("saw %q, want %q", got, want)
		}
	}
}

func TestAPriorityGoesToOurServersOnly(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://"+strings.Replace(r.Host, "127.0.0.1", "localhost", 1)+"/", http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("X-Priority")+r.Header.Get("Authorization"))
	})
	c := guarded(t, b, nethttp.SendPriority(nethttp.DefaultPriorityHeader, "127.0.0.1"))
	around := guarded(t, line(t, newRetry(t, guards, 3), b), nethttp.SendPriority(nethttp.DefaultPriorityHeader, s.Listener.Addr().String()))
	high := nethttp.WithPriority(t.Context(), patterns.High)
	for _, c := range []*http.Client{c, around} {
		r := request(t, http.MethodGet, s.URL, nil).WithContext(high)
		wantBody(t, send(t, c, r), 200, "high")
		if len(r.Header) != 0 {
			t.Error("the client's request was changed")
		}
		wantBody(t, send(t, c, request(t, http.MethodGet, s.URL, nil)), 200, "")
		wantBody(t, send(t, c, request(t, http.MethodGet, s.URL, nil, "X-Priority", "low").WithContext(high)), 200, "low")
		wantBody(t, send(t, c, request(t, http.MethodGet, s.URL+"/away", nil, "Authorization", "secret").WithContext(high)), 200, "")
	}
}

func TestAnUpgradedConnectionCanBeWrittenTo(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	})
	b, err := bulkhead.Spawn(guards, "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	response, err := guarded(t, b).Do(request(t, http.MethodGet, s.URL, nil, "Connection", "Upgrade", "Upgrade", "echo"))
	if err != nil {
		t.Fatal(err)
	}
	rw, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T", response.Body)
	}
	_, _ = io.WriteString(rw, "hello\n")
	if text, err := io.ReadAll(rw); string(text) != "hello\n" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	_ = rw.Close()
	balanced(t, roomOf(b))
}

func TestHTTP2(t *testing.T) {
	guards := registry(t)
	var n, conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if n.Add(1)%2 == 1 {
			w.WriteHeader(503)
		}
		_, _ = io.WriteString(w, r.Proto+" "+string(text))
	}))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	b := newBreaker(t, guards, circuitbreaker.Config{FailureRatio: 1})
	r, err := bulkhead.Spawn(guards, "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: nethttp.Transport(s.Client().Transport, line(t, newRetry(t, guards, 3), b, r, newTimeout(t, guards, timeout.Config{PerAttempt: hung})))}
	for range 5 {
		wantBody(t, send(t, c, request(t, http.MethodPut, s.URL, strings.NewReader("order"))), 200, "HTTP/2.0 order")
	}
	if n.Load() != 10 || conns.Load() != 1 {
		t.Errorf("%d requests, %d connections", n.Load(), conns.Load())
	}
	s.Client().CloseIdleConnections()
	balanced(t, b)
	balanced(t, roomOf(r))
}

func TestTransportOptionsThatAreWrongAreAllNamed(t *testing.T) {
	_, err := nethttp.NewTransport(nil, nil,
		nethttp.Idempotent(nil), nethttp.BufferBody(-1), nethttp.CountBy(nil), nethttp.WeighBy(nil), nil,
		nethttp.Statuses(map[int]patterns.Outcome{404: patterns.Ignored, 7: patterns.Success}),
		nethttp.SendPriority("a b"), nethttp.SendPriority("", "http://x"),
	)
	want := `nethttp: Idempotent nil: is nil
nethttp: BufferBody -1: must be from 0 to 16777216
nethttp: CountBy nil: is nil
nethttp: WeighBy nil: is nil
nethttp: Statuses 7: must be from 200 to 999
nethttp: Statuses[404] ignored: must be a success, a failure or dropped
nethttp: SendPriority "a b": is no name of a header
nethttp: SendPriority []: needs the hosts that it is for
nethttp: SendPriority "": is no name of a header
nethttp: SendPriority "http://x": is no host
nethttp: patterns: nil guard`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	nethttp.Transport(nil, nil)
}
