package budget

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Machine is one budget. It must not be used from two goroutines at once.
type Machine struct {
	every time.Duration
	depth time.Duration // Burst · Every

	hi   patterns.Instant // latest now seen
	full patterns.Instant // when the bucket is full again
}

// New returns a full budget. It panics with cfg.Validate's error if there is one.
func New(cfg Config) *Machine {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	return &Machine{
		every: cfg.Every, depth: time.Duration(cfg.Burst) * cfg.Every,
		hi: math.MinInt64, full: math.MinInt64,
	}
}

// Take takes one restart out of the budget. If there is none left it takes nothing,
// and says how long to wait until there is. A now before the latest one seen is taken
// for that one.
func (m *Machine) Take(now patterns.Instant) (wait time.Duration) {
	if wait = m.Wait(now, 0); wait == 0 {
		m.full = max(m.full, m.hi).Add(m.every)
	}
	return wait
}

// Wait returns how long somebody must wait who has ahead others before him, who take
// what they can as soon as they can. It takes nothing.
func (m *Machine) Wait(now patterns.Instant, ahead int) time.Duration {
	m.hi = max(m.hi, now)
	used := max(m.full, m.hi).Sub(m.hi)
	if ahead >= math.MaxInt64/int(m.every)-1 {
		return math.MaxInt64
	}
	return max(0, patterns.Instant(used).Add(time.Duration(ahead+1)*m.every).Add(-m.depth).Sub(0))
}
