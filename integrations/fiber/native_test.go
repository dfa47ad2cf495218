package fiberguard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	slow "github.com/gofiber/fiber/v3/middleware/timeout"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	fiberguard "github.com/bulwark-go/bulwark/integrations/fiber"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// site is an app that is served, behind a bulkhead.
type site struct {
	*testing.T
	guards  *actors.Registry
	room    *bulkhead.Bulkhead
	app     *fiber.App
	address string
	stop    func()
}

func newSite(t *testing.T, cfg fiber.Config) *site {
	guards := actorstest.NewRegistry(t)
	room, err := bulkhead.Spawn(guards, "room", bulkhead.Config{MaxConcurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &site{T: t, guards: guards, room: room, app: fiber.New(cfg)}
}

// policies is the bulkhead within a timeout that no request reaches.
func (s *site) policies() patterns.Guard {
	s.Helper()
	soon, err := timeout.Spawn(s.guards, "soon", timeout.Config{PerAttempt: time.Hour})
	if err != nil {
		s.Fatal(err)
	}
	p, err := pipeline.New("line", soon, s.room)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *site) serve() {
	s.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	stop := start(s.app, l)
	s.address = l.Addr().String()
	s.stop = sync.OnceFunc(func() {
		if err := stop(); err != nil {
			s.Error(err)
		}
	})
	s.Cleanup(s.stop)
}

// raw sends what it is given on a connection of its own.
func (s *site) raw(text string) (net.Conn, *bufio.Reader) {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		s.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// get returns a response and its body.
func (s *site) get(path string) (status int, body string) {
	s.Helper()
	_, r := s.raw("GET " + path + " HTTP/1.1\nHost: x\nConnection: close\n\n")
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		s.Error(err)
	}
	return response.StatusCode, string(all)
}

func (s *site) want(path string, status int, body string) {
	s.Helper()
	if got, text := s.get(path); got != status || text != body {
		s.Errorf("%s: got %d %q, want %d %q", path, got, text, status, body)
	}
}

// wantCounts stops the server, and checks what the bulkhead has learned.
func (s *site) wantCounts(want patterns.Counts) {
	s.Helper()
	s.stop()
	snapshot, _ := s.room.Snapshot(s.Context())
	n := snapshot.Counts
	if n.Success != want.Success || n.Failure != want.Failure || n.Dropped != want.Dropped || n.Rejected != want.Rejected ||
		n.InFlight != 0 || n.Reclaimed != 0 || n.Repeated != 0 || !n.Balanced() {
		s.Errorf("got %+v, want %+v", n, want)
	}
}

var errGone = errors.New("gone")

func TestWhatTheErrorHandlerMakesOfAnErrorIsWhatCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		status int
		want   patterns.Counts
	}{
		"an error of 404":                  {fiber.NewError(404, "no"), 404, patterns.Counts{Success: 1}},
		"one of 500":                       {fiber.NewError(500, "no"), 500, patterns.Counts{Failure: 1}},
		"one of 503":                       {fiber.NewError(503, "no"), 503, patterns.Counts{Dropped: 1}},
		"one in another error":             {fmt.Errorf("about: %w", fiber.NewError(404, "no")), 404, patterns.Counts{Success: 1}},
		"any error":                        {io.ErrUnexpectedEOF, 500, patterns.Counts{Failure: 1}},
		"one that the error handler knows": {fmt.Errorf("about: %w", errGone), 410, patterns.Counts{Success: 1}},
	} {
		for _, mounted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, mounted: %v", name, mounted), func(t *testing.T) {
				var handled []error
				own := fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
					handled = append(handled, err)
					status := http.StatusInternalServerError
					if fe, ok := errors.AsType[*fiber.Error](err); ok {
						status = fe.Code
					}
					if errors.Is(err, errGone) {
						status = http.StatusGone
					}
					return c.Status(status).SendString(fmt.Sprint("own: ", status))
				}}
				cfg := own
				if mounted {
					cfg = fiber.Config{}
				}
				s := newSite(t, cfg)
				app := s.app
				if mounted {
					app = fiber.New(own)
				}
				app.Get("/x", fiberguard.Guard(s.room), func(fiber.Ctx) error { return tt.err })
				if mounted {
					s.app.Use("/shop", app)
				}
				s.serve()
				path := map[bool]string{false: "/x", true: "/shop/x"}[mounted]
				s.want(path, tt.status, fmt.Sprint("own: ", tt.status))
				s.wantCounts(tt.want)
				if !slices.Equal(handled, []error{tt.err}) {
					t.Errorf("the error handler was asked about %v", handled)
				}
			})
		}
	}
}

func TestAnErrorHandlerThatFailsIsA500(t *testing.T) {
	s := newSite(t, fiber.Config{ErrorHandler: func(fiber.Ctx, error) error { return errGone }})
	s.app.Get("/", fiberguard.Guard(s.room), func(fiber.Ctx) error { return errGone })
	s.serve()
	s.want("/", 500, "Internal Server Error")
	s.wantCounts(patterns.Counts{Failure: 1})
}

// What is given up never ends for fasthttp, so nothing can wait for its end.
func TestAHandlerThatIsGivenUpCostsNoPermitAndIsAFailure(t *testing.T) {
	for _, policies := range []bool{false, true} {
		t.Run(fmt.Sprint("policies: ", policies), func(t *testing.T) {
			s := newSite(t, fiber.Config{})
			g := patterns.Guard(s.room)
			if policies {
				g = s.policies()
			}
			release, returned := make(chan struct{}), make(chan struct{}, 4)
			stuck := func(fiber.Ctx) error {
				<-release
				returned <- struct{}{}
				return nil
			}
			soon := slow.Config{Timeout: 10 * time.Millisecond}
			s.app.Get("/itself", fiberguard.Guard(g), func(c fiber.Ctx) error {
				c.RequestCtx().TimeoutErrorWithCode("late", 504)
				return nil
			})
			s.app.Get("/inside", fiberguard.Guard(g), slow.New(stuck, soon))
			s.serve()
			s.want("/itself", 504, "late")
			s.want("/inside", 408, "Request Timeout")
			s.want("/inside", 408, "Request Timeout") // so the permit is back
			close(release)
			<-returned
			<-returned
			if policies { // which know no more than that it failed
				s.wantCounts(patterns.Counts{Failure: 3})
				return
			}
			s.wantCounts(patterns.Counts{Dropped: 3})
		})
	}
}

func TestAHandlerThatIsGivenUpOutsideKeepsItsPermitUntilItReturns(t *testing.T) {
	s := newSite(t, fiber.Config{})
	ended := watch(s.room)
	release := make(chan struct{})
	next := func(c fiber.Ctx) error { return c.Next() }
	s.app.Use("/slow", slow.New(next, slow.Config{Timeout: 10 * time.Millisecond}))
	s.app.Use("/fast", slow.New(next, slow.Config{Timeout: time.Hour}))
	s.app.Use(fiberguard.Guard(ended))
	s.app.Get("/slow", func(fiber.Ctx) error {
		<-release
		return nil
	})
	s.app.Get("/fast", func(c fiber.Ctx) error { return c.SendString("fine") })
	s.serve()
	s.want("/slow", 408, "Request Timeout")
	if status, _ := s.get("/fast"); status != 503 {
		t.Errorf("got %d", status)
	}
	close(release)
	<-ended.ended
	s.settled()
	s.want("/fast", 200, "fine")
	s.wantCounts(patterns.Counts{Dropped: 1, Success: 1, Rejected: 1})
}

// It need not be fiber's own timeout, and may come when the guard is done already.
func TestARequestThatIsGivenUpAtTheLastMomentCostsNoPermit(t *testing.T) {
	s := newSite(t, fiber.Config{})
	s.app.Use(func(c fiber.Ctx) error {
		ctx, cancel := context.WithCancel(c.Context())
		defer cancel()
		c.SetContext(ctx)
		err := c.Next()
		c.Abandon()
		c.RequestCtx().TimeoutErrorWithCode("late", 504)
		return err
	}, fiberguard.Guard(s.room))
	s.app.Get("/", func(c fiber.Ctx) error { return c.SendString("fine") })
	s.serve()
	for range 3 {
		s.want("/", 504, "late")
	}
	s.wantCounts(patterns.Counts{Success: 3})
}

func TestAnAbandonedHandlerHasItsContextToItselfUntilItReturns(t *testing.T) {
	s := newSite(t, fiber.Config{})
	soon, err := timeout.Spawn(s.guards, "soon", timeout.Config{PerAttempt: 10 * time.Millisecond, Abandon: true})
	if err != nil {
		t.Fatal(err)
	}
	ended := watch(s.room)
	line, err := pipeline.New("line", soon, ended)
	if err != nil {
		t.Fatal(err)
	}
	late, release := make(chan struct{}), make(chan struct{})
	s.app.Get("/slow/:id", fiberguard.Guard(line), func(c fiber.Ctx) error {
		<-c.Context().Done()
		close(late)
		<-release
		if c.Params("id") != "7" || c.Path() != "/slow/7" || c.Get("X-Id") != "seven" {
			t.Errorf("the handler has another's request: %q, %q, %q", c.Params("id"), c.Path(), c.Get("X-Id"))
		}
		c.Set("X-Mine", "1")
		return c.Status(201).SendString("secret")
	})
	s.app.Get("/fine/:id", func(c fiber.Ctx) error {
		return c.SendString(c.Params("id") + string(c.Response().Header.Peek("X-Mine")))
	})
	s.serve()
	slowly, r := s.raw("GET /slow/7 HTTP/1.1\nHost: x\nX-Id: seven\n\n")
	<-late
	for i := range 20 { // which would have its context, if that were used again
		s.want(fmt.Sprintf("/fine/%d", i), 200, strconv.Itoa(i))
	}
	_ = slowly.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if b, err := r.Peek(1); err == nil {
		t.Errorf("the client has an answer before its handler has returned: %q", b)
	}
	_ = slowly.SetReadDeadline(time.Now().Add(20 * time.Second))
	close(release)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != 503 || strings.Contains(string(body), "secret") || response.Header.Get("X-Mine") != "" {
		t.Errorf("got %d %q %v", response.StatusCode, body, response.Header)
	}
	s.stop()
	<-ended.ended // nobody waits for the goroutine that it was left on
	snapshot, _ := s.room.Snapshot(t.Context())
	if n := snapshot.Counts; n.Granted != 1 || n.Reported != 1 || n.InFlight != 0 || n.Repeated != 0 || n.Reclaimed != 0 {
		t.Errorf("got %+v", n)
	}
}

func TestAPermitIsHeldAsLongAsAnAnswerLasts(t *testing.T) {
	for _, policies := range []bool{false, true} {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprintf("policies: %v, the client leaves: %v", policies, leaves), func(t *testing.T) {
				s := newSite(t, fiber.Config{})
				g := patterns.Guard(s.room)
				if policies {
					g = s.policies()
				}
				end := make(chan struct{})
				finish := sync.OnceFunc(func() { close(end) })
				t.Cleanup(finish)
				s.app.Get("/stream", fiberguard.Guard(g), func(c fiber.Ctx) error {
					return c.SendStreamWriter(func(w *bufio.Writer) {
						_, _ = w.WriteString("one\n")
						_ = w.Flush()
						<-end
						for w.Flush() == nil && !leaves {
							_, _ = w.WriteString("two\n")
							_ = w.Flush()
							return
						}
					})
				})
				s.app.Get("/hijack", fiberguard.Guard(g), func(c fiber.Ctx) error {
					c.RequestCtx().Hijack(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
					return c.SendStatus(http.StatusSwitchingProtocols)
				})
				s.app.Get("/fine", fiberguard.Guard(s.room), func(c fiber.Ctx) error { return c.SendString("fine") })
				s.serve()
				conn, r := s.raw("GET /stream HTTP/1.1\nHost: x\nConnection: close\n\n")
				response, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = response.Body.Close() }()
				body := bufio.NewReader(response.Body)
				if line, err := body.ReadString('\n'); line != "one\n" || err != nil {
					t.Fatalf("got %q, %v", line, err)
				}
				if status, _ := s.get("/fine"); status != 503 {
					t.Errorf("beside a stream: got %d", status)
				}
				if leaves {
					_ = conn.Close()
				}
				finish()
				_, _ = io.ReadAll(body)
				s.settled()
				s.want("/fine", 200, "fine")
				s.settled() // which is a moment after its answer has come

				conn, r = s.raw("GET /hijack HTTP/1.1\nHost: x\n\n")
				if line, _ := r.ReadString('\n'); !strings.Contains(line, "101") {
					t.Fatalf("got %q", line)
				}
				if status, _ := s.get("/fine"); status != 503 {
					t.Errorf("beside a hijacked connection: got %d", status)
				}
				_ = conn.Close()
				s.settled()
				s.wantCounts(patterns.Counts{Success: 3, Rejected: 2})
			})
		}
	}
}

// settled waits until no permit is out.
func (s *site) settled() {
	s.Helper()
	conformance.Until(s, func() bool {
		snapshot, _ := s.room.Snapshot(s.Context())
		return snapshot.InFlight == 0
	})
}

// Without StreamRequestBody, and with it where a length is told, fasthttp reads the body first.
func TestABodyThatIsStreamedInHoldsAPermit(t *testing.T) {
	s := newSite(t, fiber.Config{StreamRequestBody: true})
	called, ended := make(chan struct{}), watch(s.room)
	s.app.Post("/", fiberguard.Guard(ended), func(c fiber.Ctx) error {
		close(called)
		_, _ = io.ReadAll(c.Request().BodyStream()) // fasthttp does not tell that half of it is missing
		return c.SendStatus(400)
	})
	s.app.Get("/fine", fiberguard.Guard(s.room), func(c fiber.Ctx) error { return c.SendString("fine") })
	s.serve()
	conn, _ := s.raw("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n4\nhalf\n")
	<-called
	if status, _ := s.get("/fine"); status != 503 {
		t.Errorf("got %d", status)
	}
	_ = conn.Close()
	<-ended.ended
	s.settled()
	s.want("/fine", 200, "fine")
}

// What fiber hands out is used again for the next request, and a key outlives its own.
func TestKeysAreCopiesWhateverTheyAreMadeOf(t *testing.T) {
	for name, by := range map[string]fiberguard.KeyFunc{
		"a header":    fiberguard.ByHeader("X-Tenant"),
		"a cookie":    fiberguard.ByCookie("tenant"),
		"a parameter": func(c fiber.Ctx) string { return c.Params("tenant") },
		"a query":     func(c fiber.Ctx) string { return c.Query("tenant") },
		"the path":    func(c fiber.Ctx) string { return c.Path()[len("/of/"):] },
		"a local":     fiberguard.ByLocal("tenant"),
	} {
		for _, several := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, several: %v", name, several), func(t *testing.T) {
				s := newSite(t, fiber.Config{})
				seen := &keeper{Guard: s.room}
				opts := []fiberguard.Option{fiberguard.Key(by)}
				if several {
					opts = append(opts, fiberguard.Key(fiberguard.ByRoute()))
				}
				s.app.Get("/of/:tenant", func(c fiber.Ctx) error {
					c.Locals("tenant", c.Params("tenant"))
					return c.Next()
				}, fiberguard.Guard(seen, opts...), func(c fiber.Ctx) error { return c.SendString(c.Params("tenant")) })
				s.serve()
				conn, r := s.raw("")
				var want []string
				for i := range 20 {
					tenant := fmt.Sprintf("tenant-%04d", i)
					if want = append(want, tenant); several {
						want[i] += "|/of/:tenant"
					}
					_, _ = fmt.Fprintf(conn, "GET /of/%s?tenant=%[1]s HTTP/1.1\r\nHost: x\r\nX-Tenant: %[1]s\r\nCookie: tenant=%[1]s\r\n\r\n", tenant)
					response, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if string(body) != tenant {
						t.Errorf("got %q", body)
					}
				}
				if !slices.Equal(seen.keys, want) {
					t.Errorf("got %q", seen.keys)
				}
			})
		}
	}
}
