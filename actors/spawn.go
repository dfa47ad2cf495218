package actors

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Origin is what a machine is told of its guard: the name, and the wall time of
// Instant 0, and the time now.
type Origin struct {
	Name string
	Time time.Time
	Now  patterns.Instant
	Shard
}

// Shard says which of how many actors of the guard the machine is for.
type Shard struct{ Index, Of int }

// Spec is what a pattern tells Spawn.
type Spec[C comparable, S any] struct {
	// Pattern is the pattern's name, for messages.
	Pattern string
	// Config is the validated, complete configuration.
	Config C
	// Validate checks a Config that comes later, by Reconfigure.
	Validate func(C) error
	// New makes the machine.
	New func(Origin) Machine[C, S]
	// Terms is what patterns.Do applies; nil for the defaults.
	Terms *patterns.Terms
	// Mode is Strict, or Leased if the machine is a Lessor; if it is none, Spawn
	// returns ErrUnsupported.
	Mode patterns.Mode
	// OnFailure is what callers get if the actor fails for good.
	OnFailure patterns.FailPolicy
	// Close frees what the guard has outside of its actor, once it has stopped for good. It
	// runs on a goroutine of its own, and not for a guard that did not come to be. May be nil.
	Close func()
	// Merge makes one Snapshot of those of all shards. SpawnSharded needs it.
	Merge func([]S) S
}

// An Option sets how a guard is wired. What it decides is its Config's business.
type Option func(*wiring)

type wiring struct {
	parent    actor.Context
	judge     *patterns.Judge
	rejection *patterns.Rejection
	capacity  int
}

// Under spawns the guard as a child of the actor whose turn c belongs to, which
// then supervises it. Its name is the registry's all the same.
func Under(c actor.Context) Option {
	return func(w *wiring) {
		if c != nil {
			w.parent = c
		}
	}
}

// WithJudge sets how patterns.Do judges calls under this guard.
func WithJudge(rules ...patterns.Rule) Option {
	return func(w *wiring) { w.judge = patterns.NewJudge(rules...) }
}

// WithRejection sets how the guard's refusals look to callers, and who sees them. It holds
// for handles, patterns.Do and AcquireThen; a Rejected message carries the guard's own
// error.
func WithRejection(r patterns.Rejection) Option {
	return func(w *wiring) { w.rejection = &r }
}

// WithMailboxCapacity bounds how many requests may queue in the guard's mailbox. The
// default is mailbox.DefaultCapacity.
func WithMailboxCapacity(n int) Option { return func(w *wiring) { w.capacity = n } }

// Spawn starts a guard named name and returns what wrap makes of its handle. The
// error is ErrName, ErrNameTaken, ErrClosed, or what Config.Validate said.
func Spawn[C comparable, S any, G patterns.Guard](r *Registry, name string, spec Spec[C, S], wrap func(*Typed[C, S]) G, opts ...Option) (G, error) {
	return spawn(r, name, 1, spec, first(wrap), false, opts)
}

// GetOrSpawn returns the guard of that name, or starts it. The error is ErrConflict
// if there is one with another Config or of another pattern.
func GetOrSpawn[C comparable, S any, G patterns.Guard](r *Registry, name string, spec Spec[C, S], wrap func(*Typed[C, S]) G, opts ...Option) (G, error) {
	return spawn(r, name, 1, spec, first(wrap), true, opts)
}

func first[C comparable, S any, G patterns.Guard](wrap func(*Typed[C, S]) G) func([]*Typed[C, S]) G {
	return func(shards []*Typed[C, S]) G { return wrap(shards[0]) }
}

func spawn[C comparable, S any, G patterns.Guard](r *Registry, name string, n int, spec Spec[C, S], wrap func([]*Typed[C, S]) G, share bool, opts []Option) (guard G, err error) {
	name = strings.TrimSpace(name)
	switch {
	case r == nil:
		return guard, ErrNilRegistry
	case name == "":
		return guard, errors.Join(fmt.Errorf("%s: %w", spec.Pattern, ErrName), spec.Validate(spec.Config))
	case n < 1 || n > maxShards:
		return guard, fmt.Errorf("%s: %w: %d shards", spec.Pattern, ErrUnsupported, n)
	}
	if err := spec.Validate(spec.Config); err != nil {
		return guard, err
	}
	w := wire(opts)
	spec.Terms = w.terms(spec.Terms)
	shards := make([]*Typed[C, S], n)
	for i := range shards {
		if shards[i], err = build(r, name, Shard{Index: i, Of: n}, spec, w); err != nil {
			return guard, err
		}
	}
	guard = wrap(shards)
	b := newBirth(r, w.parent)
	for i, t := range shards {
		m := &member{guard: guard, handle: t.Handle, config: maphash.Comparable(r.directory.seed, spec.Config), part: i > 0}
		b.add(shardName(name, i), m)
	}
	old, err := b.enter(share)
	if err != nil {
		return *new(G), err
	}
	if old != nil {
		same, ok := old.(G)
		if !ok {
			return *new(G), fmt.Errorf("%w: %q is a %T", ErrConflict, name, old)
		}
		return same, nil
	}
	return guard, nil
}

// terms are those of the pattern with what options change.
func (w *wiring) terms(of *patterns.Terms) *patterns.Terms {
	if w.judge == nil && w.rejection == nil {
		return of
	}
	terms := patterns.Terms{}
	if of != nil {
		terms = *of
	}
	if w.judge != nil {
		terms.Judge = w.judge
	}
	terms.Rejection = w.rejection
	return &terms
}

func wire(opts []Option) (w wiring) {
	for _, o := range opts {
		if o != nil {
			o(&w)
		}
	}
	return w
}

// build makes a shell with the machine in it, and its handle.
func build[C comparable, S any](r *Registry, name string, shard Shard, spec Spec[C, S], w wiring) (*Typed[C, S], error) {
	if err := spec.Mode.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", spec.Pattern, err)
	}
	s := &shell{
		name: name, origin: r.origin, policy: spec.OnFailure,
		foreign: w.parent != nil, system: r.system, relay: r.relay, pool: sync.Pool{New: newCall}, armed: patterns.Never,
		cells: r.strict, free: spec.Close,
	}
	if _, _, leased := spec.Mode.Lease(); leased {
		s.cells = newCells(spec.Mode, shard)
	}
	if shard.Of > 1 {
		s.shard = shard.Index
		s.ledger.more().shard = uint32(shard.Index) << slotBits
	}
	s.outbox.init()
	m := spec.New(Origin{Name: name, Time: r.origin, Now: s.now(), Shard: shard})
	bind(s, m, spec.Validate)
	s.mailbox = mailbox.NewCombining(mailbox.Config{Inline: true, Handler: s, Capacity: w.capacity})
	t := &Typed[C, S]{Handle: newHandle(s, spec.Terms), validate: spec.Validate}
	t.kind = spec.Pattern
	if len(s.cells.all) > 0 {
		lessor, ok := any(m).(Lessor)
		if !ok {
			return nil, fmt.Errorf("%s: %w: %v", spec.Pattern, ErrUnsupported, spec.Mode)
		}
		s.lessor = lessor
		s.cells.learn(lessor)
	}
	s.queuer, _ = any(m).(Queuer)
	if spender, ok := any(m).(Spender); ok {
		s.spends = spender.Spends()
	}
	if u, ok := any(m).(Unhurried); ok {
		s.ageless = u.Unhurried() && s.lessor == nil
	}
	s.consultant, _ = any(m).(Consultant)
	if r, ok := any(m).(Referrer); ok {
		s.errands = newErrands(s, r)
		t.spin = false // an answer from elsewhere takes longer
	}
	s.timeless, s.measured = s.rules.Timeless(), s.rules.Measured()
	s.openGate()
	return t, nil
}

func (s *shell) props() *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &incarnation{shell: s} },
		actor.WithMailbox(func() actor.Mailbox { return s.mailbox }))
}
