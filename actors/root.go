package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// root supervises all guards of a registry. Each guard has its own restart history,
// so that one that keeps failing costs no other guard its life.
type root struct {
	registry *Registry
	history  map[string]*intensity.Machine
}

func newRoot(r *Registry) *root {
	return &root{registry: r, history: map[string]*intensity.Machine{}}
}

// Receive is the root's turn.
func (s *root) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case enter:
		c.Respond(s.enter(c, msg))
	case remove:
		s.registry.directory.remove(msg.name, msg.member)
		c.Respond(entered{})
	case *actor.Terminated:
		delete(s.history, msg.Who.Id)
	}
}

func (s *root) enter(c actor.Context, msg enter) entered {
	r := s.registry
	if r.closed.Load() {
		return entered{err: ErrClosed}
	}
	for i, name := range msg.names {
		old, taken := r.directory.get(name)
		switch {
		case !taken || old.dead():
			continue
		case i > 0 || old.part || !msg.share:
			return entered{err: fmt.Errorf("%w: %q", ErrNameTaken, name)}
		case old.config != msg.members[0].config:
			return entered{err: fmt.Errorf("%w: %q", ErrConflict, name)}
		}
		return entered{member: old}
	}
	if msg.spawn != nil {
		if err := msg.spawn(c); err != nil {
			return entered{err: err}
		}
	}
	for i, m := range msg.members {
		r.directory.put(msg.names[i], m)
	}
	return entered{member: msg.members[0], fresh: true}
}

// HandleFailure restarts the guard, or gives it up. It implements
// actor.SupervisorStrategy, and runs in the root's turn.
func (s *root) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	h := s.history[child.Id]
	if h == nil {
		h = intensity.New(s.registry.intensity)
		s.history[child.Id] = h
	}
	if h.Restart(patterns.Instant(time.Since(s.registry.origin))) {
		sup.RestartChildren(child)
		return
	}
	for _, m := range s.registry.directory.all() {
		if m.handle.pid.Id == child.Id {
			s.registry.gaveUp(m, reason)
		}
	}
	sup.StopChildren(child)
}
