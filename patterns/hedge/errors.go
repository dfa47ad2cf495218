package hedge

import (
	"errors"
	"fmt"
)

var (
	// ErrFailed is matched by every *Error.
	ErrFailed = errors.New("hedge: every attempt failed")
	// ErrBadResult stands for the error of an attempt that returned none, and whose result
	// the Judge called a failure.
	ErrBadResult = errors.New("hedge: the result was judged a failure")
)

// Error says that several attempts of a call failed, and none was answered. It matches
// ErrFailed, and errors.Is and As reach each of Failures. A call of which one attempt failed
// has that one's error, unchanged.
type Error struct {
	Name     string // the hedge's
	Attempts int    // all that were made, those that guards inside refused too
	// Failures are the errors of those that failed, in the order in which they did. The result
	// that patterns.Do returns is the last one's. Refusals are not among them: others did run.
	Failures []error
}

func (e *Error) Error() string {
	return fmt.Sprintf("hedge %q: %d of %d attempts failed: %v", e.Name, len(e.Failures), e.Attempts, errors.Join(e.Failures...))
}

// Unwrap returns Failures.
func (e *Error) Unwrap() []error { return e.Failures }

// Is matches ErrFailed.
func (e *Error) Is(target error) bool { return target == ErrFailed }
