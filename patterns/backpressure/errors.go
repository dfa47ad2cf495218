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
	// CauseHot: it is hot, or there is no room, and the caller may not wait.
	CauseHot Cause = "hot"
	// CauseQueue: as many wait as may.
	CauseQueue Cause = "queue"
	// CauseWaiters: others wait, and the caller would not wait behind them.
	CauseWaiters Cause = "waiters"
)

// PressureError is the refusal itself. It matches ErrPressure and patterns.ErrRejected.
// When there will be room it does not know, so it has no RetryAfter. One value is shared
// by all the calls refused for the same reason: do not change it.
type PressureError struct {
	Name  string // the valve's
	Cause Cause
	// Pending and Limit are 0 but with CauseHot: the others are decided where they are
	// not known.
	Pending, Limit int
	// Waiting is how many wait, with CauseQueue; 0 otherwise.
	Waiting int
}

func (e *PressureError) Error() string {
	switch e.Cause {
	case CauseQueue:
		return fmt.Sprintf("backpressure of %q: %d wait", e.Name, e.Waiting)
	case CauseWaiters:
		return fmt.Sprintf("backpressure of %q: others wait", e.Name)
	}
	return fmt.Sprintf("backpressure of %q: %d of %d pending", e.Name, e.Pending, e.Limit)
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

// ConfigError is one fault of a Config, or of an operator's command.
type ConfigError struct {
	Field   string
	Value   any
	Problem string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("backpressure: %s %v: %s", e.Field, e.Value, e.Problem)
}
