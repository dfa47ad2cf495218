package timeout

import (
	"context"
	"errors"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/lazycontext"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// Timeout is a caller's handle on a timeout actor. It is safe for concurrent use, and is
// used with patterns.Do and in pipelines. Snapshot, Reconfigure, Inspect, Stop and PID are
// those of actors.Typed and actors.Handle.
//
// A call that is in time costs no message: callers go by the limit that the actor published
// last, and only the late ones tell it. With Config.Quantile one in 32 does, and one a second.
type Timeout struct {
	*actors.Typed[Config, Snapshot]
	terms   *patterns.Terms
	ends    *actors.Tallies // by end
	batches *sync.Pool      // of *samples.Batch
}

// Spawn starts a timeout named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Timeout, error) {
	spec, wrap := specify(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawn returns the timeout of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Timeout, error) {
	spec, wrap := specify(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// Get returns the timeout of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Timeout, bool) {
	return actors.Find[*Timeout](guards, name)
}

// All iterates over the registry's timeouts in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Timeout] { return actors.Each[*Timeout](guards) }

// Reset forgets how long calls took.
func (t *Timeout) Reset(ctx context.Context) error {
	return t.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// specify returns the spec of an actor, and how a handle on it is made. They share the
// tallies.
func specify(cfg Config) (actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Timeout) {
	if cfg.Validate() == nil { // a Config that spells its defaults out is the same; a fault names what was given
		cfg = cfg.withDefaults()
	}
	ends := actors.NewTallies(kinds)
	spec := actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return counting{NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg}), ends}
		},
	}
	return spec, func(typed *actors.Typed[Config, Snapshot]) *Timeout {
		t := &Timeout{Typed: typed, ends: ends, terms: new(patterns.Terms), batches: &sync.Pool{New: func() any { return new(samples.Batch) }}}
		if given := typed.Terms(); given != nil {
			*t.terms = *given
		}
		t.terms.Policy = t
		return t
	}
}

// Terms hands whole calls to the timeout.
func (t *Timeout) Terms() *patterns.Terms { return t.terms }

// Acquire returns patterns.ErrPolicy: a timeout grants no permits.
func (t *Timeout) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// AcquireFor returns patterns.ErrPolicy.
func (t *Timeout) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquire returns patterns.ErrPolicy.
func (t *Timeout) TryAcquire() (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquireFor returns patterns.ErrPolicy.
func (t *Timeout) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// begin starts the clock of a call.
func begin(ctx context.Context, c *lazycontext.Context, p *plan) {
	c.Begin(ctx, time.Now().Add(p.limit), &p.late)
}

// took is how long a call has taken.
func (p *plan) took(c *lazycontext.Context) time.Duration { return p.limit + time.Since(c.Own()) }

// Around implements patterns.Policy.
func (t *Timeout) Around(ctx context.Context, call patterns.Call) error {
	if err := ctx.Err(); err != nil {
		t.ends.Add(cancelled)
		return err
	}
	p := t.Plan().(*plan)
	if err := t.door(p); err != nil {
		t.ends.Add(refused)
		return err
	}
	if p.apart {
		return t.apart(ctx, call, p)
	}
	c := new(lazycontext.Context)
	begin(ctx, c, p)
	how := failed // should it unwind
	defer func() {
		c.End()
		t.ends.Add(how)
	}()
	err := call.Try(c)
	if err != nil {
		how, err = t.judge(ctx, call, c, p, err)
		return err
	}
	if p.follows {
		t.sample(p.took(c))
	}
	how = succeeded
	return nil
}

// sample tells how long a call took, with others. Those of a batch that the garbage collector
// takes are lost.
func (t *Timeout) sample(took time.Duration) {
	b := t.batches.Get().(*samples.Batch)
	if b.Add(time.Now(), took) {
		_ = t.Tell(b) // what is lost is lost
		return
	}
	t.batches.Put(b)
}

// door returns the refusal of a call that is not to be made, as its caller gets it.
func (t *Timeout) door(p *plan) error {
	if p.refusal != nil {
		return t.terms.Rejected(p.refusal)
	}
	return t.Absent()
}

// Is matches ErrTimeout and context.DeadlineExceeded.
func (e *Error) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// judge says what an attempt that returned err was, and what the caller gets.
func (t *Timeout) judge(ctx context.Context, call patterns.Call, c *lazycontext.Context, p *plan, err error) (end, error) {
	switch {
	case !call.Began() && errors.Is(err, patterns.ErrRejected):
		return refused, err
	case c.Expired() && of(&p.late, err):
		late := p.late
		if any(err) != any(context.DeadlineExceeded) && any(err) != any(&p.late) { // it says more
			late.Err = err
		}
		return timedOut, t.exceeded(c, p, &late)
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return cancelled, err
	}
	return failed, err
}

// of reports whether err comes of the deadline whose error is late, which has passed. That
// of a timeout inside or outside does not.
func of(late *Error, err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e == late
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// exceeded completes the caller's error, and tells the actor.
func (t *Timeout) exceeded(c *lazycontext.Context, p *plan, e *Error) *Error {
	e.Elapsed = p.took(c)
	_ = t.Tell(late{e.After}) // what is lost is lost
	return e
}
