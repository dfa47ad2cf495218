package fallback

import (
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out a Reset, which forgets the last good values. A fallback has no meaning
// for other commands; the error is a *patterns.ConfigError.
func (m *Machine[T]) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a fallback can do"}
	}
	m.forget()
	return nil
}

// Reconfigure changes the policy, Steps too, and keeps the last good values that there is room
// and use for.
func (m *Machine[T]) Reconfigure(now patterns.Instant, c Config[T]) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.prune() // what was too old stays so
	m.sweep = patterns.Never
	m.adopt(c)
	m.tell(ConfigChanged{
		Name: m.name, At: m.wall(m.hi),
		Steps: c.Steps.String(), LastGood: c.LastGood, StaleFor: c.StaleFor, MaxKeys: c.MaxKeys, KeepRejections: c.KeepRejections,
	})
}

// Check returns an error if an invariant does not hold.
func (m *Machine[T]) Check() error {
	if m.plan == nil || m.kept == nil || m.ages == nil {
		return errors.New("fallback: something is missing")
	}
	if m.ages.Len() != len(m.kept) || len(m.kept) > m.cfg.MaxKeys {
		return errors.New("fallback: last good values do not add up")
	}
	if (m.sweep == patterns.Never) != (len(m.kept) == 0) {
		return errors.New("fallback: last good values are never dropped, or there are none")
	}
	at := patterns.Never
	for e := m.ages.Front(); e != nil; e = e.Next() {
		g, ok := e.Value.(*good)
		if !ok || m.kept[g.key] != g || g.place != e || g.at > at {
			return errors.New("fallback: a last good value is out of place")
		}
		at = g.at
	}
	return nil
}

// Repair forgets the last good values, and goes by its Config.
func (m *Machine[T]) Repair(now patterns.Instant) {
	m.settle(now)
	m.forget()
	m.adopt(m.cfg)
	m.epoch++
}
