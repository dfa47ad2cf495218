package fiberguard

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/bulwark-go/bulwark/integrations/internal/policyerr"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// Answer is what a fallback gives in place of a handler's answer: a Handler, for which it is
// fallback.Config[fiberguard.Answer].
type Answer interface{ answer(c fiber.Ctx) error }

// Handler is h as an Answer.
func Handler(h fiber.Handler) Answer { return native(h) }

type native fiber.Handler

func (n native) answer(c fiber.Ctx) error { return n(c) }

// Status is the result of a handler that answered less than 500, for a Judge that looks at
// results around policies.
type Status int

func (Status) answer(fiber.Ctx) error { return nil }

// course is a request on its way through policies. Its handlers run once, perhaps on another
// goroutine, and nothing else touches its fiber.Ctx meanwhile.
type course struct {
	h     *guarded
	c     fiber.Ctx
	from  context.Context // the request's, before the policies
	calls sync.WaitGroup

	mu       sync.Mutex
	over     bool // no handler may be called any more
	called   bool
	answered bool // in time
	given    bool // up: fasthttp has answered, and never ends the request
	lasts    bool // the answer goes on when the handlers have returned
	kept     []holding
}

// handle has the guard's policies call the handlers, and answers if they have not.
func (h *guarded) handle(c fiber.Ctx, q patterns.Request) error {
	ctx := c.Context()
	x := &course{h: h, c: c, from: ctx}
	var before fasthttp.ResponseHeader
	c.Response().Header.CopyTo(&before)
	sent := false
	defer func() {
		x.close()
		if !sent {
			_ = x.Close()
		}
	}()
	instead, err := patterns.DoFor(context.WithValue(ctx, courseKey{}, x), h.guard, q, x.try)
	x.close()
	if x.given {
		return nil
	}
	c.SetContext(ctx)
	switch {
	case err == nil && isAnswer(instead):
		restore(c, &before)
		if err := instead.answer(c); err != nil {
			answerError(c, err)
		}
		return nil
	case x.answered && stands(err):
		if len(x.kept) > 0 {
			x.c, x.from, sent = nil, nil, true // fiber uses it again
			c.RequestCtx().SetUserValue(x, x)  // closed when the response has been sent
		}
		return nil
	case err == nil:
		err = errNothing
	case errors.Is(err, ErrSpent): // the handler was too late
		err = context.DeadlineExceeded
	}
	restore(c, &before)
	return h.refuse(c, err)
}

// close waits for a handler that was abandoned: its fiber.Ctx is used again.
func (x *course) close() {
	x.mu.Lock()
	x.over = true
	x.mu.Unlock()
	x.calls.Wait()
}

func (x *course) admit() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || x.called {
		return false
	}
	x.called = true
	x.calls.Add(1)
	return true
}

// try calls the handlers, on whatever goroutine the policies chose. Its error is what guards
// judge, and final: no retry need wait for another.
func (x *course) try(ctx context.Context) (Answer, error) {
	if !x.admit() {
		return nil, ErrSpent
	}
	defer x.calls.Done()
	status, err := x.answer(ctx)
	if err != nil {
		return nil, policyerr.Also(err, patterns.ErrFinal)
	}
	return status, nil
}

func (x *course) answer(ctx context.Context) (Answer, error) {
	x.c.SetContext(ctx)
	call(x.c)
	if givenUp(x.from, x.c) {
		x.given = true
		return nil, context.DeadlineExceeded
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nobody has seen anything of the answer
	}
	x.mu.Lock()
	x.answered, x.lasts = true, lasts(x.c)
	x.mu.Unlock()
	switch status := x.c.Response().StatusCode(); {
	case refusedInside(x.c):
		return nil, errRefusedInside
	case status >= http.StatusInternalServerError:
		return nil, &nethttp.StatusError{Status: status}
	default:
		return Status(status), nil
	}
}

// restore takes back what handlers have answered.
func restore(c fiber.Ctx, before *fasthttp.ResponseHeader) {
	c.Response().Reset()
	before.CopyTo(&c.Response().Header)
}

// isAnswer reports whether a fallback gave a: what a handler has answered has a Status.
func isAnswer(a Answer) bool {
	_, old := a.(Status)
	return a != nil && !old
}

// stands reports whether the handlers' answer is the client's, if the guard says err.
func stands(err error) bool {
	if errors.Is(err, timeout.ErrTimeout) {
		return false
	}
	_, failed := errors.AsType[*nethttp.StatusError](err)
	return err == nil || failed || errors.Is(err, errRefusedInside) || errors.Is(err, ErrSpent)
}
