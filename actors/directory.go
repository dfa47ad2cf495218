package actors

import (
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/bulwark-go/bulwark/patterns"
)

// directory finds guards by name. Anybody reads; only the root's turn writes, and
// replaces the shard that it changes, so that the cost of a spawn does not grow with
// all the guards that there are.
type directory struct {
	seed   maphash.Seed
	shards [256]atomic.Pointer[map[string]*member]
}

// member is a guard in the directory.
type member struct {
	guard  patterns.Guard // the pattern's own handle
	handle *Handle
	config uint64 // hash of the Config that it was spawned with
	part   bool   // a shard other than the first
	all    []*member
}

// dead reports whether the guard has stopped, for whatever reason, with all its shards.
func (m *member) dead() bool {
	return !slices.ContainsFunc(m.all, func(m *member) bool { return !m.handle.dead() })
}

func newDirectory() *directory { return &directory{seed: maphash.MakeSeed()} }

func (d *directory) shard(name string) *atomic.Pointer[map[string]*member] {
	return &d.shards[maphash.String(d.seed, name)%uint64(len(d.shards))]
}

func (d *directory) get(name string) (*member, bool) {
	p := d.shard(name).Load()
	if p == nil {
		return nil, false
	}
	m, ok := (*p)[name]
	return m, ok
}

// put enters m, in the root's turn.
func (d *directory) put(name string, m *member) {
	shard := d.shard(name)
	fresh := map[string]*member{}
	if old := shard.Load(); old != nil {
		fresh = maps.Clone(*old)
	}
	fresh[name] = m
	shard.Store(&fresh)
}

// remove frees the name if it is still m's, in the root's turn.
func (d *directory) remove(name string, m *member) {
	if old, ok := d.get(name); !ok || old != m {
		return
	}
	shard := d.shard(name)
	fresh := maps.Clone(*shard.Load())
	delete(fresh, name)
	shard.Store(&fresh)
}

// all iterates over the members that there are now, in no order.
func (d *directory) all() iter.Seq2[string, *member] {
	return func(yield func(string, *member) bool) {
		for i := range d.shards {
			p := d.shards[i].Load()
			if p == nil {
				continue
			}
			for name, m := range *p {
				if !yield(name, m) {
					return
				}
			}
		}
	}
}

// sorted iterates over the members that there are now, in the order of their names.
func (d *directory) sorted() iter.Seq2[string, *member] {
	return func(yield func(string, *member) bool) {
		members := maps.Collect(d.all())
		for _, name := range slices.Sorted(maps.Keys(members)) {
			if !yield(name, members[name]) {
				return
			}
		}
	}
}
