package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// birth is a guard on its way into the registry: one actor, or all its shards.
type birth struct {
	registry *Registry
	parent   actor.Context // nil: the registry's root
	names    []string
	members  []*member
}

func newBirth(r *Registry, parent actor.Context) *birth {
	return &birth{registry: r, parent: parent}
}

func (b *birth) add(name string, m *member) {
	h, above := m.handle, rootName
	if b.parent != nil {
		above = b.parent.Self().Id
	}
	h.pid = b.registry.system.NewLocalPID(above + "/" + name)
	h.freeName = func() {
		if !b.registry.closed.Load() {
			_ = b.registry.askRoot(remove{name: name, member: m}) // whoever shuts it down frees all
		}
	}
	if f := h.shell.family; f != nil {
		f.pids = append(f.pids, h.pid)
	}
	b.names, b.members = append(b.names, name), append(b.members, m)
}

// enter has the root enter the members and start their actors. It returns the guard that
// has the name already, if that is to be shared.
func (b *birth) enter(share bool) (old patterns.Guard, err error) {
	for _, m := range b.members {
		m.all = b.members
	}
	msg := enter{names: b.names, members: b.members, share: share}
	if b.parent == nil {
		msg.spawn = b.spawn
	}
	in := b.registry.askRoot(msg)
	switch {
	case in.err != nil:
		return nil, in.err
	case !in.fresh:
		return in.member.guard, nil
	case b.parent == nil:
		return nil, nil
	}
	if err := b.spawn(b.parent); err != nil {
		for _, m := range b.members {
			m.handle.freeName()
		}
		return nil, err
	}
	if b.registry.closed.Load() { // Shutdown may not have seen it
		for _, m := range b.members {
			stopActor(b.registry.system, m.handle.pid)
		}
		return nil, ErrClosed
	}
	return nil, nil
}

// spawn starts the actors, or none of them.
func (b *birth) spawn(c actor.SpawnerContext) error {
	for i, m := range b.members {
		if _, err := c.SpawnNamed(m.handle.shell.props(), b.names[i]); err != nil {
			for _, born := range b.members[:i] {
				b.registry.system.Root.Stop(born.handle.pid)
			}
			return fmt.Errorf("spawn guard %q: %w", b.names[i], err)
		}
	}
	return nil
}
