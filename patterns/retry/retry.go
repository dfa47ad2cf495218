package retry

import (
	"context"
	"iter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Retry is a caller's handle on a retry actor, and a policy: patterns.Do, DoFor, Run, Wrap and
// pipelines make calls through it; it gives no permits. It is safe for concurrent use.
// Snapshot, Reconfigure, Inspect, Operate, Stop and PID are those of actors.Typed and
// actors.Handle.
//
// The attempts are made on the caller's goroutine, one after the other. What is a failure,
// and so retried, says the Judge given to actors.WithJudge, by error and by result. After
// Stop calls are refused with actors.ErrStopped.
type Retry struct {
	*actors.Typed[Config, Snapshot]
	terms   *patterns.Terms
	judge   *patterns.Judge // nil if it judges by error as patterns.Classify does
	tallies *actors.Tallies
}

var (
	_ patterns.Guard    = (*Retry)(nil)
	_ patterns.Optimist = (*Retry)(nil)
)

// Spawn starts a retry named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Retry, error) {
	spec, wrap := specify(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawn returns the retry of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Retry, error) {
	spec, wrap := specify(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// Get returns the retry of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Retry, bool) {
	return actors.Find[*Retry](guards, name)
}

// All iterates over the registry's retries in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Retry] { return actors.Each[*Retry](guards) }

// Terms hands whole calls to the retry.
func (r *Retry) Terms() *patterns.Terms { return r.terms }

// Acquire returns patterns.ErrPolicy.
func (*Retry) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// AcquireFor returns patterns.ErrPolicy.
func (*Retry) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquire returns patterns.ErrPolicy.
func (*Retry) TryAcquire() (patterns.Permit, error) { return patterns.Permit{}, patterns.ErrPolicy }

// TryAcquireFor returns patterns.ErrPolicy.
func (*Retry) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// Reset forgets the last error. The numbers of calls stay.
func (r *Retry) Reset(ctx context.Context) error {
	return r.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// counting is a Machine that is told of what its callers counted whenever somebody looks.
type counting struct {
	*Machine
	tallies *actors.Tallies
}

func (c counting) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	var all totals
	c.Counted(c.tallies.Totals(all[:]))
	return c.Machine.Snapshot(now, counts)
}

// specify returns the spec of an actor, and how a handle on it is made. Both share the
// tallies.
func specify(cfg Config) (actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Retry) {
	cfg = cfg.withDefaults() // so that a Config that spells its defaults out is the same
	tallies := actors.NewTallies(kinds)
	spec := actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			m := NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg})
			return counting{m, tallies}
		},
	}
	return spec, func(t *actors.Typed[Config, Snapshot]) *Retry {
		r := &Retry{Typed: t, tallies: tallies, terms: new(patterns.Terms)}
		if given := t.Terms(); given != nil {
			r.judge, *r.terms = given.Judge, *given
		}
		r.terms.Policy = r
		return r
	}
}
