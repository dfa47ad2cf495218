package actors

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Sharded is a guard of several actors. Each has the requests of some keys to itself, so
// that keys are looked up on all processors at once. It has one name, one PID and one
// Snapshot; what one shard decides is nothing to the others.
type Sharded[C comparable, S any] struct {
	*Typed[C, S] // the first shard
	shards       []*Typed[C, S]
	family       *family
}

// maxShards is how many a permit's ID can tell apart.
const maxShards = 256

// family is what a shard's shell knows of the others.
type family struct {
	seed    maphash.Seed
	size    int
	pids    []*actor.PID // once the actors are named
	inspect func(context.Context) (any, error)
}

func (f *family) index(key string) int {
	index, _ := bits.Mul64(maphash.String(f.seed, key), uint64(f.size)) // cheaper than a remainder
	return int(index)
}

// Addressed is a question, for Consult, that is about one key.
type Addressed interface{ ShardKey() string }

// SpawnSharded starts a guard of n actors, 1 to 256, named name, and returns what wrap
// makes of it. spec.New is called n times; spec.Merge makes one Snapshot of n. Errors are
// as for Spawn.
func SpawnSharded[C comparable, S any, G patterns.Guard](r *Registry, name string, n int, spec Spec[C, S], wrap func(*Sharded[C, S]) G, opts ...Option) (G, error) {
	return spawn(r, name, n, spec, gather(spec, wrap), false, opts)
}

// GetOrSpawnSharded returns the guard of that name, or starts it as SpawnSharded does.
// The error is ErrConflict if there is one with another Config or of another pattern.
func GetOrSpawnSharded[C comparable, S any, G patterns.Guard](r *Registry, name string, n int, spec Spec[C, S], wrap func(*Sharded[C, S]) G, opts ...Option) (G, error) {
	return spawn(r, name, n, spec, gather(spec, wrap), true, opts)
}

func gather[C comparable, S any, G patterns.Guard](spec Spec[C, S], wrap func(*Sharded[C, S]) G) func([]*Typed[C, S]) G {
	return func(shards []*Typed[C, S]) G {
		g := &Sharded[C, S]{Typed: shards[0], shards: shards, family: &family{seed: maphash.MakeSeed(), size: len(shards)}}
		g.family.inspect = g.inspectAll(spec.Merge)
		if len(shards) > 1 {
			for _, t := range shards {
				t.shell.family = g.family
			}
		}
		return wrap(g)
	}
}

// shardName is the name of an actor of the guard called name.
func shardName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "#" + strconv.Itoa(i)
}

// Shards is how many actors there are.
func (g *Sharded[C, S]) Shards() int { return len(g.shards) }

// Shard returns the actor that has key to itself.
func (g *Sharded[C, S]) Shard(key string) *Typed[C, S] {
	if len(g.shards) == 1 {
		return g.Typed
	}
	return g.shards[g.family.index(key)]
}

// Acquire is AcquireFor for a request without a key.
func (g *Sharded[C, S]) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.Shard("").Acquire(ctx)
}

// AcquireFor asks the shard of the request's key.
func (g *Sharded[C, S]) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	return g.Shard(r.Key).AcquireFor(ctx, r)
}

// TryAcquire is Acquire for a caller that does not wait.
func (g *Sharded[C, S]) TryAcquire() (patterns.Permit, error) { return g.Shard("").TryAcquire() }

// TryAcquireFor is AcquireFor for a caller that does not wait.
func (g *Sharded[C, S]) TryAcquireFor(r patterns.Request) (patterns.Permit, error) {
	return g.Shard(r.Key).TryAcquireFor(r)
}

// Spend uses up weight permits of a key at once, or none.
func (g *Sharded[C, S]) Spend(key string, weight int) error { return g.Shard(key).Spend(key, weight) }

// Consult asks the shard of the question's key, if the question is Addressed, and
// otherwise the first one.
func (g *Sharded[C, S]) Consult(ctx context.Context, question any) (any, error) {
	if q, ok := question.(Addressed); ok {
		return g.Shard(q.ShardKey()).Consult(ctx, question)
	}
	return g.Typed.Consult(ctx, question)
}

// Snapshot returns one Snapshot of all shards, each as of its own now.
func (g *Sharded[C, S]) Snapshot(ctx context.Context) (snapshot S, ok bool) {
	v, err := g.Inspect(ctx)
	if err != nil {
		return snapshot, false
	}
	snapshot, ok = v.(S)
	return snapshot, ok
}

// Inspect is Snapshot, whatever its type.
func (g *Sharded[C, S]) Inspect(ctx context.Context) (any, error) { return g.family.inspect(ctx) }

func (g *Sharded[C, S]) inspectAll(merge func([]S) S) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		all := make([]S, 0, len(g.shards))
		for _, t := range g.shards {
			v, err := t.Inspect(ctx)
			if err != nil {
				return nil, err
			}
			if s, ok := v.(S); ok {
				all = append(all, s)
			}
		}
		switch len(all) {
		case 0: // the rules of every shard panicked at the last one
			return nil, nil //nolint:nilnil // as of a single actor
		case 1:
			return all[0], nil
		}
		return merge(all), nil
	}
}

// Operate has every shard carry out the command.
func (g *Sharded[C, S]) Operate(ctx context.Context, op patterns.Operation) error {
	op = signed(ctx, op)
	a := g.shell.relay.audit(operated(g.name, op), len(g.shards))
	return g.each(func(i int, t *Typed[C, S]) error {
		return t.steer(ctx, a, i, func() error { return t.shell.operate(op) })
	})
}

// Reconfigure changes the rules of every shard. The error names every bad field, and then
// nothing changed.
func (g *Sharded[C, S]) Reconfigure(ctx context.Context, c C) error {
	if err := g.validate(c); err != nil {
		g.shell.relay.audit(reconfigured(ctx, g.name), 1).ended(0, err)
		return err
	}
	a := g.shell.relay.audit(reconfigured(ctx, g.name), len(g.shards))
	return g.each(func(i int, t *Typed[C, S]) error { return t.reconfigure(ctx, a, i, c) })
}

// Stop stops every shard in order, as Handle.Stop does.
func (g *Sharded[C, S]) Stop(ctx context.Context) error {
	for _, t := range g.shards {
		t.beginDrain() // none of them admits anything more while others drain
	}
	sum := &ShutdownError{InFlight: map[string]uint64{}}
	for _, t := range slices.Backward(g.shards) { // the first one last: it passes reports on to the others
		if left, ok := errors.AsType[*ShutdownError](t.Stop(ctx)); ok {
			sum.add(left)
		}
	}
	return sum.orNil()
}

// Unguarded counts the calls that were let through by shards that failed for good.
func (g *Sharded[C, S]) Unguarded() (n uint64) {
	for _, t := range g.shards {
		n += t.Handle.Unguarded()
	}
	return n
}

// Stats sums what the mailboxes of all shards say; Saturation is the highest.
func (g *Sharded[C, S]) Stats() (sum mailbox.Stats) {
	for _, t := range g.shards {
		s := t.Handle.Stats()
		sum.Spot += s.Spot
		sum.Queued += s.Queued
		sum.Handed += s.Handed
		sum.Handovers += s.Handovers
		sum.Failures += s.Failures
		sum.Refused += s.Refused
		sum.Depth += s.Depth
		sum.MaxDepth = max(sum.MaxDepth, s.MaxDepth)
		sum.OldestAge = max(sum.OldestAge, s.OldestAge)
		sum.Saturation = max(sum.Saturation, s.Saturation)
	}
	return sum
}

func (g *Sharded[C, S]) each(f func(i int, t *Typed[C, S]) error) error {
	var errs []error
	for i, t := range g.shards {
		errs = append(errs, f(i, t))
	}
	return errors.Join(errs...)
}

// settlerOf returns who settles a permit that was granted by message.
func (g *Sharded[C, S]) settlerOf(id uint64) patterns.Settler {
	if i := shardOf(id); i < len(g.shards) {
		return g.shards[i].Handle
	}
	return g.Handle
}

// shardOf is the shard that granted the permit, so that the first can pass its report on.
func shardOf(id uint64) int {
	if id&leasedBit != 0 {
		cell, _, _ := splitLeasedID(id)
		return cell / shardCells
	}
	return int(uint32(id) >> slotBits)
}

// route passes a message that came to the first shard on to the one, or to all, that it
// is for. It reports whether the first itself has nothing to do with it.
func (s *shell) route(sender *actor.PID, msg any) (gone bool) {
	to := 0
	switch m := msg.(type) {
	case Acquire:
		to = s.family.index(m.Key)
	case Consult:
		if q, ok := m.Question.(Addressed); ok {
			to = s.family.index(q.ShardKey())
		}
	case Report:
		to = shardOf(m.Permit.ID)
	case Cancel:
		if m.Permit != (patterns.PermitID{}) {
			to = shardOf(m.Permit.ID)
			break
		}
		m.search = true
		s.fan(sender, m)
		s.cancelByMessage(sender, m)
		return true
	case Produce:
		if sender != nil {
			return s.routeProducer(sender, m)
		}
	case Release, releaseLater:
		s.fan(nil, msg)
	case Operate:
		m.quiet = true // the first shard, which answers, says what came of it
		s.fan(nil, m)
	case Reconfigure:
		m.quiet = true
		s.fan(nil, m)
	case Inspect:
		s.inspectFamily(sender)
		return true
	}
	if to == 0 || to >= len(s.family.pids) {
		return false
	}
	s.pass(sender, msg, to)
	return true
}

func (s *shell) pass(sender *actor.PID, msg any, to int) {
	s.outbox.put(&letter{to: s.family.pids[to], msg: msg, sender: sender})
	s.mailbox.After()
}

func (s *shell) fan(sender *actor.PID, msg any) {
	for _, pid := range s.family.pids[1:] {
		s.outbox.put(&letter{to: pid, msg: msg, sender: sender})
	}
	s.mailbox.After()
}

// routeProducer is route for a standing order. What the sender has with other shards is
// over.
func (s *shell) routeProducer(sender *actor.PID, m Produce) (gone bool) {
	to, over := s.family.index(m.Key), Produce{search: true}
	for i := range s.family.pids {
		switch i {
		case 0:
		case to:
			s.pass(sender, m, to)
		default:
			s.pass(sender, over, i)
		}
	}
	if to == 0 {
		return false
	}
	s.produce(sender, over) // last, because it may panic
	return true
}

// inspectFamily answers an Inspect. It waits for turns, this one's end among them.
func (s *shell) inspectFamily(to *actor.PID) {
	if to == nil {
		return
	}
	go func() {
		v, err := s.family.inspect(context.Background())
		if err != nil {
			v = mailbox.Undelivered{Message: Inspect{}, Reason: err}
		}
		s.system.Root.Send(to, v)
	}()
}
