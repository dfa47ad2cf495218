package timeout

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out a Reset, which forgets how long calls took. A timeout has no meaning for
// other commands; the error is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a timeout can do"}
	}
	if m.latest != nil {
		m.latest.Reset()
		m.follow()
	}
	return nil
}

// Reconfigure changes the policy: calls that begin from now on go by it. What is left behind
// stays so, and counts; what was learned is kept.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.adopt(c)
	m.decide()
	m.said = m.plan.limit // and this says so
	m.tell(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	switch {
	case m.plan == nil:
		return errors.New("timeout: no plan")
	case m.plan.apart != m.cfg.Abandon, m.plan.follows != (m.latest != nil), m.plan.follows != (m.cfg.Quantile > 0):
		return errors.New("timeout: the plan is another one's")
	case m.strays == nil:
		return errors.New("timeout: nobody knows what is left behind")
	case (m.plan.refusal != nil) != (m.cfg.Abandon && len(m.strays) >= m.cfg.MaxAbandoned):
		return errors.New("timeout: it refuses and has room, or the reverse")
	case m.latest != nil:
		return m.latest.Check()
	}
	return nil
}

// Repair makes the plan anew, keeps what is left behind, and forgets how long calls took.
func (m *Machine) Repair(now patterns.Instant) {
	m.settle(now)
	if m.strays == nil {
		m.strays = map[*stray]struct{}{}
	}
	m.plan, m.latest = nil, nil
	m.adopt(m.cfg)
	m.decide()
	m.epoch++
	m.dirty = true
}
