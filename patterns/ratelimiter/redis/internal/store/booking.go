package store

import (
	"math/bits"
	"slices"

	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// standing is where a key stands: where its tiers are full, and what is booked of them. It is
// what they were before the first booking, and then the bookings, each at its time.
type standing struct {
	rules *rate.Tiers
	words []uint64

	base   []uint64 // without what is booked; nil if nothing is, or was in this call
	list   []booked // by time
	number int64    // of the last one
}

// booked is so many permits at a time.
type booked struct{ at, n, number int64 }

// read reads what the script says of bookings that were there before.
func (k *standing) read(n *numbers, now int64) {
	count := n.next()
	if count < 0 {
		return
	}
	k.number, k.base = n.next(), make([]uint64, len(k.words))
	readBucket(k.rules, n, k.base)
	for ; count > 0 && !n.bad; count-- {
		b := booked{n.next(), n.next(), n.next()}
		n.bad = n.bad || b.at <= now || b.n < 1 || b.n > maxBurst
		k.list = append(k.list, b)
	}
}

// take takes n that are there, and returns the time as of which.
func (k *standing) take(now, n int64) (since int64) {
	if k.base == nil {
		since = k.rules.Since(k.words, now)
		k.rules.Charge(k.words, now, n)
		return since
	}
	since = k.rules.Since(k.base, now)
	k.rules.Charge(k.base, now, n)
	k.replay(now)
	return since
}

// reserve books c for when it is there, after wait.
func (k *standing) reserve(now, wait int64, c *Check, a *Answer) bool {
	at := now + wait
	if wait > min(c.Within, whole-1) || !k.countable(now, at, c) || len(k.list) >= MaxBooked {
		return false
	}
	if k.base == nil {
		k.base = slices.Clone(k.words)
	}
	i := len(k.list)
	for i > 0 && k.list[i-1].at > at {
		i--
	}
	k.number = max(now, k.number+1)
	k.list = slices.Insert(k.list, i, booked{at, c.Weight, k.number})
	a.Since, a.Number = at, k.number
	k.replay(now)
	return true
}

// countable reports whether what c books at a time can be told exactly by a script.
func (k *standing) countable(now, at int64, c *Check) bool {
	for t, tier := range c.Law.tiers {
		count, period := tier.reduced()
		from := max(int64(k.rules.Of(k.words, t)[0]), at)
		high, low := bits.Mul64(uint64(from-now), count)
		if high > 0 || low >= whole || low+uint64(c.Weight)*period+count >= whole/2 {
			return false
		}
	}
	return true
}

// cancel returns how much it gives back: of what is not in the list, because others changed
// the rules, nothing.
func (k *standing) cancel(now int64, c *Check) int64 {
	if c.Booking.At <= now {
		if k.giveBack(now, c.Booking.Since, c.Weight) {
			return c.Weight
		}
		return 0
	}
	i := slices.IndexFunc(k.list, func(b booked) bool { return b.number == c.Booking.Number })
	if i < 0 {
		return 0
	}
	n := k.list[i].n
	k.list = slices.Delete(k.list, i, i+1)
	k.replay(now)
	return n
}

// giveBack puts n back into each tier, as far as it has room at all, and reports whether any
// had.
func (k *standing) giveBack(now, since, n int64) (some bool) {
	words := k.words
	if k.base != nil {
		words = k.base
	}
	for t := range k.rules.Len() {
		r, w := k.rules.Rule(t).(*rate.Bucket), k.rules.Of(words, t)
		before := r.Reset(w, now)
		switch weight := min(n, r.Capacity()); {
		case weight == 0:
		case since == 0:
			r.PutBack(w, now, weight)
		default:
			r.Refund(w, since, now, weight)
		}
		some = some || r.Reset(w, now) < before
	}
	if k.base != nil {
		k.replay(now)
	}
	return some
}

func (k *standing) replay(now int64) {
	for t := range k.rules.Len() {
		if w := k.rules.Of(k.base, t); int64(w[0]) < now {
			k.rules.Rule(t).Start(w, now)
		}
	}
	copy(k.words, k.base)
	for _, b := range k.list {
		k.rules.Promise(k.words, b.at, b.n)
	}
}
