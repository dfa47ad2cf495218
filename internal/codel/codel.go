// Package codel keeps queues short by how long those in them wait. It is a rule for a
// queue that a host keeps: patterns and mailboxes both have some.
package codel

import (
	"math"
	"time"
)

// CoDel is the control law of RFC 8289: once everybody has waited for longer than Target
// for a whole Interval, it drops one of those who wait, and the next ones at a growing
// rate until waiting is short again. Ask it with Drop for each item whose turn it is,
// and tell it with Empty when there is none.
//
// An item whose turn it is but which cannot be served yet may be asked for again.
//
// T is the host's instant: nanoseconds since whatever it likes.
type CoDel[T ~int64] struct {
	Target, Interval time.Duration

	state law
	rated bool   // above is set
	above T      // when waiting will have been long for an Interval
	next  T      // when to drop again, while dropping
	count uint32 // drops since dropping began, or a little less: see enter
	last  uint32 // count when it began
}

// law is where CoDel stands.
type law uint8

const (
	resting  law = iota
	entering     // it has just dropped the first; what comes next is let through
	dropping
	spacing // it has just dropped one more; what comes next says whether to go on
)

// reentry is how many Intervals after the end of dropping a new one goes on where the
// old one left off, instead of beginning slowly.
const reentry = 16

// Drop reports whether the item that has waited since then is to be dropped. short says
// that there are too few behind it to call it a queue.
func (c *CoDel[T]) Drop(now, since T, short bool) bool {
	long := c.long(now, since, short)
	switch {
	case c.state == entering:
		c.state = dropping
		return false
	case c.state == resting && long:
		c.enter(now)
		return true
	case c.state == resting:
		return false
	case !long:
		c.state = resting
		return false
	}
	if c.state == spacing {
		c.state = dropping
		c.next = after(c.next, c.pace())
	}
	if now < c.next {
		return false
	}
	if c.count < math.MaxUint32 {
		c.count++
	}
	c.state = spacing
	return true
}

// Empty says that nobody waits.
func (c *CoDel[T]) Empty() {
	c.rated = false
	if c.state == entering {
		c.state = dropping
	} else {
		c.state = resting
	}
}

// Again is when Drop may say something new of an item that has waited since then, and
// that it has just let through: after now.
func (c *CoDel[T]) Again(now, since T) T {
	at := after(since, c.Target)
	if c.rated {
		at = c.above
		if c.state != resting {
			at = c.next
		}
	}
	return max(at, after(now, 1))
}

// Dropping reports whether waiting is long.
func (c *CoDel[T]) Dropping() bool { return c.state != resting }

// long reports whether waiting has been long for an Interval.
func (c *CoDel[T]) long(now, since T, short bool) bool {
	switch {
	case between(since, now) < c.Target || short:
		c.rated = false
		return false
	case !c.rated:
		c.rated, c.above = true, after(now, c.Interval)
		return false
	}
	return now >= c.above
}

func (c *CoDel[T]) enter(now T) {
	fresh := c.count - c.last
	c.state = entering
	if fresh > 1 && between(c.next, now) < reentry*c.Interval {
		c.count = fresh
	} else {
		c.count = 1
	}
	c.next = after(now, c.pace())
	c.last = c.count
}

// pace is the time between two drops.
func (c *CoDel[T]) pace() time.Duration {
	return time.Duration(float64(c.Interval) / math.Sqrt(float64(c.count)))
}

// after returns t+d, or, where that overflows, the latest instant.
func after[T ~int64](t T, d time.Duration) T {
	if sum := t + T(d); d < 0 || sum >= t {
		return sum
	}
	return math.MaxInt64
}

// between returns how long after from to is, as far as a Duration can say it.
func between[T ~int64](from, to T) time.Duration {
	diff := to - from
	switch {
	case to > from && diff < 0:
		return math.MaxInt64
	case to < from && diff > 0:
		return math.MinInt64
	}
	return time.Duration(diff)
}
