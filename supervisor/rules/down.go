package rules

import (
	"container/heap"

	"github.com/bulwark-go/bulwark/patterns"
)

// takes reports whether c takes s along.
func (m *Machine) takes(c, s *child) bool {
	switch m.cfg.Scope {
	case All:
		return true
	case Rest:
		return s.number >= c.number
	}
	return s == c
}

// mark marks c down.
func (m *Machine) mark(c *child) {
	if !c.down {
		m.orders++
		c.down, c.order = true, m.orders
	}
}

// takeAlong marks down whom c takes along. If that is for a while, they are suspended,
// and if it is for long, they refuse.
func (m *Machine) takeAlong(c *child, suspend, refuse bool) {
	if m.cfg.Scope == One {
		return
	}
	for s := m.children.first; s != nil; s = s.next {
		if s == c || s.down || s.state == Stopping || !m.takes(c, s) {
			continue
		}
		m.mark(s)
		m.unschedule(s) // a probe that was quiet begins again
		if !suspend {
			continue
		}
		m.effect(Effect{Do: DoSuspend, Child: s.id})
		m.become(s, Suspended, CauseSibling, patterns.Never)
		if refuse {
			m.shut(s, c.due)
		}
	}
}

// block puts c into a state in which it waits, with whom it takes along.
func (m *Machine) block(c *child, to State, cause Cause, until patterns.Instant) {
	m.mark(c)
	if !c.blocking {
		c.blocking = true
		m.blocking++
	}
	m.become(c, to, cause, until)
	m.schedule(c, until)
	refuse := to != Restarting || m.cfg.HoldFor == NoHold || until.Sub(m.hi) > m.cfg.HoldFor
	if refuse {
		m.shut(c, until)
	}
	m.takeAlong(c, true, refuse)
}

// shut makes the mailbox of c refuse, if it can.
func (m *Machine) shut(c *child, until patterns.Instant) {
	if c.gated && !c.absent {
		c.shut = true
		m.effect(Effect{Do: DoShut, Child: c.id, To: c.state, Cause: c.cause, Until: until})
	}
}

// unblock takes c out of whatever it waits for.
func (m *Machine) unblock(c *child) {
	m.unschedule(c)
	switch {
	case c.joined:
		heap.Remove(&m.group.members, c.place)
		c.joined = false
	case c.place != none:
		if heap.Remove(&m.queue, c.place); len(m.queue) == 0 {
			m.budgetAt = patterns.Never
		}
	}
	if c.blocking {
		c.blocking = false
		m.blocking--
	}
}

// ready says that c waits for nothing any more but the budget.
func (m *Machine) ready(c *child) {
	if m.budget == nil {
		m.release(c)
		return
	}
	m.mark(c)
	heap.Push(&m.queue, c)
	m.grant()
	if c.place == none {
		return
	}
	// Until then at most: whoever went down later is behind it.
	m.block(c, Restarting, CauseBudget, m.hi.Add(m.budget.Wait(m.hi, len(m.queue)-1)))
	m.unschedule(c) // it is called
}

// grant restarts those for whom there is a budget, in the order that they went down.
func (m *Machine) grant() {
	m.budgetAt = patterns.Never
	for len(m.queue) > 0 {
		if wait := m.budget.Take(m.hi); wait > 0 {
			m.budgetAt = m.hi.Add(wait)
			return
		}
		m.release(heap.Pop(&m.queue).(*child))
	}
}

// release restarts c, which waits for nothing any more, and everybody else who is down
// and whom nobody keeps down.
func (m *Machine) release(c *child) {
	if c.blocking {
		c.blocking = false
		m.blocking--
	}
	m.unschedule(c)
	m.mark(c)
	if m.cfg.Scope == One {
		m.restart(c)
		return
	}
	held := m.heldBack(c)
	if held {
		m.become(c, Suspended, CauseSibling, patterns.Never)
	}
	m.takeAlong(c, held, false)
	m.raise(c)
}

// heldBack reports whether somebody who waits takes c along.
func (m *Machine) heldBack(c *child) bool {
	for s := m.children.first; m.blocking > 0 && s != nil; s = s.next {
		if s.blocking && m.takes(s, c) {
			return true
		}
	}
	return false
}

// raise restarts those who are down and whom nobody keeps down. culprit, which may be
// nil, is who failed last.
func (m *Machine) raise(culprit *child) {
	if m.cfg.Scope == All && m.blocking > 0 {
		return
	}
	settle := false
	for s := m.children.first; s != nil && !s.blocking; s = s.next {
		if s.down && s != culprit {
			settle = true
		}
	}
	if settle {
		m.barriers++
		m.effect(Effect{Do: DoSettle, Barrier: m.barriers})
	}
	for s := m.children.first; s != nil; {
		if s.blocking { // and takes along all that follow
			return
		}
		next := s.next
		if s.down {
			if s != culprit {
				s.barrier = m.barriers
			}
			m.restart(s)
		}
		s = next
	}
}

// restart restarts c, or spawns it anew. Nobody keeps it down.
func (m *Machine) restart(c *child) {
	c.down = false
	c.restarts++
	to, cause, until := Running, CauseRestarted, patterns.Never
	switch {
	case c.probing:
		to, cause = HalfOpen, CauseProbe
		if quiet := m.quiet(c); quiet > 0 {
			until = m.hi.Add(quiet)
		}
	case c.cause == CauseReleased:
		cause = CauseReleased
	}
	if c.state != Running || to != Running {
		m.become(c, to, cause, until)
	}
	m.schedule(c, until)
	absent := c.absent
	if absent {
		c.absent = false
		m.effect(Effect{Do: DoSpawn, Child: c.id})
	}
	switch {
	case to == HalfOpen && c.gated:
		c.shut = true
		m.probes++
		c.probe = m.probes
		m.effect(Effect{Do: DoProbe, Child: c.id, To: to, Cause: cause, Until: patterns.Never, Pass: m.pass(c), Probe: c.probe})
	case c.shut:
		c.shut = false
		m.effect(Effect{Do: DoOpen, Child: c.id})
	}
	if !absent {
		m.effect(Effect{Do: DoRestart, Child: c.id})
	}
}

// stop tells c to stop. Those whom it kept down are restarted.
func (m *Machine) stop(c *child, cause Cause) {
	if c.absent {
		m.remove(c)
		return
	}
	if c.state != Stopping {
		m.become(c, Stopping, cause, patterns.Never)
	}
	m.effect(Effect{Do: DoStop, Child: c.id})
	m.letGo(c)
}

// letGo takes c, which ends, out of all that it is part of.
func (m *Machine) letGo(c *child) {
	c.down = false
	held := c.blocking
	m.unblock(c)
	m.leaveGroup(c)
	if held && m.cfg.Scope != One && !m.leaving {
		m.raise(nil)
	}
}

// remove forgets c, which has stopped.
func (m *Machine) remove(c *child) {
	cause := c.cause
	if c.state == Running { // by itself
		cause = CauseNone
	}
	m.become(c, Stopped, cause, patterns.Never)
	m.letGo(c)
	m.children.remove(c)
}

// giveUp stops c and whom it takes along, the last spawned first, and hands the failure
// up.
func (m *Machine) giveUp(c *child, cause Cause) {
	id := c.id
	if m.cfg.Scope == One {
		m.stop(c, cause)
	} else {
		m.stopWith(c, cause)
	}
	m.effect(Effect{Do: DoGiveUp, Child: id, Cause: cause})
}

// stopWith stops c and whom it takes along.
func (m *Machine) stopWith(c *child, cause Cause) {
	for s := m.children.first; s != nil; s = s.next {
		if m.takes(c, s) {
			s.down = false // they keep each other down no more
			m.unblock(s)
		}
	}
	for s := m.children.last; s != nil; {
		prev := s.prev
		if m.takes(c, s) && (s == c || s.state != Stopping) {
			m.stop(s, cause)
		}
		s = prev
	}
}
