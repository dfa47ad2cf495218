package outlier

import (
	"slices"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out a Reset, which brings all members back and forgets how their calls
// ended. An ejector has no meaning for other commands; the error is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something an ejector can do"}
	}
	for _, b := range m.members {
		if b.ejected {
			m.use(b)
		}
	}
	m.forget()
	m.decide()
	return nil
}

// Reconfigure changes the members and the policy. What is known of members that stay is kept,
// and so is who is ejected; if fewer may be, those whose time is up first are back.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.adopt(c)
	m.sweep = min(m.sweep, m.hi.Add(c.Interval))
	for m.out > m.most() {
		m.use(m.soonest())
	}
	m.decide()
	m.tell(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// soonest is the ejected member that is back first.
func (m *Machine) soonest() (first *member) {
	for _, b := range m.members {
		if b.ejected && (first == nil || m.until(b) < m.until(first)) {
			first = b
		}
	}
	return first
}

// adopt makes c the Config, and its members those of the machine.
func (m *Machine) adopt(c Config) {
	m.cfg = c
	names := c.Members.Names()
	known := make(map[string]*member, len(m.members))
	for _, b := range m.members {
		if slices.Contains(names, b.name) {
			known[b.name] = b
			continue
		}
		m.slots[b.slot] = nil
		if b.ejected {
			m.out--
		}
	}
	m.members = make([]*member, len(names))
	for i, name := range names {
		b := known[name]
		if b == nil {
			b = &member{name: name}
		}
		if b.mark == nil {
			m.seat(b)
		}
		m.members[i] = b
	}
}

// seat gives b a slot.
func (m *Machine) seat(b *member) {
	slot := slices.Index(m.slots, nil)
	if slot < 0 {
		slot = len(m.slots)
		m.slots = append(m.slots, nil)
	}
	b.identity = identity{slot, new(mark)}
	m.slots[slot] = b
}
