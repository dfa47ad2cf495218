package patterns

import (
	"errors"
	"time"
)

var (
	// ErrRejected is matched by every error that means "the call was never made".
	// It is safe to fall back on it, and never right to count it as a failure of
	// the dependency.
	ErrRejected = errors.New("rejected")

	// ErrNilFunc is returned when there is no function to call.
	ErrNilFunc = errors.New("patterns: nil function")

	// ErrNilGuard is returned when there is no guard to ask.
	ErrNilGuard = errors.New("patterns: nil guard")

	// ErrInvalidRequest is matched by the refusal of a Request that no guard could
	// ever grant, such as one of negative weight. It matches ErrRejected too.
	ErrInvalidRequest = errors.New("invalid request")

	// ErrCallTimeout is the cause of the context of a call that outlived the guard's
	// own per-call timeout.
	ErrCallTimeout = errors.New("call timeout")

	// ErrFinal is matched by the error of an attempt that must not be made again, because it
	// was not idempotent, say: a retry hands it on. It is judged like any other.
	ErrFinal = errors.New("final")

	// ErrOutrun is the cause of the context of an attempt that nobody waits for any more,
	// because another attempt of the same call has ended it.
	ErrOutrun = errors.New("outrun by another attempt")
)

// RetryAfter returns how long to wait before trying again, if some error in err's
// tree knows. A known wait of 0 means at once.
func RetryAfter(err error) (d time.Duration, ok bool) {
	hint, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok {
		return 0, false
	}
	return hint.RetryAfter(), true
}
