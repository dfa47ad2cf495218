package nethttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// Whoever sends a byte a minute holds what is asked for no longer than a timeout says, and is
// nobody's failure but its own.
func TestABodyThatDoesNotComeHoldsAPermitNoLongerThanATimeoutSays(t *testing.T) {
	for name, tt := range map[string]struct {
		request string
		abandon bool
	}{
		"half of it":                {"POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf", false},
		"a chunk":                   {"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n4\nhalf\n", false},
		"nothing of it":             {"POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\n", false},
		"and the handler is left":   {"POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf", true},
		"nothing, though asked for": {"POST / HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: 1000\n\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			guards := registry(t)
			g, inner := newRoom(t, guards, bulkhead.Config{MaxConcurrent: 1}), newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
			outer, err := circuitbreaker.Spawn(guards, "outer", circuitbreaker.Config{ConsecutiveFailures: 1})
			if err != nil {
				t.Fatal(err)
			}
			soon := newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond, Abandon: tt.abandon})
			read, ended := make(chan error, 1), make(chan error, 1)
			watch := policy(func(ctx context.Context, call patterns.Call) error { // a server does not wait for what is left
				err := call.Try(ctx)
				ended <- err
				return err
			})
			s := serve(t, nethttp.Guard(line(t, outer, g.Bulkhead, soon, watch, inner.Breaker))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				_, again := r.Body.Read(make([]byte, 1))
				read <- errors.Join(err, again)
				http.Error(w, "secret", http.StatusInternalServerError)
			})))
			w := dial(t, s, tt.request)
			if strings.Contains(tt.request, "100-continue") {
				if got := w.status(); got != "HTTP/1.1 100 Continue" {
					t.Fatal(got)
				}
				_, _ = w.r.ReadString('\n')
			}
			if got := w.status(); got != "HTTP/1.1 503 Service Unavailable" {
				t.Fatal(got)
			}
			if err := next(t, read); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler's reading ended with %v", err)
			}
			text, _ := io.ReadAll(w.r) // the connection is of no more use
			if !strings.Contains(string(text), `"reason":"timeout"`) {
				t.Errorf("got %s", text)
			}
			if err := next(t, ended); !errors.Is(err, timeout.ErrTimeout) {
				t.Errorf("the attempt ended with %v", err)
			}
			if n := settled(t, s, inner); n.Ignored != 1 {
				t.Errorf("inside: %+v", n)
			}
			if n := settled(t, s, g); n.Granted != 1 || !tt.abandon && n.Ignored != 1 {
				t.Errorf("got %+v", n)
			}
			if n := settled(t, s, breaker{outer}); !tt.abandon && n.Ignored != 1 {
				t.Errorf("outside: %+v", n)
			}
		})
	}
}

// A policy may leave a handler before a deadline has reached what it reads, or without one.
func TestAHandlerThatIsLeftReadingIsNobodysFailure(t *testing.T) {
	guards := registry(t)
	inner := newBreaker(t, guards, circuitbreaker.Config{ConsecutiveFailures: 1})
	reading, read, ended := make(chan bool, 1), make(chan error, 1), make(chan error, 1)
	leave := policy(func(ctx context.Context, call patterns.Call) error {
		left := call.Fork()
		go func() { ended <- left.Try(ctx) }()
		next(t, reading)
		return context.DeadlineExceeded
	})
	guarded := nethttp.Guard(line(t, leave, inner.Breaker))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}))
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = telling{r.Body, reading}
		guarded.ServeHTTP(w, r)
	}))
	w := dial(t, s, "POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\n")
	if got := w.status(); got != "HTTP/1.1 503 Service Unavailable" {
		t.Fatal(got)
	}
	if err := next(t, read); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the handler's reading ended with %v", err)
	}
	if err := next(t, ended); !errors.Is(err, timeout.ErrTimeout) {
		t.Errorf("the attempt ended with %v", err)
	}
	if n := settled(t, s, inner); n.Ignored != 1 {
		t.Errorf("inside: %+v", n)
	}
}

// telling says that somebody has begun to read.
type telling struct {
	io.ReadCloser
	reading chan<- bool
}

func (b telling) Read(p []byte) (int, error) {
	select {
	case b.reading <- true:
	default:
	}
	return b.ReadCloser.Read(p)
}

func TestABodyThatCameIsNoExcuseForAHandlerThatIsSlow(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond})
	s := serve(t, nethttp.Guard(line(t, soon, b.Breaker))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			_, _ = io.ReadAll(r.Body)
		}
		<-r.Context().Done()
	})))
	wantProblem(t, do(t, s, http.MethodPost, "/whole", strings.NewReader("x")), 503, "timeout")
	w := dial(t, s, "POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf") // nobody waits for the rest
	if got := w.status(); got != "HTTP/1.1 503 Service Unavailable" {
		t.Fatal(got)
	}
	if n := settled(t, s, b); n.Failure != 2 {
		t.Errorf("got %+v", n)
	}
}

func TestABodyIsReadOnByAResponseThatHasBegunInTime(t *testing.T) {
	guards := registry(t)
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond})
	late := make(chan bool)
	s := serve(t, nethttp.Guard(soon)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			return
		}
		c := http.NewResponseController(w)
		if err := c.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_ = c.Flush()
		go func() {
			<-r.Context().Done()
			close(late)
		}()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(text)
	})))
	w := dial(t, s, "POST / HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 5\n\nhe")
	if got := w.status(); got != "HTTP/1.1 200 OK" {
		t.Fatal(got)
	}
	next(t, late)
	for range 20 { // time enough to do what must not be done
		get(t, s, "/health")
	}
	w.send("llo")
	if text, err := io.ReadAll(w.r); err != nil || !strings.Contains(string(text), "hello") {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAStreamOfHTTP2ThatDoesNotComeEndsAlone(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards, circuitbreaker.Config{})
	soon := newTimeout(t, guards, timeout.Config{PerAttempt: 50 * time.Millisecond})
	s := serveHTTP2(t, nethttp.Guard(line(t, b.Breaker, soon))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "secret", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text)
	})))
	unfinished, finish := io.Pipe()
	defer func() { _ = finish.Close() }()
	go func() { _, _ = io.WriteString(finish, "half") }()
	wantProblem(t, do(t, s, http.MethodPost, "/", unfinished), 503, "timeout")
	wantBody(t, do(t, s, http.MethodPost, "/", strings.NewReader("whole")), 200, "whole")
	_ = finish.Close()
	if n := settled(t, s, b); n.Ignored != 1 || n.Success != 1 {
		t.Errorf("got %+v", n)
	}
}

func TestARefusedClientNeedNotSendItsBody(t *testing.T) {
	guards := registry(t)
	open := newBreaker(t, guards, circuitbreaker.Config{})
	if err := open.ForceOpen(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.Handler{
		"by permit": nethttp.Guard(open)(say("ok")),
		"by policy": nethttp.Guard(line(t, newTimeout(t, guards, timeout.Config{}), open.Breaker))(say("ok")),
		"by rate":   nethttp.RateLimit(sharedLimiter{err: errors.New("x")})(say("ok")),
	} {
		s := serve(t, h)
		for _, request := range []string{
			"POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\nhalf",
			"POST / HTTP/1.1\nHost: x\nContent-Length: 1000\n\n",
			"POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n4\nhalf\n",
			"POST / HTTP/1.1\nHost: x\nContent-Length: 100000000\n\nhalf",
			"POST / HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: 1000\n\n", // and is not asked to
		} {
			if got := dial(t, s, request).status(); got != "HTTP/1.1 503 Service Unavailable" && got != "HTTP/1.1 500 Internal Server Error" {
				t.Errorf("%s: %q: %s", name, request, got)
			}
		}
		// One that has sent it keeps its connection.
		w := dial(t, s, "")
		for range 3 {
			w.send("POST / HTTP/1.1\nHost: x\nContent-Length: 4\n\nbody")
			response, err := http.ReadResponse(w.r, nil)
			if err != nil || response.StatusCode < 500 || response.Close {
				t.Fatalf("%s: got %+v, %v", name, response, err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		_ = w.Close()
		s.Close()
	}
}

// A handler is called again only if nothing can have come of the first time that must come of
// it but once.
func TestOnlyWhatMayBeDoneTwiceIsHandledAgain(t *testing.T) {
	for _, tt := range []struct {
		method  string
		headers []string
		body    string
		want    int64
	}{
		{http.MethodGet, nil, "", 2},
		{http.MethodPut, nil, "", 2},
		{http.MethodDelete, nil, "", 2},
		{http.MethodPost, nil, "", 1},
		{http.MethodPatch, nil, "", 1},
		{http.MethodPost, []string{"Idempotency-Key", "7"}, "", 2},
		{http.MethodPost, []string{"Idempotency-Key", "7"}, "x", 1},
		{http.MethodPut, nil, "x", 1},
		{"CHARGE", nil, "", 1},
	} {
		guards := registry(t)
		again, err := retry.Spawn(guards, "again", retry.Config{Attempts: 2, Backoff: retry.Constant(time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int64
		s := serve(t, nethttp.Guard(again)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			http.Error(w, "mine", http.StatusBadGateway)
		})))
		var body io.Reader
		if tt.body != "" {
			body = strings.NewReader(tt.body)
		}
		wantBody(t, do(t, s, tt.method, "/", body, tt.headers...), http.StatusBadGateway, "mine\n")
		if calls.Load() != tt.want {
			t.Errorf("%s %v %q: %d calls", tt.method, tt.headers, tt.body, calls.Load())
		}
	}
}
