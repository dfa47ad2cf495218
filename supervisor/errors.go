package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrTooManyRestarts is matched by the reason that is handed up when an intensity
// is exceeded.
var ErrTooManyRestarts = errors.New("too many restarts")

// TooManyRestartsError is the reason with which a supervising actor fails when its
// children failed more often than their intensity allows. It matches
// ErrTooManyRestarts, and the last failure's error if that was one.
type TooManyRestartsError struct {
	Supervisor string        // Config.Name, or the id of the supervising actor
	Child      string        // id of the child that failed last
	Restarts   int           // how many were allowed
	Period     time.Duration // in what time
	Reason     any           // what the child panicked with
}

// Error says who restarted whom too often, and why it was necessary.
func (e *TooManyRestartsError) Error() string {
	return fmt.Sprintf("supervisor %s: more than %d restarts in %v: child %s failed: %v",
		e.Supervisor, e.Restarts, e.Period, e.Child, e.Reason)
}

// Unwrap returns ErrTooManyRestarts, and Reason if it is an error.
func (e *TooManyRestartsError) Unwrap() []error {
	if err, ok := e.Reason.(error); ok {
		return []error{ErrTooManyRestarts, err}
	}
	return []error{ErrTooManyRestarts}
}

// ErrAway is matched by the reason with which the mailbox of a child refuses messages
// while the child is suspended.
var ErrAway = errors.New("actor is away")

// AwayError is that reason. It matches ErrAway and patterns.ErrRejected.
type AwayError struct {
	Child string // its id
	State State  // what it is in
	Cause Cause  // why
	// RetryAt is when that ends at the earliest. Zero if nobody knows.
	RetryAt time.Time
}

// Error says who is away, and until when.
func (e *AwayError) Error() string {
	msg := fmt.Sprintf("actor %s is %v (%s)", e.Child, e.State, e.Cause)
	if !e.RetryAt.IsZero() {
		msg += ", retry at " + e.RetryAt.Format(time.RFC3339)
	}
	return msg
}

// Is matches ErrAway and patterns.ErrRejected.
func (e *AwayError) Is(target error) bool { return target == ErrAway || target == patterns.ErrRejected }

// RetryAfter is how long from now RetryAt is; 0 if it passed or is unknown.
func (e *AwayError) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(0, time.Until(e.RetryAt))
}

var (
	// ErrNotSupervised says that no strategy of this package supervises that actor.
	ErrNotSupervised = errors.New("actor is not supervised by package supervisor")
	// ErrNotWaiting says that there is nothing to release the actor from.
	ErrNotWaiting = errors.New("actor is not waiting for a restart")
)
