package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	causes = 11 // that refuse calls
	// freshFor is how long one error is shared.
	freshFor = patterns.Instant(100 * time.Millisecond)
)

func (c Cause) index() int {
	switch c {
	case CauseLimit:
		return 0
	case CausePriority:
		return 1
	case CauseShare:
		return 2
	case CauseDeadline:
		return 3
	case CauseWeight:
		return 4
	case CauseQueue:
		return 5
	case CauseWaiters:
		return 6
	case CauseMaxWait:
		return 7
	case CauseCrowd:
		return 8
	case CauseSojourn:
		return 9
	}
	return 10
}

func (m *Machine) refuse(c Cause) patterns.Decision {
	return patterns.Decision{Verdict: patterns.Refuse, Err: m.refusal(c), Dirty: m.flush()}
}

// refusal shares one error among all the calls refused for one reason in a while.
func (m *Machine) refusal(c Cause) *LimitError {
	if m.hi-m.refusedAt >= freshFor {
		m.refusedAt = m.hi
		m.refusals = [causes]*LimitError{}
	}
	e := m.refusals[c.index()]
	if e == nil {
		e = &LimitError{Name: m.name, Cause: c, Limit: m.limit, After: m.after(c)}
		m.refusals[c.index()] = e
	}
	return e
}

// after is when a place comes free: of limit calls that take latency each, one ends
// every latency/limit.
func (m *Machine) after(c Cause) time.Duration {
	switch c {
	case CauseLimit, CausePriority, CauseShare, CauseQueue, CauseWaiters, CauseMaxWait, CauseCrowd, CauseSojourn:
		return time.Duration(clamp(m.latency/float64(max(m.limit, 1)), 0, float64(time.Hour)))
	case CauseForced:
		if m.due != patterns.Never {
			return max(0, m.due.Sub(m.hi))
		}
	}
	return 0
}
