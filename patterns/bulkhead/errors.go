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
	// CauseSlots: no slot is free, and the caller may not wait, or would not.
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

// causes is how many there are.
const causes = 5

// index is a number for each.
func (c Cause) index() int {
	switch c {
	case CauseQueue:
		return 1
	case CauseMaxWait:
		return 2
	case CauseWaiters:
		return 3
	case CausePartitions:
		return 4
	}
	return 0
}

// FullError is the refusal itself. It matches ErrFull and patterns.ErrRejected. When
// there will be a slot it does not know, so it has no RetryAfter. One value is shared by
// all the calls refused for the same reason with the same numbers: do not change it.
type FullError struct {
	Name  string // the bulkhead's
	Cause Cause
	// Limit is how many slots there are, in the caller's partition if there are
	// partitions, and InFlight how many of them are taken. With CausePartitions both
	// count partitions.
	Limit, InFlight int
	// Waiting is how many waited there; with CauseSlots and CausePartitions 0, and with
	// CauseMaxWait too, since nobody knows how many came and went meanwhile.
	Waiting int
}

func (e *FullError) Error() string {
	what := "slots taken"
	if e.Cause == CausePartitions {
		what = "partitions in use"
	}
	msg := fmt.Sprintf("bulkhead %q is full: %d of %d %s", e.Name, e.InFlight, e.Limit, what)
	switch e.Cause {
	case CauseQueue, CauseWaiters:
		return fmt.Sprintf("%s, and %d wait", msg, e.Waiting)
	case CauseMaxWait:
		return msg + ", and waited for as long as one may"
	}
	return msg
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
