package rate

// Pacing lets permits pass one at a time, evenly spaced: no burst, whatever the idle
// time before. The state is the earliest time of the next. A request waits only for
// those before it; how much it takes is what the one after it waits for.
type Pacing struct {
	pace
	most int64
}

// NewPacing returns the rule of count permits per period ns, one every period/count.
// A single request may take up to count.
func NewPacing(count, period int64) *Pacing {
	return &Pacing{pace: newPace(count, period), most: count}
}

// Words is 1 where a permit takes a whole number of ns, and otherwise 2.
func (p *Pacing) Words() int { return p.words() }

// Capacity is what one period lets pass.
func (p *Pacing) Capacity() int64 { return p.most }

// Start lets the first request pass at once.
func (p *Pacing) Start(s []uint64, now int64) { p.store(s, point{q: now}) }

// Wait is the same for every n that is possible.
func (p *Pacing) Wait(s []uint64, now, n int64) int64 {
	switch {
	case n > p.most:
		return -1
	case n <= 0:
		return 0
	}
	return p.load(s).from(now)
}

// WaitBehind is exact.
func (p *Pacing) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	switch {
	case n > p.most:
		return -1
	case n <= 0:
		return 0
	}
	return p.add(p.load(s).atLeast(now), p.cost(ahead)).from(now)
}

// Charge makes the next request wait.
func (p *Pacing) Charge(s []uint64, now, n int64) {
	if n > 0 {
		p.store(s, p.add(p.load(s).atLeast(now), p.cost(n)))
	}
}

// Promise makes the one after it wait.
func (p *Pacing) Promise(s []uint64, at, n int64) {
	p.store(s, p.add(p.load(s).about(at), p.cost(n)))
}

// Late makes the one after it wait no longer than if it had come in time.
func (p *Pacing) Late(s []uint64, from, now, n int64) { p.Charge(s, p.late(from, now), n) }

// Remaining is 1 if a request would pass now, and else 0.
func (p *Pacing) Remaining(s []uint64, now int64) int64 {
	if p.Fresh(s, now) {
		return 1
	}
	return 0
}

// Used is how many permits' time has yet to pass.
func (p *Pacing) Used(s []uint64, now int64) int64 { return p.owed(s, now) }

// Reset is when the next request passes.
func (p *Pacing) Reset(s []uint64, now int64) int64 { return p.load(s).from(now) }

// Since is when the next request passes: until then no time is lost.
func (p *Pacing) Since(s []uint64, now int64) int64 { return max(p.load(s).q, now) }

// Refund lets the next request pass as early as it would have without the charge.
func (p *Pacing) Refund(s []uint64, since, now, n int64) { p.refund(s, since, now, n) }

// Fresh reports whether a request would pass now: then nothing is remembered.
func (p *Pacing) Fresh(s []uint64, now int64) bool { return p.Reset(s, now) == 0 }

// Check knows broken words.
func (p *Pacing) Check(s []uint64, now int64) string { return p.check(s, now) }

func (p *Pacing) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*Pacing)
	if !ok {
		return false
	}
	d := p.sub(p.load(src).atLeast(now), point{q: now})
	t.store(dst, point{q: now + t.rescale(&p.pace, d, 0)})
	return true
}
