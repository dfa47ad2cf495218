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
	children map[string][]latecomer // by id: who waits for the child to be gone
}

// latecomer asks for the name of a guard that has stopped, but whose Terminated is
// still to come. It has to wait: proto.actor would take the new child, which has the
// same id, for the old one, and forget it.
type latecomer struct {
	msg  enter
	from *actor.PID
}

func newRoot(r *Registry) *root {
	return &root{registry: r, history: map[string]*intensity.Machine{}, children: map[string][]latecomer{}}
}

// Receive is the root's turn.
func (s *root) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case enter:
		s.admit(c, latecomer{msg, c.Sender()})
	case remove:
		s.registry.directory.remove(msg.name, msg.member)
		c.Respond(entered{})
	case *actor.Terminated:
		waiting := s.children[msg.Who.Id]
		delete(s.history, msg.Who.Id)
		delete(s.children, msg.Who.Id)
		for _, l := range waiting {
			s.admit(c, l)
		}
	case *actor.Stopping:
		for _, waiting := range s.children {
			for _, l := range waiting {
				c.Send(l.from, entered{err: ErrClosed})
			}
		}
		clear(s.children)
	}
}

func (s *root) admit(c actor.Context, l latecomer) {
	id := rootName + "/" + l.msg.name
	if waiting, there := s.children[id]; there && l.msg.spawn != nil && !s.registry.closed.Load() {
		if old, taken := s.registry.directory.get(l.msg.name); !taken || old.handle.dead() {
			s.children[id] = append(waiting, l)
			return
		}
	}
	c.Send(l.from, s.enter(c, l.msg))
}

func (s *root) enter(c actor.Context, msg enter) entered {
	r := s.registry
	if r.closed.Load() {
		return entered{err: ErrClosed}
	}
	if old, taken := r.directory.get(msg.name); taken && !old.handle.dead() {
		switch {
		case !msg.share:
			return entered{err: fmt.Errorf("%w: %q", ErrNameTaken, msg.name)}
		case old.config != msg.member.config:
			return entered{err: fmt.Errorf("%w: %q", ErrConflict, msg.name)}
		}
		return entered{member: old}
	}
	if msg.spawn != nil {
		if err := msg.spawn(c); err != nil {
			return entered{err: err}
		}
		s.children[rootName+"/"+msg.name] = nil
	}
	r.directory.put(msg.name, msg.member)
	return entered{member: msg.member, fresh: true}
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
