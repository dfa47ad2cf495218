package config

import (
	"context"
	"reflect"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// kind is a pattern that a file may name.
type kind struct {
	name string
	// wire is what a section is read into: the pattern's Config, or a struct around it.
	wire reflect.Type
	// fold makes the Config of a wire, and checks it.
	fold func(wire any) (config any, err error)
	// refers returns the name of the budget that a wire shares; nil if the pattern has none.
	refers func(wire any) string
	// bind returns a Config that shares a budget.
	bind func(config any, budget patterns.Guard) any
	// shared guards are no parts of pipelines, but of other guards.
	shared bool
	// spawn starts a guard.
	spawn func(guards *actors.Registry, name string, config any) (*running, error)
}

// running is a guard, whatever its pattern.
type running struct {
	guard       patterns.Guard // the pattern's own handle
	validate    func(config any) error
	reconfigure func(ctx context.Context, config any) error
	stop        func(ctx context.Context) error
}

// handle is what every pattern's own handle can do.
type handle[C any] interface {
	patterns.Guard
	Validate(c C) error
	Reconfigure(ctx context.Context, c C) error
	Stop(ctx context.Context) error
}

// config is what every pattern's Config is.
type config interface{ Validate() error }

// plain is a pattern whose sections are its Config.
func plain[C config, G handle[C]](name string, spawn func(*actors.Registry, string, C, ...actors.Option) (G, error)) kind {
	return folded(name, spawn, func(c C) (C, error) { return c, nil })
}

// folded is a pattern whose sections are a W, of which fold makes its Config.
func folded[W any, C config, G handle[C]](name string, spawn func(*actors.Registry, string, C, ...actors.Option) (G, error), fold func(W) (C, error)) kind {
	return kind{
		name: name, wire: reflect.TypeFor[W](),
		fold: func(wire any) (any, error) {
			c, err := fold(wire.(W))
			if err == nil {
				err = c.Validate()
			}
			return c, err
		},
		spawn: func(guards *actors.Registry, name string, c any) (*running, error) {
			g, err := spawn(guards, name, c.(C))
			if err != nil {
				return nil, err
			}
			return &running{
				guard:       g,
				validate:    func(c any) error { return g.Validate(c.(C)) },
				reconfigure: func(ctx context.Context, c any) error { return g.Reconfigure(ctx, c.(C)) },
				stop:        g.Stop,
			}, nil
		},
	}
}
