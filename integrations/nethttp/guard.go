package nethttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/bulwark-go/bulwark/patterns"
)

// Guard puts a handler behind a guard: any pattern, or a pipeline of several. It panics if
// there is no guard, or an option is wrong; New does not.
func Guard(g patterns.Guard, opts ...Option) func(http.Handler) http.Handler {
	return must(New(g, opts...))
}

// New is Guard for options that may be wrong, because they come from a file, say. The error
// names every fault.
func New(g patterns.Guard, opts ...Option) (func(http.Handler) http.Handler, error) {
	e, err := newEntrance(false, opts)
	if g == nil {
		err = errors.Join(err, fmt.Errorf("nethttp: %w", patterns.ErrNilGuard))
	}
	if err != nil {
		return nil, err
	}
	terms := g.Terms()
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic(ErrNilHandler)
		}
		h := &guarded{entrance: e, guard: g, next: next}
		if terms != nil {
			h.judge, h.around = terms.Judge, terms.Policy != nil || terms.Timeout > 0
		}
		h.exchanges.New = func() any { return &exchange{h: h} }
		return h
	}, nil
}

// guarded is a handler behind a guard.
type guarded struct {
	*entrance
	guard  patterns.Guard
	judge  *patterns.Judge
	around bool // the guard decides around a call, and not only before it
	next   http.Handler

	exchanges sync.Pool // of *exchange
}

// ServeHTTP implements http.Handler.
func (h *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.excludes(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	var q patterns.Request
	original := r
	r = h.ask(w, r, &q)
	defer tidy(r, original)
	if h.around {
		h.handle(w, r, q)
		return
	}
	permit, err := h.acquire(r.Context(), &q)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	x := h.exchanges.Get().(*exchange)
	x.permit, x.request, x.inner = permit, r, w
	defer x.end()
	h.next.ServeHTTP(x.faces.of(&x.response, w), r)
	x.wait()
	x.returned = true
}

func (h *guarded) acquire(ctx context.Context, q *patterns.Request) (patterns.Permit, error) {
	if *q == (patterns.Request{}) {
		return h.guard.Acquire(ctx)
	}
	return h.guard.AcquireFor(ctx, *q)
}

// exchange is a request that holds a permit, and its response. It is pooled: a handler that
// uses its http.ResponseWriter after it has returned meets another's response, as it may in
// package http itself.
type exchange struct {
	response
	h        *guarded
	permit   patterns.Permit
	request  *http.Request
	returned bool // the handler has, and neither panicked nor ended its goroutine
}

// end reports how the handler ended, and lets a panic pass.
func (x *exchange) end() {
	x.permit.Report(x.outcome())
	if !x.returned || x.closed != nil {
		return // the goroutine unwinds, or somebody may still have the connection
	}
	x.permit, x.request, x.returned = patterns.Permit{}, nil, false
	x.inner, x.status, x.refused = finished{}, 0, false // the faces stay as they are
	x.h.exchanges.Put(x)
}

func (x *exchange) outcome() patterns.Outcome {
	ctx := x.request.Context()
	switch {
	case errors.Is(ctx.Err(), context.Canceled), x.refused:
		return patterns.Ignored
	case !x.returned:
		return patterns.Failure
	case x.h.judge != nil:
		return x.h.judged(ctx, x.response.code())
	}
	return outcomeOf(x.response.code())
}

// outcomeOf is what a status means to a guard.
func outcomeOf(status int) patterns.Outcome {
	switch {
	case status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return patterns.Dropped
	case status >= http.StatusInternalServerError:
		return patterns.Failure
	}
	return patterns.Success
}

// judged is what the guard's own Judge says of a status.
func (h *guarded) judged(ctx context.Context, status int) patterns.Outcome {
	var err error
	if status >= http.StatusInternalServerError {
		err = &StatusError{status}
	}
	return patterns.JudgeCall(ctx, h.judge, answered(status), err)
}

// answered is the call of a handler that has answered, for a Judge to look at.
type answered int

func (answered) Request() *patterns.Request { return new(patterns.Request) }
func (answered) Try(context.Context) error  { return ErrSpent }
func (answered) Began() bool                { return true }
func (a answered) Result() any              { return Status(a) }
func (answered) Give(any) error             { return ErrSpent }
func (a answered) Fork() patterns.Call      { return a }
func (answered) Adopt(patterns.Call)        {}
