package backpressure

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Valve is a producer's handle on a backpressure actor. It is safe for concurrent use.
// Snapshot, Inspect, Operate, Stop and PID are those of actors.Typed and actors.Handle.
//
// An actor that produces asks by message: each actors.Granted is a credit for one piece
// of work, which whoever did it gives back with actors.Report.
type Valve struct {
	*actors.Typed[Config, Snapshot]
	guards *actors.Registry
	cfg    Config // that it was spawned with, with its defaults
	leased bool
	now    noWait         // context of those who do not wait
	queue  *PressureError // as many wait as may
	behind *PressureError // somebody waits, so that not waiting gets nothing
}

// Spawn starts a valve named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Valve, error) {
	v := newValve(guards, cfg)
	return actors.Spawn(guards, name, v.spec(cfg), v.wrap, opts...)
}

// GetOrSpawn returns the valve of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Valve, error) {
	v := newValve(guards, cfg)
	return actors.GetOrSpawn(guards, name, v.spec(cfg), v.wrap, opts...)
}

// Get returns the valve of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Valve, bool) {
	if guards == nil {
		return nil, false
	}
	guard, _ := guards.Get(name)
	v, ok := guard.(*Valve)
	return v, ok
}

// All iterates over the registry's valves in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Valve] {
	return func(yield func(string, *Valve) bool) {
		if guards == nil {
			return
		}
		for name, guard := range guards.Guards() {
			if v, ok := guard.(*Valve); ok && !yield(name, v) {
				return
			}
		}
	}
}

// Acquire asks to make one more piece of work pending, and waits while it is hot. Report or
// Release of the permit says that the work is done. A refusal matches ErrPressure if as
// many wait as may. When ctx ends first, the error is ctx's.
func (v *Valve) Acquire(ctx context.Context) (patterns.Permit, error) {
	p, err := v.Typed.Acquire(ctx)
	if err != nil {
		return p, v.explain(err)
	}
	return p, nil
}

// AcquireFor is Acquire for a Request with a weight or a priority. Its Deadline is
// ignored: ctx says how long to wait.
func (v *Valve) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	r.Deadline = 0
	p, err := v.Typed.AcquireFor(ctx, r)
	if err != nil {
		return p, v.explain(err)
	}
	return p, nil
}

// TryAcquire is Acquire of who does not wait: it is refused while hot, and while others
// wait.
func (v *Valve) TryAcquire() (patterns.Permit, error) {
	if v.leased {
		return v.immediate(v.Typed.Acquire(v.now))
	}
	return v.TryAcquireFor(patterns.Request{})
}

// TryAcquireFor is TryAcquire for a Request with a weight or a priority.
func (v *Valve) TryAcquireFor(r patterns.Request) (patterns.Permit, error) {
	r.Deadline = past
	return v.immediate(v.Typed.AcquireFor(v.now, r))
}

// immediate makes an error of the answer to a request that left without one.
func (v *Valve) immediate(p patterns.Permit, err error) (patterns.Permit, error) {
	if err != nil {
		return p, v.explain(err)
	}
	if p == (patterns.Permit{}) {
		return p, v.behind
	}
	return p, nil
}

// explain says in the valve's own words what the shell decided.
func (v *Valve) explain(err error) error {
	if errors.Is(err, actors.ErrQueueFull) {
		return v.queue
	}
	return err
}

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

// Reconfigure changes the valve's marks while it runs and keeps what is pending; see
// Machine.Reconfigure. The error names every bad field, and MaxWaiting, which cannot be
// changed.
func (v *Valve) Reconfigure(ctx context.Context, c Config) error {
	err := c.Validate()
	if c.withDefaults().MaxWaiting != v.cfg.MaxWaiting {
		err = errors.Join(err, &ConfigError{Field: "MaxWaiting", Value: c.MaxWaiting, Problem: "cannot be changed while it runs"})
	}
	if err != nil {
		return err
	}
	return v.Typed.Reconfigure(ctx, c)
}

// Reset forgets the peak, and how often and for how long it was hot.
func (v *Valve) Reset(ctx context.Context) error {
	return v.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// noWait is the context of somebody who leaves as soon as there is something to wait
// for: it has ended, and does not say so before it is asked for Done. So the shell
// decides on the spot if it can, and lets go of the caller if it cannot.
type noWait struct{ done <-chan struct{} }

func (noWait) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (c noWait) Done() <-chan struct{}                 { return c.done }
func (noWait) Err() error                              { return nil }
func (noWait) Value(any) any                           { return nil }

func newValve(guards *actors.Registry, cfg Config) *Valve {
	done := make(chan struct{})
	close(done)
	_, _, leased := cfg.Mode.Lease()
	return &Valve{guards: guards, cfg: cfg.withDefaults(), leased: leased, now: noWait{done}}
}

func (v *Valve) wrap(t *actors.Typed[Config, Snapshot]) *Valve {
	v.Typed = t
	v.queue = &PressureError{Name: t.Name(), Cause: CauseQueue, Waiting: v.cfg.queue()}
	v.behind = &PressureError{Name: t.Name(), Cause: CauseWaiters}
	return v
}

func (v *Valve) spec(cfg Config) actors.Spec[Config, Snapshot] {
	s := actors.Spec[Config, Snapshot]{
		Pattern: "backpressure", Config: cfg, Validate: Config.Validate,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure, MaxWaiting: v.cfg.queue(),
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg})
		},
	}
	if cfg.Validate() == nil {
		s.Config = v.cfg // so that a Config that spells its defaults out is the same
	}
	return s
}
