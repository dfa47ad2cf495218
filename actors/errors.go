package actors

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Why a guard's actor, rather than its pattern, refused. Each comes inside a
// *Refusal, which matches patterns.ErrRejected too.
var (
	// ErrStopped: the guard was stopped, or its registry was shut down.
	ErrStopped = errors.New("guard stopped")
	// ErrUnavailable: the guard's actor failed more often than its supervisor allows.
	ErrUnavailable = errors.New("guard unavailable")
	// ErrFailed: the guard's actor panicked while it handled this very request.
	ErrFailed = errors.New("guard failed")
	// ErrOverloaded: more requests wait in the guard's mailbox than it may hold.
	ErrOverloaded = errors.New("guard overloaded")
	// ErrQueueFull: nobody may wait for a permit of this pattern, or this caller would not.
	ErrQueueFull = errors.New("guard's queue is full")
	// ErrExpired: the request's deadline passed while it waited.
	ErrExpired = errors.New("request expired while waiting")
	// ErrCancelled: the request was withdrawn while it waited.
	ErrCancelled = errors.New("request cancelled while waiting")
)

// Errors of the registry and of commands.
var (
	// ErrName: the guard's name is empty or blank.
	ErrName = errors.New("guard name is empty")
	// ErrNameTaken: a guard of that name exists already.
	ErrNameTaken = errors.New("guard name is taken")
	// ErrConflict: a guard of that name exists with another Config or type.
	ErrConflict = errors.New("guard exists with a different configuration")
	// ErrClosed: the registry was shut down.
	ErrClosed = errors.New("registry closed")
	// ErrNilSystem: there is no actor system.
	ErrNilSystem = errors.New("nil actor system")
	// ErrNilRegistry: there is no registry.
	ErrNilRegistry = errors.New("nil registry")
	// ErrConfigType: a Reconfigure carries another pattern's Config.
	ErrConfigType = errors.New("config of the wrong type")
	// ErrNoOperator: nobody says in whose name a command is given.
	ErrNoOperator = errors.New("command without an operator's name")
	// ErrNoGuard: a command is for no guard at all.
	ErrNoGuard = errors.New("no guard is selected")
	// ErrUnknownGuard: there is no guard of that name.
	ErrUnknownGuard = errors.New("no guard is named")
	// ErrUnsupported: the pattern has no meaning for this command.
	ErrUnsupported = errors.New("operation not supported by this pattern")
)

// Refusal is a refusal by a guard's actor, whatever its pattern: the call never ran.
type Refusal struct {
	Name   string // of the guard
	Reason error  // one of the errors above
}

func (r *Refusal) Error() string { return fmt.Sprintf("guard %q: %v", r.Name, r.Reason) }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Is matches patterns.ErrRejected, besides the reason.
func (*Refusal) Is(target error) bool { return target == patterns.ErrRejected }

// refusals are a guard's own, made once when the first is needed, so that refusing
// allocates nothing and a guard that never refuses carries none.
type refusals struct {
	stopped, unavailable, failed, overloaded, queueFull, expired, cancelled, invalid Refusal
}

func newRefusals(name string) *refusals {
	of := func(reason error) Refusal { return Refusal{Name: name, Reason: reason} }
	return &refusals{
		stopped: of(ErrStopped), unavailable: of(ErrUnavailable), failed: of(ErrFailed),
		overloaded: of(ErrOverloaded), queueFull: of(ErrQueueFull), expired: of(ErrExpired),
		cancelled: of(ErrCancelled), invalid: of(patterns.ErrInvalidRequest),
	}
}

// of translates a mailbox's reason.
func (r *refusals) of(reason error) *Refusal {
	switch {
	case errors.Is(reason, mailbox.ErrStopped):
		return &r.stopped
	case errors.Is(reason, mailbox.ErrFull):
		return &r.overloaded
	}
	return &r.failed
}

func refusalFor(name string, reason error) *Refusal {
	return newRefusals(name).of(reason)
}
