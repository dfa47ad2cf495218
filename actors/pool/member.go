package pool

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// member is a place in a pool. Its breaker outlives the actor in it: a replacement has to
// earn trust.
type member struct {
	name     string
	pid      *actor.PID // nil while there is nobody
	breaker  *circuitbreaker.Breaker
	judged   patterns.Guard // the breaker, with the pool's judge
	inFlight int
	sent     uint64
	due      time.Time // when it is replaced
}

func (m *member) guard(b *circuitbreaker.Breaker, judge *patterns.Judge) {
	m.breaker, m.judged = b, attempts.Judged(b, judge)
}

// present returns the members that are there, other than not.
func (r *router) present(not *member) []*member {
	all := make([]*member, 0, len(r.members))
	for _, m := range r.members {
		if m.pid != nil && m != not {
			all = append(all, m)
		}
	}
	return all
}

// terminated takes note that a member has stopped.
func (r *router) terminated(c actor.Context, who *actor.PID) {
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.pid != nil && m.pid.Equal(who) })
	if i < 0 {
		return
	}
	m := r.members[i]
	m.pid = nil
	if r.props == nil {
		r.members = slices.Delete(r.members, i, i+1)
		return
	}
	m.due = time.Now().Add(r.cfg.Respawn)
	r.armTimer(c)
}

// respawn fills the places that are empty, and due.
func (r *router) respawn(c actor.Context) {
	r.stopTimer()
	if r.stopping {
		return
	}
	for _, m := range r.members {
		if m.pid != nil || time.Now().Before(m.due) {
			continue
		}
		if r.begun {
			r.seen.Replaced++
		}
		m.pid = r.spawn(c, m)
		if m.pid == nil {
			m.due = time.Now().Add(r.cfg.Respawn)
		}
	}
	r.armTimer(c)
}

// spawn starts a member. Its producer may panic, and the name may not be free yet.
func (r *router) spawn(c actor.Context, m *member) (pid *actor.PID) {
	defer func() {
		if reason := recover(); reason != nil {
			c.Logger().Error("a member of a pool cannot be made", "pool", r.name, "member", m.name, "panic", reason)
			pid = nil
		}
	}()
	pid, err := c.SpawnNamed(r.props, m.name)
	if err != nil {
		c.Logger().Error("a member of a pool cannot be spawned", "pool", r.name, "member", m.name, "error", err)
		return nil
	}
	return pid
}

// respawnAt is when the next empty place is filled.
func (r *router) respawnAt() (at time.Time, empty bool) {
	for _, m := range r.members {
		if m.pid == nil && (!empty || m.due.Before(at)) {
			at, empty = m.due, true
		}
	}
	return at, empty
}

// vacate empties the places of members that proto.actor stops because the router restarts.
func (r *router) vacate() {
	if r.props == nil {
		return
	}
	for _, m := range r.members {
		m.pid, m.due = nil, time.Time{}
	}
}

func (r *router) armTimer(c actor.Context) {
	r.stopTimer()
	at, empty := r.respawnAt()
	if !empty || r.stopping {
		return
	}
	system, self := c.ActorSystem(), c.Self()
	r.timer = time.AfterFunc(time.Until(at), func() { system.Root.Send(self, respawn{}) })
}

func (r *router) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}
