package redislimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// Forget is a question, sent as actors.Consult, that gives a key its whole burst back. The
// answer is Forgotten. A SlidingLog forgets nothing: the error is ErrUnsupported.
type Forget struct{ Key string }

// Forgotten answers Forget.
type Forgotten struct{}

// answer is what Redis said, in the words of the local limiter.
func (m *Machine) answer(key string, a store.Answer) ratelimiter.Answer {
	return ratelimiter.Answer{
		Allowed: a.RetryAfter == 0, Rate: m.rate(key, a.Tier), Limit: a.Limit, Remaining: a.Remaining,
		ResetAfter: a.ResetAfter, RetryAfter: a.RetryAfter,
	}
}

func (m *Machine) rate(key string, tier int) ratelimiter.Rate {
	rates := m.lawOf(key).rates
	return rates[min(max(tier, 0), len(rates)-1)]
}

func (m *Machine) limitError(cause ratelimiter.Cause, key string, a store.Answer) error {
	m.sums.Refused[min(max(a.Tier, 0), ratelimiter.MaxTiers-1)]++
	if count, due := m.notices.limited.add(m.hi); due {
		m.events.Put(ratelimiter.Limited{Name: m.name, Cause: cause, Rate: m.rate(key, a.Tier), Refused: count, At: m.wall(m.hi)})
		m.dirty = true
	}
	return &ratelimiter.LimitError{
		Name: m.name, Cause: cause, Rate: m.rate(key, a.Tier), Limit: a.Limit, Remaining: a.Remaining,
		RetryAt: m.wall(m.hi.Add(a.RetryAfter)), ResetAt: m.wall(m.hi.Add(max(a.RetryAfter, a.ResetAfter))),
	}
}

func (m *Machine) tooHeavy(n int64, key string, a store.Answer) error {
	return &ratelimiter.WeightError{Name: m.name, Weight: int(n), Rate: m.rate(key, a.Tier), Limit: a.Limit}
}

func (m *Machine) forcedError() error {
	return &ratelimiter.LimitError{Name: m.name, Cause: ratelimiter.CauseForced, RetryAt: m.wall(m.until)}
}

// mayWait reports whether r may wait for a turn that comes after a time.
func (m *Machine) mayWait(r *patterns.Request, after time.Duration) bool {
	if m.cfg.MaxWaiting == 0 || r.NoWait {
		return false
	}
	at, since := m.hi.Add(after), m.hi
	if r.Asked != 0 {
		since = r.Asked
	}
	return (r.Deadline == 0 || at < r.Deadline) && (m.cfg.MaxWait == 0 || at <= since.Add(m.cfg.MaxWait))
}

// Join lets r wait if there is room, and its turn is not known to come too late: those ahead
// of it take at least so long.
func (m *Machine) Join(now patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	m.settle(now)
	cause, l := ratelimiter.CauseNone, m.lawOf(r.Key)
	ahead := l.least(q)
	switch {
	case m.state == ratelimiter.ForcedOpen:
		return 0, m.flush(), m.forcedError()
	case r.NoWait || m.cfg.MaxWaiting == 0:
		cause = ratelimiter.CauseWaiters
	case q.Waiting >= m.cfg.MaxWaiting, q.Total >= max(m.cfg.MaxWaiting, maxWaitingKeys):
		cause = ratelimiter.CauseQueue
	case q.Waiting > 0 && !m.mayWait(r, ahead):
		cause = ratelimiter.CauseMaxWait
	}
	if cause != ratelimiter.CauseNone {
		err := m.limitError(cause, r.Key, store.Answer{Limit: l.most, RetryAfter: ahead})
		return 0, m.flush(), err
	}
	if m.cfg.MaxWait == 0 {
		return patterns.Never, m.flush(), nil
	}
	return m.hi.Add(m.cfg.MaxWait).Add(1), m.flush(), nil
}

// least is how long those who wait take at the least.
func (l *law) least(q patterns.Queue) time.Duration {
	first := l.rates[0]
	return time.Duration(float64(q.Ahead) / float64(first.Count) * float64(first.Per))
}

// maxWaitingKeys bounds how many wait in the queues of all keys together.
const maxWaitingKeys = 1 << 16

// Expired refuses r, which has waited for MaxWait.
func (m *Machine) Expired(now patterns.Instant, r *patterns.Request) (dirty bool, err error) {
	m.settle(now)
	after := max(0, m.again.Sub(m.hi))
	if m.again == patterns.Never {
		after = 0
	}
	err = m.limitError(ratelimiter.CauseMaxWait, r.Key, store.Answer{Limit: m.lawOf(r.Key).most, RetryAfter: after})
	return m.flush(), err
}

// Order has the callers of each key wait for themselves.
func (m *Machine) Order() patterns.Order { return patterns.Keyed }

// Again is when the request that was last told to wait may pass.
func (m *Machine) Again() patterns.Instant { return m.again }

// Freed names no key: what is given back has to reach Redis first.
func (m *Machine) Freed() (key string, all bool) { return "\x00nobody", false }
