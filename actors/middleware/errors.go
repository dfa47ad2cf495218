package middleware

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// Why a message was not handled, or a request has no reply, other than a refusal by the
// guard itself. Those of the first group come in a *RejectedError.
var (
	// ErrStashFull: the message would have been stashed, but as many are as may be.
	ErrStashFull = errors.New("stash is full")
	// ErrExpired: the message, or the request, waited for as long as it may.
	ErrExpired = errors.New("expired before the guard let it through")
	// ErrBusy: the guard's actor did not answer in time, because it restarts or because
	// the machine is overloaded.
	ErrBusy = errors.New("guard did not answer in time")
	// ErrPending: the actor has as many requests out to this target as it may.
	ErrPending = errors.New("too many requests are out")
	// ErrStopping: the actor stops. As the Reason of a mailbox.Undelivered: while requests
	// that it had made because of the message were out.
	ErrStopping = errors.New("actor is stopping")
	// ErrRestarting: the actor restarts, and otherwise as ErrStopping.
	ErrRestarting = errors.New("actor is restarting")

	// ErrTimeout: no reply came in time.
	ErrTimeout = errors.New("no reply in time")
	// ErrDeadLetter: there is no such actor.
	ErrDeadLetter = errors.New("no such actor")
	// ErrTerminated: the target stopped before it replied.
	ErrTerminated = errors.New("actor terminated before it replied")
	// ErrNotAttached: the actor's props lack the option Attach.
	ErrNotAttached = errors.New("actor was not spawned with middleware.Attach")
)

// RejectedError is the answer to a message that a guard kept from its actor: it was
// never handled. It matches patterns.ErrRejected and what the guard said, of which
// patterns.RetryAfter knows more. It is a reply of this process: to send it to another
// node, translate it.
type RejectedError struct {
	Guard   string     // its name
	Actor   *actor.PID // whom the message was for
	Message any
	Reason  error // the guard's refusal, or an error of this package
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("guard %q kept a %T from actor %q: %v", e.Guard, e.Message, e.Actor.GetId(), e.Reason)
}

// Unwrap returns the reason.
func (e *RejectedError) Unwrap() error { return e.Reason }

// Is matches patterns.ErrRejected, besides the reason.
func (*RejectedError) Is(target error) bool { return target == patterns.ErrRejected }

// RequestError says why a request that was sent has no reply. It may have been handled
// all the same.
type RequestError struct {
	Actor   *actor.PID // whom it was sent to
	Message any
	Reason  error // ErrTimeout, ErrDeadLetter or ErrTerminated
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("request of a %T to actor %q: %v", e.Message, e.Actor.GetId(), e.Reason)
}

// Unwrap returns the reason.
func (e *RequestError) Unwrap() error { return e.Reason }
