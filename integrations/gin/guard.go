package ginguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
	"github.com/bulwark-go/bulwark/integrations/internal/single"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// Guard puts the handlers after it behind a guard: any pattern, or a pipeline of several. It
// panics if there is no guard, or an option is wrong; New does not.
func Guard(g patterns.Guard, opts ...nethttp.Option) gin.HandlerFunc { return must(New(g, opts...)) }

// New is Guard for options that may be wrong, because they come from a file, say. The error
// names every fault.
func New(g patterns.Guard, opts ...nethttp.Option) (gin.HandlerFunc, error) {
	middleware, err := nethttp.New(g, opts...)
	if err = errors.Join(err, single.Check(g)); err != nil {
		return nil, err
	}
	terms := g.Terms()
	around := terms != nil && (terms.Policy != nil || terms.Timeout > 0)
	return handler(middleware(http.HandlerFunc(next)), around), nil
}

// ErrHedge is matched by the error of a guard that is a hedge, or has one in it.
var ErrHedge = single.ErrHedge

// RateLimit holds clients to a rate, and tells them with every answer what they have left, as
// that of package nethttp does. It panics if an option is wrong; NewRateLimit does not.
func RateLimit(l nethttp.Limiter, opts ...nethttp.Option) gin.HandlerFunc {
	return must(NewRateLimit(l, opts...))
}

// NewRateLimit is RateLimit for options that may be wrong. The error names every fault.
func NewRateLimit(l nethttp.Limiter, opts ...nethttp.Option) (gin.HandlerFunc, error) {
	middleware, err := nethttp.NewRateLimit(l, opts...)
	if err != nil {
		return nil, err
	}
	return handler(middleware(http.HandlerFunc(next)), false), nil
}

// ErrNoContext is what a Handler panics with, or a KeyFunc of By, that serves a request which
// is not gin's: one of nethttp's own middleware.
var ErrNoContext = errors.New("ginguard: there is no gin.Context: guard the request with ginguard")

// Handler is h for nethttp.Refused, and for fallbacks, which answer in place of a handler. If
// that was abandoned and still runs, h has a copy of its context.
func Handler(h gin.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := turnOf(w)
		if t == nil {
			panic(ErrNoContext)
		}
		c := t.c
		if t.host.Running() {
			c = t.spare
		}
		before := c.Request
		defer func() { c.Request = before }()
		c.Request = r
		h(c)
		if c == t.spare {
			c.Writer.WriteHeaderNow()
		}
	})
}

// By is f as a KeyFunc: what other middleware has put into the gin.Context, say.
func By(f func(c *gin.Context) string) nethttp.KeyFunc {
	return func(r *http.Request) string {
		c, ok := ContextOf(r.Context())
		if !ok {
			panic(ErrNoContext)
		}
		return f(c)
	}
}

// ContextOf returns the gin.Context of the request that is asked about, in the functions given
// to nethttp.Key and nethttp.Weight, whose request has it in its context.
func ContextOf(ctx context.Context) (c *gin.Context, ok bool) {
	t, ok := ctx.Value(key{}).(*turn)
	if !ok {
		return nil, false
	}
	return t.c, true
}

// must is for options that are written in the program.
func must(h gin.HandlerFunc, err error) gin.HandlerFunc {
	if err != nil {
		panic(fmt.Errorf("ginguard: %w", err))
	}
	return h
}

// key is that of a turn in a context.
type key struct{}

// turn is a request in front of one guard.
type turn struct {
	host   hosted.Host
	c      *gin.Context
	spare  *gin.Context // for who answers while the handler still runs
	outer  outer
	inner  writer
	status int  // that there was before
	went   bool // the handlers after the guard were called
}

func turnOf(w http.ResponseWriter) *turn {
	h := hosted.Of(w)
	if h == nil {
		return nil
	}
	t, _ := h.Native.(*turn)
	return t
}

// handler is middleware that ends in next. Policies around it may abandon handlers.
func handler(middleware http.Handler, around bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		t := &turn{c: c, status: c.Writer.Status()}
		t.outer.ResponseWriter = c.Writer
		t.host.ResponseWriter, t.host.Key, t.host.Native = &t.outer, key{}, t
		if around {
			t.spare = c.Copy()
			t.spare.Writer = &writer{ResponseWriter: &t.host, before: c.Writer, status: http.StatusOK, size: unwritten}
		}
		if route := c.FullPath(); route != "" {
			c.Request.Pattern = route
		}
		t.host.Serve(middleware, c.Request)
		if !t.went {
			c.Abort()
		}
	}
}

// next calls the handlers after the guard.
func next(w http.ResponseWriter, r *http.Request) {
	t := turnOf(w)
	t.went = true
	c := t.c
	if w == http.ResponseWriter(&t.host) { // the guard has no interest in the response
		c.Next()
		return
	}
	before, request := c.Writer, c.Request
	t.inner = writer{ResponseWriter: w, before: before, status: t.status, size: unwritten}
	c.Writer = &t.inner
	if r != request {
		c.Request = r
	}
	defer func() {
		c.Writer = before
		if r != request {
			c.Request = request
		}
	}()
	c.Next()
	if !t.inner.Written() {
		t.outer.later.Store(true)
		w.WriteHeader(t.inner.status)
	}
}
