package redislimiter

import (
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// reservations are those of this instance that can still be cancelled. They are numbered in
// turn, and the oldest is forgotten when there are maxReservations.
type reservations struct {
	of           map[uint64]reservation
	oldest, last uint64
}

// reservation is what was booked for somebody.
type reservation struct {
	charge
	gone  patterns.Instant // when there is nothing left to give back
	share uint64           // its number at this instance's part of the limit, in an outage; else 0
}

const maxReservations = 1 << 16

func newReservations() reservations { return reservations{of: make(map[uint64]reservation), oldest: 1} }

func (s *reservations) put(now patterns.Instant, r reservation) (id uint64) {
	s.last++
	s.of[s.last] = r
	for ; s.oldest < s.last; s.oldest++ {
		if r, known := s.of[s.oldest]; known && r.gone > now && len(s.of) <= maxReservations {
			break
		}
		delete(s.of, s.oldest)
	}
	return s.last
}

// find returns a reservation of a key unless it is worth nothing any more.
func (s *reservations) find(now patterns.Instant, v ratelimiter.Reservation) (r reservation, ok bool) {
	r, ok = s.of[v.ID]
	return r, ok && r.key == v.Key && r.gone > now
}

func (s *reservations) forgetKey(key string) {
	for id, r := range s.of {
		if r.key == key {
			delete(s.of, id)
		}
	}
}

// Behind says who waits for the key of the question that Consult is asked next.
func (m *Machine) Behind(q patterns.Queue) { m.ahead = q }

// reserve answers what it can of q, and refers the rest to Redis, past the lease: what is
// held here is there now.
func (m *Machine) reserve(q ratelimiter.Reserve) (c patterns.Consultation) {
	n, l := orOne(q.Weight), m.lawOf(q.Key)
	switch {
	case m.state == ratelimiter.ForcedOpen:
		c.Err = m.forcedError()
	case m.state != ratelimiter.Limiting:
		c.Answer = ratelimiter.Reservation{Key: q.Key, Weight: int(n), At: m.wall(m.hi)}
	case n < 1 || n > l.most:
		c.Err = m.tooHeavy(n, q.Key, store.Answer{Limit: l.most})
	case m.ahead.Ahead > 0:
		c.Err = m.limitError(ratelimiter.CauseWaiters, q.Key, store.Answer{Limit: l.most, RetryAfter: l.least(m.ahead)})
	case m.mayCall():
		return patterns.Consultation{Refer: true}
	default:
		return m.reserveWithout(q)
	}
	c.Granted, c.Rejected = one(c.Err == nil)
	return c
}

// within is how long after now a reservation may be.
func (m *Machine) within(q ratelimiter.Reserve) time.Duration {
	switch {
	case q.Within != 0:
		return q.Within
	case m.cfg.MaxWait != 0:
		return m.cfg.MaxWait
	}
	return time.Duration(patterns.Never)
}

// reserveCheck asks Redis for q. A log books nothing: it has a permit now, or it has not.
func (m *Machine) reserveCheck(q ratelimiter.Reserve) store.Check {
	c := store.Check{Kind: store.Reserve, Key: q.Key, Weight: orOne(q.Weight), Within: max(0, m.within(q).Microseconds())}
	if m.cfg.Algorithm == ratelimiter.SlidingLog {
		c.Kind, c.Within = store.Take, 0
	}
	return c
}

// reserved answers q by what Redis said.
func (m *Machine) reserved(q ratelimiter.Reserve, check *store.Check, a store.Answer) (c patterns.Consultation) {
	within := m.within(q)
	switch {
	case a.Taken > 0:
		v := ratelimiter.Reservation{Key: q.Key, Weight: int(a.Taken), At: m.wall(m.hi.Add(a.RetryAfter))}
		if m.cfg.Algorithm == ratelimiter.TokenBucket {
			v.ID = m.reservations.put(m.hi, reservation{charge: chargeOf(check, a), gone: m.hi.Add(a.ResetAfter)})
		}
		c.Answer = v
	case a.RetryAfter < 0:
		c.Err = m.tooHeavy(check.Weight, check.Key, a)
	case a.RetryAfter > within && within > 0:
		c.Err = m.limitError(ratelimiter.CauseMaxWait, check.Key, a)
	case a.RetryAfter > within || m.cfg.Algorithm == ratelimiter.SlidingLog:
		c.Err = m.limitError(ratelimiter.CauseRate, check.Key, a)
	default: // so many are booked already, or it is too far away to be counted
		c.Err = m.limitError(ratelimiter.CauseQueue, check.Key, a)
	}
	c.Granted, c.Rejected = one(c.Err == nil)
	return c
}

// chargeOf is what check has used.
func chargeOf(check *store.Check, a store.Answer) charge {
	c := charge{key: check.Key, n: a.Taken, since: a.Since}
	if check.Kind == store.Reserve {
		c.booking = &store.Booking{At: a.At + a.RetryAfter.Microseconds(), Number: a.Number, Since: a.Since}
	}
	return c
}

// reserveWithout decides on q by the policy for outages.
func (m *Machine) reserveWithout(q ratelimiter.Reserve) (c patterns.Consultation) {
	n := orOne(q.Weight)
	v := ratelimiter.Reservation{Key: q.Key, Weight: int(n), At: m.wall(m.hi)}
	switch m.cfg.OnOutage {
	case FailClosed:
		c.Err = m.outageError()
	case Local:
		v, c.Err = m.local().Reserve(m.hi, &patterns.Request{Key: q.Key, Weight: q.Weight}, m.within(q))
	}
	if c.Granted, c.Rejected = one(c.Err == nil); c.Err != nil {
		m.sums.RefusedWithout++
		return c
	}
	m.passWithout(q.Key, n)
	if v.ID != 0 {
		key := m.kept(q.Key)
		v.ID = m.reservations.put(m.hi, reservation{charge: charge{key: key, n: n}, gone: latest, share: v.ID})
	}
	c.Answer = v
	return c
}

// cancel gives a reservation back, with the next call if Redis is given up.
func (m *Machine) cancel(q ratelimiter.CancelReservation) (c patterns.Consultation) {
	r, ok := m.reservations.find(m.hi, q.Reservation)
	switch {
	case !ok:
	case r.share != 0:
		ok = m.cancelHere(r)
		delete(m.reservations.of, q.Reservation.ID)
	case m.mayCall():
		return patterns.Consultation{Refer: true}
	default:
		delete(m.reservations.of, q.Reservation.ID)
		ok = m.putBack(r.charge)
	}
	c.Answer, c.Freed = ratelimiter.Cancelled{Refunded: ok}, ok
	return c
}

// cancelHere gives back what this instance's part of the limit booked in an outage, unless
// Redis has been charged with it since.
func (m *Machine) cancelHere(r reservation) bool {
	o := &m.outage
	owes, known := o.owed.of(r.key)
	if !known || o.share == nil || !o.share.Cancel(m.hi, ratelimiter.Reservation{Key: r.key, ID: r.share}) {
		return false
	}
	o.owed.set(r.key, max(0, owes-r.n))
	return true
}

// cancelCheck tells Redis of q. It is cancelled once, whoever asks meanwhile.
func (m *Machine) cancelCheck(q ratelimiter.CancelReservation) store.Check {
	r, ok := m.reservations.find(m.hi, q.Reservation)
	if !ok || r.booking == nil {
		return store.Check{Kind: store.Peek, Key: q.Reservation.Key}
	}
	delete(m.reservations.of, q.Reservation.ID)
	return store.Check{Kind: store.Cancel, Key: r.key, Weight: r.n, Booking: r.booking}
}

// missCancel follows a check that Redis did not answer. What it certainly did not do is done
// with another call.
func (m *Machine) missCancel(check *store.Check, err error) (c patterns.Consultation, ok bool) {
	if check.Kind != store.Cancel {
		return c, false
	}
	if fault, is := errors.AsType[*store.Fault](err); is && fault.Class.NotRun() && !ours(err) {
		ok = m.putBack(charge{key: check.Key, n: check.Weight, booking: check.Booking})
		c.Answer = ratelimiter.Cancelled{Refunded: ok}
		return c, ok
	}
	m.sums.NotReturned += uint64(check.Weight)
	return c, false
}
