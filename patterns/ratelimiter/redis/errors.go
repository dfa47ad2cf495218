package redislimiter

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

var (
	// ErrOutage is matched by refusals while Redis does not answer and Config.OnOutage is
	// FailClosed.
	ErrOutage = errors.New("redis does not answer")
	// ErrStore is matched by refusals because of what no policy covers: Redis answers, and
	// will not, or must not, keep the limit as things are configured.
	ErrStore = errors.New("redis cannot keep the limit")
	// ErrUnsupported is returned for what a shared limit cannot do.
	ErrUnsupported = errors.New("redislimiter: a shared limit cannot do this")
)

// OutageError refuses because Redis does not answer. It matches ErrOutage and
// patterns.ErrRejected, and the cause.
type OutageError struct {
	Name    string    // the limiter's
	RetryAt time.Time // when Redis is tried next; zero if with the next request
	Err     error     // of the call that failed last
}

func (e *OutageError) Error() string {
	return fmt.Sprintf("rate limiter %q refuses: redis does not answer: %v", e.Name, e.Err)
}

// Is matches ErrOutage and patterns.ErrRejected.
func (*OutageError) Is(target error) bool {
	return target == ErrOutage || target == patterns.ErrRejected
}

// Unwrap returns the cause.
func (e *OutageError) Unwrap() error { return e.Err }

// RetryAfter is how long from now RetryAt is.
func (e *OutageError) RetryAfter() time.Duration { return max(0, time.Until(e.RetryAt)) }

// StoreError refuses because Redis does not let the limit be kept: wrong credentials or
// permissions, another program's value under the limiter's key. It is never let pass by a
// policy for outages. It matches ErrStore and patterns.ErrRejected, and the cause.
type StoreError struct {
	Name string // the limiter's
	Err  error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("rate limiter %q refuses: %v", e.Name, e.Err)
}

// Is matches ErrStore and patterns.ErrRejected.
func (*StoreError) Is(target error) bool { return target == ErrStore || target == patterns.ErrRejected }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }
