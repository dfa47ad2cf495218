package ratelimiter

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// lent counts permits that are leased and may not be spent yet. Their tokens were taken,
// and while they are out the bucket fills up only so far that they and what is in it
// are no more than a burst together. So leases never let more pass than the rates allow.
// A lease ends after the Mode's ttl, and the shell looks twice in that time, so that
// after twice the ttl a permit is spent or was given back.
type lent struct {
	on      bool
	span    time.Duration // how long they count at least
	buckets []*rate.Bucket
	tiers   *rate.Tiers
	most    int64 // that may be out

	now, before int64 // lent in this span, and in the one before
	next        patterns.Instant
}

// adopt starts or goes on counting, under new rules.
func (l *lent) adopt(tiers *rate.Tiers, ttl time.Duration, on bool) {
	l.span, l.tiers, l.buckets, l.on, l.most = 2*ttl, tiers, nil, false, 0
	for i := range tiers.Len() {
		b, ok := tiers.Rule(i).(*rate.Bucket)
		if !ok || !on {
			l.forget()
			return
		}
		l.buckets = append(l.buckets, b)
		if half := b.Capacity() / 2; i == 0 || half < l.most {
			l.most = half
		}
	}
	l.on = true
}

func (l *lent) out() int64 { return l.now + l.before }

// forget takes all for spent that is out.
func (l *lent) forget() { l.now, l.before = 0, 0 }

// settle forgets what must be spent by now, and keeps the buckets from filling up more
// than the rest allows.
func (l *lent) settle(now patterns.Instant, s []uint64) {
	for l.out() > 0 && now >= l.next { // twice at most; as of then, however late it is looked at
		l.withhold(l.next, s)
		l.before, l.now = l.now, 0
		l.next = l.next.Add(l.span)
	}
	l.withhold(now, s)
}

func (l *lent) withhold(now patterns.Instant, s []uint64) {
	if out := l.out(); out > 0 {
		for i, b := range l.buckets {
			b.Withhold(l.tiers.Of(s, i), int64(now), out)
		}
	}
}

// lend takes n tokens out.
func (l *lent) lend(now patterns.Instant, s []uint64, n int64) {
	if l.out() == 0 {
		l.next = now.Add(l.span)
	}
	l.now += n
	l.tiers.Charge(s, int64(now), n)
}

// back puts n tokens back in. Of those that are no longer counted as out, the bucket
// has made up for by filling up, so that they are lost.
func (l *lent) back(now patterns.Instant, s []uint64, n int64) {
	n = min(n, l.out())
	if n < 1 {
		return
	}
	older := min(n, l.before)
	l.before -= older
	l.now -= n - older
	for i, b := range l.buckets {
		b.PutBack(l.tiers.Of(s, i), int64(now), n)
	}
	l.withhold(now, s)
}

// Lease lends at most a quarter of what is left, so that as the limit comes near leases
// shrink and then each request asks; and never more than half of a burst in all. Rules
// other than the token bucket have no tokens that could be taken up front: they lend
// nothing, and neither do limiters with keys.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	switch {
	case m.state == ForcedClosed:
		return max(want, 0)
	case m.state != Limiting || !m.lent.on:
		return 0
	}
	n := min(int64(want), m.law.Remaining(m.single, int64(m.hi))/4, m.lent.most-m.lent.out())
	if n < 1 {
		return 0
	}
	m.lent.lend(m.hi, m.single, n)
	return int(n)
}

// SettleLease puts unused permits back, whatever epoch they are of. Nothing is learned
// from the others.
func (m *Machine) SettleLease(now patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	m.lent.back(m.hi, m.single, int64(t.Unused))
	return epoch == m.epoch, m.flush()
}

// SlowAfter is 0: how long a call took is nothing to a limiter.
func (m *Machine) SlowAfter() time.Duration { return 0 }
