package bulkhead

import "github.com/bulwark-go/bulwark/patterns"

// Join lets r wait for at most Config.MaxWait, unless it would not, or as many wait as
// may. The refusal is a *FullError, or the one of what could never be granted.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	if err := m.impossible(r, max(1, r.Weight)); err != nil {
		return 0, m.flush(), err
	}
	taken, c := 0, m.compartmentOf(r)
	if c != nil {
		taken = c.taken
		if !c.saturated { // leases that ended were not enough
			m.saturate(c)
		}
	}
	switch {
	case q.Ahead > 0 && r.NoWait:
		err = m.refusal(CauseWaiters, m.limit, taken, q.Waiting)
	case r.NoWait, m.cfg.MaxWaiting == 0:
		err = m.refusal(CauseSlots, m.limit, taken, 0)
	case q.Waiting >= m.cfg.MaxWaiting, q.Total >= maxWaiting:
		err = m.refusal(CauseQueue, m.limit, taken, q.Waiting)
	default:
		if c != nil {
			c.waits = true
		}
		until = patterns.Never
		if m.cfg.MaxWait > 0 {
			until = m.hi.Add(m.cfg.MaxWait)
		}
	}
	return until, m.flush(), err
}

// Expired refuses r, which has waited for Config.MaxWait.
func (m *Machine) Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	taken := 0
	if c := m.compartmentOf(r); c != nil {
		taken = c.taken
	}
	return m.flush(), m.refusal(CauseMaxWait, m.limit, taken, 0)
}

// Order is by key if keys mean something: each has its own slots.
func (m *Machine) Order() patterns.Order {
	if m.keyed {
		return patterns.Keyed
	}
	return patterns.FIFO
}

// Again is at once if slots came back while the request was told to wait: those of leases
// that ended because of it.
func (m *Machine) Again() patterns.Instant {
	if c := m.asking.of; c != nil && c.taken <= m.limit-m.asking.weight {
		return m.hi.Add(1)
	}
	return patterns.Never
}

// Freed is the key of the compartment whose slots came back last.
func (m *Machine) Freed() (key string, all bool) {
	if m.freed == nil {
		return "", true
	}
	return m.freed.key, false
}

// refusal makes one error per cause, and shares it as long as its numbers are right.
func (m *Machine) refusal(cause Cause, limit, inFlight, waiting int) error {
	e := &m.full[cause.index()]
	if *e == nil || (*e).Limit != limit || (*e).InFlight != inFlight || (*e).Waiting != waiting {
		*e = &FullError{Name: m.name, Cause: cause, Limit: limit, InFlight: inFlight, Waiting: waiting}
	}
	return *e
}
