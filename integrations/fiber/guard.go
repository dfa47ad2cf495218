package fiberguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v3"

	"github.com/bulwark-go/bulwark/integrations/internal/single"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// Guard puts the handlers after it behind a guard: any pattern, or a pipeline of several. It
// panics if there is no guard, or an option is wrong; New does not.
func Guard(g patterns.Guard, opts ...Option) fiber.Handler { return must(New(g, opts...)) }

// New is Guard for options that may be wrong, because they come from a file, say. The error
// names every fault.
func New(g patterns.Guard, opts ...Option) (fiber.Handler, error) {
	e, err := newEntrance(false, opts)
	if g == nil {
		err = errors.Join(err, fmt.Errorf("fiberguard: %w", patterns.ErrNilGuard))
	}
	if err = errors.Join(err, single.Check(g)); err != nil {
		return nil, err
	}
	h := &guarded{entrance: e, guard: g}
	if terms := g.Terms(); terms != nil {
		h.judge, h.around = terms.Judge, terms.Policy != nil || terms.Timeout > 0
	}
	if h.around {
		if h.guard, err = lasting(g); err != nil {
			return nil, err
		}
	}
	return h.serve, nil
}

// ErrHedge is matched by the error of a guard that is a hedge, or has one in it.
var ErrHedge = single.ErrHedge

// ErrSpent refuses to handle a request again, as a retry or a hedge would. It matches
// patterns.ErrRejected too.
var ErrSpent = fmt.Errorf("fiberguard: the request cannot be handled again: %w", patterns.ErrRejected)

// errRefusedInside is what a handler comes to whose request a guard inside it has refused, and
// answered.
var errRefusedInside = fmt.Errorf("fiberguard: refused by a guard inside: %w", patterns.ErrRejected)

// errNothing stands for the answer that a policy took away and gave nothing for.
var errNothing = errors.New("fiberguard: there is no answer")

// guarded are handlers behind a guard.
type guarded struct {
	*entrance
	guard  patterns.Guard
	judge  *patterns.Judge
	around bool // the guard decides around a call, and not only before it
}

func (h *guarded) serve(c fiber.Ctx) error {
	if h.excludes(c) {
		return c.Next()
	}
	var q patterns.Request
	h.ask(c, &q)
	if h.around {
		return h.handle(c, q)
	}
	permit, err := h.guard.AcquireFor(c.Context(), q)
	if err != nil {
		return h.refuse(c, err)
	}
	held := &holding{permit: permit, outcome: patterns.Failure}
	kept := false
	defer func() {
		if !kept { // the goroutine unwinds, or nobody tells when the response has been sent
			_ = held.Close()
		}
	}()
	ctx := c.Context()
	call(c)
	if givenUp(ctx, c) {
		held.outcome = h.lateness(ctx)
		return nil
	}
	held.outcome = h.outcome(c)
	if ctx.Done() != nil && !lasts(c) {
		return nil // whoever is outside and can end ctx may give the request up, even now
	}
	c.RequestCtx().SetUserValue(held, held) // closed when the response has been sent
	kept = true
	return nil
}

// givenUp reports whether somebody has answered who does not wait for handlers, as fiber's
// timeout does. They may still run: nobody else may touch c then, and fasthttp never ends the
// request. ctx is that of the request before.
func givenUp(ctx context.Context, c fiber.Ctx) bool {
	// Outside, where ctx comes from then, somebody may do so just now.
	return c.IsAbandoned() || ctx.Done() == nil && c.RequestCtx().LastTimeoutErrorResponse() != nil
}

// lateness is what it is to the guard that handlers were given up.
func (h *guarded) lateness(ctx context.Context) patterns.Outcome {
	if h.judge != nil {
		return patterns.JudgeCall(ctx, h.judge, answered(http.StatusRequestTimeout), context.DeadlineExceeded)
	}
	return patterns.Dropped
}

// call calls the handlers after the guard, and makes an answer of their error.
func call(c fiber.Ctx) {
	if err := c.Next(); err != nil && !c.IsAbandoned() {
		answerError(c, err)
	}
}

func answerError(c fiber.Ctx, err error) {
	if err := c.App().ErrorHandler(c, err); err != nil {
		_ = c.SendStatus(fiber.StatusInternalServerError) // which never fails
	}
}

// holding is a permit of a request that is not over.
type holding struct {
	permit  patterns.Permit
	outcome patterns.Outcome
}

// Close implements io.Closer.
func (h *holding) Close() error {
	h.permit.Report(h.outcome)
	return nil
}

// insideKey is that of what guards inside leave in locals, when they have refused a request.
type insideKey struct{}

func refusedInside(c fiber.Ctx) bool { return c.Locals(insideKey{}) != nil }

func (h *guarded) outcome(c fiber.Ctx) patterns.Outcome {
	status := c.Response().StatusCode()
	switch {
	case refusedInside(c):
		return patterns.Ignored
	case h.judge != nil:
		var err error
		if status >= http.StatusInternalServerError {
			err = &nethttp.StatusError{Status: status}
		}
		return patterns.JudgeCall(c.Context(), h.judge, answered(status), err)
	case status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return patterns.Dropped
	case status >= http.StatusInternalServerError:
		return patterns.Failure
	}
	return patterns.Success
}

// answered is the call of a handler that has answered, for a Judge to look at.
type answered int

func (answered) Request() *patterns.Request { return new(patterns.Request) }
func (answered) Try(context.Context) error  { return ErrSpent }
func (answered) Began() bool                { return true }
func (a answered) Result() any              { return nethttp.Status(a) }
func (answered) Give(any) error             { return ErrSpent }
func (a answered) Fork() patterns.Call      { return a }
func (answered) Adopt(patterns.Call)        {}
