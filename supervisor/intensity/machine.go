package intensity

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Machine remembers the latest restarts and decides on the next one. Its memory is
// taken by New and never grows. It must not be used from two goroutines at once.
type Machine struct {
	restarts   int           // allowed within period; 0 if never, MaxInt if unlimited
	period     time.Duration // a multiple of resolution
	resolution time.Duration

	hi patterns.Instant // latest now seen

	// ring holds n restarts, oldest at head, each cut to resolution. One more than
	// are allowed is enough: the decision asks only whether the one that came
	// restarts before this one still counts.
	ring    []patterns.Instant
	head, n int
}

// New returns a Machine that has seen no restart. It panics with cfg.Validate's
// error if there is one.
func New(cfg Config) *Machine {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	if cfg.Restarts == Unlimited {
		return &Machine{restarts: math.MaxInt, period: cfg.Period, resolution: cfg.Resolution}
	}
	return newMachine(cfg, max(cfg.Restarts, 0)+1)
}

// newMachine remembers up to memory restarts. cfg is valid, with no zero fields.
func newMachine(cfg Config, memory int) *Machine {
	return &Machine{
		restarts:   max(cfg.Restarts, 0),
		period:     cfg.Period,
		resolution: cfg.Resolution,
		hi:         math.MinInt64,
		ring:       make([]patterns.Instant, memory),
	}
}

// Restart counts a restart that is wanted at now, and reports whether it may
// happen. One that may not counts as well. A now before the latest one seen is
// taken for that one.
func (m *Machine) Restart(now patterns.Instant) (ok bool) {
	if len(m.ring) == 0 {
		return true
	}
	m.hi = max(m.hi, now)
	t := m.cut(m.hi)
	for m.n > 0 && t.Sub(m.ring[m.head]) > m.period {
		m.dropOldest()
	}
	if m.n == len(m.ring) {
		m.dropOldest()
	}
	m.ring[m.at(m.n)] = t
	m.n++
	return m.n <= m.restarts
}

// Count returns how many restarts, refused ones included, count at now. It stops
// at one more than are allowed: beyond that all numbers mean the same. Where any
// number is allowed it is 0. It changes nothing.
func (m *Machine) Count(now patterns.Instant) int {
	t := m.cut(now) // before m.hi it finds them all, as m.hi does
	for i := range m.n {
		if t.Sub(m.ring[m.at(i)]) <= m.period {
			return m.n - i
		}
	}
	return 0
}

// Limit returns how many restarts are allowed, 0 for Never and math.MaxInt for
// Unlimited, in what period.
func (m *Machine) Limit() (restarts int, period time.Duration) {
	return m.restarts, m.period
}

// dropOldest forgets the oldest restart.
func (m *Machine) dropOldest() {
	m.head = m.at(1)
	m.n--
}

// at is where in the ring the i-th oldest restart is, i at most len(m.ring).
func (m *Machine) at(i int) int {
	if i += m.head; i >= len(m.ring) {
		i -= len(m.ring)
	}
	return i
}

// cut returns the largest multiple of the resolution that is not after t.
func (m *Machine) cut(t patterns.Instant) patterns.Instant {
	rest := time.Duration(t) % m.resolution
	if rest < 0 {
		rest += m.resolution
	}
	return t.Add(-rest)
}
