package conformance

import (
	"context"

	"github.com/bulwark-go/bulwark/patterns"
)

// watched is a guard that says when a permit of it has ended.
type watched struct {
	patterns.Guard
	ended chan struct{}
}

func watch(g patterns.Guard) watched { return watched{g, make(chan struct{}, 100)} }

// Acquire implements patterns.Guard.
func (w watched) Acquire(ctx context.Context) (patterns.Permit, error) {
	return w.AcquireFor(ctx, patterns.Request{})
}

// AcquireFor implements patterns.Guard.
func (w watched) AcquireFor(ctx context.Context, q patterns.Request) (patterns.Permit, error) {
	p, err := w.Guard.AcquireFor(ctx, q)
	if err != nil {
		return p, err
	}
	return patterns.NewPermit(&settler{p, w.ended}, 1, 0), nil
}

type settler struct {
	permit patterns.Permit
	ended  chan struct{}
}

// Settle implements patterns.Settler.
func (s *settler) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	ok := s.permit.Report(o)
	s.ended <- struct{}{}
	return ok
}

// Release implements patterns.Settler.
func (s *settler) Release(uint64) {
	s.permit.Release()
	s.ended <- struct{}{}
}
