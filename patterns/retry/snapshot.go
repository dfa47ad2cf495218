package retry

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a retry knew at one moment. Its numbers are since it was spawned;
// restarts of its actor and Reset do not clear them. Snapshots can be compared.
type Snapshot struct {
	Name string
	// Calls that have ended: FirstTime + Later + Passed + Panicked + Exhausted.Total().
	Calls uint64
	// FirstTime is how many of them succeeded at their first attempt, and Later at another.
	FirstTime, Later uint64
	// Passed is how many ended in what the Judge ignores, in what matches patterns.ErrFinal,
	// or were refused inside before any attempt was made.
	Passed uint64
	// Panicked is how many ended by a panic or runtime.Goexit of the function.
	Panicked uint64
	// Exhausted is how many failed and were not made again.
	Exhausted Exhaustion
	// Retries is how many attempts were made, or are being made, but first ones.
	Retries uint64
	// Waited is how long callers waited between attempts, all together.
	Waited time.Duration
	// LastError is that of the latest attempt that failed, cut short if it is long, and
	// LastErrorAt when that was; Reset forgets it.
	LastError   string
	LastErrorAt time.Time
	// Config is the policy, with its defaults.
	Config Config
	// EventsLost were not drained in time.
	EventsLost uint64
	// Counts has Restarts and Unknown only: a retry gives no permits.
	patterns.Counts
}

// Attempts is how many were made, of the calls that ended and the retries under way.
func (s Snapshot) Attempts() uint64 { return s.Calls + s.Retries }

// Exhaustion is how many calls failed and were not made again, by Cause.
type Exhaustion struct {
	Attempts, Elapsed, Deadline, Cancelled, Budget, Refused, Stopped uint64
}

// Total is all of them.
func (e Exhaustion) Total() uint64 {
	return e.Attempts + e.Elapsed + e.Deadline + e.Cancelled + e.Budget + e.Refused + e.Stopped
}

// BudgetSnapshot is what a budget knew at one moment. Its numbers are since it was spawned;
// restarts of its actor and Reset do not clear them. Snapshots can be compared.
type BudgetSnapshot struct {
	Name string
	// Calls are first attempts, Extras the retries and hedges that were allowed, and
	// Suppressed those that were not.
	Calls, Extras, Suppressed uint64
	// Left is how many would be allowed now. It is negative while those made outlive the
	// calls that they were allowed for.
	Left int64
	// Config is the policy, with its defaults.
	Config BudgetConfig
	// EventsLost were not drained in time.
	EventsLost uint64
	// Counts has Restarts and Unknown only: a budget gives no permits.
	patterns.Counts
}
