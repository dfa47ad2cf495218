package rules

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// probeID is the permit of the one probe that a circuit has.
const probeID = 1

// open opens the circuit of c, which failed once too often.
func (m *Machine) open(c *child) {
	if c.circuit == nil {
		c.circuit = m.newCircuit(ofBreaker(m.cfg.Breaker), uint64(c.id))
	}
	m.block(c, Open, CauseTooOften, trip(c.circuit, m.hi))
}

// halfOpen tries c, whose open time is over.
func (m *Machine) halfOpen(c *child) {
	c.permit = probe(c.circuit, m.hi)
	c.probing = true
	m.unschedule(c)
	m.ready(c)
}

// probePassed closes the circuit that c is the probe of.
func (m *Machine) probePassed(c *child, cause Cause) {
	c.probing = false
	c.tripped = nil
	m.unschedule(c)
	m.become(c, Running, cause, patterns.Never)
	if c.shut {
		c.shut = false
		m.effect(Effect{Do: DoOpen, Child: c.id})
	}
	if m.group != nil && m.group.probe == c {
		m.closeGroup(cause)
		return
	}
	c.circuit.Report(m.hi, c.permit, patterns.Success, 0)
}

// probeFailed opens the circuit of c again.
func (m *Machine) probeFailed(c *child) {
	c.probing = false
	c.circuit.Report(m.hi, c.permit, patterns.Failure, 0)
	m.block(c, Open, CauseProbeFailed, openUntil(c.circuit))
}

// pass is how many messages c is given as a probe.
func (m *Machine) pass(c *child) int {
	if m.group != nil && m.group.probe == c {
		return 1
	}
	return m.cfg.Breaker.Probes
}

// quiet is how long c must run to pass as a probe; 0 if only its mailbox can say so.
func (m *Machine) quiet(c *child) time.Duration {
	switch {
	case m.group != nil && m.group.probe == c:
		return m.cfg.Correlated.ProbeFor
	case c.gated:
		return 0
	}
	return m.cfg.Breaker.ProbeFor
}

// newCircuit returns a closed circuit, which draws its jitter from a source of its own.
func (m *Machine) newCircuit(cfg circuitbreaker.Config, salt uint64) *circuitbreaker.Machine {
	seed := m.seed
	if seed != 0 {
		seed = max(1, seed^salt*0x9e3779b97f4a7c15)
	}
	return circuitbreaker.NewMachine(circuitbreaker.Params{Now: m.hi, Config: cfg, Seed: seed})
}

// trip opens a closed circuit, and returns until when.
func trip(b *circuitbreaker.Machine, now patterns.Instant) patterns.Instant {
	d := b.Acquire(now, probeID, nil)
	b.Report(now, patterns.PermitID{Epoch: d.Epoch, ID: probeID}, patterns.Failure, 0)
	return openUntil(b)
}

// probe makes a circuit whose open time is over half-open.
func probe(b *circuitbreaker.Machine, now patterns.Instant) patterns.PermitID {
	return patterns.PermitID{Epoch: b.Acquire(now, probeID, nil).Epoch, ID: probeID}
}

// openUntil is when the open time of an open circuit is over.
func openUntil(b *circuitbreaker.Machine) patterns.Instant {
	_, until, _ := b.Refusal()
	return until
}
