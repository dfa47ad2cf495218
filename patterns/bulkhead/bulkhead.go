package bulkhead

import (
	"context"
	"iter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Bulkhead is a caller's handle on a bulkhead actor. It is safe for concurrent use.
// Acquire, AcquireFor, TryAcquire, TryAcquireFor, Snapshot, Reconfigure, Inspect, Operate,
// Stop and PID are those of actors.Typed and actors.Handle.
//
// Acquire takes a slot, waiting for its turn where Config.MaxWaiting lets it; AcquireFor
// does so for a Request with a weight, a key or a priority. A refusal matches ErrFull if
// there was no slot.
type Bulkhead struct {
	*actors.Typed[Config, Snapshot]
}

// Spawn starts a bulkhead named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Bulkhead, error) {
	return actors.Spawn(guards, name, spec(cfg), wrap, opts...)
}

// GetOrSpawn returns the bulkhead of that name, or starts it. If there is one with
// another Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Bulkhead, error) {
	return actors.GetOrSpawn(guards, name, spec(cfg), wrap, opts...)
}

// Get returns the bulkhead of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Bulkhead, bool) {
	return actors.Find[*Bulkhead](guards, name)
}

// All iterates over the registry's bulkheads in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Bulkhead] { return actors.Each[*Bulkhead](guards) }

// Reset forgets the peak and the wait times.
func (b *Bulkhead) Reset(ctx context.Context) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

func wrap(t *actors.Typed[Config, Snapshot]) *Bulkhead { return &Bulkhead{t} }

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	cfg = cfg.withDefaults() // so that a Config that spells its defaults out is the same
	return actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg})
		},
	}
}
