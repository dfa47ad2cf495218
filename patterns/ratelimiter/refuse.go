package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// lack answers a request for n of b, which has too little for wait more (never if
// below 0) because of the rate of a tier.
func (m *Machine) lack(r *patterns.Request, b *budget, n, wait int64, tier int) patterns.Decision {
	if wait < 0 {
		return m.tooHeavy(n, b.law.rates[tier], b.law.Rule(tier).Capacity())
	}
	switch {
	case !m.mayWait(r):
		return m.refuse(m.cause(b), b, n, wait, tier)
	case !m.inTime(r, wait):
		return m.refuse(CauseMaxWait, b, n, wait, tier)
	}
	m.queue.again = m.hi.Add(time.Duration(wait))
	if r.Asked != 0 && b.key != (fingerprint.Key{}) {
		m.queue.remember(b.key, r.Key)
	}
	return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
}

// cause is why b refuses.
func (m *Machine) cause(b *budget) Cause {
	if b.over {
		return CauseOverflow
	}
	return CauseRate
}

// refuse makes an error, or finds the one that says the same, and counts.
func (m *Machine) refuse(cause Cause, b *budget, n, wait int64, tier int) patterns.Decision {
	m.count(cause, b, tier)
	return patterns.Decision{Dirty: m.flush(), Err: m.limitError(cause, b, n, wait, tier)}
}

// count counts a refusal, and speaks of it if it is time to.
func (m *Machine) count(cause Cause, b *budget, tier int) {
	m.refused[tier]++
	if b.over {
		m.overflowed()
	}
	if count, due := m.limited.add(m.hi); due {
		m.events.Put(Limited{Name: m.name, Shard: m.shard, Cause: cause, Rate: b.law.rates[tier], Refused: count, At: m.wall(m.hi)})
		m.dirty = true
	}
}

func (m *Machine) limitError(cause Cause, b *budget, n, wait int64, tier int) *LimitError {
	rule, s := b.law.Rule(tier), b.law.Of(b.state, tier)
	k := refusal{cause: cause, rate: b.law.rates[tier], limit: rule.Capacity()}
	if n > 1 || cause != CauseRate { // else there is none
		k.remaining = rule.Remaining(s, int64(m.hi))
	}
	k.retryAt = m.hi.Add(time.Duration(wait))
	k.resetAt = max(k.retryAt, m.hi.Add(time.Duration(rule.Reset(s, int64(m.hi)))))
	if b.key != (fingerprint.Key{}) {
		k.retryAt, k.resetAt = roundUp(k.retryAt), roundUp(k.resetAt)
	}
	return m.refusals.find(m, k)
}

// roundUp makes one error do for all keys that may come back in the same millisecond: a
// million keys that are refused a million times a second are a thousand errors.
func roundUp(at patterns.Instant) patterns.Instant {
	const grain = patterns.Instant(time.Millisecond)
	if rest := at % grain; rest > 0 && at < latest {
		return at + grain - rest
	}
	return at
}

// tooHeavy refuses what can never pass.
func (m *Machine) tooHeavy(n int64, r Rate, limit int64) patterns.Decision {
	e := m.refusals.heavy
	if e == nil || e.Weight != int(n) || e.Rate != r {
		e = &WeightError{Name: m.name, Weight: int(n), Rate: r, Limit: limit}
		m.refusals.heavy = e
	}
	return patterns.Decision{Dirty: m.flush(), Err: e}
}

// overflowed counts a request that met a shared budget, and speaks of it if it is time to.
func (m *Machine) overflowed() {
	m.overflow++
	if count, due := m.crowded.add(m.hi); due {
		m.events.Put(KeyOverflow{Name: m.name, Shard: m.shard, Keys: m.keys.table.Len(), Requests: count, At: m.wall(m.hi)})
		m.dirty = true
	}
}

// refusals keeps the errors made last. Until when a key is refused does not change
// while it is refused, so that a caller who keeps trying meets the same error again,
// and refusing allocates at most once per permit that was granted between.
type refusals struct {
	made  *[64]madeRefusal // nil before the first
	heavy *WeightError     // the last one made
}

type madeRefusal struct {
	refusal
	err *LimitError
}

// refusal is what a LimitError says.
type refusal struct {
	cause            Cause
	rate             Rate
	limit, remaining int64
	retryAt, resetAt patterns.Instant
}

func (f *refusals) find(m *Machine, k refusal) *LimitError {
	if f.made == nil {
		f.made = new([64]madeRefusal)
	}
	// Multiplying spreads instants that differ by a multiple of a power of two.
	place := &f.made[uint64(k.retryAt)*0x9e3779b97f4a7c15>>58]
	if place.err == nil || place.refusal != k {
		place.refusal = k
		place.err = &LimitError{
			Name: m.name, Cause: k.cause, Rate: k.rate, Limit: k.limit, Remaining: k.remaining,
			RetryAt: m.wall(k.retryAt), ResetAt: m.wall(k.resetAt),
		}
	}
	return place.err
}
