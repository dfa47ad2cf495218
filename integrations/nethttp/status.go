package nethttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/policyerr"
	"github.com/bulwark-go/bulwark/internal/retryafter"
	"github.com/bulwark-go/bulwark/patterns"
)

// ResponseError is what a response whose status is a failure is to a guard, a Judge or a
// fallback. If none of them has anything better, the client gets the Response, and not the
// error. It has a patterns.RetryAfter if the server said one.
type ResponseError struct {
	// Response is the response. Its body is the client's: a Judge must not read it, and it
	// may be gone where the error is all that is left.
	Response *http.Response

	outcome patterns.Outcome
}

// Error says who answered what, and nothing of the request.
func (e *ResponseError) Error() string {
	status := e.Response.StatusCode
	return fmt.Sprintf("%s answered %d %s", hostOf(e.Response.Request), status, http.StatusText(status))
}

// Is matches another of the same response.
func (e *ResponseError) Is(target error) bool {
	other, ok := target.(*ResponseError)
	return ok && other.Response == e.Response
}

// errNoResponse stands for the response of a http.RoundTripper that returned neither that nor
// an error, or that a policy took away.
var errNoResponse = errors.New("nethttp: there is no response")

// errOnce refuses to make a request again that may be made only once. It is nothing that could
// be granted later, which keeps retries from trying.
var errOnce = fmt.Errorf("nethttp: the request cannot be made again: %w: %w", patterns.ErrRejected, patterns.ErrInvalidRequest)

// statuses are what somebody says that statuses mean.
type statuses map[int]patterns.Outcome

func (s statuses) of(status int) patterns.Outcome {
	if o, ok := s[status]; ok {
		return o
	}
	if status == http.StatusTooManyRequests {
		return patterns.Dropped
	}
	return outcomeOf(status)
}

// outcomeOfError is what the error of an attempt means to a guard without a Judge.
func outcomeOfError(ctx context.Context, err error) patterns.Outcome {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) { // in whatever words
		return patterns.Ignored
	}
	o := patterns.Classify(ctx, err)
	if o != patterns.Failure {
		return o
	}
	if _, ok := errors.AsType[*sourceError](err); ok {
		return patterns.Ignored
	}
	if answered, ok := errors.AsType[*ResponseError](err); ok {
		return answered.outcome
	}
	if late, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && late.Timeout() {
		return patterns.Dropped
	}
	return o
}

// maxWait is how long a server may ask to be left alone.
const maxWait = 24 * time.Hour

// verdict returns the error of a response whose status is a failure, or nil. final says that
// the request must not be made again.
func (t *transport) verdict(response *http.Response, final bool) error {
	o := t.statuses.of(response.StatusCode)
	if o == patterns.Success {
		return nil
	}
	err := error(&ResponseError{Response: response, outcome: o})
	var also error
	if final || hopeless(response.StatusCode) {
		also = patterns.ErrFinal
	}
	values := response.Header.Values("Retry-After")
	if len(values) == 0 {
		return policyerr.Also(err, also)
	}
	now := time.Now()
	if at, ok := retryafter.Date(response.Header.Get("Date"), now); ok { // then no clock need be right
		now = at
	}
	wait, ok := retryafter.Longest(values, now, maxWait)
	if !ok {
		return policyerr.Also(err, also)
	}
	return policyerr.After(err, wait, also)
}

// hopeless reports whether a server will say the same again, however often it is asked.
func hopeless(status int) bool {
	return status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported
}
