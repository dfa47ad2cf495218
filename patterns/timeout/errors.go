package timeout

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

var (
	// ErrTimeout is matched, with errors.Is, by the error of a call that took longer than a
	// timeout allows, and by the cause of its context.
	ErrTimeout = errors.New("timeout")

	// ErrAbandoned is matched by the refusal of a call because as many functions are left
	// behind as may be.
	ErrAbandoned = errors.New("too many abandoned calls")
)

// Error says that a call took too long. It matches ErrTimeout and context.DeadlineExceeded.
// The caller gets one, unless its own deadline was the earlier one; the function finds
// one as the context.Cause of its context, which others share: do not change it.
type Error struct {
	Name    string        // the timeout's
	After   time.Duration // the limit
	Elapsed time.Duration // how long the call took; in a cause as long as After
	// Abandoned: the function had not returned.
	Abandoned bool
	// Err is what the function returned because of it, if it says more than that the time
	// was over.
	Err error
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("timeout %q: took %v, limit %v", e.Name, e.Elapsed, e.After)
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Timeout is true, as for errors of package net.
func (e *Error) Timeout() bool { return true }

// AbandonedError refuses a call because as many functions are left behind as may be. It
// matches ErrAbandoned and patterns.ErrRejected. When one of them will return nobody knows,
// so it has no RetryAfter. One value is shared by many calls: do not change it.
type AbandonedError struct {
	Name string // the timeout's
	Max  int    // Config.MaxAbandoned
}

func (e *AbandonedError) Error() string {
	return fmt.Sprintf("timeout %q: %d calls are abandoned and still run", e.Name, e.Max)
}

// Is matches ErrAbandoned and patterns.ErrRejected.
func (e *AbandonedError) Is(target error) bool {
	return target == ErrAbandoned || target == patterns.ErrRejected
}
