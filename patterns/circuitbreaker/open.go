package circuitbreaker

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/internal/growth"
	"github.com/bulwark-go/bulwark/patterns"
)

// open opens the circuit for as long as it is its turn to be.
func (m *Machine) open(cause Cause) {
	m.opens = m.currentOpens()
	m.become(Open, cause, "")
	// Never would mean that it is not open.
	m.until = min(m.hi.Add(m.openTime()), patterns.Never-1)
	if m.opens < math.MaxInt32 {
		m.opens++
	}
}

// currentOpens is opens, unless the circuit was closed for long enough to forget.
func (m *Machine) currentOpens() int {
	if m.state == Closed && !m.ramping && m.hi.Sub(m.since) >= m.cfg.ResetOpensAfter {
		return 0
	}
	return m.opens
}

func (m *Machine) openTime() time.Duration {
	d := m.cfg.OpenFor
	switch {
	case len(m.schedule) > 0:
		d = m.schedule[min(m.opens, len(m.schedule)-1)]
	case m.cfg.OpenFactor > 1:
		d = growth.Geometric(d, m.cfg.MaxOpenFor, m.cfg.OpenFactor, m.opens)
	}
	if m.seed != 0 && m.cfg.OpenJitter > 0 {
		if m.rand == nil {
			m.rand = rand.New(rand.NewPCG(m.seed, 0))
		}
		extra := float64(d) * m.cfg.OpenJitter * m.rand.Float64()
		d = patterns.Instant(d).Add(time.Duration(extra)).Sub(0)
	}
	return d
}
