package circuitbreaker

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrOpen is matched, with errors.Is, by every refusal from a breaker.
var ErrOpen = errors.New("circuit breaker open")

// OpenError is the refusal itself. It matches ErrOpen and patterns.ErrRejected. One
// value is shared by all the calls refused for the same reason: do not change it.
type OpenError struct {
	Name  string // the breaker's
	State State  // what it was in; Closed only with CauseRamp
	// Cause is why it is open, or CauseProbesOut or CauseRamp.
	Cause Cause
	// RetryAt is when a call may pass again at the latest known. Zero if unknown:
	// opened by hand without an end, or ramping up.
	RetryAt time.Time
}

func (e *OpenError) Error() string {
	msg := fmt.Sprintf("circuit breaker %q is %v", e.Name, e.State)
	if e.Cause != CauseNone {
		msg += " (" + string(e.Cause) + ")"
	}
	if !e.RetryAt.IsZero() {
		msg += ", retry at " + e.RetryAt.Format(time.RFC3339)
	}
	return msg
}

// Is matches ErrOpen and patterns.ErrRejected. An Unwrap of two errors would
// allocate at every errors.Is.
func (e *OpenError) Is(target error) bool { return target == ErrOpen || target == patterns.ErrRejected }

// RetryAfter is how long from now RetryAt is; 0 if it passed or is unknown.
func (e *OpenError) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(0, time.Until(e.RetryAt))
}
