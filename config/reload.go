package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// ErrNilFile is the error of a Reload with no File.
var ErrNilFile = errors.New("config: nil file")

// undoTime bounds how long putting back may take.
const undoTime = 10 * time.Second

// Reload makes the Set as f says: guards whose settings changed are reconfigured and keep
// their state, others are not touched, new ones are spawned, and pipelines are swapped. What
// f no longer has is left as it is, unless StopRemoved says otherwise.
//
// It does all of that or nothing. Before anything is changed, every guard is asked whether
// it would take its new Config: a setting that is fixed while the guard runs, or another
// pattern under the same name, is a *Fault as all others are, and all are returned, joined.
// If a change fails all the same, those before it are put back.
//
// Each Reload is logged, with what it changed, or why it was refused, and each guard that it
// reconfigures publishes an actors.Operated, by the file's name or the actors.Operator of ctx.
// Reloads of several goroutines come one after the other; ctx bounds the wait for that, and
// for the guards.
func (s *Set) Reload(ctx context.Context, f *File) (Changes, error) {
	changes, _, err := s.reload(ctx, f)
	return changes, err
}

// reload is Reload; passing says that nothing is wrong with f, so that it may succeed later.
func (s *Set) reload(ctx context.Context, f *File) (c Changes, passing bool, err error) {
	if f == nil {
		return Changes{}, false, ErrNilFile
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return Changes{}, true, ctx.Err()
	}
	p, err := s.plan(f)
	if err == nil {
		passing = true
		err = p.carryOut(ctx)
	}
	if err != nil {
		s.refused(ctx, f.reading.name, err)
		return Changes{}, passing, err
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "configuration applied", slog.String("file", f.reading.name), slog.Any("changes", p.changes))
	p.warn(ctx)
	p.stopRemoved(ctx)
	return p.changes, false, nil
}

func (s *Set) refused(ctx context.Context, file string, err error) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "configuration refused: all goes on as it was", slog.String("file", file), slog.Any("error", err))
}

// plan is what a Reload is going to do.
type plan struct {
	set     *Set
	old     *generation
	next    *generation
	spawn   []*declaration
	change  []change
	lines   []*pipeline.Pipeline // that are new
	changes Changes
}

// change is a guard that is to be reconfigured.
type change struct {
	from *member
	to   *member
}

// plan finds everything that speaks against f, and changes nothing.
func (s *Set) plan(f *File) (*plan, error) {
	old := s.current.Load()
	p := &plan{set: s, old: old, next: &generation{file: f, guards: maps.Clone(old.guards), pipelines: maps.Clone(old.pipelines)}}
	if p.next.guards == nil {
		p.next.guards, p.next.pipelines = map[string]*member{}, map[string]*pipeline.Pipeline{}
	}
	found := &faults{}
	for _, sharing := range []bool{false, true} { // what is shared comes before who shares it
		for i := range f.guards {
			if d := &f.guards[i]; (d.refers != "") == sharing {
				p.guard(d, found)
			}
		}
	}
	p.removed()
	return p, found.err()
}

// guard plans what becomes of one guard.
func (p *plan) guard(d *declaration, found *faults) {
	running, taken := p.set.registry.Get(d.name)
	was, ours := p.old.guards[d.name]
	switch {
	case ours && taken && running == was.guard:
		p.keep(d, was, found)
	case taken:
		found.add(d.Place, d.path, "there is a guard of this name already, that is not of this file")
	default:
		p.spawn = append(p.spawn, d)
		p.changes.Spawned = append(p.changes.Spawned, d.name)
	}
}

// keep plans what becomes of a guard that runs.
func (p *plan) keep(d *declaration, was *member, found *faults) {
	next := &member{running: was.running, declaration: *d}
	p.next.guards[d.name] = next
	if d.kind.name != was.kind.name {
		found.add(d.Place, d.path, "the guard that runs is a %s: give another pattern another name", was.kind.name)
		return
	}
	fresh := d.refers != "" && slices.ContainsFunc(p.spawn, func(s *declaration) bool { return s.name == d.refers })
	if reflect.DeepEqual(d.config, was.config) && d.refers == was.refers && !fresh {
		return
	}
	each(was.validate(d.config), func(err error) { found.keep(d.fault(p.next.file.reading.catalog, err)) })
	p.change = append(p.change, change{from: was, to: next})
	p.changes.Changed = append(p.changes.Changed, was.settings(d)...)
}

// removed finds what the file had and no longer has.
func (p *plan) removed() {
	if p.old.file == nil {
		return
	}
	for _, d := range p.old.file.guards {
		if !slices.ContainsFunc(p.next.file.guards, func(n declaration) bool { return n.name == d.name }) {
			p.changes.Removed = append(p.changes.Removed, d.name)
		}
	}
	for _, l := range p.old.file.pipelines {
		if !slices.ContainsFunc(p.next.file.pipelines, func(n pipe) bool { return n.name == l.name }) {
			p.changes.Removed = append(p.changes.Removed, l.name)
		}
	}
	slices.Sort(p.changes.Removed)
}

// carryOut does all of it, or nothing.
func (p *plan) carryOut(ctx context.Context) (err error) {
	var spawned []*member
	defer func() {
		if err != nil {
			err = errors.Join(err, stopAll(ctx, spawned, 0))
		}
	}()
	for _, d := range p.spawn {
		r, err := d.kind.spawn(p.set.registry, d.name, p.next.configOf(d))
		if err != nil {
			return &Fault{Place: d.Place, Path: d.path, Problem: "cannot be started: " + err.Error(), Err: err}
		}
		m := &member{running: r, declaration: *d}
		p.next.guards[d.name] = m
		spawned = append(spawned, m)
	}
	if err := p.pipelines(); err != nil {
		return err
	}
	for i, c := range p.change {
		if err := c.to.reconfigure(p.operator(ctx, "reload"), p.next.configOf(&c.to.declaration)); err != nil {
			fault := &Fault{Place: c.to.Place, Path: c.to.path, Problem: "cannot be changed: " + err.Error(), Err: err}
			return errors.Join(fault, p.undo(ctx, p.change[:i+1]))
		}
	}
	p.set.current.Store(p.next)
	return nil
}

// undo gives guards the Configs back that they had, the latest first. The last of them may
// be changed in part.
func (p *plan) undo(ctx context.Context, changes []change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var errs []error
	for i, c := range slices.Backward(changes) {
		if err := c.from.reconfigure(p.operator(ctx, "put back: the reload failed"), p.old.configOf(&c.from.declaration)); err != nil && i < len(changes)-1 {
			errs = append(errs, &Fault{Place: c.from.Place, Path: c.from.path, Problem: "cannot be put back: " + err.Error(), Err: err})
		}
	}
	return errors.Join(errs...)
}

// operator says in whose name guards are changed: the file's, unless the caller says another.
func (p *plan) operator(ctx context.Context, why string) context.Context {
	o, _ := actors.OperatorOf(ctx)
	return actors.As(ctx, actors.Operator{Name: cmp.Or(o.Name, p.next.file.reading.name), Reason: cmp.Or(o.Reason, why)})
}

// pipelines makes those that are not as they were. Parts come first.
func (p *plan) pipelines() error {
	for _, l := range p.next.file.pipelines {
		parts := make([]patterns.Guard, len(l.parts))
		for i, name := range l.parts {
			if m, ok := p.next.guards[name]; ok && !p.isPipeline(name) {
				parts[i] = m.guard
			} else {
				parts[i] = p.next.pipelines[name]
			}
		}
		if was, ok := p.old.pipelines[l.name]; ok && slices.Equal(was.Guards(), parts) {
			continue
		}
		made, err := pipeline.New(l.name, parts...)
		if err != nil {
			return &Fault{Place: l.Place, Path: join("pipelines", l.name), Problem: err.Error(), Err: err}
		}
		p.next.pipelines[l.name] = made
		p.lines = append(p.lines, made)
		p.changes.Pipelines = append(p.changes.Pipelines, l.name)
	}
	return nil
}

// isPipeline reports whether the file means a pipeline by that name. A guard of that name
// may be left of a file before.
func (p *plan) isPipeline(name string) bool {
	return slices.ContainsFunc(p.next.file.pipelines, func(l pipe) bool { return l.name == name })
}

// warn logs what is wrong with the order of guards in new pipelines.
func (p *plan) warn(ctx context.Context) {
	for _, l := range p.lines {
		for _, w := range pipeline.Lint(l) {
			p.set.log.LogAttrs(ctx, slog.LevelWarn, "pipeline in an order that defeats itself",
				slog.String("pipeline", l.Name()), slog.String("rule", w.Rule), slog.String("why", w.String()))
		}
	}
}

// stopRemoved stops what the file no longer has, if the Set is to.
func (p *plan) stopRemoved(ctx context.Context) {
	if !p.set.stops {
		return
	}
	rest := &generation{file: p.next.file, guards: map[string]*member{}, pipelines: map[string]*pipeline.Pipeline{}}
	for _, d := range p.next.file.guards {
		rest.guards[d.name] = p.next.guards[d.name]
	}
	for _, l := range p.next.file.pipelines {
		rest.pipelines[l.name] = p.next.pipelines[l.name]
	}
	p.set.current.Store(rest)
	var gone []*member
	for name, m := range p.next.guards {
		if rest.guards[name] == nil {
			gone = append(gone, m)
		}
	}
	if err := stopAll(ctx, gone, p.set.grace); err != nil {
		p.set.log.LogAttrs(ctx, slog.LevelWarn, "guards stopped with permits out", slog.Any("error", err))
	}
}

// stopAll stops guards side by side.
func stopAll(ctx context.Context, members []*member, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	errs := make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			if err := m.stop(ctx); err != nil {
				errs[i] = fmt.Errorf("guard %q: %w", m.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
