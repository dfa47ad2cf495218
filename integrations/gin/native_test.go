package ginguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	ginguard "github.com/bulwark-go/bulwark/integrations/gin"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// get returns the status and body of an answer.
func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestMiddlewareOutsideMayStillAnswerWhereHandlersHaveNot(t *testing.T) {
	room, err := bulkhead.Spawn(actorstest.NewRegistry(t), "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := gin.New()
	e.Use(func(c *gin.Context) { // what a program has that answers for c.Error
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			c.String(c.Writer.Status(), "sorry")
		}
	}, ginguard.Guard(room))
	e.GET("/teapot", func(c *gin.Context) {
		c.Status(http.StatusTeapot)
		_ = c.Error(io.EOF)
	})
	address, _ := conformance.ServeHTTP(t, e)
	if status, body := get(t, address, "/teapot"); status != http.StatusTeapot || body != "sorry" {
		t.Errorf("got %d %q", status, body)
	}
	if status, body := get(t, address, "/nowhere"); status != 404 || body != "404 page not found" {
		t.Errorf("got %d %q, want what gin says without a guard", status, body)
	}
}

func TestAKeyMayBeWhatOtherMiddlewareHasFound(t *testing.T) {
	l, err := ratelimiter.Spawn(actorstest.NewRegistry(t), "api", ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour")})
	if err != nil {
		t.Fatal(err)
	}
	e := gin.New()
	e.Use(func(c *gin.Context) { c.Set("user", c.Query("user")) },
		ginguard.RateLimit(l, nethttp.Key(ginguard.By(func(c *gin.Context) string { return c.GetString("user") }), nethttp.ByRoute())))
	e.GET("/things/:id", func(c *gin.Context) { c.String(200, "ok") })
	address, _ := conformance.ServeHTTP(t, e)
	for _, one := range []struct {
		path   string
		status int
	}{{"/things/1?user=ann", 200}, {"/things/2?user=ann", 429}, {"/things/1?user=bob", 200}} {
		if status, body := get(t, address, one.path); status != one.status {
			t.Errorf("%s: got %d %q, want %d", one.path, status, body, one.status)
		}
	}
}

func newBreaker(t *testing.T) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(actorstest.NewRegistry(t), "b", circuitbreaker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantCounts(t *testing.T, b *circuitbreaker.Breaker, want patterns.Counts) {
	t.Helper()
	s, _ := b.Snapshot(t.Context())
	n := s.Counts
	if n.Success != want.Success || n.Failure != want.Failure || n.Dropped != want.Dropped || n.Ignored != want.Ignored || n.Rejected != want.Rejected || n.InFlight != 0 {
		t.Errorf("got %+v, want %+v", n, want)
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

// ask returns the answer to a request, after the handlers have returned.
func ask(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestHandlersComeInTheirOrderAndWhoAbortsEndsIt(t *testing.T) {
	for _, policies := range []bool{false, true} {
		t.Run(fmt.Sprint("policies: ", policies), func(t *testing.T) {
			b := newBreaker(t)
			var steps []string
			step := func(name string) gin.HandlerFunc {
				return func(c *gin.Context) {
					steps = append(steps, name)
					c.Next()
					steps = append(steps, "after "+name)
				}
			}
			plain := func(name string) gin.HandlerFunc { return func(*gin.Context) { steps = append(steps, name) } }
			abort := func(c *gin.Context) {
				steps = append(steps, "abort")
				c.AbortWithStatus(http.StatusForbidden)
			}
			g := ginguard.Guard(around(b, policies))
			e := gin.New()
			e.Use(step("outside"))
			e.GET("/fine", plain("before"), g, step("inside"), plain("one"), plain("two"))
			e.GET("/aborted", g, step("inside"), abort, plain("never"))
			e.GET("/never", abort, g, plain("never"))
			for path, want := range map[string][]string{
				"/fine":    {"outside", "before", "inside", "one", "two", "after inside", "after outside"},
				"/aborted": {"outside", "inside", "abort", "after inside", "after outside"},
				"/never":   {"outside", "abort", "after outside"},
			} {
				steps = nil
				w := ask(t, e, path)
				if wanted := map[bool]int{true: 200, false: 403}[path == "/fine"]; w.Code != wanted || !slices.Equal(steps, want) {
					t.Errorf("%s: got %d, %q", path, w.Code, steps)
				}
			}
			wantCounts(t, b, patterns.Counts{Success: 2})
			if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
				t.Fatal(err)
			}
			steps = nil
			if w := ask(t, e, "/fine"); w.Code != 503 || !slices.Equal(steps, []string{"outside", "before", "after outside"}) {
				t.Errorf("refused: got %d, %q", w.Code, steps)
			}
		})
	}
}

func TestWhatAHandlerAnswersCountsHoweverItDoes(t *testing.T) {
	for name, tt := range map[string]struct {
		handler gin.HandlerFunc
		status  int
		want    patterns.Counts
	}{
		"a status alone":             {func(c *gin.Context) { c.Status(502) }, 502, patterns.Counts{Failure: 1}},
		"a status that is replaced":  {func(c *gin.Context) { c.Status(502); c.Status(201) }, 201, patterns.Counts{Success: 1}},
		"AbortWithStatus":            {func(c *gin.Context) { c.AbortWithStatus(500) }, 500, patterns.Counts{Failure: 1}},
		"AbortWithStatusJSON":        {func(c *gin.Context) { c.AbortWithStatusJSON(404, gin.H{}) }, 404, patterns.Counts{Success: 1}},
		"AbortWithError":             {func(c *gin.Context) { _ = c.AbortWithError(500, io.EOF) }, 500, patterns.Counts{Failure: 1}},
		"Error alone":                {func(c *gin.Context) { _ = c.Error(io.EOF) }, 200, patterns.Counts{Success: 1}},
		"nothing":                    {func(*gin.Context) {}, 200, patterns.Counts{Success: 1}},
		"a status after the answer":  {afterwards(t), 200, patterns.Counts{Success: 1}},
		"a redirect":                 {func(c *gin.Context) { c.Redirect(302, "/") }, 302, patterns.Counts{Success: 1}},
		"the http.ResponseWriter's":  {func(c *gin.Context) { http.Error(c.Writer, "no", 500) }, 500, patterns.Counts{Failure: 1}},
		"a panic that Recovery sees": {func(*gin.Context) { panic("secret") }, 500, patterns.Counts{Failure: 1}},
	} {
		for _, policies := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, policies: %v", name, policies), func(t *testing.T) {
				b := newBreaker(t)
				var errs, status, size int
				e := gin.New()
				e.Use(gin.Recovery(), func(c *gin.Context) {
					c.Next()
					errs, status, size = len(c.Errors), c.Writer.Status(), c.Writer.Size()
				}, ginguard.Guard(around(b, policies)))
				e.GET("/", tt.handler)
				w := ask(t, e, "/")
				if w.Code != tt.status {
					t.Errorf("got %d", w.Code)
				}
				wantCounts(t, b, tt.want)
				if name == "a panic that Recovery sees" {
					return
				}
				if status != tt.status || max(0, size) != w.Body.Len() || (errs == 1) != strings.Contains(name, "Error") && name != "the http.ResponseWriter's" {
					t.Errorf("outside sees %d errors, status %d, size %d of %d", errs, status, size, w.Body.Len())
				}
			})
		}
	}
}

// afterwards is a handler that changes its mind when it has answered, which is too late.
func afterwards(t *testing.T) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.String(200, "x")
		if c.Status(500); c.Writer.Status() != 200 {
			t.Errorf("the status is %d", c.Writer.Status())
		}
	}
}

func TestACopyOfAContextMayBeUsedAfterwards(t *testing.T) {
	for _, policies := range []bool{false, true} {
		e := gin.New()
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := make(map[string]bool)
		e.GET("/of/:id", ginguard.Guard(around(newBreaker(t), policies)), func(c *gin.Context) {
			copied := c.Copy()
			wg.Go(func() {
				mu.Lock()
				defer mu.Unlock()
				seen[copied.Param("id")+copied.Request.URL.Path] = true
			})
			c.String(200, c.Param("id"))
		})
		for i := range 20 {
			if w := ask(t, e, fmt.Sprintf("/of/%d", i)); w.Body.String() != fmt.Sprint(i) {
				t.Errorf("got %q", w.Body)
			}
		}
		wg.Wait()
		for i := range 20 {
			if !seen[fmt.Sprintf("%d/of/%[1]d", i)] {
				t.Errorf("%d: got %v", i, seen)
			}
		}
	}
}

func TestTheWriterCanDoWhatItCouldBefore(t *testing.T) {
	for _, policies := range []bool{false, true} {
		e := gin.New()
		g := ginguard.Guard(around(newBreaker(t), policies))
		e.GET("/control", g, func(c *gin.Context) {
			control := http.NewResponseController(c.Writer)
			if err := errors.Join(control.SetReadDeadline(time.Now().Add(time.Minute)), control.SetWriteDeadline(time.Now().Add(time.Minute)),
				control.EnableFullDuplex()); err != nil {
				t.Error(err)
			}
			c.Status(202)
			c.Writer.WriteHeaderNow()
			c.Writer.Flush()
			_, _ = c.Writer.WriteString("text")
			if c.Writer.Status() != 202 || c.Writer.Size() != 4 || !c.Writer.Written() || c.Writer.CloseNotify() == nil {
				t.Errorf("got %d, %d, %v", c.Writer.Status(), c.Writer.Size(), c.Writer.Written())
			}
			if _, _, err := c.Writer.Hijack(); err == nil {
				t.Error("a response that has begun was hijacked")
			}
		})
		e.GET("/events", g, func(c *gin.Context) {
			n := 0
			c.Stream(func(io.Writer) bool {
				n++
				c.SSEvent("tick", n)
				return n < 3
			})
		})
		e.GET("/socket", g, func(c *gin.Context) {
			conn, rw, err := c.Writer.Hijack() // as packages for WebSockets do it
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			line, _ := rw.ReadString('\n')
			_, _ = io.WriteString(conn, "you said "+line)
		})
		address, stop := conformance.ServeHTTP(t, e)
		if status, body := get(t, address, "/control"); status != 202 || body != "text" {
			t.Errorf("got %d %q", status, body)
		}
		if status, body := get(t, address, "/events"); status != 200 || body != "event:tick\ndata:1\n\nevent:tick\ndata:2\n\nevent:tick\ndata:3\n\n" {
			t.Errorf("got %d %q", status, body)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET /socket HTTP/1.1\r\nHost: x\r\n\r\nhello\n")
		if all, err := io.ReadAll(conn); !strings.HasSuffix(string(all), "you said hello\n") || err != nil {
			t.Errorf("got %q, %v", all, err)
		}
		_ = conn.Close()
		stop()
	}
}

func TestWhatNeedsAContextOfGinSaysSo(t *testing.T) {
	if _, ok := ginguard.ContextOf(t.Context()); ok {
		t.Error("there is a context of gin")
	}
	for name, opt := range map[string]nethttp.Option{
		"By":      nethttp.Key(ginguard.By(func(*gin.Context) string { return "" })),
		"Handler": nethttp.Refused(ginguard.Handler(func(*gin.Context) {})),
	} {
		b := newBreaker(t)
		if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p, _ := recover().(error); !errors.Is(p, ginguard.ErrNoContext) {
					t.Errorf("%s: got %v", name, p)
				}
			}()
			ask(t, nethttp.Guard(b, opt)(http.NotFoundHandler()), "/")
		}()
	}
}
