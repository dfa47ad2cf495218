package adaptive

import (
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/aqm"
)

// Queue says who of those that wait is served first, the higher priorities always before
// the lower ones. The zero value is FIFO.
type Queue uint8

const (
	// FIFO serves the oldest first, and with Config.Fair the tenants in turn.
	FIFO Queue = iota
	// LIFO serves the newest first: its caller still waits when others have given up.
	LIFO
	// AdaptiveLIFO is FIFO until somebody has been waiting for an Interval without a
	// pause, and LIFO until nobody does.
	AdaptiveLIFO
	// CoDel is FIFO, but when all have waited for longer than Target for an Interval, some
	// are refused when their turn comes, more and more until waiting is short again. RFC
	// 8289.
	CoDel

	queues
)

// Valid reports whether q is one of the queues above.
func (q Queue) Valid() bool { return q < queues }

func (q Queue) String() string {
	switch q {
	case FIFO:
		return "fifo"
	case LIFO:
		return "lifo"
	case AdaptiveLIFO:
		return "adaptive-lifo"
	case CoDel:
		return "codel"
	}
	return fmt.Sprintf("queue(%d)", uint8(q))
}

// line is what the Machine remembers of the queue in front of it.
type line struct {
	law    aqm.CoDel
	begun  patterns.Instant // when somebody began to wait whom nobody waited before
	turned bool             // AdaptiveLIFO serves the newest
	again  patterns.Instant
	grades grades
}

func newLine(c *Config) line {
	return line{law: aqm.CoDel{Target: c.Target, Interval: c.Interval}, again: patterns.Never}
}

// Join lets a request wait, if that is of use: there is room for it, its priority is not
// cut off, and its turn comes before its Deadline. It refuses with a *LimitError.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	if q.Waiting == 0 {
		m.line.begun = m.hi
		m.line.law.Empty()
		m.turn(false)
	}
	c := m.claim(r)
	m.came(&c)
	if cause := m.objection(r, &c, &q); cause != CauseNone {
		err = m.turnAway(&c, cause)
		return 0, m.flush(), err
	}
	until = patterns.Never
	if m.cfg.MaxWait > 0 {
		until = m.hi.Add(m.cfg.MaxWait)
	}
	return until, m.flush(), nil
}

// objection is why a request must not wait; CauseNone if it may.
func (m *Machine) objection(r *patterns.Request, c *claim, q *patterns.Queue) Cause {
	turn := m.turnComes(r, c, q)
	switch {
	case m.state == ForcedOpen:
		return CauseForced
	case c.weight > m.cfg.Max:
		return CauseWeight
	case r.Deadline != 0 && m.hi >= r.Deadline:
		return CauseDeadline
	case r.NoWait:
		return CauseWaiters
	case q.Waiting >= m.cfg.MaxWaiting:
		return CauseQueue
	case !m.mayWait(m.room(c.level, c.entitled)):
		return m.scarcity(c)
	case r.Deadline != 0 && turn > r.Deadline:
		return CauseDeadline
	case m.line.grades.refuse(c.level, m.crowded(q.Waiting)):
		return CauseCrowd
	}
	return CauseNone
}

// mayWait reports whether waiting is of use, that is whether the higher priorities leave
// those of a kind with that room more than half of the limit.
func (m *Machine) mayWait(room int) bool { return 2*room > m.limit }

// turnComes is when a newcomer is likely to be served, or answered if that is what
// counts: by Little's law limit calls end in every latency.
func (m *Machine) turnComes(r *patterns.Request, c *claim, q *patterns.Queue) patterns.Instant {
	if r.Deadline == 0 || r.Deadline == patterns.Never {
		return m.hi
	}
	ahead := q.Ahead
	if o := m.Order(); o == patterns.LIFO || o == patterns.Fair {
		ahead = 0 // of those that wait; a turn comes soon, or nobody knows when
	}
	wait := m.latency * float64(ahead+c.weight) / float64(max(m.limit, 1))
	if !m.cfg.DeadlineForTurn {
		wait += m.patience()
	}
	return m.hi.Add(saturated(wait))
}

// hopeless reports whether a request that has waited would be answered too late.
func (m *Machine) hopeless(r *patterns.Request) bool {
	return r.Asked != 0 && r.Deadline != 0 && !m.cfg.DeadlineForTurn && m.inFlight > 0 &&
		m.hi.Add(saturated(m.patience())) > r.Deadline
}

// crowded is which share of the newcomers may not wait, so many waiting.
func (m *Machine) crowded(waiting int) float64 {
	c := &m.cfg
	if !(c.RefuseFrom > 0) {
		return 0
	}
	from := c.RefuseFrom * float64(m.limit)
	return clamp((float64(waiting)-from)/(c.RefuseAll*float64(m.limit)-from), 0, 1)
}

// Expired refuses a request that has waited for Config.MaxWait.
func (m *Machine) Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	c := m.claim(r)
	err = m.turnAway(&c, CauseMaxWait)
	return m.flush(), err
}

// overstayed reports whether CoDel gives the request up whose turn it is.
func (m *Machine) overstayed(r *patterns.Request) bool {
	switch {
	case r.Asked == 0 || m.cfg.Queue != CoDel:
		return false
	case m.line.law.Drop(m.hi, r.Asked, false):
		return true
	}
	m.line.again = m.line.law.Again(m.hi, r.Asked)
	return false
}

// Order is how those who wait are served.
func (m *Machine) Order() patterns.Order {
	switch {
	case m.cfg.Queue == LIFO || m.cfg.Queue == AdaptiveLIFO && m.line.turned:
		return patterns.LIFO
	case m.grouped:
		return patterns.Fair
	}
	return patterns.FIFO
}

// turn makes AdaptiveLIFO serve the newest or the oldest.
func (m *Machine) turn(newest bool) {
	if m.line.turned != newest {
		m.line.turned = newest
		m.dirty = m.dirty || m.cfg.Queue == AdaptiveLIFO
	}
}

// wait has a request wait, or wait on.
func (m *Machine) wait(r *patterns.Request) patterns.Decision {
	switch {
	case r.Asked == 0 && m.cfg.Queue == CoDel:
		m.line.again = m.line.law.Again(m.hi, m.hi)
	case r.Asked != 0 && m.hi.Sub(m.line.begun) > m.cfg.Interval:
		m.turn(true)
	}
	return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
}

// waitedSince counts a wait that ended well.
func (m *Machine) waitedSince(asked patterns.Instant) {
	if m.waited == nil {
		m.waited = new(patterns.WaitTimes)
	}
	m.waited.Add(m.hi.Sub(asked))
}

// Again is when CoDel may give up who is next.
func (m *Machine) Again() patterns.Instant { return m.line.again }

// Freed is any key: there is one queue for all.
func (m *Machine) Freed() (key string, all bool) { return "", true }

// grades turn a share of all newcomers into shares of each priority, the lowest first.
type grades struct {
	share [levels]float64 // of the newcomers of late
	debt  [levels]float64 // refusals owed, less than 1
}

// gradeOf is how many newcomers the shares remember.
const gradeOf = 128

// refuse reports whether to refuse a newcomer, share of all being too many. It refuses
// evenly: of a half, every second.
func (g *grades) refuse(level int, share float64) bool {
	for i := range g.share {
		g.share[i] -= g.share[i] / gradeOf
	}
	g.share[level] += 1.0 / gradeOf
	if share <= 0 {
		return false
	}
	lower := 0.0
	for i := range level {
		lower += g.share[i]
	}
	known := lower
	for i := level; i < levels; i++ {
		known += g.share[i]
	}
	if share >= 1 {
		return true
	}
	g.debt[level] += clamp((share*known-lower)/g.share[level], 0, 1)
	if g.debt[level] < 1 {
		return false
	}
	g.debt[level]--
	return true
}

// saturated is a number of nanoseconds as far as it fits.
func saturated(ns float64) time.Duration {
	return time.Duration(clamp(ns, 0, math.MaxInt64/2))
}
