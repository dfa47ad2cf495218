package nethttp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hung is how long a test may wait for what must come.
const hung = 20 * time.Second

// registry is for the guards of one test, after which nothing is left running.
func registry(t testing.TB) *actors.Registry {
	t.Helper()
	leavesNothing(t)
	return actorstest.NewRegistry(t)
}

// leavesNothing has a test fail that leaves something running of what it starts from now on.
func leavesNothing(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// serve serves h on a real socket. Closing it waits for all requests.
func serve(t testing.TB, h http.Handler, edit ...func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of panics that tests make
	for _, e := range edit {
		e(s)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// serveHTTP2 is serve with TLS and HTTP/2.
func serveHTTP2(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// reply is a response that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

func get(t testing.TB, s *httptest.Server, path string, headers ...string) reply {
	t.Helper()
	return do(t, s, http.MethodGet, path, nil, headers...)
}

func do(t testing.TB, s *httptest.Server, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := s.Client().Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text), err}
}

// wantProblem checks a response that a guard gave.
func wantProblem(t testing.TB, got reply, status int, reason string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Reason string
		Status                      int
	}
	if got.err != nil || got.status != status {
		t.Fatalf("got %d %q, %v, want %d", got.status, got.body, got.err, status)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Fatalf("%v in %q", err, got.body)
	}
	if c := got.header.Get("Content-Type"); c != "application/problem+json" || p.Status != status || p.Reason != reason || p.Title != http.StatusText(status) {
		t.Errorf("got %s %q, want reason %s", c, got.body, reason)
	}
}

func wantBody(t testing.TB, got reply, status int, body string) {
	t.Helper()
	if got.err != nil || got.status != status || got.body != body {
		t.Errorf("got %d %q, %v, want %d %q", got.status, got.body, got.err, status, body)
	}
}

// counted is a guard whose books can be read.
type counted interface {
	Name() string
	counts(ctx context.Context) patterns.Counts
}

type room struct{ *bulkhead.Bulkhead }

func (r room) counts(ctx context.Context) patterns.Counts {
	s, _ := r.Snapshot(ctx)
	return s.Counts
}

type breaker struct{ *circuitbreaker.Breaker }

func (b breaker) counts(ctx context.Context) patterns.Counts {
	s, _ := b.Snapshot(ctx)
	return s.Counts
}

func newRoom(t testing.TB, guards *actors.Registry, c bulkhead.Config, opts ...actors.Option) room {
	t.Helper()
	b, err := bulkhead.Spawn(guards, "room", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return room{b}
}

func newBreaker(t testing.TB, guards *actors.Registry, c circuitbreaker.Config, opts ...actors.Option) breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(guards, "breaker", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return breaker{b}
}

// settled returns a guard's books once the server is closed, and so everything has ended. No
// permit may be missing.
func settled(t testing.TB, s *httptest.Server, g counted) patterns.Counts {
	t.Helper()
	s.Close()
	c := g.counts(context.WithoutCancel(t.Context()))
	if !c.Balanced() || c.InFlight != 0 || c.Waiting != 0 || c.Reclaimed != 0 {
		t.Errorf("%s: permits are missing: %+v", g.Name(), c)
	}
	return c
}

// next waits for what must come.
func next[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hung):
		t.Fatal("nothing came")
	}
	return v
}

// raw is a connection on which a test writes what it likes.
type raw struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, s *httptest.Server, text string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(hung)); err != nil {
		t.Fatal(err)
	}
	w := &raw{c, t, bufio.NewReader(c)}
	w.send(text)
	return w
}

func (w *raw) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		w.t.Fatal(err)
	}
}

// status reads a response's status line.
func (w *raw) status() string {
	w.t.Helper()
	line, err := w.r.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func answer(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}
