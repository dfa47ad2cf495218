package nethttp

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/bulwark-go/bulwark/integrations/internal/policyerr"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// errand is a client's request on its way through policies: it may be made several times, side
// by side, and go on when nobody waits for it any more.
type errand struct {
	*transport
	guard   patterns.Guard
	q       patterns.Request
	client  *http.Request // as the client gave it
	request *http.Request // as it is made
	by      *hostGuard    // whose guard it is
	again   bool          // it may be made again

	mu       sync.Mutex
	attempts int
	sent     int     // of those, the ones of which something may have been sent
	over     bool    // nobody wants another response
	open     []*body // of responses that the client may get
	stale    []*body // of those, the ones whose status is a failure
}

// run has the policies make the request.
func (e *errand) run() (*http.Response, error) {
	var response *http.Response
	defer func() { e.close(response) }() // also if it unwinds
	if e.again = e.idempotent(e.client); e.again {
		r, err := buffered(e.client, e.buffer)
		if err != nil {
			e.attempts++ // the body is closed
			return nil, err
		}
		e.request, e.again = r, replayable(r)
	}
	e.request = sourced(e.carry(e.request))
	got, err := patterns.DoFor(outlier.Spread(e.client.Context()), e.guard, e.q, e.try)
	switch {
	case err == nil && got == nil:
		err = errNoResponse
	case err == nil, e.isAnswer(got, err):
		response = whole(got, e.client)
		return response, nil
	}
	return nil, policyerr.Own(err)
}

// isAnswer reports whether err only says that response is none to be glad of.
func (e *errand) isAnswer(response *http.Response, err error) bool {
	over := e.client.Context().Err()
	if response == nil || errors.Is(err, timeout.ErrTimeout) || over != nil && errors.Is(err, over) {
		return false
	}
	return errors.Is(err, &ResponseError{Response: response}) ||
		errors.Is(err, retry.ErrBadResult) || errors.Is(err, hedge.ErrBadResult)
}

// whole returns response as package http wants it; one that a fallback gave may not be.
func whole(response *http.Response, r *http.Request) *http.Response {
	if response.Body != nil && response.Request == r && response.Header != nil {
		return response
	}
	copied := *response // others may be given it too
	copied.Request = r
	if copied.Body == nil {
		copied.Body = http.NoBody
	}
	if copied.Header == nil {
		copied.Header = make(http.Header)
	}
	return &copied
}

// close frees the connections of all responses but the one that the client gets.
func (e *errand) close(response *http.Response) {
	e.mu.Lock()
	e.over = true
	open, unsent := e.open, e.attempts == 0
	e.open, e.stale = nil, nil
	e.mu.Unlock()
	if unsent {
		closeBody(e.request)
	}
	own := bodyOf(response)
	for _, b := range open {
		if b != own {
			go b.drain() // for a bounded time
		}
	}
	if own != nil && e.by != nil {
		own.after(e.by.Done)
		return
	}
	e.by.Done()
}

// try is one attempt, on whatever goroutine the policies chose. Its error is what guards
// judge.
func (e *errand) try(ctx context.Context) (*http.Response, error) {
	n, stale, err := e.admit()
	if err != nil {
		return nil, err
	}
	for _, b := range stale {
		b.drain()
	}
	// The context of an attempt ends when its policies are done with it, and that of a
	// response with its body: the request goes on under the client's own once there is one.
	alive, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	var b *body
	defer func() {
		if b == nil { // it failed, or unwinds
			unlink()
			cancel(nil)
		}
	}()
	r, err := e.copy(alive, n)
	if err != nil {
		return nil, policyerr.Also(err, patterns.ErrFinal)
	}
	response, err := e.base.RoundTrip(r)
	switch {
	case err == nil && response == nil:
		err = errNoResponse
	case err == nil && !unlink():
		_ = response.Body.Close() // it came too late
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, e.failure(ctx, err)
	}
	response.Request = e.client
	verdict := e.verdict(response, !e.again)
	if response.Body == nil || response.Body == http.NoBody {
		return response, verdict
	}
	b = newBody(e.request.Context(), response, cancel, &e.transportSettings)
	e.keep(b, verdict != nil)
	return response, verdict
}

// admit begins an attempt, if one may still be made.
func (e *errand) admit() (n int, stale []*body, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || e.attempts > 0 && !e.again && (e.sent > 0 || !replayable(e.request)) {
		return 0, nil, errOnce
	}
	n, stale = e.attempts, e.stale
	e.attempts++
	e.sent++
	e.stale = nil
	return n, stale, nil
}

// keep remembers the body of a response that the client may get.
func (e *errand) keep(b *body, bad bool) {
	e.mu.Lock()
	over := e.over
	if !over {
		e.open = append(e.open, b)
		if bad {
			e.stale = append(e.stale, b)
		}
	}
	e.mu.Unlock()
	if over {
		b.drain()
	}
}

// copy returns the request of the n-th attempt.
func (e *errand) copy(ctx context.Context, n int) (*http.Request, error) {
	r := e.request.WithContext(ctx)
	if n == 0 || r.GetBody == nil {
		return r, nil
	}
	b, err := r.GetBody()
	if err != nil {
		return nil, err
	}
	r.Body = b
	return r, nil
}

// failure is what an attempt under ctx comes to that ended with err.
func (e *errand) failure(ctx context.Context, err error) error {
	unsent := neverSent(err) || errors.Is(err, patterns.ErrRejected)
	if unsent {
		e.mu.Lock()
		e.sent--
		e.mu.Unlock()
	}
	over := ctx.Err()
	switch {
	case over != nil && !errors.Is(err, over): // which it was because of
		return policyerr.Also(err, over)
	case e.again, unsent && replayable(e.request):
		return err
	}
	return policyerr.Also(err, patterns.ErrFinal)
}
