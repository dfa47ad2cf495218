package patterns

import (
	"context"
	"time"
)

// Guard decides whether an attempt may be made. Every pattern is one, and so is a
// pipeline of several. Guards are safe for concurrent use.
type Guard interface {
	// Name returns the name the guard was spawned with.
	Name() string

	// Acquire asks for a permit and waits for its turn where the pattern queues.
	// A refusal matches ErrRejected. When ctx ends first, Acquire returns ctx's
	// error at once, and nothing is held.
	Acquire(ctx context.Context) (Permit, error)

	// AcquireFor is Acquire for a Request with a key, weight or priority.
	AcquireFor(ctx context.Context, r Request) (Permit, error)

	// Terms returns what Do applies around the function, or nil for the defaults.
	// The result must not be changed.
	Terms() *Terms
}

// Terms is how a guard wants a guarded function to be called and judged.
type Terms struct {
	// Judge turns the call's end into an Outcome; nil means Classify.
	Judge *Judge
	// Timeout bounds one call through its context, with cause ErrCallTimeout. 0
	// means none.
	Timeout time.Duration
	// Rejection says how refusals look to callers; nil means as they are.
	Rejection *Rejection
	// Policy, if not nil, is handed the call; the fields above are then its own business.
	Policy Policy
}
