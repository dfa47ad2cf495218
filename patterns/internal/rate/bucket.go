package rate

// Bucket is the token bucket, in the form that needs one time per key: the generic
// cell rate algorithm of ITU-T I.371. The state is the theoretical arrival time,
// TAT, at which the bucket is full. With T for the time that a permit takes,
//
//	tokens(now) = burst − (max(TAT, now) − now)/T
//
// A permit moves TAT by T, and passes if TAT is then at most burst·T ahead. Nothing is
// ever multiplied by the time that passed, so that no idle time is too long.
type Bucket struct {
	pace
	burst int64
	tau   point // burst·T
}

// NewBucket returns the rule of count permits per period ns and at most burst at one
// instant. All are positive, and burst·period/count is at most 2^62.
func NewBucket(count, period, burst int64) *Bucket {
	b := &Bucket{pace: newPace(count, period), burst: burst}
	b.tau = b.cost(burst)
	return b
}

// Words is 1 where a permit takes a whole number of ns, and otherwise 2.
func (b *Bucket) Words() int { return b.words() }

// Capacity is the burst.
func (b *Bucket) Capacity() int64 { return b.burst }

// Start fills the bucket.
func (b *Bucket) Start(s []uint64, now int64) { b.store(s, point{q: now}) }

// Wait is exact: 1 ns earlier than it says, n do not pass.
func (b *Bucket) Wait(s []uint64, now, n int64) int64 {
	if n > b.burst {
		return -1
	}
	return b.wait(b.load(s).atLeast(now), now, n)
}

// Take is Wait, and Charge if that is 0. n is at least 1.
func (b *Bucket) Take(s []uint64, now, n int64) (wait int64) {
	if n > b.burst {
		return -1
	}
	full := b.add(b.load(s).atLeast(now), b.cost(n))
	if wait = b.sub(full, b.tau).from(now); wait == 0 {
		b.store(s, full)
	}
	return wait
}

// WaitBehind is exact if those ahead take what they can as soon as they can.
func (b *Bucket) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	if n > b.burst {
		return -1
	}
	return b.wait(b.add(b.load(s).atLeast(now), b.cost(ahead)), now, n)
}

func (b *Bucket) wait(base point, now, n int64) int64 {
	if n <= 0 {
		return 0
	}
	return b.sub(b.add(base, b.cost(n)), b.tau).from(now)
}

// Charge takes n tokens. If there are fewer, the bucket is in debt.
func (b *Bucket) Charge(s []uint64, now, n int64) {
	if n > 0 {
		b.store(s, b.add(b.load(s).atLeast(now), b.cost(n)))
	}
}

// Promise takes n tokens as of at.
func (b *Bucket) Promise(s []uint64, at, n int64) {
	b.store(s, b.add(b.load(s).about(at), b.cost(n)))
}

// Late takes n tokens as of when they were there.
func (b *Bucket) Late(s []uint64, from, now, n int64) { b.Charge(s, b.late(from, now), n) }

// Remaining is the number of whole tokens.
func (b *Bucket) Remaining(s []uint64, now int64) int64 {
	left := b.sub(point{now + b.tau.q, b.tau.r}, b.load(s).atLeast(now))
	if left.q < 0 {
		return 0
	}
	whole, _ := b.permits(left)
	return whole
}

// Used is how many tokens are missing.
func (b *Bucket) Used(s []uint64, now int64) int64 { return b.owed(s, now) }

// Reset is when the bucket is full.
func (b *Bucket) Reset(s []uint64, now int64) int64 { return b.load(s).from(now) }

// Since is when the bucket is full: until then no time is lost.
func (b *Bucket) Since(s []uint64, now int64) int64 { return max(b.load(s).q, now) }

// Refund puts n tokens back, less those that have come again since.
func (b *Bucket) Refund(s []uint64, since, now, n int64) { b.refund(s, since, now, n) }

// PutBack puts n tokens back, whatever time has passed. Up to n more than burst may
// then have been used at one instant, if the bucket would have run over meanwhile.
func (b *Bucket) PutBack(s []uint64, now, n int64) {
	b.store(s, b.sub(b.load(s).atLeast(now), b.cost(n)).atLeast(now))
}

// Withhold makes room for n permits that are out and unused: with them, the bucket
// holds no more than burst.
func (b *Bucket) Withhold(s []uint64, now, n int64) {
	if least := b.add(point{q: now}, b.cost(n)); b.load(s).before(least) {
		b.store(s, least)
	}
}

// Fresh reports whether the bucket is full.
func (b *Bucket) Fresh(s []uint64, now int64) bool { return b.Reset(s, now) == 0 }

// Check knows broken words.
func (b *Bucket) Check(s []uint64, now int64) string { return b.check(s, now) }

// convert keeps the tokens: a full 10 of 10 becomes 10 of 20, and an empty bucket
// empty. A debt stays a debt of as many tokens.
func (b *Bucket) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*Bucket)
	if !ok {
		return false
	}
	d := b.sub(b.load(src).atLeast(now), point{q: now})
	span := t.rescale(&b.pace, d, t.burst-b.burst)
	t.store(dst, t.add(point{q: now}, point{q: span}))
	return true
}

// owed is how many permits' time lies between now and the state, rounded up.
func (p *pace) owed(s []uint64, now int64) int64 {
	whole, rest := p.permits(p.sub(p.load(s).atLeast(now), point{q: now}))
	if rest > 0 {
		whole++
	}
	return whole
}
