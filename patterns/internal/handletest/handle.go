// Package handletest does in tests what they do with every handle.
package handletest

import (
	"context"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// Must takes what a call returned, and then the test, which fails if that is an error:
// Must(Spawn(guards, "name", c))(t).
func Must[H any](h H, err error) func(testing.TB) H {
	return func(t testing.TB) H {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

// Acquirer is a handle that gives permits.
type Acquirer interface {
	AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error)
}

// MustAcquire returns a permit for r.
func MustAcquire(t testing.TB, h Acquirer, r patterns.Request) patterns.Permit {
	t.Helper()
	return Must(h.AcquireFor(t.Context(), r))(t)
}

// Counter is a handle whose snapshots count calls.
type Counter[S interface{ Balanced() bool }] interface {
	Snapshot(ctx context.Context) (S, bool)
}

// Settled returns the snapshot of h, and fails the test if its counts do not balance.
func Settled[S interface{ Balanced() bool }](t testing.TB, h Counter[S]) S {
	t.Helper()
	s, ok := h.Snapshot(t.Context())
	if !ok || !s.Balanced() {
		t.Errorf("snapshot %+v, %v", s, ok)
	}
	return s
}
