package attempts

import (
	"context"
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// MaxPatience bounds for how long an actor's turn waits for the answer of a guard's
// actor, which takes well under a microsecond unless it restarts.
const MaxPatience = 10 * time.Millisecond

// Patience is a context that ends MaxPatience after somebody began to wait for it, so
// that it costs nothing where nobody does. It belongs to one goroutine, and is used for
// one attempt after the other.
type Patience struct {
	// Busy is what a guard that did not answer in time is taken to have said.
	Busy error

	done  chan struct{}
	timer *time.Timer
}

// Deadline implements context.Context. It does not say, lest the guard look at a clock.
func (*Patience) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (p *Patience) Done() <-chan struct{} {
	if p.done == nil {
		done := make(chan struct{})
		p.done, p.timer = done, time.AfterFunc(MaxPatience, func() { close(done) })
	}
	return p.done
}

// Err implements context.Context.
func (p *Patience) Err() error {
	select {
	case <-p.done: // never, if it is nil
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context.
func (*Patience) Value(any) any { return nil }

// Over makes p ready for another attempt.
func (p *Patience) Over() {
	if p.timer != nil {
		p.timer.Stop()
		p.done, p.timer = nil, nil
	}
}

// Try asks guard for a permit without waiting in its queue.
func (p *Patience) Try(guard patterns.Guard, r patterns.Request) (patterns.Permit, error) {
	r.NoWait = true
	permit, err := guard.AcquireFor(p, r)
	p.Over()
	return permit, p.Of(err)
}

// Of translates the end of the Patience.
func (p *Patience) Of(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return p.Busy
	}
	return err
}
