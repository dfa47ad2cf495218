package redislimiter

import (
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// batch is what is asked with one call. While it is under way, only what carries it looks at
// checks and answers.
type batch struct {
	run     run
	checks  []store.Check // what the machine adds, ahead; requests; what it adds else
	answers []store.Answer
	extras  []extra // of what was added
	ahead   int     // of the extras, at the front, those that are asked before the requests
	moved   []store.Check
	sent    patterns.Instant
	trial   uint64 // the breaker's permit
	failed  error  // set when it is back
	untold  int    // requests that have not been decided on since
}

// maxSpare is how many batches are kept to be used again.
const maxSpare = 4

// extra is a check that nobody waits for.
type extra struct {
	kind   extraKind
	key    string
	weight int64
}

type extraKind uint8

const (
	returned extraKind = iota // permits that were not used
	owed                      // what passed without Redis
	leased                    // permits in advance
	probe                     // to see whether Redis is back
)

// Load puts a request in the i-th place of the batch that is being made up.
func (m *Machine) Load(now patterns.Instant, i int, r *patterns.Request, question any) bool {
	m.settle(now)
	if i >= m.cfg.MaxBatch || !m.mayCall() {
		return false
	}
	b := m.making
	if b == nil {
		b = m.blank()
		m.making = b
	}
	c := store.Check{Kind: store.Take, Key: r.Key, Weight: weight(r)}
	switch q := question.(type) {
	case ratelimiter.Peek:
		c = store.Check{Kind: store.Peek, Key: q.Key, Weight: orOne(q.Weight)}
	case ratelimiter.Take:
		c = store.Check{Kind: store.Take, Key: q.Key, Weight: orOne(q.Weight)}
	case ratelimiter.TakeUpTo:
		c = store.Check{Kind: store.TakeUpTo, Key: q.Key, Weight: orOne(q.Weight)}
	case ratelimiter.Reserve:
		c = m.reserveCheck(q)
	case ratelimiter.CancelReservation:
		c = m.cancelCheck(q)
	case Forget:
		c = store.Check{Kind: store.Return, Key: q.Key, Weight: m.lawOf(q.Key).most}
	}
	c.Key = m.kept(c.Key)
	c.Law = m.lawOf(c.Key).law
	b.checks = append(b.checks[:i], c)
	return true
}

// kept returns a copy of the caller's key: it may leave before the call is back, and use its
// memory for something else.
func (m *Machine) kept(key string) string {
	if m.lastKey != key {
		m.lastKey = string(append([]byte(nil), key...))
	}
	return m.lastKey
}

func (m *Machine) blank() *batch {
	if n := len(m.spare) - 1; n >= 0 {
		b := m.spare[n]
		m.spare = m.spare[:n]
		return b
	}
	return &batch{run: m.run}
}

// Depart sends the batch of n requests, and with it what nobody waits for.
func (m *Machine) Depart(now patterns.Instant, n int) (patterns.Errand, time.Duration) {
	m.settle(now)
	b := m.making
	if n == 0 && !m.Wants(now) {
		return nil, 0
	}
	if b == nil {
		b = m.blank()
	}
	m.making = nil
	b.checks, b.sent, b.untold = b.checks[:n], now, n
	m.addExtras(b, n)
	if len(b.checks) == 0 {
		m.spare = append(m.spare, b)
		return nil, 0
	}
	for cap(b.answers) < len(b.checks) {
		b.answers = append(b.answers[:cap(b.answers)], store.Answer{})
	}
	b.answers = b.answers[:len(b.checks)]
	m.outage.enter(m.hi, b)
	m.flying = b
	m.sums.Batches++
	m.sums.Batched += uint64(n)
	return b, m.cfg.callTimeout()
}

// Return notes how a call went. Unless it failed, what nobody waits for is settled.
func (m *Machine) Return(now patterns.Instant, errand patterns.Errand, err error) (dirty bool) {
	m.settle(now)
	b := errand.(*batch)
	m.flying = nil
	b.failed = nil
	if late(err) { // it may still be under way
		b.failed = err
	} else if fault, ok := errors.AsType[*store.Fault](err); err != nil && (!ok || !partial(b, fault)) {
		b.failed = err
	}
	m.judge(b, err)
	if b.failed == nil {
		m.settleExtras(b)
	} else {
		m.missExtras(b)
	}
	m.reuse(b)
	return m.flush()
}

// told notes that one more request of b was decided on.
func (m *Machine) told(b *batch) {
	b.untold--
	m.reuse(b)
}

// reuse keeps a batch that nobody needs any more. One that failed may still be under way.
func (m *Machine) reuse(b *batch) {
	if b.untold == 0 && b.failed == nil && len(m.spare) < maxSpare {
		m.spare = append(m.spare, b)
	}
}

// partial reports whether some server of several did answer.
func partial(b *batch, _ *store.Fault) bool {
	for i := range b.answers {
		if b.answers[i].Err == nil {
			return true
		}
	}
	return false
}

// request is the i-th one.
func (b *batch) request(i int) *store.Check { return &b.checks[b.ahead+i] }

// requests is how many there are.
func (b *batch) requests() int { return len(b.checks) - len(b.extras) }

// result is the answer to the i-th request of a batch that is back.
func (b *batch) result(i int) (a store.Answer) {
	if b.failed != nil {
		return store.Answer{Err: b.failed}
	}
	return b.answers[b.ahead+i]
}

// Conclude decides on the i-th request by what Redis said.
func (m *Machine) Conclude(now patterns.Instant, errand patterns.Errand, i int, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	b := errand.(*batch)
	defer m.told(b)
	a, n := b.result(i), weight(r)
	switch {
	case a.Err != nil:
		return m.unanswered(r, a.Err)
	case m.state == ratelimiter.ForcedOpen:
		m.giveBack(b, i)
		return m.refuse(m.forcedError())
	case a.Taken == n, m.state == ratelimiter.MetricsOnly:
		if a.Taken > 0 {
			m.charges[id] = charge{key: b.request(i).Key, n: a.Taken, since: a.Since}
			m.demand(b.request(i).Key, n)
		}
		return m.grant()
	case a.RetryAfter < 0:
		return m.refuse(m.tooHeavy(n, b.request(i).Key, a))
	case m.mayWait(r, a.RetryAfter):
		m.again = now.Add(max(a.RetryAfter, 1))
		return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
	}
	cause := ratelimiter.CauseRate
	if !r.NoWait && m.cfg.MaxWaiting > 0 {
		cause = ratelimiter.CauseMaxWait
	}
	return m.refuse(m.limitError(cause, b.request(i).Key, a))
}

// Inform answers the i-th one, a question, by what Redis said.
func (m *Machine) Inform(now patterns.Instant, errand patterns.Errand, i int, question any) (c patterns.Consultation) {
	m.settle(now)
	b := errand.(*batch)
	defer m.told(b)
	a, key := b.result(i), b.request(i).Key
	if a.Err != nil {
		if c, ok := m.missCancel(b.request(i), a.Err); ok {
			c.Dirty = m.flush()
			return c
		}
		return m.unansweredQuestion(question, a.Err)
	}
	answer := m.answer(key, a)
	switch q := question.(type) {
	case ratelimiter.Peek:
		c.Answer = answer
	case ratelimiter.Take:
		c.Answer = answer
		c.Granted, c.Rejected = one(answer.Allowed)
	case ratelimiter.TakeUpTo:
		answer.Allowed = a.Taken > 0
		c.Answer = ratelimiter.Taken{N: int(a.Taken), Answer: answer}
		c.Granted, c.Rejected = one(answer.Allowed)
	case ratelimiter.Reserve:
		c = m.reserved(q, b.request(i), a)
	case ratelimiter.CancelReservation:
		c.Answer, c.Freed = ratelimiter.Cancelled{Refunded: a.Taken > 0}, a.Taken > 0
	case Forget:
		if s := m.stocks.of(q.Key); s != nil {
			m.stocks.remove(s)
		}
		c.Answer, c.Freed = Forgotten{}, true
	}
	c.Dirty = m.flush()
	return c
}

// Disown gives back what was taken for one who left.
func (m *Machine) Disown(now patterns.Instant, errand patterns.Errand, i int) (dirty bool) {
	m.settle(now)
	b := errand.(*batch)
	if err := b.result(i).Err; err != nil {
		m.missCancel(b.request(i), err)
	}
	m.giveBack(b, i)
	m.told(b)
	return m.flush()
}

func (m *Machine) giveBack(b *batch, i int) {
	if b.failed != nil || b.request(i).Kind == store.Cancel {
		return
	}
	if a := &b.answers[b.ahead+i]; a.Err == nil && a.Taken > 0 {
		m.putBack(chargeOf(b.request(i), *a))
	}
}

func one(allowed bool) (granted, rejected int) {
	if allowed {
		return 1, 0
	}
	return 0, 1
}

func weight(r *patterns.Request) int64 { return orOne(r.Weight) }

func orOne(n int) int64 {
	if n == 0 {
		return 1
	}
	return int64(n)
}
