package backpressure

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrPressure is matched, with errors.Is, by every refusal for too much pending work.
// What matches it may succeed later.
var ErrPressure = errors.New("backpressure")

// Cause says why a valve refused. The set is closed.
type Cause string

const (
	// CauseHot: it is hot, or there is no room, and the caller may not wait, or would not.
	CauseHot Cause = "hot"
	// CauseQueue: as many wait as may.
	CauseQueue Cause = "queue"
	// CauseWaiters: others wait, and the caller would not wait behind them.
	CauseWaiters Cause = "waiters"
)

// causes is how many there are.
const causes = 3

// index is a number for each.
func (c Cause) index() int {
	switch c {
	case CauseQueue:
		return 1
	case CauseWaiters:
		return 2
	}
	return 0
}

// PressureError is the refusal itself. It matches ErrPressure and patterns.ErrRejected.
// When there will be room it does not know, so it has no RetryAfter. One value is shared
// by all the calls refused for the same reason with the same numbers: do not change it.
type PressureError struct {
	Name           string // the valve's
	Cause          Cause
	Pending, Limit int // Limit is MaxPending
	Waiting        int // how many wait; 0 with CauseHot
}

func (e *PressureError) Error() string {
	msg := fmt.Sprintf("backpressure of %q: %d of %d pending", e.Name, e.Pending, e.Limit)
	if e.Cause != CauseHot {
		msg = fmt.Sprintf("%s, and %d wait", msg, e.Waiting)
	}
	return msg
}

// Is matches ErrPressure and patterns.ErrRejected. An Unwrap of two errors would
// allocate at every errors.Is.
func (e *PressureError) Is(target error) bool {
	return target == ErrPressure || target == patterns.ErrRejected
}

// WeightError refuses a request that is heavier than MaxPending and so can never be
// granted. It matches patterns.ErrInvalidRequest and patterns.ErrRejected, but not
// ErrPressure: trying again is in vain.
type WeightError struct {
	Name   string // the valve's
	Weight int
	Limit  int
}

func (e *WeightError) Error() string {
	return fmt.Sprintf("backpressure of %q: weight %d is above the limit of %d", e.Name, e.Weight, e.Limit)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *WeightError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}
