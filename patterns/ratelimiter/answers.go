package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Answer is what a limiter says to a question, with all the numbers.
type Answer struct {
	// Allowed: the request passes, or would.
	Allowed bool
	// Rate is the one that refuses; if none does, the one with the least left.
	Rate Rate
	// Limit is the most that Rate ever lets pass at once, and Remaining what it lets pass
	// now. Smooth and WarmUp let pass 1 or 0, whatever it weighs.
	Limit, Remaining int64
	// ResetAfter is how long until Rate is whole again if nothing else happens.
	ResetAfter time.Duration
	// RetryAfter is how long until the same request passes if nothing else happens: 0
	// means now, -1 never.
	RetryAfter time.Duration
}

// Reservation is a booking of the future. The zero Reservation is none.
type Reservation struct {
	// At is from when the booked permits may be used.
	At    patterns.Instant
	epoch uint64
	charge
}

// Peek says what Take would, and changes nothing.
func (m *Machine) Peek(now patterns.Instant, r *patterns.Request) Answer {
	m.settle(now)
	b := m.find(r.Key)
	return m.answer(b, weight(r))
}

func (m *Machine) answer(b *budget, n int64) Answer {
	a, tier := m.ask(b, n)
	b.fill(&a, m.hi, tier)
	return a
}

// Take uses r.Weight of r.Key's budget for good, if there is so much: no permit is left
// to report or release. Forced states let pass or refuse as Acquire does.
func (m *Machine) Take(now patterns.Instant, r *patterns.Request) Answer {
	m.settle(now)
	b, n := m.find(r.Key), weight(r)
	a, tier := m.ask(b, n)
	if a.Allowed {
		m.spend(b, n)
		tier = -1
	} else {
		m.deny(b, a, tier)
	}
	b.fill(&a, m.hi, tier)
	return a
}

// TakeUpTo uses as much of r.Key's budget as there is, at most r.Weight, and returns how
// much. If that is nothing, the Answer's RetryAfter is when there is something.
func (m *Machine) TakeUpTo(now patterns.Instant, r *patterns.Request) (taken int, a Answer) {
	m.settle(now)
	b, n := m.find(r.Key), max(weight(r), 0)
	if m.state == Limiting {
		n = min(n, b.law.Remaining(b.state, int64(m.hi)))
	}
	a, tier := m.ask(b, max(n, 1))
	if a.Allowed && n > 0 {
		m.spend(b, n)
		b.fill(&a, m.hi, -1)
		return int(n), a
	}
	m.deny(b, a, tier)
	b.fill(&a, m.hi, tier)
	return 0, a
}

// spend uses n of b as far as the state counts it.
func (m *Machine) spend(b *budget, n int64) {
	if n > 0 && m.state != ForcedClosed && m.fits(b, n) {
		m.charge(b, n)
	}
}

// deny counts a question that was answered with no because of a tier.
func (m *Machine) deny(b *budget, a Answer, tier int) {
	if m.state == Limiting && a.RetryAfter > 0 {
		m.count(m.cause(b), b, tier)
	}
}

// Reserve books r.Weight of r.Key's budget for the earliest time at which they may be
// used, unless that is more than maxWait away: then it refuses as Acquire does and books
// nothing. Those who ask later get later times. Algorithms that count in windows cannot
// book what is not there yet.
func (m *Machine) Reserve(now patterns.Instant, r *patterns.Request, maxWait time.Duration) (Reservation, error) {
	m.settle(now)
	b, n := m.find(r.Key), weight(r)
	switch {
	case m.state == ForcedOpen:
		return Reservation{}, m.forcedError()
	case m.state != Limiting:
		return Reservation{At: m.hi, epoch: m.epoch}, nil
	case n < 1:
		return Reservation{}, m.tooHeavy(n, b.law.rates[0], b.law.Rule(0).Capacity()).Err
	}
	wait, tier := b.law.Wait(b.state, int64(m.hi), n)
	late := wait > int64(maxWait) || m.hi.Add(time.Duration(wait)) >= latest
	switch {
	case wait < 0:
		return Reservation{}, m.tooHeavy(n, b.law.rates[tier], b.law.Rule(tier).Capacity()).Err
	case wait > 0 && (late || !b.law.Indebting()):
		cause := m.cause(b)
		if late && maxWait > 0 {
			cause = CauseMaxWait
		}
		return Reservation{}, m.refuse(cause, b, n, wait, tier).Err
	}
	return Reservation{At: m.hi.Add(time.Duration(wait)), epoch: m.epoch, charge: m.charge(b, n)}, nil
}

// Cancel gives a reservation back that will not be used, as Release does a permit. It
// helps those who ask later; times that were booked meanwhile stay. A second Cancel of
// the same Reservation gives it back twice: its owner sees to that.
func (m *Machine) Cancel(now patterns.Instant, v Reservation) {
	m.settle(now)
	if v.epoch == m.epoch && v.n > 0 {
		m.refund(v.charge)
	}
}

// Forecast returns when r could pass behind a queue of requests that weigh ahead
// together, or false if never. It may be later than that with algorithms that count in
// windows, and where one tier cools down while it waits for another. It is not earlier,
// but for the nanoseconds that warming up rounds.
func (m *Machine) Forecast(now patterns.Instant, ahead int64, r *patterns.Request) (at patterns.Instant, ok bool) {
	m.settle(now)
	switch m.state {
	case ForcedOpen:
		return m.until, m.until != patterns.Never
	case ForcedClosed, MetricsOnly:
		return m.hi, true
	}
	b := m.find(r.Key)
	wait, _ := b.law.WaitBehind(b.state, int64(m.hi), max(ahead, 0), weight(r))
	return m.hi.Add(time.Duration(wait)), wait >= 0
}

// ask is the part of an answer that needs no numbers, and which tier it is because of:
// -1 if none refuses.
func (m *Machine) ask(b *budget, n int64) (a Answer, tier int) {
	wait := int64(-1)
	if n > 0 {
		wait, tier = b.law.Wait(b.state, int64(m.hi), n)
	}
	switch m.state {
	case ForcedOpen:
		return Answer{RetryAfter: m.until.Sub(m.hi)}, tier
	case ForcedClosed, MetricsOnly:
		return Answer{Allowed: true}, tier
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
