package backoff

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/internal/growth"
	"github.com/bulwark-go/bulwark/patterns"
)

// Machine counts the failures in a row of one child. It must not be used from two
// goroutines at once.
type Machine struct {
	base, max  time.Duration
	factor     float64
	resetAfter time.Duration
	jitter     float64 // 0 if none

	hi      patterns.Instant // latest now seen
	due     patterns.Instant // of the latest restart; meaningless before the first
	attempt int              // failures in a row
}

// New returns a Machine that has seen no failure. It panics with cfg.Validate's
// error if there is one.
func New(cfg Config) *Machine {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	return &Machine{
		base:       cfg.Base,
		max:        cfg.Max,
		factor:     cfg.Factor,
		resetAfter: cfg.ResetAfter,
		jitter:     max(cfg.Jitter, 0),
		hi:         math.MinInt64,
	}
}

// Fail counts a failure at now, and returns how long to wait before the restart. u,
// from 0 up to 1, says how much of the jitter to add; what is outside is taken for
// the nearer end, and NaN for 0. A now before the latest one seen is taken for that
// one.
func (m *Machine) Fail(now patterns.Instant, u float64) (delay time.Duration) {
	m.hi = max(m.hi, now)
	if m.attempt > 0 && m.hi.Sub(m.due) >= m.resetAfter {
		m.attempt = 0
	}
	delay = growth.Geometric(m.base, m.max, m.factor, m.attempt)
	delay += m.extra(delay, u)
	m.attempt++
	m.due = m.hi.Add(delay)
	return delay
}

// Attempt returns how many failures in a row there were: 1 after the first one. It
// does not look at the clock, so it says so until the next failure.
func (m *Machine) Attempt() int { return m.attempt }

// extra is the share u of the jitter on d.
func (m *Machine) extra(d time.Duration, u float64) time.Duration {
	if !(u > 0) {
		return 0
	}
	return time.Duration(float64(d) * m.jitter * min(u, 1))
}
