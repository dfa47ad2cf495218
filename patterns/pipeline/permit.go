package pipeline

import (
	"context"

	"github.com/bulwark-go/bulwark/patterns"
)

// bundle is the permits of all guards for one call.
type bundle struct {
	pipeline *Pipeline
	permits  []patterns.Permit
	number   uint64 // of the permit that stands for them; 0 if there is none
	last     uint64
}

// Acquire takes a permit of every guard, outermost first, or of none.
func (p *Pipeline) Acquire(ctx context.Context) (patterns.Permit, error) {
	return p.take(ctx, nil)
}

// AcquireFor is Acquire for a Request, which every guard is asked for. One with Spend has
// no permits to take back should an inner guard refuse, so it is refused.
func (p *Pipeline) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	if r.Spend {
		return patterns.Permit{}, &SpendError{Name: p.name}
	}
	return p.take(ctx, &r)
}

func (p *Pipeline) take(ctx context.Context, r *patterns.Request) (patterns.Permit, error) {
	if p.terms != nil {
		return patterns.Permit{}, patterns.ErrPolicy
	}
	b := p.bundles.Get().(*bundle)
	taken, all := 0, false
	defer func() {
		if !all {
			b.undo(taken)
		}
	}()
	for ; taken < len(p.stages); taken++ {
		permit, err := p.stages[taken].acquire(ctx, r)
		if err != nil {
			return patterns.Permit{}, err
		}
		b.permits[taken] = permit
	}
	all = true
	return b.permit(), nil
}

// undo gives the first n permits back, the innermost first.
func (b *bundle) undo(n int) {
	for i := n - 1; i >= 0; i-- {
		b.permits[i].Release()
	}
	b.pipeline.bundles.Put(b)
}

func (b *bundle) permit() patterns.Permit {
	b.last++
	b.number = b.last
	return patterns.NewPermit(b, b.number, 0)
}

// Settle implements patterns.Settler. It reports whether it counted everywhere.
func (b *bundle) Settle(id uint64, _ patterns.Instant, o patterns.Outcome) bool {
	if b.number != id {
		return false
	}
	b.number = 0
	all := true
	for i := len(b.permits) - 1; i >= 0; i-- {
		all = b.permits[i].Report(o) && all
	}
	b.pipeline.bundles.Put(b)
	return all
}

// Release implements patterns.Settler.
func (b *bundle) Release(id uint64) {
	if b.number == id {
		b.number = 0
		b.undo(len(b.permits))
	}
}
