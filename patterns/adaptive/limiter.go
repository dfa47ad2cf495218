package adaptive

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Limiter is a caller's handle on an adaptive limiter actor. It is safe for concurrent
// use. Acquire, AcquireFor, TryAcquire, Snapshot, Reconfigure, Inspect, Operate, Stop and PID
// are those of actors.Typed and actors.Handle.
//
// Acquire takes a place, waiting for its turn where Config.MaxWaiting lets it; AcquireFor
// does so for a Request with a weight, a key or a priority; TryAcquire does not wait. A
// refusal matches ErrLimit.
//
// patterns.Do judges a call by LostOn() unless actors.WithJudge says otherwise.
type Limiter struct {
	*actors.Typed[Config, Snapshot]
}

// Spawn starts a limiter named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return actors.Spawn(guards, name, spec(cfg), wrap, opts...)
}

// GetOrSpawn returns the limiter of that name, or starts it. If there is one with
// another Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Limiter, error) {
	return actors.GetOrSpawn(guards, name, spec(cfg), wrap, opts...)
}

// Get returns the limiter of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Limiter, bool) {
	if guards == nil {
		return nil, false
	}
	guard, _ := guards.Get(name)
	l, ok := guard.(*Limiter)
	return l, ok
}

// All iterates over the registry's limiters in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Limiter] {
	return func(yield func(string, *Limiter) bool) {
		if guards == nil {
			return
		}
		for name, guard := range guards.Guards() {
			if l, ok := guard.(*Limiter); ok && !yield(name, l) {
				return
			}
		}
	}
}

// Reset forgets what was learned, and begins again at Config.Initial.
func (l *Limiter) Reset(ctx context.Context) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// ForceOpen refuses every call for d, or until told otherwise if d is 0. note is carried
// by the event.
func (l *Limiter) ForceOpen(ctx context.Context, d time.Duration, note string) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.ForceOpen, For: d, Note: note})
}

// ForceClosed disables the limiter for d, or until told otherwise if d is 0: every call
// passes and teaches nothing.
func (l *Limiter) ForceClosed(ctx context.Context, d time.Duration, note string) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.ForceClosed, For: d, Note: note})
}

// MetricsOnly lets every call pass for d, or until told otherwise if d is 0, and learns
// from it.
func (l *Limiter) MetricsOnly(ctx context.Context, d time.Duration, note string) error {
	return l.Operate(ctx, patterns.Operation{Kind: patterns.MetricsOnly, For: d, Note: note})
}

// LostOn judges which calls were lost to overload, which is what lowers a limit: those
// whose error matches one of targets with errors.Is, or context.DeadlineExceeded. The
// caller's cancellation and the refusal of an inner guard teach nothing; any other
// error took as long as it took, and is a Failure.
func LostOn(targets ...error) patterns.Rule {
	targets = append(slices.Clone(targets), context.DeadlineExceeded)
	return patterns.JudgeError(func(err error) patterns.Outcome {
		is := func(target error) bool { return errors.Is(err, target) }
		switch {
		case slices.ContainsFunc(targets, is):
			return patterns.Dropped
		case is(patterns.ErrRejected), is(context.Canceled):
			return patterns.Ignored
		}
		return patterns.Failure
	})
}

func wrap(t *actors.Typed[Config, Snapshot]) *Limiter { return &Limiter{t} }

func spec(cfg Config) actors.Spec[Config, Snapshot] {
	cfg = cfg.withDefaults() // so that a Config that spells its defaults out is the same
	return actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor,
		Mode: cfg.Mode, OnFailure: cfg.OnFailure,
		Terms: &patterns.Terms{Judge: patterns.NewJudge(LostOn()), Timeout: max(0, cfg.CallTimeout)},
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg, Seed: rand.Uint64()})
		},
	}
}
