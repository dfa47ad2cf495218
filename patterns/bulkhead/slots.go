package bulkhead

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Past is the Deadline of a Request that does not wait.
const Past = patterns.Instant(-1 << 63)

// NB(waits): the shell does not tell a Machine when a request began to wait. The handle
// does, with a Deadline below zero: minus the instant. Requests by message bring none, so
// their waits are neither bounded by MaxWait nor measured.

// askedAt returns when r's caller asked, if that is known.
func askedAt(r *patterns.Request) (at patterns.Instant, ok bool) {
	return -r.Deadline, r.Deadline < 0 && r.Deadline != Past
}

// asked returns the Deadline of a Request made at the instant at.
func asked(at patterns.Instant) patterns.Instant { return -max(at, 1) }

// acquireHold is Acquire for a request with a weight or a key that matters.
func (m *Machine) acquireHold(id uint64, r *patterns.Request) patterns.Decision {
	c, weight := &m.main, max(1, r.Weight)
	if weight > m.limit {
		m.waits = false
		if e := m.heavy; e == nil || e.Weight != weight || e.Limit != m.limit {
			m.heavy = &WeightError{Name: m.name, Weight: weight, Limit: m.limit}
		}
		return patterns.Decision{Dirty: m.flush(), Err: m.heavy}
	}
	if r.Key != "" && m.cfg.MaxPartitions > 0 {
		if len(r.Key) > MaxKey {
			if m.long == nil || m.long.Size != len(r.Key) {
				m.long = &KeyError{Name: m.name, Size: len(r.Key)}
			}
			return patterns.Decision{Dirty: m.flush(), Err: m.long}
		}
		if c = m.partitions[r.Key]; c == nil {
			if len(m.partitions) >= m.cfg.MaxPartitions {
				return m.refuse(CausePartitions, m.cfg.MaxPartitions, len(m.partitions))
			}
			if c, m.spare = m.spare, nil; c == nil {
				c = new(compartment)
			}
			*c = compartment{key: r.Key}
		}
	}
	if c.taken > m.limit-weight {
		return m.lack(c, r)
	}
	if m.saturated > 0 && !m.turn(r) {
		return m.tired()
	}
	if c.key != "" && c.taken == 0 {
		if m.partitions == nil {
			m.partitions = make(map[string]*compartment)
		}
		m.partitions[c.key] = c
	}
	if m.holds == nil {
		m.holds = make(map[uint64]hold)
	}
	m.holds[id] = hold{of: c, weight: weight}
	m.take(c, weight)
	return m.grant()
}

// lack answers a request for which there are not enough slots.
func (m *Machine) lack(c *compartment, r *patterns.Request) patterns.Decision {
	if !c.saturated {
		m.saturate(c)
	}
	if m.cfg.MaxWaiting == 0 || r.Deadline == Past {
		return m.refuse(CauseSlots, m.limit, c.taken)
	}
	if at, known := askedAt(r); known && m.cfg.MaxWait > 0 {
		by := at.Add(m.cfg.MaxWait)
		if m.hi >= by {
			return m.tired()
		}
		if by < m.due {
			m.due = by
			m.dirty = true
		}
	}
	m.waits = true
	return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
}

// turn records how long r waited for the slot that it could have now. It reports false
// if that was for too long: then its caller has been, or will be, told so.
func (m *Machine) turn(r *patterns.Request) bool {
	at, known := askedAt(r)
	if !known {
		return true
	}
	waited := max(m.hi.Sub(at), 0)
	if m.cfg.MaxWait > 0 && waited >= m.cfg.MaxWait {
		return false
	}
	m.waited.add(waited)
	return true
}

func (m *Machine) tired() patterns.Decision { return m.refuse(CauseMaxWait, m.limit, m.main.taken) }

func (m *Machine) take(c *compartment, n int) {
	c.taken += n
	m.taken += n
	m.peak = max(m.peak, m.taken)
}

// give takes n slots back. It is never too many: a compartment that would have less than
// none taken has none.
func (m *Machine) give(c *compartment, n int) {
	n = min(n, c.taken)
	c.taken -= n
	m.taken -= n
	if m.saturated > 0 {
		m.free(c)
	}
	if c.taken == 0 && c.key != "" {
		delete(m.partitions, c.key)
		m.spare = c
	}
}

// free goes on after slots of c came back while somebody lacked some.
func (m *Machine) free(c *compartment) {
	m.ease(c)
	if m.waits {
		// Whoever waits is asked for right after this, and then it is true again.
		m.waits = false
		if m.calm(&m.main) && m.look == patterns.Never {
			m.look = m.hi.Add(calmAfter)
			m.dirty = true
		}
	}
}

// saturate notes that c is short of slots. Whatever clock the caller was spared until
// now, it is read from here on.
func (m *Machine) saturate(c *compartment) {
	c.saturated, c.since = true, m.hi
	m.saturated++
	if c.key == "" {
		m.epoch++
	}
	ev := Saturated{Name: m.name, Key: c.key, Limit: m.limit, InFlight: c.taken}
	if m.saturated == 1 {
		m.owed, m.owes = ev, true
	} else {
		ev.At = m.wall(m.hi)
		m.events.put(ev)
	}
	m.dirty = true
}

// calm reports whether so few of c's slots are taken that it may count as relieved.
func (m *Machine) calm(c *compartment) bool { return c.saturated && c.taken <= m.limit/2 }

// calmAfter is how soon to look whether somebody still waits, where that is not known.
const calmAfter = time.Millisecond

// ease ends c's saturation if there are slots enough and nobody waits for them.
func (m *Machine) ease(c *compartment) {
	if !m.calm(c) || m.waits {
		return
	}
	c.saturated = false
	m.saturated--
	if m.saturated == 0 {
		m.due, m.look = patterns.Never, patterns.Never
	}
	m.events.put(Relieved{
		Name: m.name, Key: c.key, Limit: m.limit, InFlight: c.taken, After: m.hi.Sub(c.since), At: m.wall(m.hi),
	})
	m.dirty = true
}

// find returns the compartment of key, or nil.
func (m *Machine) find(key string) *compartment {
	if key == "" {
		return &m.main
	}
	return m.partitions[key]
}

// Lease lends at most an eighth of the free slots, and none while somebody lacks one.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	n := min(want, (m.limit-m.main.taken)/leaseShare)
	if m.main.saturated || n < 2 {
		return 0
	}
	m.take(&m.main, n)
	return n
}

// leaseShare of the free slots go into one lease, so that what one cell does not use
// does not keep much from the others.
const leaseShare = 8

// SettleLease takes back what was lent. Slots know no epoch, so it always counts.
func (m *Machine) SettleLease(now patterns.Instant, _ uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	m.give(&m.main, max(0, t.Success+t.Failure+t.Dropped+t.Ignored+t.Unused))
	return true, m.flush()
}

// SlowAfter is 0: how long a call took is nothing to a bulkhead.
func (m *Machine) SlowAfter() time.Duration { return 0 }
