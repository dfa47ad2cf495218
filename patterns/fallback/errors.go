package fallback

import (
	"errors"
	"fmt"
)

var (
	// ErrFallback is matched, with errors.Is, by the error of a call whose fallback failed too.
	ErrFallback = errors.New("fallback failed")

	// ErrBadResult stands for the error of a call that returned none, and whose result the
	// Judge called a failure.
	ErrBadResult = errors.New("fallback: the result was judged a failure")
)

// Error says that a call failed, and so did every step that was for its error. It matches
// ErrFallback and whatever either of them matches: so it matches patterns.ErrRejected if the
// call was refused.
type Error struct {
	Name     string // the fallback's
	Original error  // of the call
	Fallback error  // of the steps, joined if there were several
}

func (e *Error) Error() string {
	return fmt.Sprintf("fallback %q: %v; and in its place: %v", e.Name, e.Original, e.Fallback)
}

// Unwrap returns both errors.
func (e *Error) Unwrap() []error { return []error{e.Original, e.Fallback} }

// Is matches ErrFallback.
func (e *Error) Is(target error) bool { return target == ErrFallback }

// PanicError says that a function of a step panicked.
type PanicError struct {
	Step  string
	Value any // what it panicked with
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("fallback: step %q panicked: %v", e.Step, e.Value)
}

// Unwrap returns what it panicked with, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
