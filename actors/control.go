package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Control gives commands to guards by name, in the name of an Operator.
type Control struct {
	registry *Registry
	operator Operator
}

// Control returns what o steers guards with. A command whose Operator has no name is refused
// with ErrNoOperator, and no guard hears of it.
func (r *Registry) Control(o Operator) Control { return Control{registry: r, operator: o} }

// Selection is some guards of a registry, as they are when it is used.
type Selection struct {
	control Control
	names   []string // nil: those that fit
	fits    func(name string, g patterns.Guard) bool
}

// Named selects the guards of these names. Each that there is no guard of is an error, and so
// is each whose pattern has no meaning for a command.
func (c Control) Named(names ...string) Selection {
	return Selection{control: c, names: append([]string{}, names...)}
}

// All selects every guard.
func (c Control) All() Selection {
	return c.Where(func(string, patterns.Guard) bool { return true })
}

// Following selects the guards that follow a pattern, such as "circuitbreaker".
func (c Control) Following(pattern string) Selection {
	pattern = strings.TrimSpace(pattern)
	return c.Where(func(_ string, g patterns.Guard) bool {
		p, ok := g.(interface{ Pattern() string })
		return ok && p.Pattern() == pattern
	})
}

// Where selects the guards for which fits is true. It runs on the goroutine that gives the
// command.
func (c Control) Where(fits func(name string, g patterns.Guard) bool) Selection {
	return Selection{control: c, fits: fits}
}

// Steered is what came of a command. Both lists are in the order of the names.
type Steered struct {
	Done    []string // guards that carried it out
	Skipped []string // guards whose pattern has no meaning for it
}

// ControlError says, by name, which guards did not do as they were told, and why. It matches
// what each of the errors matches.
type ControlError struct{ Guards map[string]error }

func (e *ControlError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d of the guards failed", len(e.Guards))
	for i, name := range slices.Sorted(maps.Keys(e.Guards)) {
		fmt.Fprintf(&text, "%c %q: %v", ":;"[min(i, 1)], name, e.Guards[name])
	}
	return text.String()
}

// Unwrap returns the errors in the order of the guards' names.
func (e *ControlError) Unwrap() []error {
	errs := make([]error, 0, len(e.Guards))
	for _, name := range slices.Sorted(maps.Keys(e.Guards)) {
		errs = append(errs, e.Guards[name])
	}
	return errs
}

// UnknownGuardError says that there is no guard of that name. It matches ErrUnknownGuard.
type UnknownGuardError struct{ Name string }

func (e *UnknownGuardError) Error() string { return fmt.Sprintf("%v %q", ErrUnknownGuard, e.Name) }

// Unwrap returns ErrUnknownGuard.
func (e *UnknownGuardError) Unwrap() error { return ErrUnknownGuard }

// Operate gives op to all guards of the selection at once, and waits until each has carried
// it out or refused it, or ctx ends. One that fails keeps none of the others from it: the
// error is a *ControlError, ErrNoGuard if the selection is of none, or ErrNoOperator. Every
// guard publishes an Operated, as does each name without one.
func (s Selection) Operate(ctx context.Context, op patterns.Operation) (Steered, error) {
	ctx = As(ctx, s.control.operator)
	o, _ := OperatorOf(ctx)
	if o.Name == "" {
		return Steered{}, ErrNoOperator
	}
	op.By = ""
	op = signed(ctx, op)
	names, errs, err := s.each(func(name string, g patterns.Guard) error {
		operator, ok := g.(interface {
			Operate(ctx context.Context, op patterns.Operation) error
		})
		if !ok {
			return ErrUnsupported
		}
		return operator.Operate(ctx, op)
	}, func(name string, err error) {
		s.control.registry.relay.audit(operated(name, op), 1).ended(0, err)
	})
	if err != nil {
		return Steered{}, err
	}
	steered, failed := Steered{}, map[string]error{}
	skips := s.names == nil && op.Kind.Valid() && op.For >= 0
	for i, name := range names {
		switch err := errs[i]; {
		case err == nil:
			steered.Done = append(steered.Done, name)
		case skips && errors.Is(err, ErrUnsupported):
			steered.Skipped = append(steered.Skipped, name)
		default:
			failed[name] = err
		}
	}
	return steered, controlError(failed)
}

// Reset has the guards forget what they learned, and ends forced states. Errors are as for
// Operate.
func (s Selection) Reset(ctx context.Context) (Steered, error) {
	return s.Operate(ctx, patterns.Operation{Kind: patterns.Reset})
}

// ForceOpen has the guards refuse every call for d, or until told otherwise if d is 0. Errors
// are as for Operate.
func (s Selection) ForceOpen(ctx context.Context, d time.Duration) (Steered, error) {
	return s.Operate(ctx, patterns.Operation{Kind: patterns.ForceOpen, For: d})
}

// ForceClosed has the guards let every call pass and record none for d, or until told
// otherwise if d is 0. Errors are as for Operate.
func (s Selection) ForceClosed(ctx context.Context, d time.Duration) (Steered, error) {
	return s.Operate(ctx, patterns.Operation{Kind: patterns.ForceClosed, For: d})
}

// MetricsOnly has the guards let every call pass and record it for d, or until told otherwise
// if d is 0. Errors are as for Operate.
func (s Selection) MetricsOnly(ctx context.Context, d time.Duration) (Steered, error) {
	return s.Operate(ctx, patterns.Operation{Kind: patterns.MetricsOnly, For: d})
}

// Inspect returns the guards' snapshots by name, each of its pattern's Snapshot type. It needs
// no Operator, and is not announced. Snapshots come with the error too: a *ControlError, or
// ErrNoGuard.
func (s Selection) Inspect(ctx context.Context) (map[string]any, error) {
	results := make(chan snapshotOf)
	all := map[string]any{}
	var collected sync.WaitGroup
	collected.Go(func() {
		for r := range results {
			all[r.name] = r.snapshot
		}
	})
	names, errs, err := s.each(func(name string, g patterns.Guard) error {
		inspected, ok := g.(interface {
			Inspect(ctx context.Context) (any, error)
		})
		if !ok {
			return ErrUnsupported
		}
		snapshot, err := inspected.Inspect(ctx)
		if err == nil {
			results <- snapshotOf{name, snapshot}
		}
		return err
	}, func(string, error) {})
	close(results)
	collected.Wait()
	if err != nil {
		return nil, err
	}
	failed := map[string]error{}
	for i, name := range names {
		if errs[i] != nil {
			failed[name] = errs[i]
		}
	}
	return all, controlError(failed)
}

type snapshotOf struct {
	name     string
	snapshot any
}

// each does do with all guards side by side, so that one that is away holds up no other. Of
// names without a guard, unknown hears.
func (s Selection) each(do func(name string, g patterns.Guard) error, unknown func(name string, err error)) (names []string, errs []error, err error) {
	guards := map[string]patterns.Guard{}
	switch r := s.control.registry; {
	case r == nil:
		return nil, nil, ErrNilRegistry
	case s.names != nil:
		for _, name := range s.names {
			name = strings.TrimSpace(name)
			guards[name], _ = r.Get(name)
		}
	case s.fits != nil:
		for name, g := range r.Guards() {
			if s.fits(name, g) {
				guards[name] = g
			}
		}
	}
	if len(guards) == 0 {
		return nil, nil, ErrNoGuard
	}
	names = slices.Sorted(maps.Keys(guards))
	errs = make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		switch g := guards[name]; {
		case g != nil:
			all.Go(func() { errs[i] = do(name, g) })
		case name == "":
			errs[i] = ErrName
			unknown(name, errs[i])
		default:
			errs[i] = &UnknownGuardError{Name: name}
			unknown(name, errs[i])
		}
	}
	all.Wait()
	return names, errs, nil
}

func controlError(failed map[string]error) error {
	if len(failed) == 0 {
		return nil
	}
	return &ControlError{Guards: failed}
}
