package timeout

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate refuses every command: a timeout has no meaning for them. The error is a
// *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a timeout can do"}
}

// Reconfigure changes the policy: calls that begin from now on go by it. What is left behind
// stays so, and counts.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.cfg = c
	m.decide()
	m.tell(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	switch {
	case m.plan == nil:
		return errors.New("timeout: no plan")
	case m.plan.apart != m.cfg.Abandon:
		return errors.New("timeout: the plan is another one's")
	case m.strays == nil:
		return errors.New("timeout: nobody knows what is left behind")
	case (m.plan.refusal != nil) != (m.cfg.Abandon && len(m.strays) >= m.cfg.MaxAbandoned):
		return errors.New("timeout: it refuses and has room, or the reverse")
	}
	return nil
}

// Repair makes the plan anew, and keeps what is left behind.
func (m *Machine) Repair(now patterns.Instant) {
	m.settle(now)
	if m.strays == nil {
		m.strays = map[*stray]struct{}{}
	}
	m.plan = nil
	m.decide()
	m.epoch++
	m.dirty = true
}
