package patterns

import "context"

// Verdict is a Machine's answer to a Request.
type Verdict uint8

const (
	// Refuse: the attempt must not be made; Decision.Err says why.
	Refuse Verdict = iota
	// Grant: the attempt may be made.
	Grant
	// Wait: not now; the host queues the request and asks again when capacity frees.
	Wait
	// Refer: the answer is elsewhere, such as in a store that several processes share. Only
	// rules that can send for it answer so; see Errand.
	Refer
)

// Decision is what a Machine returns for a Request.
type Decision struct {
	Verdict Verdict
	// Dirty says that more than counters moved: the host drains events, publishes
	// and re-arms its timer.
	Dirty bool
	// Epoch stamps the permit of a Grant.
	Epoch uint64
	// Err explains a Refuse and matches ErrRejected.
	Err error
}

// Errand carries requests that a Machine has referred to where they are decided, and brings
// the answers back to the Machine that made it.
type Errand interface {
	// Carry asks, and returns when there are answers, or why there are none. It runs on a
	// goroutine of its own, outside of any turn, and may wait. Until it returns, what it was
	// given is its own.
	Carry(ctx context.Context) error
}

// Tally is a lease settled in one step: how many of its permits ended in each
// way, and how many were never used.
type Tally struct {
	Success, Failure, Dropped, Ignored int
	// Slow counts the successes above that were slower than the guard's threshold.
	Slow   int
	Unused int
}
