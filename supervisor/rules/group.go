package rules

import (
	"container/heap"
	"container/list"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// group is the circuit that all children have together.
type group struct {
	cfg     CorrelatedConfig
	circuit *circuitbreaker.Machine
	state   State            // Running means closed
	until   patterns.Instant // when the open time is over
	due     patterns.Instant // until, while it is open
	members byOrder          // children that wait for it
	probe   *child           // the one that is tried
	permit  patterns.PermitID
	failed  *list.List // of *child, by their latest failure
}

func newGroup(cfg CorrelatedConfig) *group {
	return &group{cfg: cfg, until: patterns.Never, due: patterns.Never, failed: list.New()}
}

// note counts a failure of c, and forgets those that are too long ago.
func (g *group) note(now patterns.Instant, c *child) {
	c.last = now
	if c.failed == nil {
		c.failed = g.failed.PushBack(c)
	} else {
		g.failed.MoveToBack(c.failed)
	}
	for e := g.failed.Front(); now.Sub(e.Value.(*child).last) > g.cfg.Within; e = g.failed.Front() {
		g.forget(e.Value.(*child))
	}
}

func (g *group) forget(c *child) {
	if c.failed != nil {
		g.failed.Remove(c.failed)
		c.failed = nil
	}
}

// slack keeps 58 % of 100 from being less than 58.
const slack = 1e-9

// tooMany reports whether so many of n children failed that it is not their fault.
func (g *group) tooMany(n int) bool {
	failed := g.failed.Len()
	return failed >= g.cfg.MinFailed && float64(failed) > g.cfg.Share*float64(n)+slack
}

// joinsGroup counts a failure of c, and reports whether c waits for the group's circuit
// now.
func (m *Machine) joinsGroup(c *child) bool {
	g := m.group
	g.note(m.hi, c)
	switch {
	case g.state == Running:
		if !g.tooMany(len(m.children.byID)) {
			return false
		}
		if g.circuit == nil {
			g.circuit = m.newCircuit(ofGroup(g.cfg), 0)
		}
		trip(g.circuit, m.hi)
		m.groupOpens(CauseCorrelated)
		for s := m.children.first; s != nil; s = s.next {
			if s != c && s.blocking && s.state == Restarting {
				m.unblock(s)
				m.join(s)
			}
		}
	case g.probe == c:
		g.probe = nil
		g.circuit.Report(m.hi, g.permit, patterns.Failure, 0)
		m.groupOpens(CauseProbeFailed)
		for _, s := range g.members {
			m.shut(s, g.until)
		}
	}
	m.join(c)
	return true
}

func (m *Machine) groupOpens(cause Cause) {
	g := m.group
	g.until = openUntil(g.circuit)
	g.due = g.until
	m.groupBecomes(Open, cause, g.until)
}

// join makes c wait for the group's circuit.
func (m *Machine) join(c *child) {
	c.probing, c.circuit = false, nil
	m.block(c, Open, CauseCorrelated, m.group.until)
	m.unschedule(c) // it is called
	heap.Push(&m.group.members, c)
	c.joined = true
}

// tryGroup makes the group's circuit, whose open time is over, half-open.
func (m *Machine) tryGroup() {
	g := m.group
	g.due, g.until = patterns.Never, patterns.Never
	g.permit = probe(g.circuit, m.hi)
	m.groupBecomes(HalfOpen, CauseProbe, patterns.Never)
	m.nextProbe()
}

// nextProbe tries the child that waits longest.
func (m *Machine) nextProbe() {
	g := m.group
	if len(g.members) == 0 {
		m.closeGroup(CauseQuiet)
		return
	}
	c := heap.Pop(&g.members).(*child)
	c.joined, c.probing = false, true
	g.probe = c
	m.ready(c)
}

// closeGroup closes the group's circuit and restarts everybody who waits for it.
func (m *Machine) closeGroup(cause Cause) {
	g := m.group
	g.probe = nil
	g.circuit.Report(m.hi, g.permit, patterns.Success, 0)
	for g.failed.Len() > 0 {
		g.forget(g.failed.Front().Value.(*child))
	}
	m.groupBecomes(Running, cause, patterns.Never)
	for len(g.members) > 0 {
		c := heap.Pop(&g.members).(*child)
		c.joined = false
		m.ready(c)
	}
}

// leaveGroup makes the group do without c.
func (m *Machine) leaveGroup(c *child) {
	g := m.group
	if g == nil {
		return
	}
	g.forget(c)
	if g.probe == c {
		g.probe = nil
		if !m.leaving {
			m.nextProbe()
		}
	}
}

// forgetProbe makes c, which is parked, no probe.
func (m *Machine) forgetProbe(c *child) {
	c.probing, c.circuit = false, nil
	m.leaveGroup(c)
}

func (m *Machine) groupBecomes(to State, cause Cause, until patterns.Instant) {
	g := m.group
	m.effect(Effect{Do: DoGroup, From: g.state, To: to, Cause: cause, Until: until})
	g.state = to
}
