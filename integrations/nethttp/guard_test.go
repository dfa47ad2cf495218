package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func TestABreakerIsFedByWhatTheHandlerDid(t *testing.T) {
	type want struct{ success, failure, dropped, ignored uint64 }
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    want
	}{
		{"200", say("x"), want{success: 1}},
		{"nothing at all", func(http.ResponseWriter, *http.Request) {}, want{success: 1}},
		{"204", answer(204), want{success: 1}},
		{"304", answer(304), want{success: 1}},
		{"400", answer(400), want{success: 1}},
		{"429", answer(429), want{success: 1}},
		{"499", answer(499), want{success: 1}},
		{"500", answer(500), want{failure: 1}},
		{"501", answer(501), want{failure: 1}},
		{"503", answer(503), want{dropped: 1}},
		{"504", answer(504), want{dropped: 1}},
		{"103, then 500", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInternalServerError)
		}, want{failure: 1}},
		{"200, then 500, which comes too late", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.WriteHeader(http.StatusInternalServerError)
		}, want{success: 1}},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("secret") }, want{failure: 1}},
		{"a panic after 200", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic("secret")
		}, want{failure: 1}},
		{"http.ErrAbortHandler", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want{failure: 1}},
		{"a status that is none", answer(42), want{failure: 1}}, // package http panics
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBreaker(t, registry(t), circuitbreaker.Config{})
			s := serve(t, nethttp.Guard(b)(c.handler))
			get(t, s, "/")
			n := settled(t, s, b)
			if got := (want{n.Success, n.Failure, n.Dropped, n.Ignored}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestAnOpenBreakerAnswersForTheHandler(t *testing.T) {
	b := newBreaker(t, registry(t), circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: 7 * time.Second})
	calls := atomic.Int64{}
	s := serve(t, nethttp.Guard(b)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		http.Error(w, "mine", http.StatusBadGateway)
	})))
	for range 3 {
		wantBody(t, get(t, s, "/pay"), http.StatusBadGateway, "mine\n")
	}
	refused := get(t, s, "/pay")
	wantProblem(t, refused, http.StatusServiceUnavailable, "unavailable")
	if after := refused.header.Get("Retry-After"); after != "7" {
		t.Errorf("Retry-After: %s", after)
	}
	if strings.Contains(refused.body, "breaker") || refused.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %v %s", refused.header, refused.body)
	}
	head := do(t, s, http.MethodHead, "/pay", nil)
	wantBody(t, head, http.StatusServiceUnavailable, "")
	if calls.Load() != 3 {
		t.Errorf("the handler was called %d times", calls.Load())
	}
	settled(t, s, b)
}

func TestEveryPatternRefusesAsItShould(t *testing.T) {
	block := func(t *testing.T, guards *actors.Registry) map[string]patterns.Guard {
		rooms, err1 := bulkhead.Spawn(guards, "rooms", bulkhead.Config{MaxConcurrent: 1})
		valve, err2 := backpressure.Spawn(guards, "valve", backpressure.Config{MaxPending: 1})
		shed, err3 := loadshedder.Spawn(guards, "shed", loadshedder.Config{MaxInFlight: 1, MaxQueue: loadshedder.NoQueue, SampleInterval: loadshedder.Off})
		limit, err4 := adaptive.Spawn(guards, "limit", adaptive.Config{Initial: 1, Max: 1})
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
		return map[string]patterns.Guard{"bulkhead": rooms, "backpressure": noWait{valve}, "shedder": shed, "adaptive": limit}
	}
	guards := registry(t)
	for name, g := range block(t, guards) {
		t.Run(name, func(t *testing.T) {
			entered, leave := make(chan bool), make(chan bool)
			s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				entered <- true
				<-leave
			})))
			first := make(chan reply, 1)
			go func() { first <- get(t, s, "/") }()
			next(t, entered)
			refused := get(t, s, "/")
			close(leave)
			wantProblem(t, refused, http.StatusServiceUnavailable, "overloaded")
			if n, err := strconv.Atoi(refused.header.Get("Retry-After")); err != nil || n < 1 {
				t.Errorf("Retry-After: %q", refused.header.Get("Retry-After"))
			}
			wantBody(t, next(t, first), http.StatusOK, "")
		})
	}
}

// noWait is a guard whose callers do not wait.
type noWait struct{ patterns.Guard }

func (g noWait) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{NoWait: true})
}

func TestALimiterInAGuardSaysWhatIsLeft(t *testing.T) {
	guards := registry(t)
	l, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: ratelimiter.MustParse("60/hour burst 1")})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, nethttp.Guard(l, nethttp.Key(nethttp.ByHeader("X-Api-Key")))(say("ok")))
	wantBody(t, get(t, s, "/", "X-Api-Key", "a"), 200, "ok")
	wantBody(t, get(t, s, "/", "X-Api-Key", "b"), 200, "ok")
	refused := get(t, s, "/", "X-Api-Key", "a")
	wantProblem(t, refused, http.StatusTooManyRequests, "rate-limited")
	for name, want := range map[string]string{
		"Retry-After": "60", "RateLimit-Policy": `"api";q=1;w=60`, "RateLimit": `"api";r=0;t=60`,
		"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "60",
	} {
		got := refused.header.Get(name)
		if name != "RateLimit-Policy" { // the limiter rounds up to a millisecond, and a slow machine is slow
			got = regexp.MustCompile("59|61").ReplaceAllString(got, "60")
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestARequestThatCanNeverBeGrantedIsToldSo(t *testing.T) {
	g := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 2})
	s := serve(t, nethttp.Guard(g, nethttp.Weight(func(r *http.Request) int {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		return n
	}))(say("ok")))
	wantBody(t, get(t, s, "/?n=2"), 200, "ok")
	refused := get(t, s, "/?n=3")
	wantProblem(t, refused, http.StatusBadRequest, "invalid")
	if after, ok := refused.header["Retry-After"]; ok {
		t.Errorf("there is no point in coming again after %v", after)
	}
	settled(t, s, g)
}

func TestExcludedPathsAreNotGuarded(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []nethttp.Option
		open []string
		shut []string
	}{
		{"by default", nil, []string{"/health", "/healthz", "/ready", "/metrics", "/metrics?x=y"}, []string{"/", "/pay", "/health/x", "/health/../pay", "//health"}},
		{"an empty list", []nethttp.Option{nethttp.Exclude()}, nil, []string{"/health", "/metrics"}},
		{"others", []nethttp.Option{nethttp.Exclude("/static/...", "/api/*/up")}, []string{"/static/a/b", "/api/v1/up"}, []string{"/health", "/static/../pay", "/static/%2e%2e/pay", "/api/a/b/up"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBreaker(t, registry(t), circuitbreaker.Config{})
			if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
				t.Fatal(err)
			}
			s := serve(t, nethttp.Guard(b, c.opts...)(say("ok")))
			for _, p := range c.open {
				wantBody(t, get(t, s, p), 200, "ok")
			}
			for _, p := range c.shut {
				w := dial(t, s, "GET "+p+" HTTP/1.1\nHost: x\nConnection: close\n\n")
				if got := w.status(); got != "HTTP/1.1 503 Service Unavailable" {
					t.Errorf("%s: %s", p, got)
				}
			}
		})
	}
}

func TestARefusalCanLookAnyWay(t *testing.T) {
	b := newBreaker(t, registry(t), circuitbreaker.Config{})
	if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
	var why nethttp.Refusal
	s := serve(t, nethttp.Guard(b, nethttp.Refused(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why, _ = nethttp.RefusalOf(r.Context())
		http.Error(w, "sorry: "+why.Kind.String(), http.StatusTeapot)
	})))(say("ok")))
	got := get(t, s, "/")
	wantBody(t, got, http.StatusTeapot, "sorry: unavailable\n")
	if got.header.Get("Retry-After") != "1" || why.Status != 503 || !errors.Is(why.Err, circuitbreaker.ErrOpen) {
		t.Errorf("got %v, %+v", got.header, why)
	}
	if _, ok := nethttp.RefusalOf(t.Context()); ok {
		t.Error("what was not refused was")
	}
}

func TestARefusalNeverLooksAsIfAllWentWell(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, guards, "api", "1/hour")
	late := newTimeout(t, guards, timeout.Config{PerAttempt: time.Millisecond})
	waits := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, c := range []struct {
		name    string
		refused http.HandlerFunc
		body    string
	}{
		{"it writes nothing", func(http.ResponseWriter, *http.Request) {}, ""},
		{"only a body", say("sorry"), "sorry"},
		{"by bytes", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("sorry")) }, "sorry"},
		{"by a reader", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, struct{ io.Reader }{strings.NewReader("sorry")})
		}, "sorry"},
		{"by a reader that has nothing", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("")) }, ""},
		{"it only flushes", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, ""},
		{"after a hint", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for status, h := range map[int]http.Handler{
				503: nethttp.Guard(b, nethttp.Refused(c.refused))(say("ok")),
				504: nethttp.Guard(late, nethttp.Refused(c.refused), nethttp.TimeoutStatus(504))(waits),
				429: nethttp.RateLimit(l, nethttp.Refused(c.refused))(say("ok")),
			} {
				s := serve(t, h)
				if status == 429 {
					get(t, s, "/")
				}
				wantBody(t, get(t, s, "/"), status, c.body)
			}
		})
	}
	s := serve(t, nethttp.Guard(b, nethttp.Refused(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("sorry") })))(say("ok")))
	if got := get(t, s, "/"); got.err == nil {
		t.Errorf("a panic is answered by %d %s", got.status, got.body)
	}
}

func TestARefusalInsideTeachesTheOuterGuardNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		inner func(t *testing.T, guards *actors.Registry) func(http.Handler) http.Handler
	}{
		{"an open breaker", func(t *testing.T, guards *actors.Registry) func(http.Handler) http.Handler {
			b, err := circuitbreaker.Spawn(guards, "inner", circuitbreaker.Config{})
			if err == nil {
				err = b.ForceOpen(t.Context(), 0, "")
			}
			if err != nil {
				t.Fatal(err)
			}
			return nethttp.Guard(b)
		}},
		{"a limiter", func(t *testing.T, guards *actors.Registry) func(http.Handler) http.Handler {
			l, err := ratelimiter.Spawn(guards, "inner", ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour")})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"127.0.0.1", "::/64"} {
				l.Allow(key)
			}
			return nethttp.RateLimit(l)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			guards := registry(t)
			outer, middle := newRoom(t, guards, bulkhead.Config{}), newBreaker(t, guards, circuitbreaker.Config{})
			h := nethttp.Guard(outer)(unwrapping(nethttp.Guard(middle)(c.inner(t, guards)(say("ok")))))
			s := serve(t, h)
			get(t, s, "/")
			for _, g := range []counted{outer, middle} {
				if n := settled(t, s, g); n.Ignored != 1 {
					t.Errorf("%s: %+v", g.Name(), n)
				}
			}
		})
	}
}

// unwrapping is middleware of somebody else's.
func unwrapping(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrapped{w}, r) })
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAClientThatWaitsInTheQueueAndLeavesFreesItsPlace(t *testing.T) {
	g := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 1})
	entered, leave := make(chan bool, 2), make(chan bool)
	s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-leave
	})))
	first := make(chan reply, 1)
	go func() { first <- get(t, s, "/") }()
	next(t, entered)
	w := dial(t, s, "GET / HTTP/1.1\nHost: x\n\n")
	waits := func(n uint64) bool { return g.counts(t.Context()).Waiting == n }
	until(t, func() bool { return waits(1) })
	_ = w.Close()
	until(t, func() bool { return waits(0) })
	close(leave)
	wantBody(t, next(t, first), 200, "")
	if n := settled(t, s, g); n.Cancelled != 1 || n.Granted != 1 {
		t.Errorf("got %+v", n)
	}
}

// until waits for an event that nobody tells of.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hung); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come")
		}
		runtime.Gosched()
	}
}

func TestUnderOverloadEveryRequestIsAdmittedOrRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(testing.TB, http.Handler) *httptest.Server
	}{
		{"HTTP/1", func(t testing.TB, h http.Handler) *httptest.Server { return serve(t, h) }},
		{"HTTP/2", serveHTTP2},
	} {
		t.Run(c.name, func(t *testing.T) {
			const slots, clients, each = 4, 32, 25
			guards := registry(t)
			g := newRoom(t, guards, bulkhead.Config{MaxConcurrent: slots, MaxWaiting: 2})
			var running, most, handled atomic.Int64
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			s := c.serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handled.Add(1)
				n := running.Add(1)
				defer running.Add(-1)
				<-pace.C
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				switch handled.Load() % 7 {
				case 0:
					panic(http.ErrAbortHandler)
				case 1:
					w.WriteHeader(http.StatusInternalServerError)
				}
				_, _ = io.Copy(w, r.Body)
			})))
			var got sync.Map
			var all sync.WaitGroup
			for range clients {
				all.Go(func() {
					for range each {
						r := do(t, s, http.MethodPost, "/", strings.NewReader("hello"))
						n, _ := got.LoadOrStore(r.status, new(atomic.Int64))
						n.(*atomic.Int64).Add(1)
					}
				})
			}
			all.Wait()
			of := func(status int) int64 {
				if n, ok := got.Load(status); ok {
					return n.(*atomic.Int64).Load()
				}
				return 0
			}
			n := settled(t, s, g)
			t.Logf("200: %d, 500: %d, 503: %d, aborted: %d; at most %d at once", of(200), of(500), of(503), of(0), most.Load())
			if sum := of(200) + of(500) + of(503) + of(0); sum != clients*each {
				t.Errorf("%d of %d had a status that was promised", sum, clients*each)
			}
			if most.Load() > slots || of(503) == 0 || of(200) == 0 {
				t.Errorf("at most %d ran at once, of %d", most.Load(), slots)
			}
			if n.Rejected != uint64(of(503)) || n.Granted != uint64(handled.Load()) || n.Asked != clients*each {
				t.Errorf("the books say %+v, handled %d", n, handled.Load())
			}
			if n.Success != uint64(of(200)) || n.Failure != uint64(of(500)+of(0)) {
				t.Errorf("the books say %+v", n)
			}
		})
	}
}
