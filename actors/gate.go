package actors

import (
	"sync/atomic"

	"github.com/bulwark-go/bulwark/patterns"
)

// published is what callers may read of a shell outside of its turn.
type published struct {
	gate  atomic.Pointer[gate]
	final atomic.Pointer[any] // the snapshot that it stopped with
	// orderly says that it was stopped while nothing was wrong with it.
	orderly atomic.Bool
	why     atomic.Pointer[refusals]
}

// refusals returns the guard's own errors.
func (s *shell) refusals() *refusals {
	if r := s.why.Load(); r != nil {
		return r
	}
	s.why.CompareAndSwap(nil, newRefusals(s.name))
	return s.why.Load()
}

// gate is what callers may know without asking: an immutable view that the actor
// replaces at every dirty step. It lags the actor by at most one turn.
type gate struct {
	epoch    uint64
	measured bool
	// refusal, if not nil, is what every request gets until the instant until.
	refusal error
	until   patterns.Instant
}

// openGate publishes the current view.
func (s *shell) openGate() {
	g := &gate{epoch: s.rules.Epoch(), measured: s.measured}
	if err, until, ok := s.rules.Refusal(); ok {
		g.refusal, g.until = err, until
		s.cells.prepareRefusals()
	}
	old := s.gate.Swap(g)
	if old != nil && (old.epoch != g.epoch || g.refusal != nil) {
		s.revokeCells()
	}
}
