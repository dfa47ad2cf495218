package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// hung is how long a check may wait for what must come.
const hung = 20 * time.Second

// check is one check of a framework, with a server and the guards' books.
type check struct {
	*testing.T
	f       Framework
	guards  *actors.Registry
	books   []func() (string, patterns.Counts)
	address string
	stop    func()
	client  *http.Client
}

func newCheck(t *testing.T, f Framework) *check {
	known := append(slices.Clone(f.Leaves), goleak.IgnoreCurrent())
	t.Cleanup(func() { goleak.VerifyNone(t, known...) })
	c := &check{T: t, f: f, guards: actorstest.NewRegistry(t)}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	c.client = &http.Client{Transport: transport, Timeout: hung}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

func must[T any](c *check) func(v T, err error) T {
	return func(v T, err error) T {
		c.Helper()
		if err != nil {
			c.Fatal(err)
		}
		return v
	}
}

func (c *check) breaker(name string) *circuitbreaker.Breaker {
	c.Helper()
	b := must[*circuitbreaker.Breaker](c)(circuitbreaker.Spawn(c.guards, name, circuitbreaker.Config{}))
	c.book(name, func(ctx context.Context) patterns.Counts { s, _ := b.Snapshot(ctx); return s.Counts })
	return b
}

func (c *check) open(name string) *circuitbreaker.Breaker {
	c.Helper()
	b := c.breaker(name)
	if err := b.ForceOpen(c.Context(), 0, "secret reason"); err != nil {
		c.Fatal(err)
	}
	return b
}

func (c *check) room(slots int) *bulkhead.Bulkhead {
	c.Helper()
	return c.roomOf(fmt.Sprint("secret-room-", len(c.books)), slots)
}

func (c *check) roomOf(name string, slots int) *bulkhead.Bulkhead {
	c.Helper()
	b := must[*bulkhead.Bulkhead](c)(bulkhead.Spawn(c.guards, name, bulkhead.Config{MaxConcurrent: slots}))
	c.book(name, func(ctx context.Context) patterns.Counts { s, _ := b.Snapshot(ctx); return s.Counts })
	return b
}

func (c *check) book(name string, counts func(context.Context) patterns.Counts) {
	c.books = append(c.books, func() (string, patterns.Counts) { return name, counts(context.WithoutCancel(c.Context())) })
}

func (c *check) line(guards ...patterns.Guard) patterns.Guard {
	c.Helper()
	return must[*pipeline.Pipeline](c)(pipeline.New("line", guards...))
}

func (c *check) serve(s Spec) {
	c.Helper()
	c.address, c.stop = c.f.Serve(c.T, s)
	once := sync.OnceFunc(c.stop)
	c.stop = func() {
		c.client.CloseIdleConnections()
		once()
	}
	c.Cleanup(c.stop)
}

// one serves a handler at every path that checks use, behind guards.
func (c *check) one(h Handler, guards ...Guard) {
	c.Helper()
	c.serve(Spec{Routes: []Route{{Path: "/pay", Guards: guards, Handler: h}}})
}

// settle closes the server, so that everything has ended, and returns the guards' books, in
// the order in which they were made. No permit may be missing.
func (c *check) settle() (all []patterns.Counts) {
	c.Helper()
	c.stop()
	for _, book := range c.books {
		name, n := book()
		if !n.Balanced() || n.InFlight != 0 || n.Waiting != 0 || n.Reclaimed != 0 || n.Repeated != 0 {
			c.Errorf("%s: permits are missing: %+v", name, n)
		}
		all = append(all, n)
	}
	return all
}

// reply is a response that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (c *check) get(path string, headers ...string) reply {
	c.Helper()
	return c.do(http.MethodGet, path, nil, headers...)
}

func (c *check) do(method, path string, body io.Reader, headers ...string) reply {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, "http://"+c.address+path, body)
	if err != nil {
		c.Error(err)
		return reply{err: err}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := c.client.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(text), err}
}

func (c *check) want(got reply, status int, body string) {
	c.Helper()
	if got.err != nil || got.status != status || got.body != body {
		c.Errorf("got %d %q, %v, want %d %q", got.status, got.body, got.err, status, body)
	}
}

// wantProblem checks a response that a guard gave.
func (c *check) wantProblem(got reply, status int, reason string) {
	c.Helper()
	var p struct {
		Type, Title, Detail, Reason string
		Status                      int
	}
	if got.err != nil || got.status != status {
		c.Fatalf("got %d %q, %v, want %d", got.status, got.body, got.err, status)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		c.Fatalf("%v in %q", err, got.body)
	}
	if p.Status != status || p.Reason != reason || p.Title != http.StatusText(status) || p.Type != "about:blank" {
		c.Errorf("got %q, want reason %s", got.body, reason)
	}
	if got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("Cache-Control") != "no-store" {
		c.Errorf("got headers %v", got.header)
	}
	if strings.Contains(got.body, "secret") {
		c.Errorf("a client sees %q", got.body)
	}
}

// next waits for what must come.
func next[T any](c *check, from <-chan T) (v T) {
	c.Helper()
	select {
	case v = <-from:
	case <-time.After(hung):
		c.Fatal("nothing came")
	}
	return v
}

// raw is a connection on which a check writes what it likes.
type raw struct {
	net.Conn
	c *check
	r *bufio.Reader
}

func (c *check) dial(text string) *raw {
	c.Helper()
	conn := must[net.Conn](c)(net.Dial("tcp", c.address))
	c.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(hung)); err != nil {
		c.Fatal(err)
	}
	w := &raw{conn, c, bufio.NewReader(conn)}
	if _, err := io.WriteString(w, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		c.Fatal(err)
	}
	return w
}

// status reads a response's status line, and nothing else. It is "" if there is none.
func (w *raw) status() string {
	w.c.Helper()
	line, _ := w.r.ReadString('\n')
	_, code, _ := strings.Cut(strings.TrimSpace(line), " ")
	return code[:min(3, len(code))]
}

func say(text string) Handler {
	return func(x Exchange) error { return x.Answer(http.StatusOK, text) }
}
