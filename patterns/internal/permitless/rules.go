// Package permitless is the part of a policy's Machine that is about permits: it has none.
package permitless

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Rules refuse every request, which only come by message: the handle of a policy asks for
// nothing.
type Rules struct{}

var errPolicy = fmt.Errorf("%w: %w", patterns.ErrRejected, patterns.ErrPolicy)

// Acquire refuses with patterns.ErrPolicy.
func (Rules) Acquire(patterns.Instant, uint64, *patterns.Request) patterns.Decision {
	return patterns.Decision{Err: errPolicy}
}

// Report counts nothing.
func (Rules) Report(patterns.Instant, patterns.PermitID, patterns.Outcome, time.Duration) (counted, dirty bool) {
	return false, false
}

// Release has nothing to take back.
func (Rules) Release(patterns.Instant, patterns.PermitID) (dirty bool) { return false }

// Timeless is true.
func (Rules) Timeless() bool { return true }

// Measured is false.
func (Rules) Measured() bool { return false }

// Refusal is none: nobody is refused for the time being.
func (Rules) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }
