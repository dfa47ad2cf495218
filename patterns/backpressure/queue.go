package backpressure

import "github.com/bulwark-go/bulwark/patterns"

// Join lets r wait for as long as its producer likes, unless it would not, or as many wait
// as may. The refusal is a *PressureError, or the one of what could never be granted.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	switch w := max(1, r.Weight); {
	case w > m.limit:
		err = m.tooHeavy(w)
	case q.Ahead > 0 && r.NoWait:
		err = m.refusal(CauseWaiters, q.Waiting)
	case r.NoWait, m.cfg.MaxWaiting == NoQueue:
		err = m.refusal(CauseHot, 0)
	case q.Waiting >= m.cfg.MaxWaiting:
		err = m.refusal(CauseQueue, q.Waiting)
	}
	return patterns.Never, m.flush(), err
}

// Expired is never asked for: Join sets no end.
func (m *Machine) Expired(now patterns.Instant, _ *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	return m.flush(), m.refusal(CauseHot, 0)
}

// Order is that of arrival.
func (m *Machine) Order() patterns.Order { return patterns.FIFO }

// Again is at once if room came back while the request was told to wait: that of leases
// which ended because of it.
func (m *Machine) Again() patterns.Instant {
	if !m.hot && m.pending <= m.limit-m.asking.weight {
		return m.hi.Add(1)
	}
	return patterns.Never
}

// Freed is not asked for: there is one queue.
func (m *Machine) Freed() (key string, all bool) { return "", true }

// refusal makes one error per cause, and shares it as long as its numbers are right.
func (m *Machine) refusal(cause Cause, waiting int) error {
	e := &m.full[cause.index()]
	if *e == nil || (*e).Pending != m.pending || (*e).Limit != m.limit || (*e).Waiting != waiting {
		*e = &PressureError{Name: m.name, Cause: cause, Pending: m.pending, Limit: m.limit, Waiting: waiting}
	}
	return *e
}

func (m *Machine) tooHeavy(weight int) error {
	if e := m.tooMuch; e == nil || e.Weight != weight || e.Limit != m.limit {
		m.tooMuch = &WeightError{Name: m.name, Weight: weight, Limit: m.limit}
	}
	return m.tooMuch
}
