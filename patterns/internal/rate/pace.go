package rate

import (
	"math"
	"math/bits"
)

// maxSpan is the longest time that a rule computes with: 146 years.
const maxSpan = 1 << 62

// point is the time q + r/rate ns, of the pace it belongs to: 0 <= r < rate.
type point struct {
	q int64
	r uint64
}

// pace is rate permits per period ns, in lowest terms. It does exact arithmetic with
// multiples of period/rate, which is a whole number of ns only where rate is 1: at
// 700 million per second, rounding it would be 43 % off.
type pace struct {
	rate, period uint64
	one          point // cost of 1
}

func newPace(count, period int64) pace {
	c, p := uint64(count), uint64(period)
	for a, b := c, p; ; a, b = b, a%b {
		if b == 0 {
			c, p = c/a, p/a
			break
		}
	}
	return pace{rate: c, period: p, one: point{int64(p / c), p % c}}
}

// words is 1 where no remainder is ever needed.
func (p *pace) words() int {
	if p.rate == 1 {
		return 1
	}
	return 2
}

func (p *pace) load(s []uint64) point {
	if len(s) > 1 {
		return point{int64(s[0]), s[1]}
	}
	return point{q: int64(s[0])}
}

func (p *pace) store(s []uint64, t point) {
	s[0] = uint64(t.q)
	if len(s) > 1 {
		s[1] = t.r
	}
}

// cost is the time that n permits take, saturated to maxSpan.
func (p *pace) cost(n int64) point {
	if n == 1 {
		return p.one
	}
	high, low := bits.Mul64(uint64(n), p.period)
	if high >= p.rate {
		return point{q: maxSpan}
	}
	q, r := bits.Div64(high, low, p.rate)
	if q > maxSpan {
		return point{q: maxSpan}
	}
	return point{int64(q), r}
}

// permits is how many permits fit in a span d that is not negative, rounded down. It
// fits a word because d costs no more than it did.
func (p *pace) permits(d point) (whole int64, rest uint64) {
	high, low := bits.Mul64(uint64(d.q), p.rate)
	low, carry := bits.Add64(low, d.r, 0)
	high += carry
	if high >= p.period {
		return math.MaxInt64, 0
	}
	q, rest := bits.Div64(high, low, p.period)
	return int64(min(q, math.MaxInt64)), rest
}

func (p *pace) add(a, b point) point {
	c := point{a.q + b.q, a.r + b.r}
	if c.r >= p.rate {
		c.r -= p.rate
		c.q++
	}
	if b.q >= 0 && c.q < a.q {
		return point{q: math.MaxInt64}
	}
	return c
}

func (p *pace) sub(a, b point) point {
	c := point{a.q - b.q, a.r - b.r}
	if a.r < b.r {
		c.r += p.rate
		c.q--
	}
	return c
}

// before reports whether a is earlier than b.
func (a point) before(b point) bool { return a.q < b.q || a.q == b.q && a.r < b.r }

// atLeast returns a, or now if that is later.
func (a point) atLeast(now int64) point {
	if a.q < now {
		return point{q: now}
	}
	return a
}

// late is from, or now less the time of a permit if that is later.
func (p *pace) late(from, now int64) int64 { return min(now, max(from, now-p.one.q)) }

// about returns a, or at if that is later by more than rounding up makes it.
func (a point) about(at int64) point {
	up := a.q
	if a.r > 0 {
		up++
	}
	if up < at {
		return point{q: at}
	}
	return a
}

// from is how long after now a is, rounded up; 0 if it is not.
func (a point) from(now int64) int64 {
	w := a.q - now
	if a.r > 0 && w >= 0 {
		w++
	}
	return max(w, 0)
}

// refund takes back what was charged at since. While the permits were out, time went
// on that would have been lost to a bucket that was full without them: that much of
// their cost is not given back. So no refund, however late, lets more pass than if the
// charge had never been.
func (p *pace) refund(s []uint64, since, now, n int64) {
	cost, melted := p.cost(n), point{q: max(now-since, 0)}
	if !melted.before(cost) {
		return
	}
	p.store(s, p.sub(p.load(s), p.sub(cost, melted)).atLeast(now))
}

// rescale returns the span that takes at p as many permits as d takes at from, and
// extra more, rounded up; 0 if that is no permit.
func (p *pace) rescale(from *pace, d point, extra int64) int64 {
	whole, rest := from.permits(d)
	whole += extra
	if whole < 0 {
		return 0
	}
	// (whole + rest/from.period) · p.period/p.rate, in three exact steps.
	high, low := bits.Mul64(rest, p.period)
	part, left := bits.Div64(high, low, from.period) // rest < from.period, so it fits
	high, low = bits.Mul64(uint64(whole), p.period)
	low, carry := bits.Add64(low, part, 0)
	high += carry
	if left > 0 {
		low, carry = bits.Add64(low, 1, 0)
		high += carry
	}
	low, carry = bits.Add64(low, p.rate-1, 0)
	high += carry
	if high >= p.rate {
		return maxSpan
	}
	span, _ := bits.Div64(high, low, p.rate)
	return int64(min(span, maxSpan))
}

func (p *pace) check(s []uint64, now int64) string {
	switch t := p.load(s); {
	case t.r >= p.rate:
		return "the remainder is no fraction"
	case t.q > now && uint64(t.q-now) > maxSpan+maxSpan/2: // a burst, and as far as one may book
		return "the debt is longer than any limit"
	}
	return ""
}
