package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func line(t testing.TB, guards ...patterns.Guard) patterns.Guard {
	t.Helper()
	return must[*pipeline.Pipeline](t)(pipeline.New("line", guards...))
}

func newTimeout(t testing.TB, guards *actors.Registry, c timeout.Config) *timeout.Timeout {
	t.Helper()
	return must[*timeout.Timeout](t)(timeout.Spawn(guards, "soon", c))
}

func newRetry(t testing.TB, guards *actors.Registry, attempts int) *retry.Retry {
	t.Helper()
	return must[*retry.Retry](t)(retry.Spawn(guards, "again", retry.Config{Attempts: attempts, Backoff: retry.Constant(time.Millisecond)}))
}

func TestWhatTakesTooLongIsAnsweredForTheHandler(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   []nethttp.Option
		status int
	}{
		{"by default", nil, http.StatusServiceUnavailable},
		{"as a gateway", []nethttp.Option{nethttp.TimeoutStatus(http.StatusGatewayTimeout)}, http.StatusGatewayTimeout},
		{"as the client's fault", []nethttp.Option{nethttp.TimeoutStatus(http.StatusRequestTimeout)}, http.StatusRequestTimeout},
	} {
		for _, abandon := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				guards := registry(t)
				b := newBreaker(t, guards, circuitbreaker.Config{})
				g := line(t, b.Breaker, newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond, Abandon: abandon}))
				late := make(chan error, 6)
				answered := make(chan bool)
				s := serve(t, nethttp.Guard(g, c.opts...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Mine", "1")
					<-r.Context().Done()
					if abandon { // it does not listen
						<-answered
					}
					w.WriteHeader(http.StatusOK)
					_, err := io.WriteString(w, "secret")
					late <- err
					control := http.NewResponseController(w)
					late <- control.Flush()
					late <- control.SetReadDeadline(time.Now())
					late <- control.SetWriteDeadline(time.Now())
					late <- control.EnableFullDuplex()
					_, _, err = control.Hijack()
					late <- err
				})))
				got := get(t, s, "/")
				close(answered)
				wantProblem(t, got, c.status, "timeout")
				for i := range cap(late) {
					if err := next(t, late); !errors.Is(err, http.ErrHandlerTimeout) {
						t.Errorf("what the handler does to the response then, %d: %v", i, err)
					}
				}
				if got.header.Get("X-Mine") != "" || got.header.Get("Retry-After") != "" {
					t.Errorf("got %v", got.header)
				}
				if n := settled(t, s, b); n.Failure != 1 {
					t.Errorf("got %+v", n)
				}
			})
		}
	}
}

func TestARequestWithABodyThatTookTooLongIsNotMadeAgain(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		guards := registry(t)
		var attempts atomic.Int64
		g := line(t, newRetry(t, guards, 3), newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond, Abandon: abandon}))
		s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			attempts.Add(1)
			<-r.Context().Done()
		})))
		wantProblem(t, do(t, s, http.MethodPost, "/", strings.NewReader("x")), 503, "timeout")
		wantProblem(t, get(t, s, "/"), 503, "timeout")
		if n := attempts.Load(); n != 1+3 {
			t.Errorf("%d attempts", n)
		}
	}
}

func TestAResponseThatHasBegunInTimeGoesOn(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	g := line(t, b.Breaker, newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond}))
	s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "a")
		<-r.Context().Done()
		_, _ = io.WriteString(w, "b")
	})))
	wantBody(t, get(t, s, "/"), 200, "ab")
	settled(t, s, b)
}

func TestHalfAResponseOfAnAbandonedHandlerDoesNotLookWhole(t *testing.T) {
	for _, blocked := range []bool{false, true} {
		guards := registry(t)
		g := newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond, Abandon: true})
		leave, left := make(chan bool), make(chan error, 1)
		s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			if !blocked {
				<-leave
			}
			var err error
			for err == nil { // the client does not read
				_, err = w.Write(make([]byte, 1<<20))
			}
			left <- err
		})))
		w := dial(t, s, "GET / HTTP/1.1\nHost: x\n\n")
		if got := w.status(); got != "HTTP/1.1 200 OK" {
			t.Fatal(got)
		}
		if blocked {
			if err := next(t, left); err == nil {
				t.Error("the write came to an end")
			}
			close(leave)
			continue
		}
		text, err := io.ReadAll(w.r)
		if strings.HasSuffix(string(text), "0\r\n\r\n") {
			t.Errorf("it looks whole: %q, %v", text, err)
		}
		close(leave)
		if err := next(t, left); !errors.Is(err, http.ErrHandlerTimeout) {
			t.Errorf("the handler's write: %v", err)
		}
	}
}

func TestAFailureIsHeldBackUntilNothingBetterCame(t *testing.T) {
	for _, c := range []struct {
		name     string
		method   string
		body     string
		handler  func(attempt int64, w http.ResponseWriter)
		status   int
		want     string
		attempts int64
	}{
		{"the second attempt succeeds", http.MethodGet, "", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			if n == 1 {
				w.WriteHeader(500)
			}
			_, _ = io.WriteString(w, string(rune('0'+n)))
		}, 200, "2", 2},
		{"none does", http.MethodGet, "", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			http.Error(w, string(rune('0'+n)), http.StatusBadGateway)
			w.Header().Set("X-Attempt", "too late")
		}, 502, "3\n", 3},
		{"400 is no failure", http.MethodGet, "", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			http.Error(w, "no", 400)
		}, 400, "no\n", 1},
		{"a long failure cannot be held back", http.MethodGet, "", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat("a", 40<<10))
			_, _ = io.WriteString(w, strings.Repeat("a", 40<<10))
		}, 500, strings.Repeat("a", 80<<10), 1},
		{"nor one that is flushed", http.MethodGet, "", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			http.Error(w, "a", 500)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "b")
		}, 500, "a\nb", 1},
		{"a request with a body is not made again", http.MethodPost, "x", func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Attempt", string(rune('0'+n)))
			http.Error(w, "a", 500)
		}, 500, "a\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			guards := registry(t)
			b := newBreaker(t, guards, circuitbreaker.Config{})
			var attempts atomic.Int64
			s := serve(t, nethttp.Guard(line(t, newRetry(t, guards, 3), b.Breaker))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c.handler(attempts.Add(1), w)
			})))
			var body io.Reader
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			got := do(t, s, c.method, "/", body)
			wantBody(t, got, c.status, c.want)
			if attempts.Load() != c.attempts || got.header.Get("X-Attempt") != string(rune('0'+c.attempts)) {
				t.Errorf("%d attempts, %v", attempts.Load(), got.header)
			}
			if n := settled(t, s, b); n.Granted-n.Rejected < uint64(c.attempts) || n.Failure+n.Success != uint64(c.attempts) {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestAFallbackIsAHandler(t *testing.T) {
	instead := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNonAuthoritativeInfo)
		_, _ = io.WriteString(w, "from the cache: "+r.URL.Path)
	})
	for _, c := range []struct {
		name    string
		open    bool
		handler http.HandlerFunc
		status  int
		body    string
	}{
		{"of what failed", false, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", 500) }, 203, "from the cache: /x"},
		{"of what was refused", true, say("ok"), 203, "from the cache: /x"},
		{"and of nothing else", false, say("ok"), 200, "ok"},
		{"nor of what has begun", false, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "half")
		}, 500, "half"},
	} {
		t.Run(c.name, func(t *testing.T) {
			guards := registry(t)
			b := newBreaker(t, guards, circuitbreaker.Config{})
			if c.open {
				if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
					t.Fatal(err)
				}
			}
			f := must[*fallback.Fallback[http.Handler]](t)(fallback.Spawn(guards, "instead", fallback.Config[http.Handler]{
				Steps: fallback.Chain(fallback.Value[http.Handler](instead)),
			}))
			s := serve(t, nethttp.Guard(line(t, f, b.Breaker))(c.handler))
			wantBody(t, get(t, s, "/x"), c.status, c.body)
			settled(t, s, b)
		})
	}
}

func TestAFallbackThatHasNoHandlerTellsClientsNothing(t *testing.T) {
	guards := registry(t)
	f := must[*fallback.Fallback[string]](t)(fallback.Spawn(guards, "instead", fallback.Config[string]{
		Steps: fallback.Chain(fallback.Value("secret")),
	}))
	b := newBreaker(t, guards, circuitbreaker.Config{OpenFor: 3 * time.Second})
	s := serve(t, nethttp.Guard(line(t, f, b.Breaker))(answer(500)))
	wantBody(t, get(t, s, "/"), 500, "") // the handler's own
	if err := b.ForceOpen(t.Context(), 0, "secret"); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, get(t, s, "/"), 503, "unavailable")
	settled(t, s, b)
}

func TestNoErrorOfAPolicyReachesAClient(t *testing.T) {
	s := serve(t, nethttp.Guard(policy(func(context.Context, patterns.Call) error { return errors.New("password=secret") }))(say("ok")))
	got := get(t, s, "/")
	wantProblem(t, got, 500, "failed")
	if strings.Contains(got.body, "secret") {
		t.Error(got.body)
	}
	s = serve(t, nethttp.Guard(policy(func(context.Context, patterns.Call) error { return nil }))(say("ok")))
	wantProblem(t, get(t, s, "/"), 500, "failed")
}

// policy is a guard that does with calls what a test says.
type policy func(ctx context.Context, call patterns.Call) error

func (policy) Name() string             { return "policy" }
func (p policy) Terms() *patterns.Terms { return &patterns.Terms{Policy: p} }

func (policy) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

func (policy) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

func (p policy) Around(ctx context.Context, call patterns.Call) error { return p(ctx, call) }

func TestOfAttemptsSideBySideOneAnswers(t *testing.T) {
	registry(t)
	second := make(chan bool)
	var writes [2]error
	var attempts atomic.Int64
	// A hedge: the second attempt begins while the first is at work, and is the faster one.
	hedge := policy(func(ctx context.Context, call patterns.Call) error {
		first, errs := call.Fork(), make(chan error, 1)
		go func() { errs <- first.Try(ctx) }()
		<-second
		err := call.Try(ctx)
		if lost := <-errs; !errors.Is(lost, nethttp.ErrSpent) || patterns.Classify(ctx, lost) != patterns.Ignored {
			t.Errorf("the slower attempt: %v", lost)
		}
		return err
	})
	done := make(chan bool)
	s := serve(t, nethttp.Guard(hedge)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := attempts.Add(1)
		if n == 1 {
			close(second)
			<-done
		}
		w.Header().Set("X-Attempt", string(rune('0'+n)))
		_, writes[n-1] = io.WriteString(w, string(rune('0'+n)))
		if n == 2 {
			close(done)
		}
	})))
	got := get(t, s, "/")
	wantBody(t, got, 200, "2")
	if got.header.Get("X-Attempt") != "2" || writes[1] != nil || !errors.Is(writes[0], http.ErrHandlerTimeout) {
		t.Errorf("got %v, writes %v", got.header, writes)
	}
}

func TestAPanicGoesThroughPoliciesToTheServer(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		guards := registry(t)
		b := newBreaker(t, guards, circuitbreaker.Config{})
		g := line(t, newRetry(t, guards, 3), b.Breaker, newTimeout(t, guards, timeout.Config{Abandon: abandon}))
		seen := make(chan any, 1)
		h := nethttp.Guard(g)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }))
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				p := recover()
				seen <- p
				panic(p)
			}()
			h.ServeHTTP(w, r)
		}))
		if got := get(t, s, "/"); got.err == nil {
			t.Errorf("got %+v", got)
		}
		if p := next(t, seen); p != "secret" {
			t.Errorf("got %v", p)
		}
		if n := settled(t, s, b); n.Failure < 1 || n.Success != 0 {
			t.Errorf("got %+v", n)
		}
	}
}

func TestAJudgeIsToldWhatTheHandlerAnswered(t *testing.T) {
	teapot := []patterns.Rule{
		patterns.JudgeResult(func(v any) patterns.Outcome {
			if v == nethttp.Status(http.StatusTeapot) {
				return patterns.Failure
			}
			return patterns.Success
		}),
		patterns.JudgeError(func(err error) patterns.Outcome {
			if e, ok := errors.AsType[*nethttp.StatusError](err); ok && e.Status == http.StatusNotImplemented {
				return patterns.Success
			}
			return patterns.Failure
		}),
	}
	for _, around := range []bool{false, true} {
		guards := registry(t)
		b := newBreaker(t, guards, circuitbreaker.Config{}, actors.WithJudge(teapot...))
		var g patterns.Guard = b
		if around {
			g = line(t, newTimeout(t, guards, timeout.Config{}), b.Breaker)
		}
		s := serve(t, nethttp.Guard(g)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(map[string]int{"/ok": 200, "/teapot": 418, "/501": 501, "/500": 500}[r.URL.Path])
		})))
		for _, path := range []string{"/ok", "/teapot", "/501", "/500"} {
			get(t, s, path)
		}
		if n := settled(t, s, b); n.Success != 2 || n.Failure != 2 {
			t.Errorf("around %v: got %+v", around, n)
		}
	}
}

func TestTheFilesOfAFormAreRemoved(t *testing.T) {
	guards := registry(t)
	rules := nethttp.Priority(nethttp.Priorities{Header: "X-Priority"}) // with which the handler has a copy of the request
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"by policy": nethttp.Guard(newTimeout(t, guards, timeout.Config{}), rules),
		"by permit": nethttp.Guard(newBreaker(t, guards, circuitbreaker.Config{}), rules),
		"by rate":   nethttp.RateLimit(newLimiter(t, guards, "api", "5/hour"), rules),
	} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		s := serve(t, middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1); err != nil {
				t.Error(err)
			}
			if n := files(t, dir); n != 1 {
				t.Errorf("%s: %d files", name, n)
			}
		})))
		form := "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + strings.Repeat("a", 11<<20) + "\r\n--x--\r\n"
		wantBody(t, do(t, s, http.MethodPost, "/", strings.NewReader(form), "Content-Type", "multipart/form-data; boundary=x"), 200, "")
		s.Close()
		if n := files(t, dir); n != 0 {
			t.Errorf("%s: %d files are left", name, n)
		}
	}
}
