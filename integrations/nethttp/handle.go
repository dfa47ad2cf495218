package nethttp

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/hosted"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// course is a request on its way through policies: its handler may be called several times, or
// go on when nobody waits for it any more.
type course struct {
	h       *guarded
	request *http.Request
	base    http.Header  // what outer middleware has set
	host    *hosted.Host // of a framework that calls its handlers once; or nil

	over     atomic.Bool // no other response may begin
	sending  atomic.Bool // a response is being written, which may block, under the lock
	mu       sync.Mutex
	inner    http.ResponseWriter
	attempts int
	upload   *upload  // what the only attempt reads; nil if there is no body
	winner   *attempt // whose response the client gets
	held     *attempt // the latest whose response was a failure, which was held back
	panicked any      // with what a handler did whose client had left
}

// handle has the guard's policies call the handler, and answers if it has not.
func (h *guarded) handle(w http.ResponseWriter, r *http.Request, q patterns.Request) {
	c := &course{h: h, request: r, inner: w, base: w.Header().Clone(), host: hosted.Of(w)}
	defer c.close() // should it unwind, package http sees to the connection
	instead, err := patterns.DoFor(r.Context(), h.guard, q, c.try)
	c.settle(w, instead, err)
}

// try is one attempt: it calls the handler, on whatever goroutine the policies chose. Its
// error is what guards judge.
func (c *course) try(ctx context.Context) (answer http.Handler, err error) {
	a, err := c.admit(ctx)
	if err != nil {
		return nil, err
	}
	if c.host != nil {
		defer c.host.End()
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		a.unwound()
		if left := c.request.Context().Err(); errors.Is(left, context.Canceled) {
			if p := recover(); p != nil { // which is nobody's failure
				c.keep(p)
				answer, err = nil, left
			}
		}
	}()
	r := c.request.Clone(ctx)
	defer a.receive(r)()
	c.h.next.ServeHTTP(a.faces.of(a, c.inner), r)
	tidy(r, c.request)
	a.wait()
	returned = true
	return a.finish()
}

// admit begins an attempt, if one can still be made.
func (c *course) admit(ctx context.Context) (*attempt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over.Load() || c.winner != nil || c.attempts > 0 && !c.repeatable() {
		return nil, ErrSpent
	}
	if c.host != nil {
		c.host.Begin()
	}
	c.attempts++
	return &attempt{course: c, ctx: ctx, header: c.base.Clone()}, nil
}

// repeatable reports whether the handler may be called again.
func (c *course) repeatable() bool {
	return c.request.ContentLength == 0 && isIdempotent(c.request) && c.host == nil
}

func (c *course) keep(p any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panicked = p
}

// result is what has become of a course when no response may begin any more.
type result struct {
	begun    bool
	cut      bool // the response that has begun will not be finished
	held     *attempt
	panicked any
}

// close lets no other response begin, and no abandoned handler write any more. One that is
// writing just now, to a client that does not read, is cut off.
func (c *course) close() result {
	c.over.Store(true)
	if !c.mu.TryLock() {
		if c.sending.Load() { // it looks at over once it has said so
			_ = http.NewResponseController(c.inner).SetWriteDeadline(time.Now())
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	won := c.winner
	if won == nil && c.upload.interrupt(c.inner) { // a handler is left reading
		c.upload.slow = true // the deadline that it is left for may not have reached it yet
	}
	return result{
		begun: won != nil, cut: won != nil && !won.ended && won.closed == nil, held: c.held, panicked: c.panicked,
	}
}

// settle answers, if no handler has.
func (c *course) settle(w http.ResponseWriter, instead http.Handler, err error) {
	switch end := c.close(); {
	case end.panicked != nil:
		panic(end.panicked)
	case end.cut: // half a response must not look whole
		if c.host != nil {
			c.host.Cut()
		}
		panic(http.ErrAbortHandler)
	case end.begun:
	case end.held != nil && (err == nil && !isAnswer(instead) || err != nil && end.held.is(err)):
		end.held.release(w)
	default:
		if c.host != nil {
			c.host.Answering(c.request)
		}
		c.answer(w, instead, err)
	}
}

// answer answers in the handler's place.
func (c *course) answer(w http.ResponseWriter, instead http.Handler, err error) {
	switch {
	case err == nil && isAnswer(instead):
		instead.ServeHTTP(w, c.request)
	case errors.Is(err, ErrSpent): // the first attempt has not answered in time
		c.h.refuse(w, c.request, context.DeadlineExceeded)
	case err == nil:
		c.h.refuse(w, c.request, errNothing)
	default:
		c.h.refuse(w, c.request, err)
	}
}

// isAnswer reports whether a fallback gave h: what a handler has answered has a Status.
func isAnswer(h http.Handler) bool {
	_, old := h.(Status)
	return h != nil && !old
}

// is reports whether err comes of a's response.
func (a *attempt) is(err error) bool {
	if errors.Is(err, timeout.ErrTimeout) {
		return false
	}
	failed, ok := errors.AsType[*StatusError](err)
	return ok && failed.Status == a.status || errors.Is(err, errRefusedInside) || errors.Is(err, ErrSpent)
}

// tidy does for a copy of a request what package http does for the request: it removes the
// files of a form.
func tidy(copied, r *http.Request) {
	if copied != r && copied.MultipartForm != nil && copied.MultipartForm != r.MultipartForm {
		_ = copied.MultipartForm.RemoveAll() // what is left is the temporary folder's business
	}
}
