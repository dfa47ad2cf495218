// Package aqm holds rules that keep queues short (active queue management), for queues
// that a host keeps.
package aqm

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// CoDel is the control law of RFC 8289: once everybody has waited for longer than Target
// for a whole Interval, it drops one of those who wait, and the next ones at a growing
// rate until waiting is short again. Ask it with Drop for each item whose turn it is,
// and tell it with Empty when there is none.
//
// An item whose turn it is but which cannot be served yet may be asked for again.
type CoDel struct {
	Target, Interval time.Duration

	state law
	rated bool             // above is set
	above patterns.Instant // when waiting will have been long for an Interval
	next  patterns.Instant // when to drop again, while dropping
	count uint32           // drops since dropping began, or a little less: see enter
	last  uint32           // count when it began
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
func (c *CoDel) Drop(now, since patterns.Instant, short bool) bool {
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
		c.next = c.next.Add(c.pace())
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
func (c *CoDel) Empty() {
	c.rated = false
	if c.state == entering {
		c.state = dropping
	} else {
		c.state = resting
	}
}

// Again is when Drop may say something new of an item that has waited since then, and
// that it has just let through: after now.
func (c *CoDel) Again(now, since patterns.Instant) patterns.Instant {
	at := since.Add(c.Target)
	if c.rated {
		at = c.above
		if c.state != resting {
			at = c.next
		}
	}
	return max(at, now.Add(1))
}

// Dropping reports whether waiting is long.
func (c *CoDel) Dropping() bool { return c.state != resting }

// long reports whether waiting has been long for an Interval.
func (c *CoDel) long(now, since patterns.Instant, short bool) bool {
	switch {
	case now.Sub(since) < c.Target || short:
		c.rated = false
		return false
	case !c.rated:
		c.rated, c.above = true, now.Add(c.Interval)
		return false
	}
	return now >= c.above
}

func (c *CoDel) enter(now patterns.Instant) {
	fresh := c.count - c.last
	c.state = entering
	if fresh > 1 && now.Sub(c.next) < reentry*c.Interval {
		c.count = fresh
	} else {
		c.count = 1
	}
	c.next = now.Add(c.pace())
	c.last = c.count
}

// pace is the time between two drops.
func (c *CoDel) pace() time.Duration {
	return time.Duration(float64(c.Interval) / math.Sqrt(float64(c.count)))
}
