package bulkhead

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out a Reset, which forgets the peak and the wait times and touches no
// permit. A bulkhead has no meaning for other commands; the error is a *ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &ConfigError{Field: "Kind", Value: op.Kind, Problem: "is not something a bulkhead can do"}
	}
	m.peak, m.waited = m.taken, WaitTimes{}
	return nil
}

// Reconfigure changes the policy and keeps every permit that is out. A limit below what
// is taken admits nothing until enough of it came back. MaxWaiting stays what it was,
// because the queue is not the Machine's.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	c = c.withDefaults()
	c.MaxWaiting = m.cfg.MaxWaiting
	m.cfg = c
	if c.MaxConcurrent == m.limit {
		return
	}
	m.events.put(Resized{Name: m.name, From: m.limit, To: c.MaxConcurrent, InFlight: m.taken, At: m.wall(m.hi)})
	m.limit = c.MaxConcurrent
	m.dirty = true
	m.ease(&m.main)
	for _, p := range m.partitions {
		m.ease(p)
	}
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("bulkhead: "+problem))
		}
	}
	held, sum := map[*compartment]int{}, 0
	for _, h := range m.holds {
		held[h.of] += h.weight
	}
	saturated := 0
	for _, c := range m.compartments() {
		sum += c.taken
		check(c.taken >= held[c], "a compartment has fewer slots taken than permits took")
		check(c == &m.main || c.taken == held[c] && c.taken > 0, "a partition does not add up")
		if c.saturated {
			saturated++
		}
		delete(held, c)
	}
	check(len(held) == 0, "permits of a partition that is none")
	check(sum == m.taken, "slots do not add up")
	check(m.peak >= m.taken, "the peak is below what is taken")
	check(saturated == m.saturated, "saturated compartments do not add up")
	check(!m.owes || m.saturated > 0, "owes an event without being saturated")
	check(m.saturated > 0 || m.due == patterns.Never && m.look == patterns.Never, "due without being saturated")
	return errors.Join(errs...)
}

func (m *Machine) compartments() []*compartment {
	all := []*compartment{&m.main}
	for _, p := range m.partitions {
		all = append(all, p)
	}
	return all
}

// Repair adds the slots up again, and never to less than permits are known to have
// taken. Permits of one slot without a key are not known one by one: what was counted
// stays counted.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	plain := max(m.main.taken, 0)
	m.partitions = make(map[string]*compartment)
	m.main.taken = 0
	for id, h := range m.holds {
		if h.of == nil || h.weight < 1 {
			delete(m.holds, id)
			continue
		}
		if h.of != &m.main && m.partitions[h.of.key] != h.of {
			if m.partitions[h.of.key] != nil { // two of one name: let them be one
				h.of = m.partitions[h.of.key]
				m.holds[id] = h
			} else {
				h.of.taken = 0
				m.partitions[h.of.key] = h.of
			}
		}
		h.of.taken += h.weight
	}
	m.main.taken = max(m.main.taken, plain)
	m.taken, m.saturated, m.owes = 0, 0, false
	m.due, m.look, m.waits = patterns.Never, patterns.Never, false
	for _, c := range m.compartments() {
		m.taken += c.taken
		c.saturated = false
	}
	m.peak = max(m.peak, m.taken)
	m.epoch++
	m.dirty = true
}
