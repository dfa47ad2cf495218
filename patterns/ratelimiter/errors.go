package ratelimiter

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrLimited is matched, with errors.Is, by every refusal for exceeding a rate. What
// matches it may succeed later.
var ErrLimited = errors.New("rate limited")

// Cause says why a limiter refused, or changed its state. The set is closed.
type Cause string

const (
	// CauseNone: it has been like this from the start.
	CauseNone Cause = ""
	// CauseRate refused: one of the rates has too little left.
	CauseRate Cause = "rate"
	// CauseMaxWait refused: the turn would come, or has come, later than Config.MaxWait or
	// the caller's own deadline lets it wait.
	CauseMaxWait Cause = "max-wait"
	// CauseQueue refused: as many wait as may.
	CauseQueue Cause = "queue"
	// CauseWaiters refused: others wait, who would be overtaken by one that does not.
	CauseWaiters Cause = "waiters"
	// CauseOverflow refused: there are Config.MaxKeys keys, and the budget that all
	// others share is used up.
	CauseOverflow Cause = "overflow"
	// CauseForced: an operator said so.
	CauseForced Cause = "forced"
	// CauseForcedElapsed limits again: the time the operator gave was over.
	CauseForcedElapsed Cause = "forced-elapsed"
	// CauseReset limits again: an operator made it start anew.
	CauseReset Cause = "reset"
	// CauseRepaired: broken state was rebuilt after a restart.
	CauseRepaired Cause = "repaired"
)

// LimitError is the refusal itself. It matches ErrLimited and patterns.ErrRejected. One
// value is shared by all the calls refused for the same reason until the same time, of
// whatever key: do not change it.
type LimitError struct {
	Name  string // the limiter's
	Cause Cause
	// Rate is the one that refused; zero with CauseForced.
	Rate Rate
	// Limit is the most that Rate ever lets pass at once, and Remaining what it would let
	// pass now, which is too little.
	Limit, Remaining int64
	// RetryAt is when the same request passes if nothing else happens. Of a key it is
	// rounded up to a millisecond. Zero if unknown: forced without an end.
	RetryAt time.Time
	// ResetAt is when Rate is whole again if nothing else happens, rounded as RetryAt.
	ResetAt time.Time
}

func (e *LimitError) Error() string {
	msg := fmt.Sprintf("rate limiter %q refuses (%s)", e.Name, e.Cause)
	if e.Rate != (Rate{}) {
		msg += fmt.Sprintf(": %v, %d left", e.Rate, e.Remaining)
	}
	if !e.RetryAt.IsZero() {
		msg += ", retry at " + e.RetryAt.Format(time.RFC3339Nano)
	}
	return msg
}

// Is matches ErrLimited and patterns.ErrRejected. An Unwrap of two errors would allocate
// at every errors.Is.
func (e *LimitError) Is(target error) bool {
	return target == ErrLimited || target == patterns.ErrRejected
}

// RetryAfter is how long from now RetryAt is; 0 if it passed or is unknown.
func (e *LimitError) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(0, time.Until(e.RetryAt))
}

// ResetAfter is how long from now ResetAt is; 0 if it passed or is unknown.
func (e *LimitError) ResetAfter() time.Duration {
	if e.ResetAt.IsZero() {
		return 0
	}
	return max(0, time.Until(e.ResetAt))
}

// WeightError refuses a request that is heavier than a rate can ever let pass, or
// negative. It matches patterns.ErrInvalidRequest and patterns.ErrRejected, but not
// ErrLimited: trying again is in vain.
type WeightError struct {
	Name   string // the limiter's
	Weight int
	Rate   Rate
	Limit  int64 // the most that Rate ever lets pass at once
}

func (e *WeightError) Error() string {
	return fmt.Sprintf("rate limiter %q: weight %d is not in [1, %d], which is all that %v ever lets pass at once",
		e.Name, e.Weight, e.Limit, e.Rate)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *WeightError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}

// RateError is a text, or a Rate, that is none.
type RateError struct {
	Text    string
	Problem string
}

// Error quotes the beginning of a text that is long.
func (e *RateError) Error() string {
	const most = 80
	text, cut := e.Text, ""
	if len(text) > most {
		text, cut = text[:most], "…"
	}
	return fmt.Sprintf("ratelimiter: rate %q%s: %s; a good one is \"100/minute burst 20\"", text, cut, e.Problem)
}

// pattern is what config errors call this package.
const pattern = "ratelimiter"
