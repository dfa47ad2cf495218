package patterns

import (
	"fmt"
	"time"
)

// Mode is how permits travel from a guard's actor to its callers. The zero Mode is
// Strict. Modes are comparable.
type Mode struct {
	size int
	ttl  time.Duration
}

// Strict asks the actor for every permit: counts and limits are exact at every
// moment. It is the default.
var Strict = Mode{}

const (
	// DefaultLeaseSize is how many permits a lease holds unless told otherwise.
	DefaultLeaseSize = 64
	// MaxLeaseSize is the most that one lease may hold.
	MaxLeaseSize = 1024
	// DefaultLeaseTTL is how long unused permits stay out unless told otherwise.
	DefaultLeaseTTL = 100 * time.Millisecond
	// MinLeaseTTL is the least: the guard looks at its cells once in a lifetime.
	MinLeaseTTL = time.Millisecond
)

// Leased hands permits out in bulk: size at a time (0 means 64, at most 1,024) to
// cells, two per processor, where a call spends one without a message. Unused permits
// come back one to two ttl later (0 means 100 ms). Failures are still reported at once,
// and a state change is still seen by every caller at its next call.
//
// Successes are counted late, but before any failure that follows them: at the cell's
// next lease, or within ttl. At most size × cells are not counted yet, plus those of
// calls that outlasted their lease; 8 × size × cells with them. A size of 1 is Strict.
func Leased(size int, ttl time.Duration) Mode {
	if size == 0 {
		size = DefaultLeaseSize
	}
	if ttl == 0 {
		ttl = DefaultLeaseTTL
	}
	return Mode{size: size, ttl: ttl}
}

// Lease returns the size and lifetime of a lease; ok is false for Strict.
func (m Mode) Lease() (size int, ttl time.Duration, ok bool) { return m.size, m.ttl, m.size > 1 }

// Validate returns an error if a lease could not work as given.
func (m Mode) Validate() error {
	switch {
	case m.size < 0 || m.size > MaxLeaseSize:
		return fmt.Errorf("lease size %d not in [1, %d]", m.size, MaxLeaseSize)
	case m.size > 1 && m.ttl < MinLeaseTTL:
		return fmt.Errorf("lease lifetime %v is below %v", m.ttl, MinLeaseTTL)
	}
	return nil
}

func (m Mode) String() string {
	if m.size <= 1 {
		return "strict"
	}
	return fmt.Sprintf("leased(%d, %v)", m.size, m.ttl)
}

// FailPolicy is what callers get when a guard's actor failed for good, so that
// nobody is left to decide.
type FailPolicy uint8

const (
	// FailOpen lets every call through, unguarded, counted and announced:
	// availability first. It is the default.
	FailOpen FailPolicy = iota
	// FailClosed refuses every call.
	FailClosed
)

// Valid reports whether p is one of the two policies.
func (p FailPolicy) Valid() bool { return p <= FailClosed }

func (p FailPolicy) String() string {
	switch p {
	case FailOpen:
		return "fail-open"
	case FailClosed:
		return "fail-closed"
	}
	return fmt.Sprintf("fail-policy(%d)", uint8(p))
}
