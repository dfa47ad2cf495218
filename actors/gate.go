package actors

import (
	"runtime"
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
	early   atomic.Pointer[[]stripe] // requests refused without a turn; made for the first
}

// stripe is a counter on a cache line of its own.
type stripe struct {
	n atomic.Uint64
	_ [cacheLine - 8]byte
}

// countRefusal counts a request that was refused without a turn. seed spreads the
// callers over the counters.
func (p *published) countRefusal(seed uint32) {
	if stripes := p.early.Load(); stripes != nil {
		(*stripes)[seed%uint32(len(*stripes))].n.Add(1)
	}
}

// prepareRefusals makes the counters. It is called in a turn, before callers can
// see a refusal.
func (p *published) prepareRefusals() {
	if p.early.Load() == nil {
		stripes := make([]stripe, 2*runtime.GOMAXPROCS(0))
		p.early.Store(&stripes)
	}
}

func (p *published) refusedEarly() (n uint64) {
	if stripes := p.early.Load(); stripes != nil {
		for i := range *stripes {
			n += (*stripes)[i].n.Load()
		}
	}
	return n
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
	refers  bool // it is not worth trying for a turn on the spot
	plan    any  // of rules that are a Planner
}

// refers reports whether requests are most likely decided elsewhere.
func (s *shell) refers() bool { return s.errands != nil && s.gate.Load().refers }

// openGate publishes the current view.
func (s *shell) openGate() {
	g := &gate{epoch: s.rules.Epoch(), measured: s.measured}
	if err, until, ok := s.rules.Refusal(); ok {
		g.refusal, g.until = err, until
		s.prepareRefusals()
	}
	if p, ok := s.rules.(Planner); ok {
		g.plan = p.Plan()
	}
	if s.errands != nil {
		g.refers = s.errands.referrer.Refers()
	}
	old := s.gate.Swap(g)
	if old != nil && (old.epoch != g.epoch || g.refusal != nil) {
		s.revokeCells()
	}
}
