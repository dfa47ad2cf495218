package exchange

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// Why a request was not made, or not served. Each comes in a *RefusedError.
var (
	// ErrFull: as many exchanges are under way, or as many requests remembered, as may be.
	ErrFull = errors.New("too many exchanges under way")
	// ErrStopped: the Exchanger was stopped. Of an exchange that was under way it is the
	// Cause.
	ErrStopped = errors.New("exchanger is stopped")
	// ErrExpired: the deadline had passed before work began.
	ErrExpired = errors.New("request came after its deadline")
)

// Why an attempt has no reply. Each comes in an *AttemptError.
var (
	// ErrDeadLetter: there is no such actor.
	ErrDeadLetter = errors.New("no such actor")
	// ErrTerminated: the callee stopped before it replied, or its node is out of reach.
	ErrTerminated = errors.New("actor terminated before it replied")
)

// Why an exchange ended early. Each comes as the Cause of an *EndedError.
var (
	// ErrCancelled: somebody called Cancel.
	ErrCancelled = errors.New("exchange cancelled")
	// ErrTimeout: it took longer than the Config, Within, By, or the request that it is a
	// part of, allow.
	ErrTimeout = errors.New("exchange took too long")

	errAskerGone = errors.New("asking actor is gone")
)

// Why a callee that has a Once gave a request up: the Reason of a mailbox.Undelivered.
var (
	// ErrStopping: the callee stops.
	ErrStopping = errors.New("actor is stopping")
	// ErrRestarting: the callee restarts.
	ErrRestarting = errors.New("actor is restarting")
	// ErrForgotten: it has not replied for as long as it is waited for.
	ErrForgotten = errors.New("no reply for too long")
)

// Mistakes of the asker. They match patterns.ErrRejected too.
var (
	// ErrNilPID: there is nobody to ask.
	ErrNilPID = errors.New("nil PID")
	// ErrForeignSystem: the asking actor is of another actor system.
	ErrForeignSystem = errors.New("asking actor is of another actor system")
)

// RefusedError says that a request was never made, or never served. It matches
// patterns.ErrRejected, and its reason.
type RefusedError struct {
	To      *actor.PID // whom the message was for
	Message any
	Reason  error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("request of a %T to actor %q: %v", e.Message, e.To.GetId(), e.Reason)
}

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Reason }

// Is matches patterns.ErrRejected, besides the reason.
func (*RefusedError) Is(target error) bool { return target == patterns.ErrRejected }

// AttemptError says why an attempt that was made has no reply. It may have been served all
// the same.
type AttemptError struct {
	ID     ID
	Number int
	To     *actor.PID
	Reason error // ErrDeadLetter or ErrTerminated
}

func (e *AttemptError) Error() string {
	return fmt.Sprintf("exchange %s with actor %q: attempt %d: %v", e.ID, e.To.GetId(), e.Number, e.Reason)
}

// Unwrap returns the reason.
func (e *AttemptError) Unwrap() error { return e.Reason }

// EndedError says that an exchange was ended before there was an answer. It matches its
// cause, and all that Err matches, such as context.DeadlineExceeded.
type EndedError struct {
	ID    ID
	Cause error // ErrCancelled, ErrTimeout, ErrStopped, or that of the context of WithContext
	Err   error // what the guard made of it
}

func (e *EndedError) Error() string {
	return fmt.Sprintf("exchange %s: %v: %v", e.ID, e.Cause, e.Err)
}

// Unwrap returns the cause and the error.
func (e *EndedError) Unwrap() []error { return []error{e.Cause, e.Err} }

// PanicError says that a function of the user's that the guard called, such as a fallback,
// panicked, or, if Value is nil, ended its goroutine.
type PanicError struct {
	ID    ID
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Value == nil {
		return fmt.Sprintf("exchange %s: its goroutine was ended", e.ID)
	}
	return fmt.Sprintf("exchange %s: panic: %v", e.ID, e.Value)
}

// Unwrap returns the value that was panicked with, if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// StopError says that exchanges were still under way when Stop's context ended.
type StopError struct {
	InFlight int
	Cause    error // the context's
}

func (e *StopError) Error() string {
	return fmt.Sprintf("exchanger stopped with %d exchanges under way: %v", e.InFlight, e.Cause)
}

// Unwrap returns the cause.
func (e *StopError) Unwrap() error { return e.Cause }
