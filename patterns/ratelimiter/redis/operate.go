package redislimiter

import (
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Operate carries out an operator's command in this instance:
//
//   - Reset ends a forced state. What was used is in Redis, and stays: see Limiter.Forget.
//   - ForceOpen refuses every request, ForceClosed lets every one pass and asks nobody,
//     MetricsOnly asks Redis and lets every one pass.
//
// Each holds for op.For, or until the next command if that is 0. The error, if any, is a
// *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.For < 0 {
		return &patterns.ConfigError{Pattern: pattern, Field: "For", Value: op.For, Problem: "must not be negative"}
	}
	var to ratelimiter.State
	switch op.Kind {
	case patterns.Reset:
		m.become(ratelimiter.Limiting, ratelimiter.CauseReset, op.Note)
		return nil
	case patterns.ForceOpen:
		to = ratelimiter.ForcedOpen
	case patterns.ForceClosed:
		to = ratelimiter.ForcedClosed
	case patterns.MetricsOnly:
		to = ratelimiter.MetricsOnly
	default:
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a limiter can do"}
	}
	m.become(to, ratelimiter.CauseForced, op.Note)
	if op.For > 0 {
		m.until = m.hi.Add(op.For)
	}
	return nil
}

// become is the only place where the state changes. It starts an epoch.
func (m *Machine) become(to ratelimiter.State, cause ratelimiter.Cause, note string) {
	m.epoch++
	m.events.Put(ratelimiter.StateChanged{
		Name: m.name, From: m.state, To: to, Cause: cause, Epoch: m.epoch, At: m.wall(m.hi), Note: note,
	})
	m.state, m.until, m.dirty = to, patterns.Never, true
}

// Reconfigure changes the policy. What was used is in Redis, and stays: a bucket keeps its
// tokens, as many as have room. Leases are given back, and what was reserved can no longer be
// cancelled. Other instances go on by the rates that they have: change them too.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	c.Algorithm, c.Client, c.URL, c.Prefix, c.Mode, c.OnFailure = old.Algorithm, old.Client, old.URL, old.Prefix, old.Mode, old.OnFailure
	if c == old {
		return
	}
	m.dissolveAll()
	clear(m.reservations.of)
	m.adopt(c)
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
}
