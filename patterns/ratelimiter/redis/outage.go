package redislimiter

import (
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// outage is what is known of how Redis does. A breaker decides when it is given up; while it
// is, no request goes there, but one call every Config.RetryEvery does, with what passed
// meanwhile. When that is charged, requests go there again.
type outage struct {
	breaker *circuitbreaker.Machine
	hung    int // calls in a row without an answer in time
	down    bool
	since   patterns.Instant
	retryAt patterns.Instant // while down; Never while a call is out, or not down
	err     error            // the last one
	refusal *OutageError     // the last one made

	share *ratelimiter.Machine // of this instance; made when first needed
	owed  debts                // what passed without Redis
}

// maxHung is how many calls in a row without an answer in time are enough to give Redis up,
// whatever Config.Failures says: a request that queues behind one of them goes with the
// next, and whoever did not fit into that is decided on when it ends. So nobody waits for
// more than the two, which have half of Config.Timeout each.
const maxHung = 2

func (c *Config) callTimeout() time.Duration { return c.Timeout / maxHung }

// maxOwed is how many keys are known to owe something.
const maxOwed = 10_000

func (o *outage) adopt(m *Machine) {
	o.share = nil
	c := circuitbreaker.Config{ConsecutiveFailures: m.cfg.Failures, OpenFor: m.cfg.RetryEvery, Probes: 1}
	if o.breaker != nil {
		o.breaker.Reconfigure(m.hi, c)
		return
	}
	o.retryAt, o.owed = patterns.Never, newDebts()
	o.breaker = circuitbreaker.NewMachine(circuitbreaker.Params{Name: m.name, Origin: m.origin, Now: m.hi, Config: c})
}

// give gives Redis up, with as many failures as that takes.
func (o *outage) give(now patterns.Instant, failures int) {
	for range failures {
		if _, _, open := o.breaker.Refusal(); open {
			return
		}
		d := o.breaker.Acquire(now, 0, nil)
		o.breaker.Report(now, patterns.PermitID{Epoch: d.Epoch, ID: 0}, patterns.Failure, 0)
	}
}

// enter takes the breaker's permit for a call.
func (o *outage) enter(now patterns.Instant, b *batch) {
	b.trial++
	o.retryAt = patterns.Never
	o.breaker.Acquire(now, b.trial, nil)
}

// mayCall reports whether requests go to Redis.
func (m *Machine) mayCall() bool { return !m.outage.down }

// judge notes how a call went.
func (m *Machine) judge(b *batch, err error) {
	o := &m.outage
	outcome := patterns.Success
	if b.failed != nil && !ours(b.failed) {
		outcome = patterns.Failure
		o.err = err
		m.sums.Failed++
	}
	permit := patterns.PermitID{Epoch: o.breaker.Epoch(), ID: b.trial}
	o.breaker.Report(m.hi, permit, outcome, m.hi.Sub(b.sent))
	if outcome != patterns.Failure || !hung(err) {
		o.hung = 0
	} else if o.hung++; o.hung == maxHung && !o.down {
		o.give(m.hi, m.cfg.Failures)
	}
	for range o.breaker.Drain() { // the limiter has events of its own
	}
	_, until, open := o.breaker.Refusal()
	switch {
	case open && !o.down:
		o.down, o.since = true, m.hi
		o.retryAt = until
		m.sums.Outages++
		m.events.Put(OutageBegan{Name: m.name, Policy: m.cfg.OnOutage, Err: err, At: m.wall(m.hi)})
		m.dirty = true
	case open:
		o.retryAt = until
		m.dirty = true
	case o.down && outcome == patterns.Failure: // before all that passed was charged
		o.retryAt = m.hi.Add(m.cfg.RetryEvery)
		m.dirty = true
	case o.down && b.failed == nil && o.owed.len() > m.cfg.MaxBatch: // no request before what passed is charged
		o.retryAt = m.hi
		m.dirty = true
	case o.down:
		o.down, o.retryAt = false, patterns.Never
		m.events.Put(OutageEnded{Name: m.name, Lasted: m.hi.Sub(o.since), At: m.wall(m.hi)})
		m.dirty = true
	}
}

// ours reports whether err is of Redis's that it is alive, but will not keep the limit as
// things are configured. No policy for outages lets anybody pass then.
func ours(err error) bool {
	if fault, ok := errors.AsType[*store.Fault](err); ok {
		switch fault.Class {
		case store.NoAuth, store.NoPermission, store.Protocol, store.Untrusted:
			return true
		}
		return false
	}
	_, isKey := errors.AsType[*store.KeyError](err)
	_, isArgument := errors.AsType[*store.ArgumentError](err)
	_, isLaw := errors.AsType[*store.LawError](err)
	return isKey || isArgument || isLaw
}

// unanswered decides on a request to which Redis gave no answer.
func (m *Machine) unanswered(r *patterns.Request, err error) patterns.Decision {
	if ours(err) {
		return m.refuse(m.misfit(err))
	}
	m.outage.err = err
	return m.without(r)
}

func (m *Machine) misfit(err error) error {
	m.sums.Misfits++
	if count, due := m.notices.misfit.add(m.hi); due {
		m.events.Put(StoreRefused{Name: m.name, Requests: count, Err: err, At: m.wall(m.hi)})
		m.dirty = true
	}
	return &StoreError{Name: m.name, Err: err}
}

// without decides on a request by the policy for outages.
func (m *Machine) without(r *patterns.Request) patterns.Decision {
	n := weight(r)
	switch m.cfg.OnOutage {
	case FailClosed:
		m.sums.RefusedWithout++
		return m.refuse(m.outageError())
	case Local:
		q := patterns.Request{Key: r.Key, Weight: r.Weight, NoWait: true, Spend: true}
		if d := m.local().Acquire(m.hi, 0, &q); d.Verdict != patterns.Grant {
			m.sums.RefusedWithout++
			return m.refuse(d.Err)
		}
	}
	m.passWithout(r.Key, n)
	return m.grant()
}

// passWithout notes what passed without Redis.
func (m *Machine) passWithout(key string, n int64) {
	m.sums.PassedWithout++
	if _, known := m.outage.owed.of(key); !known {
		key = m.kept(key)
	}
	m.owe(key, n)
}

// owe has a key charged with n as soon as Redis is back, as far as there is so much.
func (m *Machine) owe(key string, n int64) {
	if n == 0 {
		return
	}
	o := &m.outage.owed
	owes, known := o.of(key)
	if !known && o.len() >= maxOwed {
		m.sums.NotCharged += uint64(n)
		return
	}
	most := m.lawOf(key).most // more cannot be taken
	m.sums.NotCharged += uint64(max(0, owes+n-most))
	o.set(key, min(owes+n, most))
}

// outageError makes an error, or finds the one that says the same.
func (m *Machine) outageError() *OutageError {
	o := &m.outage
	at := m.wall(o.retryAt)
	if e := o.refusal; e == nil || !e.RetryAt.Equal(at) || e.Err != o.err { //nolint:errorlint // the same value
		o.refusal = &OutageError{Name: m.name, RetryAt: at, Err: o.err}
	}
	return o.refusal
}

// local returns the limiter of this instance's part.
func (m *Machine) local() *ratelimiter.Machine {
	if m.outage.share == nil {
		rates := make([]ratelimiter.Rate, len(m.law.rates))
		for i, r := range m.law.rates {
			rates[i] = part(r, m.cfg.Instances, m.cfg.Algorithm)
		}
		m.outage.share = ratelimiter.NewMachine(ratelimiter.Params{
			Name: m.name, Origin: m.origin, Now: m.hi,
			Config: ratelimiter.Config{Tiers: ratelimiter.Several(rates...), Algorithm: m.cfg.Algorithm},
			Seed:   m.seed,
		})
	}
	return m.outage.share
}

// part is r divided by so many instances: rarer, where it cannot be fewer.
func part(r ratelimiter.Rate, instances int, a ratelimiter.Algorithm) ratelimiter.Rate {
	n := int64(instances)
	if r.Count%n == 0 || a == ratelimiter.SlidingLog || r.Per > longest/time.Duration(n) {
		r.Count = max(1, r.Count/n)
	} else {
		r.Per *= time.Duration(n)
	}
	r.Burst = max(1, r.Burst/n)
	if a == ratelimiter.SlidingLog {
		r.Burst = r.Count
	}
	return r
}

const longest = 366 * 24 * time.Hour

// unansweredQuestion is unanswered for a question. Without an err an operator or the policy
// decides.
func (m *Machine) unansweredQuestion(question any, err error) (c patterns.Consultation) {
	if err != nil && ours(err) {
		c.Err = m.misfit(err)
		c.Dirty = m.flush()
		return c
	}
	key, n, take := "", int64(1), true
	switch q := question.(type) {
	case ratelimiter.Peek:
		key, n, take = q.Key, orOne(q.Weight), false
	case ratelimiter.Take:
		key, n = q.Key, orOne(q.Weight)
	case ratelimiter.TakeUpTo:
		key, n = q.Key, orOne(q.Weight)
	case ratelimiter.Reserve:
		c = m.reserveWithout(q)
		c.Dirty = m.flush()
		return c
	case Forget, ratelimiter.CancelReservation:
		c.Err = m.outageError()
		return c
	}
	answer, err := m.answerWithout(key, n, take)
	if err != nil {
		c.Err = err
		return c
	}
	if c.Answer = answer; take {
		c.Granted, c.Rejected = one(answer.Allowed)
	}
	if _, upTo := question.(ratelimiter.TakeUpTo); upTo {
		taken := ratelimiter.Taken{Answer: answer}
		if answer.Allowed {
			taken.N = int(n)
		}
		c.Answer = taken
	}
	c.Dirty = m.flush()
	return c
}

func (m *Machine) answerWithout(key string, n int64, take bool) (ratelimiter.Answer, error) {
	l := m.lawOf(key)
	open := ratelimiter.Answer{Allowed: true, Rate: l.rates[0], Limit: l.most, Remaining: l.most}
	switch {
	case m.state == ratelimiter.ForcedOpen:
		return ratelimiter.Answer{Rate: l.rates[0], Limit: l.most, RetryAfter: m.until.Sub(m.hi)}, nil
	case m.state != ratelimiter.Limiting:
		return open, nil
	case m.cfg.OnOutage == FailClosed:
		return ratelimiter.Answer{}, m.outageError()
	case m.cfg.OnOutage == Local:
		r := patterns.Request{Key: key, Weight: int(n)}
		if !take {
			return m.local().Peek(m.hi, &r), nil
		}
		answer := m.local().Take(m.hi, &r)
		if answer.Allowed {
			m.passWithout(key, n)
		}
		return answer, nil
	}
	if take {
		m.passWithout(key, n)
	}
	return open, nil
}
