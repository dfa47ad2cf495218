package adaptive

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	levels = int(patterns.Critical-patterns.Background) + 1

	// A refusal that a reserve could have prevented makes it one place larger, a grant
	// smaller by lossTarget: it comes to rest where one call in 2,000 is refused
	// (stochastic approximation of a quantile; Robbins and Monro 1951).
	lossTarget = 0.0005
	// fade is what everybody else's grants take away, so that a reserve for calls that
	// no longer come is given up.
	fade = 1.0 / 20_000

	// askedFor is for how long, at least, requests are counted to see what reserves are of
	// use for, and spread how many standard deviations of what is then in flight must fit
	// into what there is (square-root staffing; Halfin and Whitt 1981).
	askedFor = 500 * time.Millisecond
	spread   = 3
	// yield is what is left of a reserve after such a time without use.
	yield = 0.75
)

// cutoff keeps places free for those who go first. A call of some priority is granted
// as long as what is in flight leaves the reserves of all higher ones; the pressure
// that these feel is what moves the reserves.
type cutoff struct {
	held     bool            // some reserve is not 0
	inFlight [levels]int32   // weights
	greedy   int             // weight of what was granted above a share
	fair     float64         // reserve for tenants below their share, against all others
	reserve  [levels]float64 // for the calls of that priority, against all lower ones

	asked [levels]int      // weights of newcomers since
	since patterns.Instant // while held
}

// kept returns how many places a call of that level must leave free.
func (c *cutoff) kept(level int, entitled bool) float64 {
	sum := 0.0
	if !c.held {
		return sum
	}
	for i := level + 1; i < levels; i++ {
		sum += c.reserve[i]
	}
	if !entitled {
		sum += c.fair
	}
	return sum
}

// shrink makes the reserves smaller, after a grant.
func (c *cutoff) shrink(level int, entitled bool) {
	own, sum := c.reserve[level], 0.0
	for i := range c.reserve {
		c.reserve[i] -= c.reserve[i] * fade
		sum += c.reserve[i]
	}
	c.reserve[level] = max(0, own-lossTarget)
	if c.held = sum+c.fair > 0.01; !c.held {
		c.rest()
	}
	if entitled {
		c.fair = max(0, c.fair-lossTarget)
	} else {
		c.fair -= c.fair * fade
	}
}

// rest gives up all reserves.
func (c *cutoff) rest() { c.reserve, c.fair, c.held = [levels]float64{}, 0, false }

// ask counts a newcomer, and looks from time to time what reserves are of use for. If
// everybody who came of late, the refused included, would have found room, nobody goes
// first. Else what is more than a priority could use becomes less, down to one place: what
// grew while calls took long would keep all others out long after.
func (c *cutoff) ask(now patterns.Instant, level, weight int, latency time.Duration, limit float64) {
	c.asked[level] += weight
	passed := now.Sub(c.since)
	if passed < max(askedFor, 4*latency) {
		return
	}
	all := 0
	for i, n := range c.asked {
		all += n
		c.reserve[i] = min(c.reserve[i], max(1, yield*c.reserve[i], places(n, latency, passed)))
	}
	if places(all, latency, passed) <= limit {
		c.rest()
	}
	c.asked, c.since = [levels]int{}, now
}

// places is how many places are enough for n calls in that time. By Little's law, and
// calls that take latency.
func places(n int, latency, passed time.Duration) float64 {
	mean := float64(n) * float64(latency) / float64(passed)
	return mean + spread*math.Sqrt(mean)
}

// refused makes the reserves grow, if there is anybody to hold back.
func (c *cutoff) refused(now patterns.Instant, level int, entitled bool, limit float64) {
	if !c.held {
		c.asked, c.since = [levels]int{}, now
	}
	lower := int32(0)
	for i := range level {
		lower += c.inFlight[i]
	}
	if lower > 0 {
		c.reserve[level], c.held = min(c.reserve[level]+1, limit), true
	}
	if entitled && c.greedy > 0 {
		c.fair, c.held = min(c.fair+1, limit), true
	}
}
