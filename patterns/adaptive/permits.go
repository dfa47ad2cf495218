package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// fill is for a permit of one place.
func (s *slot) fill(id uint64, inFlight int, p patterns.Priority, full bool) {
	s.id, s.inFlight, s.weight, s.tenant = id, int32(inFlight), 1, 0
	s.level, s.full, s.greedy = int8(p-patterns.Background), full, false
}

// keep enters a permit. The low half of an ID is the number of a slot that the shell
// uses again, so that a slice will do; what does not fit it is only counted.
func (m *Machine) keep(s *slot) {
	i := int(uint32(s.id)) - 1
	if uint(i) >= uint(len(m.slots)) && !m.extend(i) {
		m.leased += int(s.weight)
		return
	}
	if old := &m.slots[i]; old.id != 0 {
		m.leased += int(old.weight) // a slot that was not free: keep the sum right
		m.forget(old)
	}
	m.slots[i] = *s
	m.cutoff.inFlight[s.level] += s.weight
	if m.grouped {
		m.tenants.all[s.tenant].inFlight += s.weight
		if s.greedy {
			m.cutoff.greedy += int(s.weight)
		}
	}
}

// extend makes a slot of that number, if there may be one.
func (m *Machine) extend(i int) bool {
	if i < 0 || i >= maxLimit {
		return false
	}
	for len(m.slots) <= i {
		m.slots = append(m.slots, slot{})
	}
	return true
}

// end gives a permit's places back and returns what it began with. A leased one has an
// ID that no Acquire ever saw.
func (m *Machine) end(id uint64) (inFlight int32, full bool) {
	i := int(uint32(id)) - 1
	if i >= 0 && i < len(m.slots) && m.slots[i].id == id {
		s := &m.slots[i]
		m.forget(s)
		m.inFlight -= int(s.weight)
		return s.inFlight, s.full
	}
	inFlight = int32(min(m.inFlight, maxLimit))
	m.unlease(1)
	return inFlight, false
}

func (m *Machine) forget(s *slot) {
	s.id = 0
	m.cutoff.inFlight[s.level] -= s.weight
	if m.grouped {
		m.tenants.all[s.tenant].inFlight -= s.weight
		if s.greedy {
			m.cutoff.greedy -= int(s.weight)
		}
	}
}

func (m *Machine) unlease(n int) {
	n = min(n, m.leased)
	m.leased -= n
	m.inFlight -= n
}

// Lease lends a quarter of the places left, less what is kept for higher priorities,
// as long as more than half of the limit is free: latency is only worth knowing near
// the limit, and there each call is measured. Tenants are not told apart in a lease,
// so that there is none if they must be. None of them is timed until half of the limit is in
// use, and then all are until it is a quarter.
func (m *Machine) Lease(_ patterns.Instant, want int) int {
	if m.state != Adapting || m.grouped {
		return 0
	}
	room := m.limit - m.inFlight - int(m.cutoff.kept(int(patterns.Normal-patterns.Background), true))
	if 2*m.inFlight >= m.limit {
		return 0
	}
	n := max(0, min(want, room/4))
	m.leased += n
	m.inFlight += n
	m.lent = m.lent || n > 0
	return n
}

// SettleLease takes places back. Calls that were quick and good teach nothing.
func (m *Machine) SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	m.unlease(t.Success + t.Failure + t.Dropped + t.Ignored + t.Unused)
	return epoch >= m.since, m.flush()
}

// SlowAfter is Config.MaxLatency: what is never healthy is reported at once.
func (m *Machine) SlowAfter() time.Duration { return m.cfg.MaxLatency }
