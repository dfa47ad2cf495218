package retry

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

var (
	// ErrExhausted is matched by every *ExhaustedError.
	ErrExhausted = errors.New("retry: gave up")
	// ErrBadResult stands for the error of an attempt that returned none, and whose result the
	// Judge called a failure.
	ErrBadResult = errors.New("retry: the result was judged a failure")
	// ErrBudget is returned by Acquire of a Budget, which guards no calls.
	ErrBudget = errors.New("retry: a budget gives no permits")
)

// Cause says why a call was not made again. The set is closed.
type Cause string

const (
	// CauseAttempts: it was made as often as Config.Attempts says.
	CauseAttempts Cause = "attempts"
	// CauseElapsed: the wait would not end within Config.MaxElapsed.
	CauseElapsed Cause = "elapsed"
	// CauseDeadline: the wait would not end before the deadline of the caller's context, or
	// that has passed.
	CauseDeadline Cause = "deadline"
	// CauseCancelled: the caller's context was cancelled between two attempts.
	CauseCancelled Cause = "cancelled"
	// CauseBudget: Config.Budget is spent.
	CauseBudget Cause = "budget"
	// CauseRefused: a guard inside refused an attempt that was not the first.
	CauseRefused Cause = "refused"
	// CauseStopped: the retry was stopped meanwhile, or failed for good and fails closed.
	CauseStopped Cause = "stopped"
)

// causes is how many there are.
const causes = 7

// index is a number for each.
func (c Cause) index() int {
	switch c {
	case CauseElapsed:
		return 1
	case CauseDeadline:
		return 2
	case CauseCancelled:
		return 3
	case CauseBudget:
		return 4
	case CauseRefused:
		return 5
	case CauseStopped:
		return 6
	}
	return 0
}

// words end the sentence of how often it was tried.
func (c Cause) words() string {
	switch c {
	case CauseElapsed:
		return "no time is left for another"
	case CauseDeadline:
		return "the caller's deadline leaves no time for another"
	case CauseCancelled:
		return "the caller has left"
	case CauseBudget:
		return "the retry budget is spent"
	case CauseRefused:
		return "another was refused"
	case CauseStopped:
		return "the retry is stopped"
	}
	return "no more are allowed"
}

// ExhaustedError says that a call failed and was not made again. It matches ErrExhausted,
// and errors.Is and As reach Last. It matches patterns.ErrRejected only if all attempts
// were refused.
type ExhaustedError struct {
	Name     string // the retry's
	Cause    Cause
	Attempts int
	// Elapsed is the time since the first attempt failed, or, with Config.MaxElapsed, since it
	// began: a call whose first attempt succeeds is otherwise spared the reading of a clock.
	Elapsed time.Duration
	// Last is the error of the latest attempt that was made: ErrBadResult if it had none; the
	// refusal if none was made. The bad result is returned by patterns.Do.
	Last error
	// By is what ended it, if that was an error: the context's, which errors.Is finds too; or
	// the refusal of the latest attempt, which it does not, because another one did run.
	By error
}

func (e *ExhaustedError) Error() string {
	times := "attempts"
	if e.Attempts == 1 {
		times = "attempt"
	}
	msg := fmt.Sprintf("retry %q: %d %s in %v, and %s", e.Name, e.Attempts, times, e.Elapsed, e.Cause.words())
	if e.By != nil {
		msg += fmt.Sprintf(" (%v)", e.By)
	}
	return fmt.Sprintf("%s: %v", msg, e.Last)
}

// Unwrap returns the last error, and the context's.
func (e *ExhaustedError) Unwrap() []error {
	if e.By == nil || errors.Is(e.By, patterns.ErrRejected) {
		return []error{e.Last}
	}
	return []error{e.Last, e.By}
}

// Is matches ErrExhausted.
func (e *ExhaustedError) Is(target error) bool { return target == ErrExhausted }
