package middleware

import (
	"context"
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// maxPatience bounds for how long an actor's turn waits for the answer of a guard's
// actor, which takes well under a microsecond unless it restarts.
const maxPatience = 10 * time.Millisecond

// patience is a context that ends maxPatience after somebody began to wait for it, so
// that it costs nothing where nobody does. It belongs to one goroutine.
type patience struct {
	done  chan struct{}
	timer *time.Timer
}

// Deadline implements context.Context. It does not say, lest the guard look at a clock.
func (*patience) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (p *patience) Done() <-chan struct{} {
	if p.done == nil {
		done := make(chan struct{})
		p.done, p.timer = done, time.AfterFunc(maxPatience, func() { close(done) })
	}
	return p.done
}

// Err implements context.Context.
func (p *patience) Err() error {
	select {
	case <-p.done: // blocks if it is nil, hence the default
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value implements context.Context.
func (*patience) Value(any) any { return nil }

// over makes p ready to be used again.
func (p *patience) over() {
	if p.timer != nil {
		p.timer.Stop()
		p.done, p.timer = nil, nil
	}
}

// try asks guard for a permit without waiting in its queue.
func (p *patience) try(guard patterns.Guard, r patterns.Request) (patterns.Permit, error) {
	r.NoWait = true
	permit, err := guard.AcquireFor(p, r)
	p.over()
	return permit, impatient(err)
}

// impatient translates the end of a patience.
func impatient(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrBusy
	}
	return err
}
