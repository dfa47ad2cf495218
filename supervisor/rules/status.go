package rules

import "github.com/bulwark-go/bulwark/patterns"

// Status is what is known of a child.
type Status struct {
	Child    ID
	Type     RestartType
	State    State
	Cause    Cause
	Since    patterns.Instant // of State
	Until    patterns.Instant // when State ends by itself; Never if it does not, or nobody knows
	Failures uint64
	Restarts uint64
}

// Status returns what is known of a child.
func (m *Machine) Status(id ID) (s Status, ok bool) {
	c := m.children.get(id)
	if c == nil {
		return Status{}, false
	}
	return m.status(c), true
}

// Children calls f for every child, in the order that they were spawned in.
func (m *Machine) Children(f func(Status)) {
	for c := m.children.first; c != nil; c = c.next {
		f(m.status(c))
	}
}

func (m *Machine) status(c *child) Status {
	until := c.due
	if c.joined {
		until = m.group.until
	}
	return Status{
		Child: c.id, Type: c.kind, State: c.state, Cause: c.cause, Since: c.since, Until: until,
		Failures: c.failures, Restarts: c.restarts,
	}
}

// Group returns the state of the circuit that all children have together, where Running
// means closed, and until when it is open.
func (m *Machine) Group() (s State, until patterns.Instant) {
	if m.group == nil {
		return Running, patterns.Never
	}
	return m.group.state, m.group.due
}

// Waiting returns how many children wait for the budget.
func (m *Machine) Waiting() int { return len(m.queue) }

// Leaving reports whether Leave was called last, and not Enter.
func (m *Machine) Leaving() bool { return m.leaving }
