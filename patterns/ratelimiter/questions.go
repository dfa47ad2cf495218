package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Questions, to be sent to a limiter as actors.Consult{Question: Take{Key: "user-123"}}. Of
// each, Key is as in patterns.Request, and a Weight of 0 means 1.
type (
	// Peek asks what Take would be told. The answer is an Answer.
	Peek struct {
		Key    string
		Weight int
	}

	// Take uses Weight permits for good, if they are there and nobody waits for them. The
	// answer is an Answer.
	Take struct {
		Key    string
		Weight int
	}

	// TakeUpTo uses as many permits as there are, at most Weight. The answer is a Taken.
	TakeUpTo struct {
		Key    string
		Weight int
	}

	// Reserve books Weight permits for the earliest time at which they may be used, unless
	// that is more than Within away: 0 means Config.MaxWait, or without one however long.
	// The answer is a Reservation, or the refusal, a *LimitError or *WeightError.
	Reserve struct {
		Key    string
		Weight int
		Within time.Duration
	}

	// CancelReservation gives a reservation back that will not be used. The answer is a
	// Cancelled.
	CancelReservation struct{ Reservation Reservation }

	// Override gives Key rates of its own, one in Rate or several in Tiers, by the Config's
	// Algorithm. It keeps what the key used. At most 10,000 keys of an actor may have some;
	// they do not count as Config.MaxKeys, and stay until RemoveOverride. The answer is an
	// Overridden, or a *patterns.ConfigError for each fault.
	Override struct {
		Key   string
		Rate  Rate
		Tiers Tiers
	}

	// RemoveOverride lets the Config's rates hold for Key again, and keeps what it used. The
	// answer is an Overridden.
	RemoveOverride struct{ Key string }
)

// Answers.
type (
	// Answer is what a limiter says to a Peek or Take, with all the numbers.
	Answer struct {
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

	// Taken answers TakeUpTo: N permits were used. Allowed is N > 0.
	Taken struct {
		N int
		Answer
	}

	// Reservation is a booking of the future. The zero Reservation is none.
	Reservation struct {
		Key    string
		Weight int
		// At is from when the booked permits may be used.
		At time.Time
		// ID is a number unique in Key's actor, by which the reservation can be cancelled. It
		// is 0 if nothing was booked because an operator has every request pass.
		ID uint64
	}

	// Cancelled answers CancelReservation. Refunded is false if there was nothing left to
	// give back.
	Cancelled struct{ Refunded bool }

	// Overridden answers Override and RemoveOverride. Before says whether Key had rates of
	// its own until now.
	Overridden struct{ Before bool }
)

// ShardKey says which of the limiter's actors is asked.
func (q Peek) ShardKey() string { return q.Key }

// ShardKey says which of the limiter's actors is asked.
func (q Take) ShardKey() string { return q.Key }

// ShardKey says which of the limiter's actors is asked.
func (q TakeUpTo) ShardKey() string { return q.Key }

// ShardKey says which of the limiter's actors is asked.
func (q Reserve) ShardKey() string { return q.Key }

// ShardKey says which of the limiter's actors is asked.
func (q CancelReservation) ShardKey() string { return q.Reservation.Key }

// ShardKey says which of the limiter's actors is asked.
func (q Override) ShardKey() string { return q.Key }

// ShardKey says which of the limiter's actors is asked.
func (q RemoveOverride) ShardKey() string { return q.Key }

// inquiry is a Peek, Take or TakeUpTo that brings the place for its answer, so that a Handle
// can ask without allocating.
type inquiry struct {
	kind   inquiryKind
	key    string
	weight int
	Taken
}

type inquiryKind uint8

const (
	peeks inquiryKind = iota
	takes
	takesUpTo
)

// ShardKey says which of the limiter's actors is asked.
func (q *inquiry) ShardKey() string { return q.key }

// Consult answers the questions above.
func (m *Machine) Consult(now patterns.Instant, question any) (c patterns.Consultation) {
	m.queue.freed = nobody
	switch q := question.(type) {
	case *inquiry:
		c = m.inquire(now, q)
	case Peek, Take, TakeUpTo:
		c = m.consultTaking(now, q)
	case Reserve:
		c = m.consultReserve(now, q)
	case CancelReservation:
		c.Answer = Cancelled{Refunded: m.Cancel(now, q.Reservation)}
	case Override:
		before := m.overrides(q.Key)
		if c.Err = m.Override(now, q.Key, q.rates()...); c.Err == nil {
			c.Answer = Overridden{Before: before}
		}
	case RemoveOverride:
		c.Answer = Overridden{Before: m.RemoveOverride(now, q.Key)}
	}
	m.queue.ahead = patterns.Queue{}
	c.Freed, c.Dirty = m.queue.freed != nobody, m.flush()
	return c
}

// consultTaking answers what takes permits, or would.
func (m *Machine) consultTaking(now patterns.Instant, question any) (c patterns.Consultation) {
	i := inquiry{}
	switch q := question.(type) {
	case Peek:
		i.kind, i.key, i.weight = peeks, q.Key, q.Weight
	case Take:
		i.kind, i.key, i.weight = takes, q.Key, q.Weight
	case TakeUpTo:
		i.kind, i.key, i.weight = takesUpTo, q.Key, q.Weight
	}
	if c = m.inquire(now, &i); i.kind == takesUpTo {
		c.Answer = i.Taken
	} else {
		c.Answer = i.Answer
	}
	return c
}

func (m *Machine) inquire(now patterns.Instant, q *inquiry) (c patterns.Consultation) {
	c.Answer = q
	r := patterns.Request{Key: q.key, Weight: q.weight}
	switch q.kind {
	case peeks:
		q.Answer = m.Peek(now, &r)
		return c
	case takes:
		q.Answer = m.Take(now, &r)
	case takesUpTo:
		q.Taken = m.TakeUpTo(now, &r)
	}
	if q.Allowed {
		c.Granted = 1
	} else {
		c.Rejected = 1
	}
	return c
}

func (m *Machine) consultReserve(now patterns.Instant, q Reserve) (c patterns.Consultation) {
	within := q.Within
	if within == 0 {
		within = m.cfg.MaxWait
	}
	if within == 0 {
		within = time.Duration(patterns.Never)
	}
	v, err := m.Reserve(now, &patterns.Request{Key: q.Key, Weight: q.Weight}, within)
	if err != nil {
		return patterns.Consultation{Err: err, Rejected: 1}
	}
	return patterns.Consultation{Answer: v, Granted: 1}
}

// rates are those that the key is to have.
func (q Override) rates() []Rate {
	rates := q.Tiers.rates()
	if q.Rate != (Rate{}) {
		rates = append([]Rate{q.Rate}, rates...)
	}
	return rates
}

// overrides reports whether a key has rates of its own.
func (m *Machine) overrides(key string) bool {
	return m.keys != nil && m.keys.overrides[m.keys.print(key)] != nil
}
