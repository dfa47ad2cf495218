package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bulwark-go/bulwark/patterns"
)

// MaxGuards is how many guards a pipeline may have.
const MaxGuards = 64

var (
	// ErrNoGuards is the error of a pipeline of nothing.
	ErrNoGuards = errors.New("pipeline: no guards")
	// ErrTooMany is the error of one with more than MaxGuards.
	ErrTooMany = fmt.Errorf("pipeline: more than %d guards", MaxGuards)
	// ErrTwice is the error of one that has a guard twice: a call would be counted twice, or
	// wait for itself.
	ErrTwice = errors.New("pipeline: the same guard twice")
)

// Pipeline is several guards in one. It is safe for concurrent use, and has no state of
// its own.
type Pipeline struct {
	name   string
	guards []patterns.Guard // outermost first
	stages []stage
	terms  *patterns.Terms // nil if it is used by permit

	runs    sync.Pool // of *run
	bundles sync.Pool // of *bundle
}

var _ patterns.Guard = (*Pipeline)(nil)

// stage is a guard as of when the pipeline was made.
type stage struct {
	guard  patterns.Guard
	terms  *patterns.Terms
	policy patterns.Policy // nil if it is asked for permits
}

// New returns the pipeline of guards, outermost first. The name is for errors and events;
// "" means the guards' own, joined. The error names every fault.
func New(name string, guards ...patterns.Guard) (*Pipeline, error) {
	if err := check(guards); err != nil {
		return nil, err
	}
	p := &Pipeline{name: name, guards: slices.Clone(guards)}
	names := make([]string, len(guards))
	bare := true
	for i, g := range guards {
		s := stage{guard: g, terms: g.Terms()}
		if s.terms != nil {
			s.policy, bare = s.terms.Policy, false
		}
		p.stages = append(p.stages, s)
		names[i] = g.Name()
	}
	if name == "" {
		p.name = strings.Join(names, ">")
	}
	if !bare {
		p.terms = &patterns.Terms{Policy: p}
	}
	p.runs.New = func() any { return newRun(p) }
	p.bundles.New = func() any { return &bundle{pipeline: p, permits: make([]patterns.Permit, len(guards))} }
	return p, nil
}

func check(guards []patterns.Guard) error {
	if len(guards) == 0 {
		return ErrNoGuards
	}
	var faults []error
	if len(guards) > MaxGuards {
		faults = append(faults, ErrTooMany)
	}
	for i, g := range guards {
		switch {
		case g == nil:
			faults = append(faults, fmt.Errorf("pipeline: guard %d: %w", i, patterns.ErrNilGuard))
		case slices.Contains(guards[:i], g):
			faults = append(faults, fmt.Errorf("%w: %s, at %d", ErrTwice, g.Name(), i))
		}
	}
	return errors.Join(faults...)
}

// Name returns the pipeline's name.
func (p *Pipeline) Name() string { return p.name }

// Guards returns its parts, outermost first.
func (p *Pipeline) Guards() []patterns.Guard { return slices.Clone(p.guards) }

// Terms hands whole calls to the pipeline, unless it is one of mere permits.
func (p *Pipeline) Terms() *patterns.Terms { return p.terms }

// String draws the pipeline in one line, outermost first.
func (p *Pipeline) String() string {
	var b strings.Builder
	for i, g := range p.guards {
		if i > 0 {
			b.WriteString(" ▶ ")
		}
		if inner, ok := g.(*Pipeline); ok {
			b.WriteString("(" + inner.String() + ")")
		} else {
			b.WriteString(g.Name())
		}
	}
	return b.String()
}
