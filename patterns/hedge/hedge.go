package hedge

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// Hedge is a caller's handle on a hedge actor, and a policy: patterns.Do, DoFor, Run, Wrap and
// pipelines make calls through it; it gives no permits. It is safe for concurrent use.
// Snapshot, Reconfigure, Inspect, Stop and PID are those of actors.Typed and actors.Handle.
//
// The function runs on goroutines of their own, several of them at once, so it must be safe
// for that, and what it does must be safe to do twice. A function that panics, or ends its
// goroutine, does so to the caller's, who may recover.
type Hedge struct {
	*actors.Typed[Config, Snapshot]
	terms   *patterns.Terms
	tallies *actors.Tallies // by kind
	batches *sync.Pool      // of *samples.Batch
	races   *sync.Pool      // of *race
}

// Spawn starts a hedge named name. The error names every bad field of cfg.
func Spawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Hedge, error) {
	spec, wrap := specify(cfg)
	return actors.Spawn(guards, name, spec, wrap, opts...)
}

// GetOrSpawn returns the hedge of that name, or starts it. If there is one with another
// Config, or a guard of another pattern, the error is actors.ErrConflict.
func GetOrSpawn(guards *actors.Registry, name string, cfg Config, opts ...actors.Option) (*Hedge, error) {
	spec, wrap := specify(cfg)
	return actors.GetOrSpawn(guards, name, spec, wrap, opts...)
}

// Get returns the hedge of that name, if there is one.
func Get(guards *actors.Registry, name string) (*Hedge, bool) {
	return actors.Find[*Hedge](guards, name)
}

// All iterates over the registry's hedges in the order of their names.
func All(guards *actors.Registry) iter.Seq2[string, *Hedge] { return actors.Each[*Hedge](guards) }

// Reset forgets how long calls took.
func (h *Hedge) Reset(ctx context.Context) error {
	return h.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// specify returns the spec of an actor, and how a handle on it is made. They share the
// tallies.
func specify(cfg Config) (actors.Spec[Config, Snapshot], func(*actors.Typed[Config, Snapshot]) *Hedge) {
	if cfg.Validate() == nil { // a Config that spells its defaults out is the same; a fault names what was given
		cfg = cfg.withDefaults()
	}
	tallies := actors.NewTallies(kinds)
	spec := actors.Spec[Config, Snapshot]{
		Pattern: pattern, Config: cfg, Validate: cfg.successor, OnFailure: cfg.OnFailure,
		New: func(o actors.Origin) actors.Machine[Config, Snapshot] {
			return counting{NewMachine(Params{Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg}), tallies}
		},
	}
	return spec, func(typed *actors.Typed[Config, Snapshot]) *Hedge {
		h := &Hedge{
			Typed: typed, tallies: tallies, terms: new(patterns.Terms),
			batches: &sync.Pool{New: func() any { return new(samples.Batch) }},
			races:   &sync.Pool{New: newRace},
		}
		if given := typed.Terms(); given != nil {
			*h.terms = *given
		}
		h.terms.Policy = h
		return h
	}
}

// Terms hands whole calls to the hedge.
func (h *Hedge) Terms() *patterns.Terms { return h.terms }

// Acquire returns patterns.ErrPolicy: a hedge grants no permits.
func (*Hedge) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// AcquireFor returns patterns.ErrPolicy.
func (*Hedge) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// TryAcquire returns patterns.ErrPolicy.
func (*Hedge) TryAcquire() (patterns.Permit, error) { return patterns.Permit{}, patterns.ErrPolicy }

// TryAcquireFor returns patterns.ErrPolicy.
func (*Hedge) TryAcquireFor(patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, patterns.ErrPolicy
}

// sample tells how long a first attempt took that was answered, with others. Those of a batch
// that the garbage collector takes are lost.
func (h *Hedge) sample(began time.Time) {
	now := time.Now()
	b := h.batches.Get().(*samples.Batch)
	if b.Add(now, now.Sub(began)) {
		_ = h.Tell(b) // what is lost is lost
		return
	}
	h.batches.Put(b)
}

// crowded reports whether as many losers run as may, and then says so.
func (h *Hedge) crowded(most int) bool {
	var n [kinds]uint64
	h.tallies.Totals(n[:])
	if losers(&n) < uint64(most) {
		return false
	}
	h.tallies.Add(crowds)
	_ = h.Tell(crowded{}) // what is lost is lost
	return true
}
