package fallback

import (
	"context"
	"errors"
	"iter"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Fallback is a caller's handle on a fallback actor, for calls that return a T. It is safe for
// concurrent use, and is used with patterns.Do and in pipelines, where it belongs outside of
// all else. Snapshot, Reconfigure, Inspect, Stop and PID are those of actors.Typed and
// actors.Handle.
//
// What is a failure, and so is fallen back on, says the Judge given to actors.WithJudge;
// refusals of guards inside are besides, unless Config.KeepRejections. A call of another type
// than T fails with a *patterns.ResultError in place of what it would have been given.
//
// A call that succeeds costs no message, unless last good values are kept: then it tells the
// actor its value.
type Fallback[T any] struct {
	*actors.Typed[Config[T], Snapshot]
	terms *patterns.Terms
	ends  *actors.Tallies // by end
}

// maker is what a step does.
type maker[T any] = func(ctx context.Context, err error) (T, error)

// Value is the step that gives v. Callers share it.
func Value[T any](v T) Step[T] {
	return Step[T]{name: "value", make: func(context.Context, error) (T, error) { return v, nil }}
}

// Func is the step that gives what f makes of the error. f runs on the caller's goroutine and
// with its context; if it panics, the step has failed with a *PanicError.
func Func[T any](f func(ctx context.Context, err error) (T, error)) Step[T] {
	return Step[T]{name: "func", make: f}
}

// Spawn starts a fallback named name. The error names every bad field of cfg.
func Spawn[T any](guards *actors.Registry, name string, cfg Config[T], opts ...actors.Option) (*Fallback[T], error) {
	spec, wrap := specify(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawn returns the fallback of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict. A Config with another
// Chain is another one, whatever its steps.
func GetOrSpawn[T any](guards *actors.Registry, name string, cfg Config[T], opts ...actors.Option) (*Fallback[T], error) {
	spec, wrap := specify(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// Get returns the fallback of that name, if there is one for calls that return a T.
func Get[T any](guards *actors.Registry, name string) (*Fallback[T], bool) {
	return actors.Find[*Fallback[T]](guards, name)
}

// All iterates over the registry's fallbacks for calls that return a T, in the order of their
// names.
func All[T any](guards *actors.Registry) iter.Seq2[string, *Fallback[T]] {
	return actors.Each[*Fallback[T]](guards)
}

// specify returns the spec of an actor, and how a handle on it is made. They share the
// tallies.
func specify[T any](cfg Config[T]) (actors.Spec[Config[T], Snapshot], func(*actors.Typed[Config[T], Snapshot]) *Fallback[T]) {
	if cfg.Validate() == nil { // a Config that spells its defaults out is the same; a fault names what was given
		cfg = cfg.withDefaults()
	}
	ends := actors.NewTallies(kinds)
	spec := actors.Spec[Config[T], Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config[T], Snapshot] {
			return counting[T]{NewMachine(Params[T]{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg}), ends}
		},
	}
	return spec, func(typed *actors.Typed[Config[T], Snapshot]) *Fallback[T] {
		f := &Fallback[T]{Typed: typed, ends: ends, terms: new(patterns.Terms)}
		if given := typed.Terms(); given != nil {
			*f.terms = *given
		}
		f.terms.Policy = f
		return f
	}
}

// Terms hands whole calls to the fallback.
func (f *Fallback[T]) Terms() *patterns.Terms { return f.terms }

// Acquire returns patterns.ErrPolicy: a fallback grants no permits.
func (f *Fallback[T]) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// AcquireFor returns patterns.ErrPolicy.
func (f *Fallback[T]) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquire returns patterns.ErrPolicy.
func (f *Fallback[T]) TryAcquire() (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquireFor returns patterns.ErrPolicy.
func (f *Fallback[T]) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// Reset forgets the last good values.
func (f *Fallback[T]) Reset(ctx context.Context) error {
	return f.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// Around implements patterns.Policy.
func (f *Fallback[T]) Around(ctx context.Context, call patterns.Call) error {
	if err := ctx.Err(); err != nil {
		f.ends.Add(cancelled)
		return err
	}
	if err := f.Absent(); err != nil {
		return err
	}
	p := f.Plan().(*plan[T])
	how := passed // should it unwind
	defer func() { f.ends.Add(how) }()
	err := call.Try(ctx)
	switch outcome := patterns.JudgeCall(ctx, f.terms.Judge, call, err); {
	case err == nil && outcome == patterns.Success:
		how = succeeded
		if p.keeps {
			f.keep(call)
		}
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		how = cancelled
		return err
	case errors.Is(err, patterns.ErrRejected):
		if p.keepRejections {
			return err
		}
	case outcome == patterns.Success, outcome == patterns.Ignored:
		return err
	}
	how, err = f.instead(ctx, call, p, err)
	return err
}

// keep tells the actor a good value.
func (f *Fallback[T]) keep(call patterns.Call) {
	v := call.Result()
	if _, ok := v.(T); ok || v == nil {
		_ = f.Tell(&good{key: call.Request().Key, value: v}) // what is lost is lost
	}
}

// instead gives the caller something in place of what failed with err, which is nil for a
// bad result.
func (f *Fallback[T]) instead(ctx context.Context, call patterns.Call, p *plan[T], err error) (how end, result error) {
	original := err
	if original == nil {
		original = ErrBadResult
	}
	a := new(assistance)
	if p.keeps && f.last(call, a, ask{key: call.Request().Key}) {
		return f.given(lastGood, "last-good", original)
	}
	for i := range p.steps {
		s := &p.steps[i]
		v, applies, failed := s.try(ctx, original)
		if applies && a.give(call, v, failed) {
			return f.given(byStep+i, s.name, original)
		}
		if errors.Is(ctx.Err(), context.Canceled) { // nobody wants the rest
			break
		}
	}
	if p.stale && f.last(call, a, ask{key: call.Request().Key, stale: true}) {
		return f.given(stale, "stale", original)
	}
	if len(a.failed) == 0 {
		return passed, err
	}
	e := &Error{Name: f.Name(), Original: original, Fallback: a.failed[0]}
	if len(a.failed) > 1 {
		e.Fallback = errors.Join(a.failed...)
	}
	_ = f.Tell(exhausted{e}) // what is lost is lost
	return spent, e
}

// try makes the step, if it is for err.
func (s *Step[T]) try(ctx context.Context, err error) (v T, applies bool, failed error) {
	done := false
	defer func() {
		if done {
			return
		}
		if r := recover(); r != nil {
			v, applies, failed = *new(T), true, &PanicError{Step: s.name, Value: r}
		}
	}()
	if applies = s.isFor(err); applies {
		v, failed = s.make(ctx, err)
	}
	done = true
	return v, applies, failed
}

// assistance is how a fallback is getting on.
type assistance struct{ failed []error }

// give makes v the result, unless the step failed.
func (a *assistance) give(call patterns.Call, v any, failed error) bool {
	if failed == nil {
		failed = call.Give(v)
	}
	if failed != nil {
		a.failed = append(a.failed, failed)
	}
	return failed == nil
}

// last gives the last good value, if there is one. Even a caller whose time is over gets it.
func (f *Fallback[T]) last(call patterns.Call, a *assistance, q ask) bool {
	answer, err := f.Consult(context.Background(), q)
	if err != nil {
		return false // there is none without an actor
	}
	last := answer.(found)
	return last.ok && a.give(call, last.value, nil)
}

// given tells the actor what the caller was given.
func (f *Fallback[T]) given(how end, by string, why error) (end, error) {
	_ = f.Tell(fell{by, why}) // what is lost is lost
	return how, nil
}
