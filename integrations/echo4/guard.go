package echo4guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
	"github.com/bulwark-go/bulwark/integrations/internal/single"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// Guard puts handlers behind a guard: any pattern, or a pipeline of several. It panics if there
// is no guard, or an option is wrong; New does not.
func Guard(g patterns.Guard, opts ...nethttp.Option) echo.MiddlewareFunc {
	return must(New(g, opts...))
}

// New is Guard for options that may be wrong, because they come from a file, say. The error
// names every fault.
func New(g patterns.Guard, opts ...nethttp.Option) (echo.MiddlewareFunc, error) {
	middleware, err := nethttp.New(g, opts...)
	if err = errors.Join(err, single.Check(g)); err != nil {
		return nil, err
	}
	terms := g.Terms()
	around := terms != nil && (terms.Policy != nil || terms.Timeout > 0)
	return wrap(middleware(http.HandlerFunc(next)), around), nil
}

// ErrHedge is matched by the error of a guard that is a hedge, or has one in it.
var ErrHedge = single.ErrHedge

// RateLimit holds clients to a rate, and tells them with every answer what they have left, as
// that of package nethttp does. It panics if an option is wrong; NewRateLimit does not.
func RateLimit(l nethttp.Limiter, opts ...nethttp.Option) echo.MiddlewareFunc {
	return must(NewRateLimit(l, opts...))
}

// NewRateLimit is RateLimit for options that may be wrong. The error names every fault.
func NewRateLimit(l nethttp.Limiter, opts ...nethttp.Option) (echo.MiddlewareFunc, error) {
	middleware, err := nethttp.NewRateLimit(l, opts...)
	if err != nil {
		return nil, err
	}
	return wrap(middleware(http.HandlerFunc(next)), false), nil
}

// ErrNoContext is what a Handler panics with, or a KeyFunc of By, that serves a request which
// is not echo's: one of nethttp's own middleware.
var ErrNoContext = errors.New("echo4guard: there is no echo.Context: guard the request with echo4guard")

// Handler is h for nethttp.Refused, and for fallbacks, which answer in place of a handler. If
// that was abandoned and still runs, h has another context, with its route and parameters.
func Handler(h echo.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := turnOf(w)
		if t == nil {
			panic(ErrNoContext)
		}
		c := t.c
		if t.host.Running() {
			c = t.spare
		}
		before := c.Request()
		defer func() { c.SetRequest(before) }()
		c.SetRequest(r)
		if err := h(c); err != nil {
			c.Error(err)
		}
	})
}

// By is f as a KeyFunc: what other middleware has put into the echo.Context, say.
func By(f func(c echo.Context) string) nethttp.KeyFunc {
	return func(r *http.Request) string {
		c, ok := ContextOf(r.Context())
		if !ok {
			panic(ErrNoContext)
		}
		return f(c)
	}
}

// ContextOf returns the echo.Context of the request that is asked about, in the functions given
// to nethttp.Key and nethttp.Weight, whose request has it in its context.
func ContextOf(ctx context.Context) (c echo.Context, ok bool) {
	t, ok := ctx.Value(key{}).(*turn)
	if !ok {
		return nil, false
	}
	return t.c, true
}

// must is for options that are written in the program.
func must(m echo.MiddlewareFunc, err error) echo.MiddlewareFunc {
	if err != nil {
		panic(fmt.Errorf("echo4guard: %w", err))
	}
	return m
}

// key is that of a turn in a context.
type key struct{}

// turn is a request in front of one guard.
type turn struct {
	host   hosted.Host
	c      echo.Context
	spare  echo.Context // for who answers while the handler still runs
	next   echo.HandlerFunc
	err    error // of next
	status int   // that there was before
}

func turnOf(w http.ResponseWriter) *turn {
	h := hosted.Of(w)
	if h == nil {
		return nil
	}
	t, _ := h.Native.(*turn)
	return t
}

// wrap is middleware that ends in next. Policies around it may abandon handlers.
func wrap(middleware http.Handler, around bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			t := &turn{c: c, next: next, status: c.Response().Status}
			t.host.ResponseWriter, t.host.Key, t.host.Native = c.Response(), key{}, t
			if around {
				t.spare = another(c, &t.host)
			}
			r := c.Request()
			if route := c.Path(); route != "" {
				r.Pattern = route
			}
			t.host.Serve(middleware, r)
			if t.host.Replaced() {
				return nil
			}
			return t.err
		}
	}
}

// another is a context of the same request, with a response of its own.
func another(c echo.Context, w http.ResponseWriter) echo.Context {
	o := c.Echo().NewContext(c.Request(), w)
	o.SetPath(c.Path())
	o.SetParamNames(c.ParamNames()...)
	o.SetParamValues(slices.Clone(c.ParamValues())...)
	return o
}

// next calls the handler after the guard.
func next(w http.ResponseWriter, r *http.Request) {
	t := turnOf(w)
	c := t.c
	if w == http.ResponseWriter(&t.host) { // the guard has no interest in the response
		t.err = t.next(c)
		return
	}
	before, request := c.Response(), c.Request()
	inner := echo.NewResponse(w, c.Echo())
	inner.Status = t.status
	c.SetResponse(inner)
	if r != request {
		c.SetRequest(r)
	}
	defer func() {
		c.SetResponse(before)
		if r != request {
			c.SetRequest(request)
		}
	}()
	if t.err = t.next(c); t.err != nil {
		c.Error(t.err)
	}
}
