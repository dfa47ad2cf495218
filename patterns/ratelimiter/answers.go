package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// Peek says what Take would, and changes nothing.
func (m *Machine) Peek(now patterns.Instant, r *patterns.Request) Answer {
	m.settle(now)
	return m.answer(m.find(r.Key), weight(r))
}

func (m *Machine) answer(b *budget, n int64) Answer {
	a, tier := m.ask(b, n)
	b.fill(&a, m.hi, tier)
	return a
}

// Take uses r.Weight of r.Key's budget for good, if there is so much and nobody waits for
// it: no permit is left to report or release. Forced states let pass or refuse as Acquire
// does.
func (m *Machine) Take(now patterns.Instant, r *patterns.Request) Answer {
	m.settle(now)
	b, n := m.find(r.Key), weight(r)
	a, tier := m.ask(b, n)
	switch {
	case !a.Allowed:
		m.deny(b, a, tier)
	case m.state == Limiting:
		m.charge(b, n, m.hi)
		tier = -1
	default:
		m.spend(b, n)
		tier = -1
	}
	b.fill(&a, m.hi, tier)
	return a
}

// TakeUpTo uses as much of r.Key's budget as there is, at most r.Weight. If that is
// nothing, RetryAfter is when there is something.
func (m *Machine) TakeUpTo(now patterns.Instant, r *patterns.Request) Taken {
	m.settle(now)
	b, n := m.find(r.Key), max(weight(r), 0)
	if m.state == Limiting {
		n = min(n, b.law.Remaining(b.state, int64(m.hi)))
	}
	a, tier := m.ask(b, max(n, 1))
	if a.Allowed && n > 0 {
		m.spend(b, n)
		b.fill(&a, m.hi, -1)
		return Taken{int(n), a}
	}
	a.Allowed = false
	m.deny(b, a, tier)
	b.fill(&a, m.hi, tier)
	return Taken{0, a}
}

// spend uses n of b as far as the state counts it.
func (m *Machine) spend(b *budget, n int64) {
	if n > 0 && m.state != ForcedClosed && m.fits(b, n) {
		m.charge(b, n, m.hi)
	}
}

// deny counts a question that was answered with no because of a tier.
func (m *Machine) deny(b *budget, a Answer, tier int) {
	if m.state != Limiting || a.RetryAfter <= 0 {
		return
	}
	cause := m.cause(b)
	if m.queue.ahead.Ahead > 0 {
		cause = CauseWaiters
	}
	m.count(cause, b, max(tier, 0))
}

// Reserve books r.Weight of r.Key's budget for the earliest time at which they may be
// used, unless that is more than within away, or somebody waits: then it refuses as
// Acquire does and books nothing. Those who ask later get later times. What is not there
// yet can be booked up to 1,024 times for each key and 65,536 times in all, but not by
// algorithms that count in windows, nor where permits are leased.
func (m *Machine) Reserve(now patterns.Instant, r *patterns.Request, within time.Duration) (Reservation, error) {
	m.settle(now)
	b, n := m.find(r.Key), weight(r)
	v := Reservation{Key: r.Key, Weight: int(n), At: m.wall(m.hi)}
	switch {
	case m.state == ForcedOpen:
		return Reservation{}, m.forcedError()
	case m.state != Limiting:
		return v, nil
	case n < 1:
		return Reservation{}, m.tooHeavy(n, b.law.rates[0], b.law.Rule(0).Capacity()).Err
	}
	wait, tier := b.law.WaitBehind(b.state, int64(m.hi), int64(m.queue.ahead.Ahead), n)
	if wait < 0 {
		return Reservation{}, m.tooHeavy(n, b.law.rates[tier], b.law.Rule(tier).Capacity()).Err
	}
	at := m.hi.Add(time.Duration(wait))
	cause := CauseNone
	switch late := wait > int64(within) || at >= latest; {
	case m.queue.ahead.Ahead > 0:
		cause = CauseWaiters
	case late && wait > 0 && within > 0:
		cause = CauseMaxWait
	case wait > 0 && (late || !m.books(b)):
		cause = m.cause(b)
	case wait > 0 && !m.room(b):
		cause = CauseQueue
	}
	if cause != CauseNone {
		return Reservation{}, m.refuse(cause, b, n, wait, max(tier, 0)).Err
	}
	if v.At = m.wall(at); wait > 0 {
		v.ID = m.promise(b, at, n)
		return v, nil
	}
	c := m.charge(b, n, m.hi)
	v.ID = m.booked.put(m.hi, m.hi.Add(time.Duration(b.law.Reset(b.state, int64(m.hi)))), c)
	return v, nil
}

// books reports whether permits of the future can be booked.
func (m *Machine) books(b *budget) bool {
	leases := m.lent.on && b.key == (fingerprint.Key{}) // which may be spent at any time
	return b.law.Indebting() && !leases
}

// Cancel gives a reservation back that will not be used: before its time it is as if it had
// never been, and then it is as with Release. It helps those who ask later; times that were
// booked meanwhile stay. It returns false, and does nothing, if there is nothing left to
// give back: it was cancelled before, its time is long over, an operator changed the rules,
// or 65,536 were made after it.
func (m *Machine) Cancel(now patterns.Instant, v Reservation) bool {
	m.settle(now)
	key := fingerprint.Key{}
	if m.keyed && v.Key != "" {
		key = m.known().print(v.Key)
	}
	c, ok := m.booked.cancel(m.hi, v.ID, key)
	if !ok {
		return false
	}
	if b := m.chargedTo(c); b.state != nil && m.unpromise(c.slot(), &b, v.ID) {
		m.queue.free(c.key)
		return true
	}
	m.refund(c)
	return true
}

// ask is the part of an answer that needs no numbers, and which tier it is because of:
// -1 if none refuses.
func (m *Machine) ask(b *budget, n int64) (a Answer, tier int) {
	wait, ahead := int64(-1), int64(m.queue.ahead.Ahead)
	if n > 0 {
		wait, tier = b.law.WaitBehind(b.state, int64(m.hi), ahead, n)
	}
	switch m.state {
	case ForcedOpen:
		return Answer{RetryAfter: m.until.Sub(m.hi)}, tier
	case ForcedClosed, MetricsOnly:
		return Answer{Allowed: true}, tier
	}
	if wait == 0 && ahead > 0 {
		wait = 1 // those who wait come first, even if their time has come
	}
	return Answer{Allowed: wait == 0, RetryAfter: time.Duration(wait)}, tier
}

// fill fills in the numbers of a tier, or if that is -1 of the one with the least left.
func (b *budget) fill(a *Answer, now patterns.Instant, tier int) {
	for i := range b.law.Len() {
		rule, s := b.law.Rule(i), b.law.Of(b.state, i)
		left := rule.Remaining(s, int64(now))
		if i == tier || tier < 0 && (i == 0 || left < a.Remaining) {
			a.Rate, a.Limit, a.Remaining = b.law.rates[i], rule.Capacity(), left
			a.ResetAfter = time.Duration(rule.Reset(s, int64(now)))
		}
	}
}

// fits reports whether b has n. It has not always where MetricsOnly lets them pass.
func (m *Machine) fits(b *budget, n int64) bool {
	if wait, _ := b.law.Wait(b.state, int64(m.hi), n); wait == 0 {
		return true
	}
	m.exceeded++
	return false
}
