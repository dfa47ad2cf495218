package loadshedder

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrShed is matched, with errors.Is, by every refusal for overload. What matches it may
// succeed later.
var ErrShed = errors.New("load shed")

// Cause says why a request was shed, or a shedder changed its state. The set is closed.
type Cause string

const (
	// CauseNone: it has been like this from the start.
	CauseNone Cause = ""
	// CauseInFlight: Config.MaxInFlight calls run, and the caller may not wait.
	CauseInFlight Cause = "in-flight"
	// CauseQueue: Config.MaxQueue callers wait.
	CauseQueue Cause = "queue"
	// CauseMaxWait: it waited for Config.MaxWait, or would have had to.
	CauseMaxWait Cause = "max-wait"
	// CauseDeadline: its own deadline passed while it waited, or would have before its
	// call could have ended.
	CauseDeadline Cause = "deadline"
	// CauseQueueDelay: waiting has become the rule; see Config.QueueDelay.
	CauseQueueDelay Cause = "queue-delay"
	// CausePriority: what places are left are kept for higher priorities, or, with
	// Config.Fair, for keys that got less.
	CausePriority Cause = "priority"
	// CauseCPU: Config.CPU was exceeded.
	CauseCPU Cause = "cpu"
	// CauseMemory: Config.Memory was exceeded.
	CauseMemory Cause = "memory"
	// CauseSchedulingLatency: Config.SchedulingLatency was exceeded.
	CauseSchedulingLatency Cause = "scheduling-latency"
	// CauseGC: Config.GC was exceeded.
	CauseGC Cause = "gc"
	// CauseThrottle: what is sent on is turned down; see Config.Throttle.
	CauseThrottle Cause = "throttle"
	// CauseForced: an operator said so.
	CauseForced Cause = "forced"

	// CauseForcedElapsed changed the state: the time the operator gave was over.
	CauseForcedElapsed Cause = "forced-elapsed"
	// CauseReset changed the state: an operator made it start again.
	CauseReset Cause = "reset"
	// CauseRepaired changed the state: it was broken, and was rebuilt after a restart.
	CauseRepaired Cause = "repaired"
)

// shedding are the causes that shed requests, in the order of their counters.
var shedding = [...]Cause{
	CauseInFlight, CauseQueue, CauseMaxWait, CauseDeadline, CauseQueueDelay, CausePriority,
	CauseCPU, CauseMemory, CauseSchedulingLatency, CauseGC, CauseThrottle, CauseForced,
}

const causes = len(shedding)

// index is where c stands in shedding; -1 if nowhere.
func (c Cause) index() int {
	for i, s := range shedding {
		if s == c {
			return i
		}
	}
	return -1
}

// ShedError is the refusal itself. It matches ErrShed and patterns.ErrRejected. One value
// is shared by all the requests of a priority shed for the same reason at about the same
// time: do not change it.
type ShedError struct {
	Name     string // the shedder's
	Cause    Cause
	Priority patterns.Priority
	// Level, InFlight, Limit and Waiting are as when the first of those requests was shed.
	Level           Level
	InFlight, Limit int
	Waiting         int
	// Value is what exceeded Threshold, where Cause is a signal: a share, or seconds. With
	// CauseThrottle, Value is the share that is shed.
	Value, Threshold float64
	// After is an estimate of how long it is of no use to try again, 0 if there is none.
	After time.Duration
}

func (e *ShedError) Error() string {
	msg := fmt.Sprintf("load shedder %q sheds %v requests (%s): ", e.Name, e.Priority, e.Cause)
	switch e.Cause {
	case CauseCPU, CauseMemory, CauseGC:
		return msg + fmt.Sprintf("%.1f%% of %.1f%%", 100*e.Value, 100*e.Threshold)
	case CauseSchedulingLatency:
		return msg + fmt.Sprintf("%v of %v", seconds(e.Value), seconds(e.Threshold))
	case CauseThrottle:
		return msg + fmt.Sprintf("%.1f%%", 100*e.Value)
	case CauseForced:
		return msg + "an operator said so"
	}
	return msg + fmt.Sprintf("%d of %d in flight, %d wait", e.InFlight, e.Limit, e.Waiting)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Is matches ErrShed and patterns.ErrRejected. An Unwrap of two errors would allocate at
// every errors.Is.
func (e *ShedError) Is(target error) bool { return target == ErrShed || target == patterns.ErrRejected }

// RetryAfter is After.
func (e *ShedError) RetryAfter() time.Duration { return e.After }

// WeightError refuses a request that is heavier than the limit and so can never be
// granted. It matches patterns.ErrInvalidRequest and patterns.ErrRejected, but not
// ErrShed: trying again is in vain.
type WeightError struct {
	Name   string // the shedder's
	Weight int
	Limit  int
}

func (e *WeightError) Error() string {
	return fmt.Sprintf("load shedder %q: weight %d is above the limit of %d", e.Name, e.Weight, e.Limit)
}

// Is matches patterns.ErrInvalidRequest and patterns.ErrRejected.
func (e *WeightError) Is(target error) bool {
	return target == patterns.ErrInvalidRequest || target == patterns.ErrRejected
}
