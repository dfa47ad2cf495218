package actors

import (
	"context"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
)

// Typed is a Handle that knows its pattern's Config C and Snapshot S.
type Typed[C comparable, S any] struct {
	*Handle
	validate func(C) error
}

// Snapshot returns the guard's state as of now, or, if it has stopped, as of then.
// It waits for the turns before it, which takes microseconds, and while the guard
// restarts; ok is false if ctx ended first.
func (t *Typed[C, S]) Snapshot(ctx context.Context) (snapshot S, ok bool) {
	v, err := t.Inspect(ctx)
	if err != nil {
		return snapshot, false
	}
	snapshot, ok = v.(S) // nil if the rules panicked at the last one
	return snapshot, ok
}

// Reconfigure changes the guard's rules while it runs and keeps what it has learned. An
// Operated says so, with who ctx says does it (see As). The error names every bad field, or
// is as for Operate.
func (t *Typed[C, S]) Reconfigure(ctx context.Context, c C) error {
	return t.reconfigure(ctx, t.shell.relay.audit(reconfigured(ctx, t.name), 1), 0, c)
}

func (t *Typed[C, S]) reconfigure(ctx context.Context, a *audit, shard int, c C) error {
	if err := t.validate(c); err != nil {
		a.ended(shard, err)
		return err
	}
	return t.steer(ctx, a, shard, func() error { return t.shell.reconfigure(c) })
}

// Validate returns the error that Reconfigure has for c itself, fields that are fixed while
// the guard runs among them, and changes nothing.
func (t *Typed[C, S]) Validate(c C) error { return t.validate(c) }

// Inspect returns the pattern's Snapshot, whatever its type.
func (h *Handle) Inspect(ctx context.Context) (any, error) {
	result := make(chan any, 1)
	err := h.control(ctx, func() { result <- h.shell.inspect() })
	if err == nil {
		return <-result, nil
	}
	if final := h.shell.final.Load(); final != nil {
		return *final, nil
	}
	return nil, err
}

// command runs f in a turn and returns its error.
func (h *Handle) command(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	if err := h.control(ctx, func() { result <- f() }); err != nil {
		return err
	}
	return <-result
}

// bind ties the shell to the machine's own Config and Snapshot types.
func bind[C comparable, S any](s *shell, m Machine[C, S], validate func(C) error) {
	s.rules = m
	s.snapshot = func(now patterns.Instant) any { return m.Snapshot(now, s.totals()) }
	s.configure = func(now patterns.Instant, config any) error {
		c, ok := config.(C)
		if !ok {
			return fmt.Errorf("%w: %T, want %T", ErrConfigType, config, c)
		}
		if err := validate(c); err != nil {
			return err
		}
		m.Reconfigure(now, c)
		return nil
	}
}
