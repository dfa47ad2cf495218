package adaptive

import "github.com/bulwark-go/bulwark/patterns"

const (
	levels = int(patterns.Critical-patterns.Background) + 1

	// A refusal that a reserve could have prevented makes it one place larger, a grant
	// smaller by lossTarget: it comes to rest where one call in 2,000 is refused
	// (stochastic approximation of a quantile; Robbins and Monro 1951).
	lossTarget = 0.0005
	// fade is what everybody else's grants take away, so that a reserve for calls that
	// no longer come is given up.
	fade = 1.0 / 20_000
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
		c.reserve, c.fair = [levels]float64{}, 0
	}
	if entitled {
		c.fair = max(0, c.fair-lossTarget)
	} else {
		c.fair -= c.fair * fade
	}
}

// refused makes the reserves grow, if there is anybody to hold back.
func (c *cutoff) refused(level int, entitled bool, limit float64) {
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
