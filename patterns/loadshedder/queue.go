package loadshedder

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// queue is what the Machine knows of those who wait. The host keeps them.
type queue struct {
	laws    laws
	waiting int              // as far as it is known: who leaves does not say so
	filled  patterns.Instant // since when it has not been empty
	newest  bool             // served first

	// The rate at which calls end, while it is known: estimates of waits rest on it.
	rate   float64          // weights per second; 0 if unknown
	ended  int              // weights, since
	since  patterns.Instant // when ended began to count
	rated  bool             // since means something
	stayed patterns.WaitTimes
}

const (
	// rateEvery is for how long calls that end are counted to make a rate of them.
	rateEvery = 100 * time.Millisecond
	// rateKeep is what share of the old rate is in the new one.
	rateKeep = 0.7
	// newestAfter is for how long a queue must not have been empty for the newest to be
	// served first.
	newestAfter = 100 * time.Millisecond
	// forever bounds estimates, in seconds.
	forever = 1e9
)

func (q *queue) leave() { q.waiting = max(0, q.waiting-1) }

// completed counts calls that end under strain.
func (q *queue) completed(now patterns.Instant, w int) {
	if !q.rated {
		q.rated, q.since, q.ended = true, now, 0
		return
	}
	q.ended += w
	span := now.Sub(q.since)
	if span < rateEvery {
		return
	}
	rate := float64(q.ended) / span.Seconds()
	if q.rate > 0 {
		rate = rateKeep*q.rate + (1-rateKeep)*rate
	}
	q.rate, q.since, q.ended = rate, now, 0
}

// rest forgets the rate: it was that of a strain that is over.
func (q *queue) rest() { q.rate, q.rated, q.waiting, q.newest = 0, false, 0, false }

// recall decides on a request that waits and whose turn it is.
func (m *Machine) recall(id uint64, r *patterns.Request, w int) patterns.Decision {
	m.strained()
	if m.inFlight > m.limit-w {
		return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
	}
	grade := m.gradeOf(r)
	switch {
	case r.Deadline != 0 && m.hi >= r.Deadline:
		return m.decline(r, m.shed(CauseDeadline, r))
	case m.cutoff.closed(m.share(), grade):
		return m.decline(r, m.shed(m.blamed(), r))
	case m.delayed(r):
		return m.decline(r, m.shed(CauseQueueDelay, r))
	}
	m.queue.leave()
	m.queue.stayed.Add(m.hi.Sub(r.Asked))
	return m.grant(id, r, w, grade)
}

// delayed asks CoDel whether to shed r, whose turn it is.
func (m *Machine) delayed(r *patterns.Request) bool {
	if m.cfg.QueueDelay.kind != lawCoDel {
		return false
	}
	i := levelOf(r.Priority)
	law := &m.queue.laws.codel[i]
	// Those of a priority are served in order. So if this one came after the last of them
	// was served, there was a time when nobody waited.
	if r.Asked > m.queue.laws.served[i] {
		law.Empty()
	}
	m.queue.laws.served[i] = m.hi
	return law.Drop(m.hi, r.Asked, m.queue.waiting <= 1)
}

// Join lets r wait if there is room in the queue and its turn is expected to come in
// time, and otherwise sheds it.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	w := max(1, r.Weight)
	switch {
	case m.state == ForcedOpen:
		err = m.shed(CauseForced, r)
		return 0, m.flush(), err
	case m.state != Automatic: // it is asked for at once, and then granted
		return patterns.Never, m.flush(), nil
	case w > m.limit:
		return 0, m.flush(), m.tooHeavy(w)
	}
	m.strained()
	until = m.hi.Add(m.cfg.MaxWait)
	if m.cfg.MaxWait == Off {
		until = patterns.Never
	}
	if r.Deadline != 0 {
		until = min(until, r.Deadline)
	}
	m.queue.waiting = q.Waiting
	if cause := m.unqueued(r, w, &q, until); cause != CauseNone {
		err = m.shed(cause, r)
		return 0, m.flush(), err
	}
	m.queue.waiting++
	m.reorder(&q)
	return until, m.flush(), nil
}

// unqueued is why a newcomer may not wait; CauseNone if it may.
func (m *Machine) unqueued(r *patterns.Request, w int, q *patterns.Queue, until patterns.Instant) Cause {
	grade := m.arrive(r)
	if cause := m.cut(grade); cause != CauseNone {
		return cause
	}
	if m.cfg.MaxQueue == NoQueue || r.NoWait {
		m.cutoff.refused(grade, m.limit)
		return CauseInFlight
	}
	if q.Waiting >= m.cfg.MaxQueue {
		m.cutoff.refused(grade, m.cfg.MaxQueue)
		return CauseQueue
	}
	if m.cutoff.held && float64(q.Waiting+1)+m.cutoff.kept(grade) > float64(m.cfg.MaxQueue) {
		return CausePriority
	}
	wait, stay := m.forecast(w, q)
	switch {
	case r.Deadline != 0 && m.hi.Add(wait).Add(stay) > r.Deadline:
		return CauseDeadline
	case m.hi.Add(wait) > until:
		return CauseMaxWait
	case m.cfg.QueueDelay.kind == lawPIE && m.crowded(r, wait, q):
		return CauseQueueDelay
	}
	if m.cutoff.held {
		m.cutoff.granted(grade)
	}
	return CauseNone
}

// forecast estimates how long a newcomer waits, and then stays; 0 where that is not known.
func (m *Machine) forecast(w int, q *patterns.Queue) (wait, stay time.Duration) {
	if m.queue.rate <= 0 {
		return 0, 0
	}
	ahead := w - (m.limit - m.inFlight)
	if !m.queue.newest {
		ahead += q.Ahead
	}
	return seconds(min(float64(max(0, ahead))/m.queue.rate, forever)), seconds(min(float64(m.inFlight)/m.queue.rate, forever))
}

// crowded asks PIE whether to shed the newcomer r.
func (m *Machine) crowded(r *patterns.Request, wait time.Duration, q *patterns.Queue) bool {
	if m.queue.rate <= 0 && q.Waiting > 0 {
		wait = m.hi.Sub(q.Oldest)
	}
	law := &m.queue.laws.pie[levelOf(r.Priority)]
	law.Update(m.hi, wait)
	return law.Refuse(q.Waiting)
}

// reorder has the newest served first while the queue does not get empty.
func (m *Machine) reorder(q *patterns.Queue) {
	if q.Waiting == 0 {
		m.queue.filled = m.hi
	}
	newest := m.cfg.NewestFirst && m.hi.Sub(m.queue.filled) > newestAfter
	if newest != m.queue.newest {
		m.queue.newest, m.dirty = newest, true
	}
}

// Expired sheds r, which has waited for as long as Join let it.
func (m *Machine) Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	m.queue.leave()
	cause := CauseMaxWait
	if r.Deadline != 0 && m.hi >= r.Deadline {
		cause = CauseDeadline
	}
	err = m.shed(cause, r)
	return m.flush(), err
}

// Order is Fair where keys take turns, and LIFO while the newest is served first.
func (m *Machine) Order() patterns.Order {
	switch {
	case m.cfg.Fair:
		return patterns.Fair
	case m.queue.newest:
		return patterns.LIFO
	}
	return patterns.FIFO
}

// Again is never: who waits waits for a place.
func (m *Machine) Again() patterns.Instant { return patterns.Never }

// Freed is anybody's: there are no places of a key.
func (m *Machine) Freed() (key string, all bool) { return "", true }
