package loadshedder

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// A grade is a priority, and in it whether a key has got no more than its share. The
// lower goes first.
const (
	levels = int(patterns.Critical-patterns.Background) + 1
	grades = 2 * levels
	// spared is the lowest grade that measurements do not touch.
	spared = grades - 2
)

func levelOf(p patterns.Priority) int { return int(p - patterns.Background) }

func gradeOf(p patterns.Priority, entitled bool) int {
	g := 2 * levelOf(p)
	if entitled {
		g++
	}
	return g
}

const (
	// Arrivals are remembered for about this long,
	memory = 2 * time.Second
	// and counted in steps of that.
	rollEvery = 250 * time.Millisecond

	// A refusal for want of room makes the reserve of its grade one place larger, and each
	// grant smaller by lossTarget: it comes to rest where one in 2,000 is refused
	// (stochastic approximation of a quantile; Robbins and Monro 1951).
	lossTarget = 0.0005
	// A reserve of less than a place is none.
	leastReserve = 0.01
)

// cutoff says which requests to shed so that a share of them is, or that the higher find
// room: those of the lowest grades.
type cutoff struct {
	arrivals [grades]uint64  // since the last roll
	seen     [grades]float64 // before; each roll fades them
	rolled   patterns.Instant

	share float64          // for which open was made
	open  [grades]float64  // the share of each grade that is admitted
	debt  [grades]float64  // requests to shed: one is when it reaches 1
	spare patterns.Instant // when Config.Floor lets the next one through

	reserve [grades]float64 // places kept for that grade, against all lower ones
	held    bool            // some reserve is not 0: only under strain
}

// roll makes the arrivals part of what was seen.
func (c *cutoff) roll(now patterns.Instant) {
	since := now.Sub(c.rolled)
	if since < rollEvery {
		return
	}
	keep := math.Exp(-float64(since) / float64(memory))
	for i, n := range c.arrivals {
		c.seen[i] = c.seen[i]*keep + float64(n)
		if n == 0 { // whoever it was for has stayed away
			c.reserve[i] *= keep
		}
	}
	c.arrivals, c.rolled = [grades]uint64{}, now
	c.divide(c.share)
	if c.held {
		c.hold()
	}
}

// rest gives up all reserves.
func (c *cutoff) rest() { c.reserve, c.held = [grades]float64{}, false }

// hold gives up reserves that are none.
func (c *cutoff) hold() {
	sum := 0.0
	for _, r := range c.reserve {
		sum += r
	}
	if sum <= leastReserve {
		c.rest()
	}
}

// divide sets how much of each grade is admitted if share of all requests is shed. Where
// nobody knows who comes, all grades lose the same.
func (c *cutoff) divide(share float64) {
	total := 0.0
	for _, n := range c.seen {
		total += n
	}
	c.share = share
	left := share * total
	for i := range c.open {
		n := c.seen[i]
		switch {
		case i >= spared:
			c.open[i] = 1
		case total == 0:
			c.open[i] = 1 - share
		case left > 0 && n <= left: // none of them, were there any
			c.open[i] = 0
			left -= n
		case left > 0:
			c.open[i] = 1 - left/n
			left = 0
		default:
			c.open[i] = 1
		}
	}
}

// admits decides on one request of that grade, if share of all are to be shed.
func (c *cutoff) admits(share float64, grade int) bool {
	if share != c.share {
		c.divide(share)
	}
	if c.open[grade] >= 1 {
		return true
	}
	if c.debt[grade] += 1 - c.open[grade]; c.debt[grade] < 1 {
		return true
	}
	c.debt[grade]--
	return false
}

// closed reports whether nobody of that grade is admitted.
func (c *cutoff) closed(share float64, grade int) bool {
	if share != c.share {
		c.divide(share)
	}
	return c.open[grade] <= 0
}

// critical is the share of requests that measurements do not touch.
func (c *cutoff) critical() float64 {
	total, top := 0.0, 0.0
	for i, n := range c.seen {
		if total += n; i >= spared {
			top += n
		}
	}
	if total == 0 {
		return 0
	}
	return top / total
}

// kept returns how many places a request of that grade must leave free.
func (c *cutoff) kept(grade int) (sum float64) {
	for _, r := range c.reserve[grade+1:] {
		sum += r
	}
	return sum
}

// refused makes the reserve of a grade grow that found no room, if there is anybody lower
// to hold back.
func (c *cutoff) refused(grade, room int) {
	for i := range grade {
		if c.seen[i]+float64(c.arrivals[i]) >= 1 {
			c.reserve[grade], c.held = min(c.reserve[grade]+1, float64(room)), true
			return
		}
	}
}

// granted makes the reserve of a grade shrink.
func (c *cutoff) granted(grade int) {
	c.reserve[grade] = max(0, c.reserve[grade]-lossTarget)
	c.hold()
}

// gradeOf returns the grade of r.
func (m *Machine) gradeOf(r *patterns.Request) int {
	return gradeOf(r.Priority, !m.cfg.Fair || m.users.entitled(m.hi, m.seed, r.Key))
}

// arrive counts a newcomer.
func (m *Machine) arrive(r *patterns.Request) (grade int) {
	grade = m.gradeOf(r)
	m.cutoff.arrivals[grade]++
	if m.strain.on {
		m.cutoff.roll(m.hi)
	}
	return grade
}

// share is what share of all requests to shed because of what was measured, or because
// it is turned down where it is sent on.
func (m *Machine) share() float64 {
	share := 1 - m.control.admit
	if m.throttled() {
		share = max(share, m.throttle.Share(m.hi))
	}
	return share
}

// cut decides whether a newcomer is to be shed because of that, and says why; CauseNone
// if not.
func (m *Machine) cut(grade int) Cause {
	share := m.share()
	if share == 0 {
		return CauseNone
	}
	m.cutoff.roll(m.hi)
	if m.cutoff.admits(share, grade) {
		return CauseNone
	}
	if m.cfg.Floor != Off && m.hi >= m.cutoff.spare {
		m.cutoff.spare = m.hi.Add(seconds(1 / m.cfg.Floor))
		return CauseNone
	}
	return m.blamed()
}

// blamed is why requests are cut.
func (m *Machine) blamed() Cause {
	if m.throttled() && m.throttle.Share(m.hi) > 1-m.control.admit {
		return CauseThrottle
	}
	return m.control.blame.cause()
}
