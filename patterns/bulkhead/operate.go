package bulkhead

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// Operate carries out a Reset, which forgets the peak and the wait times and touches no
// permit. A bulkhead has no meaning for other commands; the error is a
// *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a bulkhead can do"}
	}
	m.peak, m.waited = m.taken(), nil
	return nil
}

// Reconfigure changes the policy and keeps every permit that is out and everybody who
// waits, for as long as they were told when they began to. A limit below what is taken
// admits nothing until enough of it came back.
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
	m.tell(ConfigChanged{Name: m.name, From: old, To: c, InFlight: m.taken(), At: m.wall(m.hi)})
	for _, c := range m.compartments() {
		if c.saturated && m.calm(c) {
			m.ease(c)
		}
	}
}

// taken is how many slots are, in all compartments.
func (m *Machine) taken() int { return m.main.taken + m.parted }

func (m *Machine) compartments() []*compartment {
	all := make([]*compartment, 1, 1+len(m.partitions))
	all[0] = &m.main
	for _, p := range m.partitions {
		all = append(all, p)
	}
	return all
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("bulkhead: "+problem))
		}
	}
	held := map[*compartment]int{}
	if m.holds != nil {
		for _, h := range m.holds.All() {
			held[h.of] += h.weight
		}
	}
	saturated, parted, used := int32(0), 0, 0
	for _, c := range m.compartments() {
		check(c.taken >= held[c], "a compartment has fewer slots taken than permits took")
		if c != &m.main {
			check(c.taken == held[c] && m.partitions[c.key] == c, "a partition does not add up")
			parted += c.taken
		}
		if c != &m.main && c.taken > 0 {
			used++
		}
		if c.saturated {
			saturated++
		}
		delete(held, c)
	}
	check(len(held) == 0, "permits of a partition that is none")
	check(parted == m.parted, "slots do not add up")
	check(used == m.used && len(m.partitions)-used == m.idle.n && m.idle.sound(), "partitions do not add up")
	check(m.peak >= m.taken(), "the peak is below what is taken")
	check(saturated == m.saturated, "saturated compartments do not add up")
	check(!m.owes || saturated > 0, "owes an event without being saturated")
	check((m.look == patterns.Never) == (len(m.watched) == 0), "watched without looking, or the reverse")
	for _, c := range m.watched {
		check(c.watched, "watched without knowing")
	}
	return errors.Join(errs...)
}

// sound reports whether everybody in the list is idle, and as many as it says.
func (l *idlers) sound() bool {
	n := 0
	for c := l.newest; c != nil && n <= l.n; c = c.older {
		if n++; c.taken != 0 || c.older == nil && l.oldest != c {
			return false
		}
	}
	return n == l.n && n <= maxIdle
}

// Repair adds the slots up again, and never to less than permits are known to have
// taken. Permits of one slot without a key are not known one by one: what was counted
// stays counted. Who lacks slots will say so again.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	plain := max(m.main.taken, 0)
	m.main = compartment{}
	m.partitions, m.idle, m.used, m.parted = nil, idlers{}, 0, 0
	m.saturated, m.owes, m.look, m.watched, m.freed, m.asking = 0, false, patterns.Never, nil, nil, hold{}
	known := m.holds
	m.holds = nil
	if known != nil {
		m.holds = new(permits.Table[hold])
		for id, h := range known.All() {
			if h.of == nil || h.weight < 1 {
				continue
			}
			c := &m.main
			if h.of.key != "" {
				if c = m.partitions[h.of.key]; c == nil {
					c = m.open(h.of.key)
				}
			}
			m.holds.Put(id, hold{of: c, weight: h.weight})
			m.take(c, h.weight)
		}
	}
	m.main.taken = max(m.main.taken, plain)
	m.peak = max(m.peak, m.taken())
	m.epoch++
	m.dirty = true
}
