package loadshedder

import (
	"context"
	"iter"
	"math/rand/v2"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Shedder is a caller's handle on a load shedder's actor. It is safe for concurrent use.
// Acquire, AcquireFor, Snapshot, Inspect, Operate, Stop and PID are those of actors.Typed
// and actors.Handle.
//
// Acquire asks for a place, and waits for one where Config.MaxQueue lets it; AcquireFor
// does so for a Request with a priority, a key or a weight. A refusal matches ErrShed.
//
// Beside it runs an actor that measures, and stops with it.
type Shedder struct {
	*actors.Typed[Config, Snapshot]
	sampling *actor.PID
}

// Spawn starts a load shedder named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Shedder, error) {
	return start(guards, name, cfg, newProbe, actors.Spawn[Config, Snapshot, *Shedder], opts)
}

// GetOrSpawn returns the shedder of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Shedder, error) {
	return start(guards, name, cfg, newProbe, actors.GetOrSpawn[Config, Snapshot, *Shedder], opts)
}

// Get returns the shedder of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Shedder, bool) {
	return actors.Find[*Shedder](guards, name)
}

// All iterates over the registry's shedders in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Shedder] { return actors.Each[*Shedder](guards) }

// Observe tells the shedder what was measured just now, by others than its own actor: see
// Config.SampleInterval. The error is a *patterns.ConfigError for a signal that is none, or
// as for Consult.
func (s *Shedder) Observe(ctx context.Context, readings ...Reading) error {
	for _, r := range readings {
		if !r.Signal.Valid() {
			return &patterns.ConfigError{Pattern: "loadshedder", Field: "Signal", Value: r.Signal, Problem: "is not something that is measured"}
		}
	}
	_, err := s.Consult(ctx, Observation{Readings: readings})
	return err
}

// Reconfigure changes the shedder's rules while it runs, and keeps what it has learned; see
// Machine.Reconfigure. The error names every bad field, and those that are fixed.
func (s *Shedder) Reconfigure(ctx context.Context, c Config) error {
	if err := s.Typed.Reconfigure(ctx, c); err != nil {
		return err
	}
	s.System().Root.Send(s.sampling, measure{}) // perhaps something else than before
	return nil
}

// Reset ends a forced state and forgets what was learned.
func (s *Shedder) Reset(ctx context.Context) error {
	return s.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// starter is Spawn or GetOrSpawn of package actors.
type starter func(*actors.Registry, string, actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Shedder, ...actors.Option) (*Shedder, error)

// start starts a shedder, and, if it is a new one, the actor that measures for it.
func start(guards *actors.Registry, name string, cfg Config, probes func() probe, spawn starter, opts []actors.Option) (*Shedder, error) {
	var fresh *Shedder
	s, err := spawn(guards, name, spec(cfg), func(t *actors.Typed[Config, Snapshot]) *Shedder {
		fresh = &Shedder{Typed: t}
		// The PID is known before there is an actor, so that nobody sees a handle without.
		fresh.sampling = t.System().NewLocalPID("bulwark-sampling-" + t.System().ProcessRegistry.NextId())
		return fresh
	}, opts...)
	if err != nil || s != fresh {
		return s, err
	}
	if err := s.measure(probes); err != nil {
		_ = s.Stop(context.Background())
		return nil, err
	}
	return s, nil
}

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	cfg = cfg.withDefaults() // so that a Config that spells its defaults out is the same
	return actors.Spec[Config, Snapshot]{
		Pattern: "loadshedder", Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{
				Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg, Seed: [2]uint64{rand.Uint64(), rand.Uint64()},
			})
		},
	}
}
