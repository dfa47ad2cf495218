package mailbox

import "errors"

// Reasons why a message was not handled. A requester gets one of them at once
// instead of waiting for a timeout.
var (
	// ErrFull: as many messages are queued as the mailbox may hold.
	ErrFull = errors.New("mailbox full")
	// ErrStopped: the actor has stopped.
	ErrStopped = errors.New("actor stopped")
	// ErrPanicked: the actor panicked, or its goroutine exited, while handling this
	// very message.
	ErrPanicked = errors.New("actor panicked while handling the message")
	// ErrEvicted: another message needed its place; see DropOldest and DropLowest.
	ErrEvicted = errors.New("dropped from a full mailbox for another message")
	// ErrExpired: its deadline was over before its turn came; see TTL.
	ErrExpired = errors.New("message expired in the mailbox")
	// ErrOverload: messages wait too long, and CoDel dropped it.
	ErrOverload = errors.New("dropped from an overloaded mailbox")
	// ErrClosed: the mailbox was closed with Close.
	ErrClosed = errors.New("mailbox closed")
)

// Reasons why a mailbox cannot do what it is asked for.
var (
	// ErrForeign: the actor is not of this process, or its mailbox is not one of New's.
	ErrForeign = errors.New("the actor has no mailbox of package mailbox")
	// ErrNoCredits: the mailbox has no WaterMarks, so it gives no credits.
	ErrNoCredits = errors.New("the mailbox has no water marks, and gives no credits")
)

// A Refuser is a message that knows how to answer its requester when it will not
// be handled. The mailbox calls Refused once, with one of the errors above, and
// sends what it returns, unless nil, to the message's sender.
type Refuser interface {
	Refused(reason error) (reply any)
}

// Undelivered is what the sender of a request gets when the actor will not handle
// it and the message is no Refuser. An actor that was answered before the panic gets
// an Undelivered too; a future does not.
type Undelivered struct {
	Message any
	Reason  error
}

// Error makes an Undelivered usable as an error.
func (u Undelivered) Error() string { return u.Reason.Error() }

// Unwrap returns the reason.
func (u Undelivered) Unwrap() error { return u.Reason }
