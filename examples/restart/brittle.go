package main

import (
	"errors"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// poison is the key of the request that meets the bug.
const poison = "poison"

// brittle is the rules of a circuit breaker with a bug in them. Bulwark's actor runs
// any Machine, so it runs this one.
type brittle struct {
	*circuitbreaker.Machine
	sabotage bool // the bug leaves broken state behind
	broken   bool
}

// Acquire panics in the middle of its work: the permit is granted, nobody has it yet.
func (b *brittle) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	d := b.Machine.Acquire(now, id, r)
	if r.Key == poison {
		b.broken = b.sabotage
		panic("a bug in the breaker")
	}
	return d
}

// Check is what the actor asks after a restart: may this state be kept?
func (b *brittle) Check() error {
	if b.broken {
		return errors.New("the bug broke something")
	}
	return b.Machine.Check()
}

// Repair rebuilds the state that Check complained of.
func (b *brittle) Repair(now patterns.Instant) {
	b.broken = false
	b.Machine.Repair(now)
}

func spawnBrittle(guards *actors.Registry, name string, cfg circuitbreaker.Config, sabotage bool) (*circuitbreaker.Breaker, error) {
	spec := actors.Spec[circuitbreaker.Config, circuitbreaker.Snapshot]{
		Pattern: "brittle", Config: cfg, Validate: circuitbreaker.Config.Validate,
		New: func(o actors.Origin) actors.Machine[circuitbreaker.Config, circuitbreaker.Snapshot] {
			return &brittle{sabotage: sabotage, Machine: circuitbreaker.NewMachine(circuitbreaker.Params{
				Name: o.Name, Origin: o.Time, Now: o.Now, Config: cfg,
			})}
		},
	}
	wrap := func(t *actors.Typed[circuitbreaker.Config, circuitbreaker.Snapshot]) *circuitbreaker.Breaker {
		return &circuitbreaker.Breaker{Typed: t}
	}
	return actors.Spawn(guards, name, spec, wrap)
}
