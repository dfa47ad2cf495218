package config

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// Set is the guards and pipelines of a File while they run. It is safe for concurrent use.
type Set struct {
	registry *actors.Registry
	log      *slog.Logger
	stops    bool // what is removed
	grace    time.Duration
	turn     chan struct{} // held by who changes the Set
	current  atomic.Pointer[generation]
}

// generation is a Set between two changes. It does not change itself.
type generation struct {
	file      *File
	guards    map[string]*member
	pipelines map[string]*pipeline.Pipeline
}

// configOf is the Config of a guard, with the budget that it shares in g.
func (g *generation) configOf(d *declaration) any {
	if d.refers == "" {
		return d.config
	}
	return d.kind.bind(d.config, g.guards[d.refers].guard)
}

// member is a guard of a Set.
type member struct {
	*running
	declaration
}

// SetOption says how a Set is kept.
type SetOption func(*Set)

// WithLogger sets who hears of every reload. The default is the logger of the registry's
// actor system.
func WithLogger(l *slog.Logger) SetOption {
	return func(s *Set) {
		if l != nil {
			s.log = l
		}
	}
}

// StopRemoved stops guards that a later File no longer has. Permits that are out may end
// within grace, for which Reload waits. The default is to let them run, and to say so.
func StopRemoved(grace time.Duration) SetOption {
	return func(s *Set) { s.stops, s.grace = true, grace }
}

// Spawn starts all guards of the file, or none: if one cannot be started, those before it
// are stopped again. The error is every *Fault, joined, or what kept a guard from starting.
func (f *File) Spawn(guards *actors.Registry, opts ...SetOption) (*Set, error) {
	if guards == nil {
		return nil, actors.ErrNilRegistry
	}
	s := &Set{registry: guards, log: guards.System().Logger(), turn: make(chan struct{}, 1)}
	for _, o := range opts {
		if o != nil {
			o(s)
		}
	}
	s.current.Store(&generation{})
	if _, err := s.Reload(context.Background(), f); err != nil {
		return nil, err
	}
	return s, nil
}

// Guard returns the guard of that name. It is the pattern's own handle, such as a
// *circuitbreaker.Breaker, and the same one after a reload. One that the file no longer has
// is found for as long as it is not stopped; see StopRemoved.
func (s *Set) Guard(name string) (patterns.Guard, bool) {
	m, ok := s.current.Load().guards[name]
	if !ok {
		return nil, false
	}
	return m.guard, true
}

// Pipeline returns the pipeline of that name as it is now. Ask again for each call: a reload
// makes another one, and calls under way end in the one that they began in.
func (s *Set) Pipeline(name string) (*pipeline.Pipeline, bool) {
	p, ok := s.current.Load().pipelines[name]
	return p, ok
}

// File returns what the Set was made of, or last reloaded with.
func (s *Set) File() *File { return s.current.Load().file }
