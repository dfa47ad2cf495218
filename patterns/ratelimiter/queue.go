package ratelimiter

import (
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// queue is what a Machine knows of the queue that its host keeps.
type queue struct {
	again patterns.Instant // when the request that was last told to wait may pass
	freed string           // the key that got something back
	// waiting has the keys of which somebody waits, or did and left, so that what a permit
	// gives back is given to them at once: grants know fingerprints only.
	waiting map[fingerprint.Key]string
	// ahead is who waits for the key of the question that is being answered.
	ahead patterns.Queue
}

const (
	// nobody is a key that is none.
	nobody = "\x00nobody"
	// longestWaiting is the longest key that is remembered. Of longer ones whoever waits
	// passes when it was told, and no sooner.
	longestWaiting = 1 << 10
	// spareWaiting is how many keys more than those that wait may be remembered.
	spareWaiting = 1 << 10
)

// remember notes that somebody of a key waits.
func (q *queue) remember(k fingerprint.Key, key string) {
	if _, known := q.waiting[k]; known || len(key) > longestWaiting {
		return
	}
	if q.waiting == nil {
		q.waiting = make(map[fingerprint.Key]string)
	}
	q.waiting[k] = strings.Clone(key)
}

// forget notes that nobody of a key waits, as far as is known.
func (q *queue) forget(k fingerprint.Key) {
	if len(q.waiting) > 0 {
		delete(q.waiting, k)
	}
}

// free notes that a key, or none, got something back.
func (q *queue) free(k fingerprint.Key) {
	if k == (fingerprint.Key{}) {
		q.freed = ""
		return
	}
	key, waits := q.waiting[k]
	if q.freed = key; !waits {
		q.freed = nobody
	}
}

// Join lets r wait if there is room and its turn is known to come in time. Otherwise it
// refuses with a *LimitError, whose RetryAt is when that turn would have been.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	if m.state == ForcedOpen {
		return 0, m.flush(), m.forcedError()
	}
	b, n := m.find(r.Key), weight(r)
	wait, tier := b.law.WaitBehind(b.state, int64(m.hi), int64(q.Ahead), n)
	if n < 1 || wait < 0 {
		tier = max(tier, 0)
		return 0, m.flush(), m.tooHeavy(n, b.law.rates[tier], b.law.Rule(tier).Capacity()).Err
	}
	if cause := m.shut(r, q, wait); cause != CauseNone {
		return 0, m.flush(), m.refuse(cause, b, n, wait, max(tier, 0)).Err
	}
	if q.Total == 0 || len(m.queue.waiting) > 2*q.Total+spareWaiting {
		clear(m.queue.waiting)
	}
	if b.key != (fingerprint.Key{}) {
		m.queue.remember(b.key, r.Key)
	}
	if m.cfg.MaxWait == 0 {
		return patterns.Never, m.flush(), nil
	}
	return m.hi.Add(m.cfg.MaxWait).Add(1), m.flush(), nil // at MaxWait itself it may pass
}

// shut returns why r, whose turn comes after wait, may not join the queue.
func (m *Machine) shut(r *patterns.Request, q patterns.Queue, wait int64) Cause {
	switch {
	case r.NoWait || m.cfg.MaxWaiting == 0:
		return CauseWaiters
	case q.Waiting >= m.cfg.MaxWaiting, m.keyed && q.Total >= max(m.cfg.MaxWaiting, maxWaitingKeys):
		return CauseQueue
	case !m.inTime(r, wait):
		return CauseMaxWait
	}
	return CauseNone
}

// mayWait reports whether r may wait, or does already.
func (m *Machine) mayWait(r *patterns.Request) bool {
	return r.Asked != 0 || !r.NoWait && m.cfg.MaxWaiting > 0
}

// inTime reports whether a turn after wait is not too late for r. At the Deadline itself it
// is: the caller leaves then.
func (m *Machine) inTime(r *patterns.Request, wait int64) bool {
	at, since := m.hi.Add(time.Duration(wait)), m.hi
	if r.Asked != 0 {
		since = r.Asked
	}
	return (r.Deadline == 0 || at < r.Deadline) && (m.cfg.MaxWait == 0 || at <= since.Add(m.cfg.MaxWait))
}

// Expired refuses r, which has waited for MaxWait.
func (m *Machine) Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	if m.state == ForcedOpen {
		return m.flush(), m.forcedError()
	}
	b, n := m.find(r.Key), weight(r)
	wait, tier := b.law.Wait(b.state, int64(m.hi), n)
	if wait < 0 {
		return m.flush(), m.tooHeavy(n, b.law.rates[tier], b.law.Rule(tier).Capacity()).Err
	}
	err = m.refuse(CauseMaxWait, b, n, wait, max(tier, 0)).Err
	return m.flush(), err
}

// Order has the callers of each key wait for themselves.
func (m *Machine) Order() patterns.Order {
	if m.keyed {
		return patterns.Keyed
	}
	return patterns.FIFO
}

// Again is when the request that was last told to wait may pass.
func (m *Machine) Again() patterns.Instant { return m.queue.again }

// Freed names the key that the last Release, or question, gave something back to.
func (m *Machine) Freed() (key string, all bool) { return m.queue.freed, false }

// Behind says who waits for the key of the question that Consult is asked next.
func (m *Machine) Behind(q patterns.Queue) { m.queue.ahead = q }
