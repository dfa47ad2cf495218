package backpressure

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// Operate carries out a Reset, which forgets the peak, the wait times, and how often and
// for how long it was hot, and touches no permit. A valve has no meaning for other
// commands; the error is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a valve can do"}
	}
	m.peak, m.heats, m.heated, m.waited = m.pending, 0, 0, patterns.WaitTimes{}
	if m.hot {
		m.heats, m.heated = 1, -m.hi.Sub(m.since) // which makes 0 of it as of now
	}
	return nil
}

// Reconfigure changes the marks and keeps what is pending and everybody who waits. It is
// hot or calm by the new marks at once; between them it stays what it was.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	if m.owes {
		m.announce()
	}
	m.adopt(c)
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
	m.add(0)
	m.sub(0)
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("backpressure: "+problem))
		}
	}
	check(m.pending >= m.weight(), "less is pending than permits weigh")
	check(m.hot || m.pending < m.high, "calm at the high water mark")
	check(!m.hot || m.pending > m.low, "hot at the low water mark")
	check(m.peak >= m.pending, "the peak is below what is pending")
	check(!m.owes || m.hot, "owes an event without being hot")
	check(!m.short || !m.hot, "both hot and short of room")
	return errors.Join(errs...)
}

// weight is that of all permits that weigh more than 1.
func (m *Machine) weight() (sum int) {
	if m.heavy != nil {
		for _, w := range m.heavy.All() {
			sum += w
		}
	}
	return sum
}

// Repair adds up again what is pending, and never to less than permits are known to
// weigh. Permits of weight 1 are not known one by one: what was counted stays counted.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	if known := m.heavy; known != nil {
		m.heavy = new(permits.Table[int])
		for id, w := range known.All() {
			if w > 1 {
				m.heavy.Put(id, w)
			}
		}
	}
	m.pending = max(m.pending, m.weight())
	m.peak = max(m.peak, m.pending)
	m.owes, m.short = false, false
	m.epoch++
	switch {
	case !m.hot && m.pending >= m.high, m.hot && m.pending <= m.low:
		m.hot = !m.hot
		m.announce()
	}
	m.dirty = true
}
