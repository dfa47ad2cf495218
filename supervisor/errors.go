package supervisor

import (
	"errors"
	"fmt"
	"time"
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
