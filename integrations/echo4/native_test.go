package echo4guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	echo4guard "github.com/bulwark-go/bulwark/integrations/echo4"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func newBreaker(t *testing.T) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(actorstest.NewRegistry(t), "b", circuitbreaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantCounts checks what a breaker has learned.
func wantCounts(t *testing.T, b *circuitbreaker.Breaker, want patterns.Counts) {
	t.Helper()
	s, ok := b.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	n := s.Counts
	if n.Success != want.Success || n.Failure != want.Failure || n.Dropped != want.Dropped || n.Ignored != want.Ignored || n.Rejected != want.Rejected || n.InFlight != 0 {
		t.Errorf("got %+v, want %+v", n, want)
	}
}

func quiet() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	return e
}

// ask returns the answer to a request, after the handler has returned.
func ask(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func wantAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status || w.Body.String() != body {
		t.Errorf("got %d %q, want %d %q", w.Code, w.Body, status, body)
	}
}

var errGone = errors.New("gone")

func TestWhatTheErrorHandlerMakesOfAnErrorIsWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
		want   patterns.Counts
	}{
		"an HTTPError of 404":              {echo.NewHTTPError(404, "no"), 404, "own: 404", patterns.Counts{Success: 1}},
		"one of 429":                       {echo.NewHTTPError(429, "no"), 429, "own: 429", patterns.Counts{Success: 1}},
		"one of 500":                       {echo.NewHTTPError(500, "no"), 500, "own: 500", patterns.Counts{Failure: 1}},
		"one of 503":                       {echo.NewHTTPError(503, "no"), 503, "own: 503", patterns.Counts{Dropped: 1}},
		"one in another error":             {fmt.Errorf("about: %w", echo.NewHTTPError(404, "no")), 404, "own: 404", patterns.Counts{Success: 1}},
		"any error":                        {io.ErrUnexpectedEOF, 500, "own: 500", patterns.Counts{Failure: 1}},
		"one that the error handler knows": {fmt.Errorf("about: %w", errGone), 410, "own: 410", patterns.Counts{Success: 1}},
	} {
		for _, policies := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, policies: %v", name, policies), func(t *testing.T) {
				b := newBreaker(t)
				e := quiet()
				var handled []error
				e.HTTPErrorHandler = func(err error, c echo.Context) {
					if c.Response().Committed {
						return
					}
					handled = append(handled, err)
					status := http.StatusInternalServerError
					if he, ok := errors.AsType[*echo.HTTPError](err); ok {
						status = he.Code
					}
					if errors.Is(err, errGone) {
						status = http.StatusGone
					}
					_ = c.String(status, fmt.Sprint("own: ", status))
				}
				var outside error
				e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
					return func(c echo.Context) error {
						outside = next(c)
						return outside
					}
				}, echo4guard.Guard(around(b, policies)))
				e.GET("/", func(echo.Context) error { return c.err })
				wantAnswer(t, ask(t, e, "/"), c.status, c.body)
				if !slices.Equal(handled, []error{c.err}) || !errors.Is(outside, c.err) {
					t.Errorf("the error handler answered for %v, middleware outside saw %v", handled, outside)
				}
				want := c.want
				if policies { // which know no more than that it failed
					want.Failure, want.Dropped = want.Failure+want.Dropped, 0
				}
				wantCounts(t, b, want)
			})
		}
	}
}

// around is g, with a policy around it if one is wanted.
func around(g patterns.Guard, policies bool) patterns.Guard {
	if policies {
		return judging{g}
	}
	return g
}

// judging is a guard that is asked around calls.
type judging struct{ patterns.Guard }

func (j judging) Terms() *patterns.Terms { return &patterns.Terms{Policy: j} }

// Around implements patterns.Policy.
func (j judging) Around(ctx context.Context, call patterns.Call) error {
	p, err := j.Acquire(ctx)
	if err != nil {
		return err
	}
	outcome := patterns.Failure // if it unwinds
	defer func() { p.Report(outcome) }()
	err = call.Try(ctx)
	outcome = patterns.Classify(ctx, err)
	return err
}

func TestARefusalIsNoErrorForTheErrorHandler(t *testing.T) {
	b := newBreaker(t)
	if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
		t.Fatal(err)
	}
	e := quiet()
	e.HTTPErrorHandler = func(err error, _ echo.Context) { t.Errorf("asked about %v", err) }
	e.GET("/", func(echo.Context) error { return nil }, echo4guard.Guard(b))
	if w := ask(t, e, "/"); w.Code != 503 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	// But what Refused returns is.
	e = quiet()
	e.GET("/", func(echo.Context) error { return nil }, echo4guard.Guard(b, nethttp.Refused(echo4guard.Handler(func(echo.Context) error {
		return echo.NewHTTPError(http.StatusTeapot, "sorry")
	}))))
	wantAnswer(t, ask(t, e, "/"), 418, "{\"message\":\"sorry\"}\n")
	wantCounts(t, b, patterns.Counts{Rejected: 2})
}

func TestAnErrorAfterTheResponseHasBegunChangesNothing(t *testing.T) {
	for _, policies := range []bool{false, true} {
		b := newBreaker(t)
		e := quiet()
		e.GET("/", func(c echo.Context) error {
			if err := c.String(200, "begun"); err != nil {
				return err
			}
			return errGone
		}, echo4guard.Guard(around(b, policies)))
		wantAnswer(t, ask(t, e, "/"), 200, "begun")
		wantCounts(t, b, patterns.Counts{Success: 1})
	}
}

func TestAContextTimeoutIsToldByWhoeverIsOutside(t *testing.T) {
	slow := func(c echo.Context) error {
		<-c.Request().Context().Done()
		return c.Request().Context().Err()
	}
	soon := middleware.ContextTimeout(5 * time.Millisecond)
	b := newBreaker(t)
	e := quiet()
	e.GET("/inside", slow, echo4guard.Guard(b), soon)
	if w := ask(t, e, "/inside"); w.Code != 503 {
		t.Errorf("got %d", w.Code)
	}
	wantCounts(t, b, patterns.Counts{Dropped: 1})

	// Outside it comes too late: the guard had to know what the error is to clients.
	b = newBreaker(t)
	e.GET("/outside", slow, soon, echo4guard.Guard(b))
	if w := ask(t, e, "/outside"); w.Code != 500 {
		t.Errorf("got %d", w.Code)
	}
	wantCounts(t, b, patterns.Counts{Failure: 1})
}

func TestAKeyMayBeWhatOtherMiddlewareHasFoundAndTheRouteOfAGroup(t *testing.T) {
	l, err := ratelimiter.Spawn(actorstest.NewRegistry(t), "api", ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour")})
	if err != nil {
		t.Fatal(err)
	}
	e := quiet()
	var mu sync.Mutex
	var routes []string
	g := e.Group("/v1", func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("user", c.QueryParam("user"))
			return next(c)
		}
	}, echo4guard.RateLimit(l, nethttp.Key(echo4guard.By(func(c echo.Context) string {
		mu.Lock()
		defer mu.Unlock()
		routes = append(routes, c.Path()+" "+c.Param("id"))
		user, _ := c.Get("user").(string)
		return user
	}), nethttp.ByRoute())))
	ok := func(c echo.Context) error { return c.NoContent(200) }
	g.GET("/things/:id", ok)
	g.GET("/others/:id", ok)
	for _, one := range []struct {
		path   string
		status int
	}{{"/v1/things/1?user=ann", 200}, {"/v1/things/2?user=ann", 429}, {"/v1/things/1?user=bob", 200}, {"/v1/others/1?user=ann", 200}} {
		if w := ask(t, e, one.path); w.Code != one.status {
			t.Errorf("%s: got %d, want %d", one.path, w.Code, one.status)
		}
	}
	if want := []string{"/v1/things/:id 1", "/v1/things/:id 2", "/v1/things/:id 1", "/v1/others/:id 1"}; !slices.Equal(routes, want) {
		t.Errorf("got %q", routes)
	}
}

func TestWhatNeedsAContextOfEchoSaysSo(t *testing.T) {
	if _, ok := echo4guard.ContextOf(t.Context()); ok {
		t.Error("there is a context of echo")
	}
	for name, opt := range map[string]nethttp.Option{
		"By":      nethttp.Key(echo4guard.By(func(echo.Context) string { return "" })),
		"Handler": nethttp.Refused(echo4guard.Handler(func(echo.Context) error { return nil })),
	} {
		b := newBreaker(t)
		if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p, _ := recover().(error); !errors.Is(p, echo4guard.ErrNoContext) {
					t.Errorf("%s: got %v", name, p)
				}
			}()
			ask(t, nethttp.Guard(b, opt)(http.NotFoundHandler()), "/")
		}()
	}
}
