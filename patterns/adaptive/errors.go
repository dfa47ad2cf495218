package adaptive

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrLimit is matched, with errors.Is, by every refusal from an adaptive limiter.
var ErrLimit = errors.New("concurrency limit reached")

// Cause says why a call was refused, or the limiter changed its state. The set is
// closed.
type Cause string

const (
	// CauseNone: it has been like this from the start.
	CauseNone Cause = ""
	// CauseLimit refused a call: as many are in flight as may be.
	CauseLimit Cause = "limit"
	// CausePriority refused a call: what places are left are kept for higher priorities.
	CausePriority Cause = "priority"
	// CauseShare refused a call: its tenant has its share, and others have not.
	CauseShare Cause = "share"
	// CauseQueue refused a call: Config.MaxWaiting callers wait.
	CauseQueue Cause = "queue"
	// CauseCrowd refused a call: so many wait that only a share of the newcomers may.
	CauseCrowd Cause = "crowd"
	// CauseWaiters refused a call that does not wait: others do.
	CauseWaiters Cause = "waiters"
	// CauseMaxWait refused a call: it has waited for Config.MaxWait.
	CauseMaxWait Cause = "max-wait"
	// CauseSojourn refused a call: everybody has waited for long, and CoDel picked it.
	CauseSojourn Cause = "sojourn"
	// CauseDeadline refused a call: its caller has stopped waiting, or would have before
	// its turn.
	CauseDeadline Cause = "deadline"
	// CauseWeight refused a call: it weighs more than the limit can ever be.
	CauseWeight Cause = "weight"
	// CauseForced: an operator said so.
	CauseForced Cause = "forced"
	// CauseForcedElapsed: the time the operator gave was over.
	CauseForcedElapsed Cause = "forced-elapsed"
	// CauseReset: an operator made it start again.
	CauseReset Cause = "reset"
	// CauseRepaired: broken state was rebuilt after a restart.
	CauseRepaired Cause = "repaired"
)

// LimitError is the refusal itself. It matches ErrLimit and patterns.ErrRejected. One
// value is shared by the calls refused at about the same time: do not change it.
type LimitError struct {
	Name  string // the limiter's
	Cause Cause
	Limit int // when the first of those calls was refused
	// After is how long a place takes to come free at the current latency; 0 if
	// unknown.
	After time.Duration
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("adaptive limiter %q refused (%s) at a limit of %d", e.Name, e.Cause, e.Limit)
}

// Unwrap makes errors.Is match both ErrLimit and patterns.ErrRejected.
func (e *LimitError) Unwrap() []error { return []error{ErrLimit, patterns.ErrRejected} }

// RetryAfter is After.
func (e *LimitError) RetryAfter() time.Duration { return e.After }
