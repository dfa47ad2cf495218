package adaptive

import (
	"context"
	"iter"
	"math/rand/v2"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Limiter is a caller's handle on an adaptive limiter's actor. It is safe for concurrent
// use. Acquire, AcquireFor, Snapshot, Reconfigure, Inspect, Operate, Stop and PID are
// those of actors.Typed and actors.Handle.
//
// Acquire asks for a place, and waits for one where Config.MaxWaiting lets it; AcquireFor
// does so for a Request with a priority, a key or a weight. A refusal matches ErrLimit.
// Report teaches the limiter: patterns.Dropped for a call that was lost to overload,
// patterns.Ignored for one that says nothing.
type Limiter struct {
	*actors.Typed[Config, Snapshot]
}

// Spawn starts an adaptive limiter named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return actors.Spawn(guards, name, spec(cfg), wrap, opts...)
}

// GetOrSpawn returns the limiter of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return actors.GetOrSpawn(guards, name, spec(cfg), wrap, opts...)
}

// Get returns the adaptive limiter of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Limiter, bool) {
	return actors.Find[*Limiter](guards, name)
}

// All iterates over the registry's adaptive limiters in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Limiter] { return actors.Each[*Limiter](guards) }

// Reset ends a forced state and forgets what was learned.
func (l *Limiter) Reset(ctx context.Context) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

func wrap(t *actors.Typed[Config, Snapshot]) *Limiter { return &Limiter{t} }

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	cfg = cfg.withDefaults() // so that a Config that spells its defaults out is the same
	s := actors.Spec[Config, Snapshot]{
		Pattern: "adaptive", Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg, Seed: rand.Uint64()})
		},
	}
	if cfg.CallTimeout > 0 {
		s.Terms = &patterns.Terms{Timeout: cfg.CallTimeout}
	}
	return s
}
