package backpressure

import (
	"context"
	"iter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Valve is a producer's handle on a backpressure actor. It is safe for concurrent use.
// Acquire, AcquireFor, TryAcquire, TryAcquireFor, Snapshot, Reconfigure, Inspect, Operate,
// Stop and PID are those of actors.Typed and actors.Handle.
//
// Acquire asks to make one more piece of work pending, and waits while it is hot;
// AcquireFor does so for a Request with a weight or a priority. Report or Release of the
// permit says that the work is done. A refusal matches ErrPressure if as many wait as may.
//
// An actor that produces has a standing order instead: it sends actors.Produce once, gets
// an actors.Demand for as many pieces of work as there is room for, whenever there is,
// and sends actors.Done as they are done.
type Valve struct {
	*actors.Typed[Config, Snapshot]
	guards *actors.Registry
}

// Spawn starts a valve named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Valve, error) {
	return actors.Spawn(guards, name, spec(cfg), wrap(guards), opts...)
}

// GetOrSpawn returns the valve of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Valve, error) {
	return actors.GetOrSpawn(guards, name, spec(cfg), wrap(guards), opts...)
}

// Get returns the valve of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Valve, bool) {
	return actors.Find[*Valve](guards, name)
}

// All iterates over the registry's valves in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Valve] { return actors.Each[*Valve](guards) }

// Pressure yields whether the valve is hot now, and then every change of that, until ctx
// ends or the valve stops. Who is slow to take one may miss changes that were undone since.
func (v *Valve) Pressure(ctx context.Context) iter.Seq[bool] {
	return func(yield func(hot bool) bool) {
		events, stop := v.guards.Subscribe(actors.From(v.Name()),
			actors.Only[Pressure](), actors.Only[actors.Stopped](), actors.Only[actors.GaveUp]())
		defer stop()
		s, ok := v.Snapshot(ctx)
		if !ok || !yield(s.Hot) {
			return
		}
		seen := phase{s.Epoch, s.Hot}
		for {
			var ev actors.Event
			select {
			case <-ctx.Done():
				return
			case ev = <-events: // nil once it is closed
			}
			next := seen
			switch ev := ev.(type) {
			case Pressure:
				next = phase{ev.Epoch, ev.On}
			case actors.Missed:
				if s, ok = v.Snapshot(ctx); !ok {
					return
				}
				next = phase{s.Epoch, s.Hot}
			default: // it has stopped, or the registry has
				return
			}
			if !next.after(seen) { // the snapshot knew of it
				continue
			}
			if next.hot != seen.hot && !yield(next.hot) {
				return
			}
			seen = next
		}
	}
}

// phase is what lies between two transitions: each epoch begins hot and then is calm.
type phase struct {
	epoch uint64
	hot   bool
}

func (p phase) after(q phase) bool { return p.epoch > q.epoch || p.epoch == q.epoch && q.hot && !p.hot }

// Reset forgets the peak, the wait times, and how often and for how long it was hot.
func (v *Valve) Reset(ctx context.Context) error {
	return v.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

func wrap(guards *actors.Registry) func(*actors.Typed[Config, Snapshot]) *Valve {
	return func(t *actors.Typed[Config, Snapshot]) *Valve { return &Valve{t, guards} }
}

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	if cfg.Validate() == nil { // a Config that spells its defaults out is the same; a fault names what was given
		cfg = cfg.withDefaults()
	}
	return actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg})
		},
	}
}
