package loadshedder

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// strain is the opposite of a calm: somebody found no place, or was shed.
type strain struct {
	on   bool
	last patterns.Instant // when somebody last found no place
	look patterns.Instant // when to see whether it is over; Never if it is
	ask  bool             // the shell was made to ask for whoever waits

	shedding bool // somebody was shed, and it has not recovered
	said     bool // that was announced
	since    patterns.Instant
	shed     patterns.Instant // when somebody last was
	first    Shedding         // the event, as long as its time is not known
	amount   uint64           // shed since

	byCause    [causes]uint64
	byPriority [levels]uint64
	spared     uint64 // of them, those that MetricsOnly let through
}

// askAfter is how long the shell is given to ask for whoever waits.
const askAfter = time.Millisecond

// strained notes that somebody found no place.
func (m *Machine) strained() {
	s := &m.strain
	if !s.on {
		s.on = true
		m.epoch++
		m.calmDown()
		m.owe()
	}
	s.last = m.hi
}

// shed counts r, and returns the error with which it is refused.
func (m *Machine) shed(cause Cause, r *patterns.Request) error {
	s := &m.strain
	s.count(cause, r.Priority)
	err := m.refusal(cause, r.Priority)
	switch cause {
	case CauseForced:
		return err
	case CauseThrottle:
		m.throttle.Record(m.hi, 1, false)
	}
	m.strained()
	s.shed = m.hi
	s.amount++
	if !s.shedding {
		s.shedding, s.said, s.amount = true, false, 1
		s.first = Shedding{
			Name: m.name, Cause: cause, Priority: r.Priority, Load: err.Level,
			InFlight: m.inFlight, Limit: m.limit, Waiting: m.queue.waiting,
		}
		m.owe()
	}
	return err
}

func (s *strain) count(cause Cause, p patterns.Priority) {
	s.byCause[cause.index()]++
	s.byPriority[levelOf(p)]++
}

// owe asks for the time, of which what has just happened knows nothing.
func (m *Machine) owe() { m.owes, m.dirty = true, true }

// pay does what waited for the time to be known.
func (m *Machine) pay() {
	m.owes = false
	s := &m.strain
	if s.on && s.look == patterns.Never {
		s.look = m.hi.Add(m.cfg.ClearAfter)
	}
	if s.shedding && !s.said {
		s.said, s.since = true, m.hi
		s.first.At = m.wall(m.hi)
		m.events.Put(s.first)
		m.dirty = true
	}
	if m.level.begins {
		m.level.begin(m.inFlight, m.peak, m.hi, min(m.cfg.RaiseAfter, m.cfg.ClearAfter))
		m.dirty = true
	}
	m.rearm()
}

// settle sets the time and makes the transitions that are due.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
	}
	if m.owes {
		m.pay()
	}
	if m.hi >= m.next {
		m.overdue()
	}
}

func (m *Machine) overdue() {
	if m.hi >= m.due && m.due != patterns.Never {
		m.become(Automatic, CauseForcedElapsed, "")
	}
	m.expire()
	if m.hi >= m.level.look {
		m.relevel()
	}
	if m.hi >= m.strain.look {
		m.relax()
	}
	m.rearm()
}

func (m *Machine) relevel() {
	from := m.level.said
	if to := m.level.see(m.inFlight, m.peak, m.hi, m.cfg.RaiseAfter, m.cfg.ClearAfter); to != from {
		m.events.Put(LevelChanged{
			Name: m.name, From: from, To: to, InFlight: m.inFlight, Limit: m.limit, Pressure: m.pressure(), At: m.wall(m.hi),
		})
		m.dirty = true
	}
}

// relax sees whether the strain is over.
func (m *Machine) relax() {
	s := &m.strain
	m.dirty = true
	if s.shedding && m.hi.Sub(s.shed) >= m.cfg.ClearAfter && !m.control.cutting {
		s.shedding = false
		m.events.Put(Recovered{Name: m.name, After: m.hi.Sub(s.since), Shed: s.amount, At: m.wall(m.hi)})
	}
	quiet := m.hi.Sub(s.last) >= m.cfg.ClearAfter
	switch {
	case !quiet || s.shedding:
		s.ask = false
		s.look = m.hi.Add(m.cfg.ClearAfter)
	case !s.ask: // whoever waits is asked for right after this
		s.ask = true
		s.look = m.hi.Add(askAfter)
	default:
		s.on, s.ask, s.look = false, false, patterns.Never
		m.queue.rest()
		m.cutoff.rest()
		m.calmDown()
	}
}

// calmDown decides whether calls need to look at nothing but the limit.
func (m *Machine) calmDown() {
	calm := m.state == Automatic && !m.strain.on && !m.control.cutting && !m.throttled() && !m.cfg.Fair
	if calm != m.calm {
		m.calm, m.dirty = calm, true
	}
}

// rearm sets when there is next something to do.
func (m *Machine) rearm() {
	next := min(m.due, m.level.look, m.strain.look)
	for i := range m.signals {
		if g := &m.signals[i]; g.threshold != Off && !g.lost {
			next = min(next, g.at.Add(m.cfg.StaleAfter))
		}
	}
	m.next = next
}

// refusals are shared by all the requests shed for one reason in a while.
type refusals struct {
	made [causes][levels]*ShedError
	at   patterns.Instant
}

// freshFor is how long one error is shared.
const freshFor = 100 * time.Millisecond

func (m *Machine) refusal(cause Cause, p patterns.Priority) *ShedError {
	if m.hi.Sub(m.refusals.at) >= freshFor {
		m.refusals = refusals{at: m.hi}
	}
	e := &m.refusals.made[cause.index()][levelOf(p)]
	if *e == nil {
		*e = &ShedError{
			Name: m.name, Cause: cause, Priority: p, Level: m.level.now(m.inFlight),
			InFlight: m.inFlight, Limit: m.limit, Waiting: m.queue.waiting, After: m.after(cause),
		}
		(*e).Value, (*e).Threshold = m.evidence(cause)
	}
	return *e
}

// evidence is what a cause rests on.
func (m *Machine) evidence(cause Cause) (value, threshold float64) {
	if cause == CauseThrottle {
		return m.throttle.Share(m.hi), 0
	}
	for s := range signals {
		if s.cause() == cause {
			value, _ = m.signals[s].mean.Value()
			return value, m.signals[s].threshold
		}
	}
	return 0, 0
}

// after is how long it is of no use to try again: until a place comes free, a queue has
// become shorter, or what was measured may have changed.
func (m *Machine) after(cause Cause) time.Duration {
	rate := m.queue.rate
	switch cause {
	case CauseInFlight, CausePriority:
		if rate > 0 {
			return seconds(min(1/rate, forever))
		}
	case CauseQueue, CauseMaxWait, CauseQueueDelay, CauseDeadline:
		if rate > 0 {
			return seconds(min(float64(m.queue.waiting+1)/rate, forever))
		}
	case CauseForced:
		if m.due != patterns.Never {
			return max(0, m.due.Sub(m.hi))
		}
	case CauseCPU, CauseMemory, CauseSchedulingLatency, CauseGC, CauseThrottle:
		return m.cfg.ClearAfter
	}
	return 0
}

// tooHeavy is the error of a weight that could never be granted.
func (m *Machine) tooHeavy(w int) error {
	if e := m.heavy; e == nil || e.Weight != w || e.Limit != m.limit {
		m.heavy = &WeightError{Name: m.name, Weight: w, Limit: m.limit}
	}
	return m.heavy
}
