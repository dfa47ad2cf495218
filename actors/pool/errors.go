package pool

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// ErrNoMember is matched by the refusal of a pool none of whose members may be asked.
var ErrNoMember = errors.New("no member of the pool may be asked")

// Faults of what a pool is made of.
var (
	// ErrName: a pool's name is empty or has slashes.
	ErrName = errors.New("pool name is empty or has slashes")
	// ErrNoProps: there is nothing to make members of.
	ErrNoProps = errors.New("pool without props")
	// ErrMembers: a group has no members, too many, or one that is nil or there twice.
	ErrMembers = errors.New("members of a group must be 1 to 1024, not nil, and different")
)

// NoMemberError is the refusal itself. It matches ErrNoMember, patterns.ErrRejected, and
// what the breaker said that will let a request through soonest.
type NoMemberError struct {
	Pool    string
	Members int // how many there are, open or not
	// RetryAt is when one of them may be asked again, or replaced, at the earliest known.
	// Zero if unknown.
	RetryAt time.Time
	Reason  error // nil if there are no members
}

func (e *NoMemberError) Error() string {
	msg := fmt.Sprintf("pool %q: none of %d members may be asked", e.Pool, e.Members)
	if e.Reason != nil {
		msg += ": " + e.Reason.Error()
	}
	return msg
}

// Unwrap returns the reason.
func (e *NoMemberError) Unwrap() error { return e.Reason }

// Is matches ErrNoMember and patterns.ErrRejected, besides the reason.
func (*NoMemberError) Is(target error) bool {
	return target == ErrNoMember || target == patterns.ErrRejected
}

// RetryAfter is how long from now RetryAt is; 0 if it passed or is unknown.
func (e *NoMemberError) RetryAfter() time.Duration {
	if e.RetryAt.IsZero() {
		return 0
	}
	return max(0, time.Until(e.RetryAt))
}
