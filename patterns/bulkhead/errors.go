package bulkhead

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrFull is matched, with errors.Is, by every refusal for want of slots. What
// matches it may succeed later.
var ErrFull = errors.New("bulkhead full")

// Cause says why a bulkhead refused. The set is closed.
type Cause string

const (
	// CauseSlots: no slot is free, and the caller may not wait.
	CauseSlots Cause = "slots"
	// CauseQueue: as many wait as may.
	CauseQueue Cause = "queue"
	// CauseMaxWait: it waited for Config.MaxWait.
	CauseMaxWait Cause = "max-wait"
	// CauseWaiters: others wait, and the caller would not wait behind them.
	CauseWaiters Cause = "waiters"
	// CausePartitions: as many keys have permits out as may.
	CausePartitions Cause = "partitions"
)

// FullError is the refusal itself. It matches ErrFull and patterns.ErrRejected. When
// there will be a slot it does not know, so it has no RetryAfter. One value is shared by
// all the calls refused for the same reason: do not change it.
type FullError struct {
	Name  string // the bulkhead's
	Cause Cause
	// Limit is how many slots, or partitions, there are, and InFlight how many are
	// taken. With CauseQueue and CauseWaiters both are 0: that is decided where they are
	// not known.
	Limit, InFlight int
	// Waiting is how many wait, with CauseQueue; 0 otherwise.
	Waiting int
}

func (e *FullError) Error() string {
	switch e.Cause {
	case CauseQueue:
		return fmt.Sprintf("bulkhead %q is full: %d wait", e.Name, e.Waiting)
	case CauseWaiters:
		return fmt.Sprintf("bulkhead %q is full: others wait", e.Name)
	case CauseMaxWait:
		return fmt.Sprintf("bulkhead %q is full: waited for as long as one may, %d of %d slots taken", e.Name, e.InFlight, e.Limit)
	case CausePartitions:
		return fmt.Sprintf("bulkhead %q is full: %d of %d partitions in use", e.Name, e.InFlight, e.Limit)
	}
	return fmt.Sprintf("bulkhead %q is full: %d of %d slots taken", e.Name, e.InFlight, e.Limit)
}

// Is matches ErrFull and patterns.ErrRejected. An Unwrap of two errors would allocate
// at every errors.Is.
func (e *FullError) Is(target error) bool { return target == ErrFull || target == patterns.ErrRejected }

// WeightError refuses a request that is heavier than the limit and so can never be
// granted. It matches patterns.ErrInvalidRequest and patterns.ErrRejected, but not
// ErrFull: trying again is in vain.
type WeightError struct {
	Name   string // the bulkhead's
	Weight int
	Limit  int
}

func (e *WeightError) Error() string {
	return fmt.Sprintf("bulkhead %q: weight %d is above the limit of %d", e.Name, e.Weight, e.Limit)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *WeightError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}

// KeyError refuses a request whose key has more than MaxKey bytes. It matches
// patterns.ErrInvalidRequest and patterns.ErrRejected.
type KeyError struct {
	Name string // the bulkhead's
	Size int    // of the key, in bytes
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("bulkhead %q: a key of %d bytes is longer than %d", e.Name, e.Size, MaxKey)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *KeyError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}

// ConfigError is one fault of a Config, or of an operator's command.
type ConfigError struct {
	Field   string
	Value   any
	Problem string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("bulkhead: %s %v: %s", e.Field, e.Value, e.Problem)
}
