package bulkhead

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Bulkhead is a caller's handle on a bulkhead actor. It is safe for concurrent use.
// Snapshot, Inspect, Operate, Stop and PID are those of actors.Typed and actors.Handle.
type Bulkhead struct {
	*actors.Typed[Config, Snapshot]
	cfg    Config // that it was spawned with, with its defaults
	leased bool
	origin time.Time  // of Instants
	now    noWait     // context of those who do not wait
	queue  *FullError // as many wait as may
	behind *FullError // somebody waits, so that not waiting gets nothing
}

// Spawn starts a bulkhead named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Bulkhead, error) {
	b := newBulkhead(cfg)
	return actors.Spawn(guards, name, b.spec(), b.wrap, opts...)
}

// GetOrSpawn returns the bulkhead of that name, or starts it. If there is one with
// another Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Bulkhead, error) {
	b := newBulkhead(cfg)
	return actors.GetOrSpawn(guards, name, b.spec(), b.wrap, opts...)
}

// Get returns the bulkhead of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Bulkhead, bool) {
	if guards == nil {
		return nil, false
	}
	guard, _ := guards.Get(name)
	b, ok := guard.(*Bulkhead)
	return b, ok
}

// All iterates over the registry's bulkheads in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Bulkhead] {
	return func(yield func(string, *Bulkhead) bool) {
		if guards == nil {
			return
		}
		for name, guard := range guards.Guards() {
			if b, ok := guard.(*Bulkhead); ok && !yield(name, b) {
				return
			}
		}
	}
}

// Acquire takes a slot, waiting for its turn where Config.MaxWaiting lets it. A refusal
// matches ErrFull if there was none. When ctx ends first, the error is ctx's.
func (b *Bulkhead) Acquire(ctx context.Context) (patterns.Permit, error) {
	if b.cfg.MaxWaiting == 0 {
		return b.Typed.Acquire(ctx)
	}
	if b.leased {
		if err := ctx.Err(); err != nil {
			return patterns.Permit{}, err
		}
		if p, err := b.Typed.Acquire(b.now); err != nil || p != (patterns.Permit{}) {
			return p, b.explain(err)
		}
	}
	return b.AcquireFor(ctx, patterns.Request{})
}

// AcquireFor is Acquire for a Request with a weight, a key or a priority. Its Deadline is
// ignored: ctx says how long to wait.
func (b *Bulkhead) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	r.Deadline = 0
	if b.cfg.MaxWaiting > 0 {
		r.Deadline = asked(patterns.Instant(time.Since(b.origin)))
	}
	p, err := b.Typed.AcquireFor(ctx, r)
	if err != nil {
		return p, b.explain(err)
	}
	return p, nil
}

// TryAcquire takes a slot if there is one now and nobody waits for it.
func (b *Bulkhead) TryAcquire() (patterns.Permit, error) {
	if b.leased {
		return b.immediate(b.Typed.Acquire(b.now))
	}
	return b.TryAcquireFor(patterns.Request{})
}

// TryAcquireFor is TryAcquire for a Request with a weight, a key or a priority.
func (b *Bulkhead) TryAcquireFor(r patterns.Request) (patterns.Permit, error) {
	r.Deadline = Past
	return b.immediate(b.Typed.AcquireFor(b.now, r))
}

// immediate makes an error of the answer to a request that left without one.
func (b *Bulkhead) immediate(p patterns.Permit, err error) (patterns.Permit, error) {
	if err != nil {
		return p, b.explain(err)
	}
	if p == (patterns.Permit{}) {
		return p, b.behind
	}
	return p, nil
}

// explain says in the bulkhead's own words what the shell decided.
func (b *Bulkhead) explain(err error) error {
	if errors.Is(err, actors.ErrQueueFull) {
		return b.queue
	}
	return err
}

// Reconfigure changes the bulkhead's rules while it runs and keeps every permit that is
// out; see Machine.Reconfigure. The error names every bad field, and MaxWaiting, which
// cannot be changed.
func (b *Bulkhead) Reconfigure(ctx context.Context, c Config) error {
	err := c.Validate()
	if c.MaxWaiting != b.cfg.MaxWaiting {
		err = errors.Join(err, &ConfigError{Field: "MaxWaiting", Value: c.MaxWaiting, Problem: "cannot be changed while it runs"})
	}
	if err != nil {
		return err
	}
	return b.Typed.Reconfigure(ctx, c)
}

// Reset forgets the peak and the wait times.
func (b *Bulkhead) Reset(ctx context.Context) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// noWait is the context of somebody who leaves as soon as there is something to wait
// for: it has ended, and does not say so before it is asked for Done. So the shell
// decides on the spot if it can, and lets go of the caller if it cannot.
type noWait struct{ done <-chan struct{} }

func (noWait) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (c noWait) Done() <-chan struct{}                 { return c.done }
func (noWait) Err() error                              { return nil }
func (noWait) Value(any) any                           { return nil }

func newBulkhead(cfg Config) *Bulkhead {
	done := make(chan struct{})
	close(done)
	_, _, leased := cfg.Mode.Lease()
	return &Bulkhead{cfg: cfg.withDefaults(), leased: leased, now: noWait{done}}
}

func (b *Bulkhead) wrap(t *actors.Typed[Config, Snapshot]) *Bulkhead {
	b.Typed = t
	b.queue = &FullError{Name: t.Name(), Cause: CauseQueue, Waiting: b.cfg.MaxWaiting}
	b.behind = &FullError{Name: t.Name(), Cause: CauseWaiters}
	return b
}

func (b *Bulkhead) spec() actors.Spec[Config, Snapshot] {
	return actors.Spec[Config, Snapshot]{
		Pattern: "bulkhead", Config: b.cfg, Validate: Config.Validate,
		Mode: b.cfg.Mode, OnFailure: b.cfg.OnFailure, MaxWaiting: max(0, b.cfg.MaxWaiting),
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			b.origin = o.Time
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: b.cfg})
		},
	}
}
