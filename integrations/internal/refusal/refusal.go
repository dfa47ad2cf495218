package refusal

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// Kind is what a client is told of an error. The set is closed.
type Kind uint8

const (
	// RateLimited: this client has asked for too much, and knows when there is more.
	RateLimited Kind = iota
	// Overloaded: too much is asked of the server, by whomever.
	Overloaded
	// Unavailable: what the request needs does not work at the moment.
	Unavailable
	// TimedOut: the request took too long.
	TimedOut
	// Invalid: the request can never be granted.
	Invalid
	// Failed: something else went wrong, on the server's side.
	Failed

	kinds
)

func (k Kind) String() string {
	switch k {
	case RateLimited:
		return "rate-limited"
	case Overloaded:
		return "overloaded"
	case Unavailable:
		return "unavailable"
	case TimedOut:
		return "timeout"
	case Invalid:
		return "invalid"
	case Failed:
		return "failed"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Refusal is what a client is told.
type Refusal struct {
	Kind Kind
	// Status is the HTTP status.
	Status int
	// RetryAfter is when to come again, in seconds, at least 1; 0 where that is of no use.
	RetryAfter int
	// Err is what happened. It is for the server's own eyes.
	Err error
}

// Of says what a client is told of err. late is the status of what took too long.
func Of(err error, late int) Refusal {
	r := Refusal{Kind: KindOf(err), Err: err}
	r.Status = status(r.Kind, late)
	switch r.Kind {
	case RateLimited, Overloaded, Unavailable:
		wait, _ := patterns.RetryAfter(err)
		r.RetryAfter = Seconds(wait)
	}
	return r
}

// KindOf says of what kind err is.
func KindOf(err error) Kind {
	switch {
	case errors.Is(err, timeout.ErrTimeout):
		return TimedOut
	case errors.Is(err, patterns.ErrRejected):
		return rejected(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, patterns.ErrCallTimeout):
		return TimedOut
	case errors.Is(err, context.Canceled): // the client has left, or the server is being shut down
		return Unavailable
	}
	return Failed
}

func rejected(err error) Kind {
	switch {
	case errors.Is(err, patterns.ErrInvalidRequest):
		return Invalid
	case errors.Is(err, ratelimiter.ErrLimited):
		return RateLimited
	case errors.Is(err, circuitbreaker.ErrOpen), errors.Is(err, actors.ErrStopped), errors.Is(err, actors.ErrUnavailable), errors.Is(err, actors.ErrFailed):
		return Unavailable
	}
	return Overloaded
}

func status(k Kind, late int) int {
	switch k {
	case RateLimited:
		return http.StatusTooManyRequests
	case Overloaded, Unavailable:
		return http.StatusServiceUnavailable
	case TimedOut:
		return late
	case Invalid:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// maxSeconds is a day: whoever would have to wait for longer may as well ask.
const maxSeconds = 24 * 60 * 60

// Seconds is a wait as Retry-After has it: rounded up, so that nobody comes too early, and at
// least 1, which is the least that the header can say.
func Seconds(d time.Duration) int {
	if d > maxSeconds*time.Second {
		return maxSeconds
	}
	return max(1, int((d+time.Second-1)/time.Second))
}
