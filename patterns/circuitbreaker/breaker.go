package circuitbreaker

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Breaker is a caller's handle on a circuit breaker actor. It is safe for
// concurrent use. Acquire, AcquireFor, Snapshot, Reconfigure, Inspect, Stop and PID
// are those of actors.Typed and actors.Handle.
type Breaker struct {
	*actors.Typed[Config, Snapshot]
}

// Spawn starts a breaker named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Breaker, error) {
	return actors.Spawn(guards, name, spec(cfg), wrap, opts...)
}

// GetOrSpawn returns the breaker of that name, or starts it. If there is one with
// another Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Breaker, error) {
	return actors.GetOrSpawn(guards, name, spec(cfg), wrap, opts...)
}

// Get returns the breaker of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Breaker, bool) {
	return actors.Find[*Breaker](guards, name)
}

// All iterates over the registry's breakers in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Breaker] { return actors.Each[*Breaker](guards) }

// NotClosed iterates over the breakers that refuse at least some calls now: open,
// half-open or forced open.
func NotClosed(ctx context.Context, guards *actors.Registry) iter.Seq2[string, Snapshot] {
	return func(yield func(string, Snapshot) bool) {
		for name, b := range All(guards) {
			s, ok := b.Snapshot(ctx)
			refuses := s.State == Open || s.State == HalfOpen || s.State == ForcedOpen
			if ok && refuses && !yield(name, s) {
				return
			}
		}
	}
}

// ResetAll resets every breaker of the registry, and returns the first error.
func ResetAll(ctx context.Context, guards *actors.Registry) (err error) {
	for _, b := range All(guards) {
		if e := b.Reset(ctx); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// Reset closes the circuit and forgets what was learned. Calls in flight no longer
// count.
func (b *Breaker) Reset(ctx context.Context) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// ForceOpen refuses every call for d, or until told otherwise if d is 0. note is
// carried by the event.
func (b *Breaker) ForceOpen(ctx context.Context, d time.Duration, note string) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.ForceOpen, For: d, Note: note})
}

// ForceClosed disables the breaker for d, or until told otherwise if d is 0: every
// call passes and none is recorded.
func (b *Breaker) ForceClosed(ctx context.Context, d time.Duration, note string) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.ForceClosed, For: d, Note: note})
}

// MetricsOnly lets every call pass for d, or until told otherwise if d is 0, and
// records them, but never opens.
func (b *Breaker) MetricsOnly(ctx context.Context, d time.Duration, note string) error {
	return b.Operate(ctx, patterns.Operation{Kind: patterns.MetricsOnly, For: d, Note: note})
}

func wrap(t *actors.Typed[Config, Snapshot]) *Breaker { return &Breaker{t} }

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	s := actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{
				Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg,
				Seed: max(1, rand.Uint64()),
			})
		},
	}
	if cfg.CallTimeout > 0 {
		s.Terms = &patterns.Terms{Timeout: cfg.CallTimeout}
	}
	return s
}
