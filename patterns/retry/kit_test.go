package retry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

var (
	errDown  = errors.New("down")
	errBusy  = errors.New("busy")
	errTaken = errors.New("taken")
)

// hint is an error that knows when to come back.
type hint time.Duration

func (h hint) Error() string             { return "come back later" }
func (h hint) RetryAfter() time.Duration { return time.Duration(h) }

// every is a Config whose waits are the same.
func every(d time.Duration, attempts int) Config {
	return Config{Attempts: attempts, Backoff: Constant(d)}
}

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

func spawnBank(t testing.TB, guards *actors.Registry, c Config, opts ...actors.Option) *Retry {
	t.Helper()
	r, err := Spawn(guards, "bank", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bank(t testing.TB, c Config, opts ...actors.Option) *Retry {
	t.Helper()
	return spawnBank(t, actorstest.NewRegistry(t), c, opts...)
}

// script is a function that ends in one way after the other; beyond the last it succeeds. A
// func() in it is called, and its attempt succeeds if it returns.
type script struct {
	ends  []any
	began []time.Duration // of each attempt, since the script was made
	start time.Time
}

func endings(ends ...any) *script { return &script{ends: ends, start: time.Now()} }

// work takes so long, whatever its context says.
type work time.Duration

// run is the function that is called.
//
//bulwark:bubble
func (s *script) run(ctx context.Context) (int, error) {
	n := len(s.began)
	s.began = append(s.began, time.Since(s.start))
	if n >= len(s.ends) {
		return n + 1, nil
	}
	switch end := s.ends[n].(type) {
	case func():
		end()
	case work:
		time.Sleep(time.Duration(end))
	case time.Duration: // as long as its context lets it
		select {
		case <-time.After(end):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	case error:
		return 0, end
	case int:
		return end, nil
	}
	return n + 1, nil
}

func (s *script) want(t *testing.T, began ...time.Duration) {
	t.Helper()
	if !slices.Equal(s.began, began) {
		t.Errorf("attempts at %v, want %v", s.began, began)
	}
}

// exhaustedBy fails the test unless err is an ExhaustedError like that, whose last error is last.
func exhaustedBy(t *testing.T, err error, cause Cause, attempts int, last error) ExhaustedError {
	t.Helper()
	e, ok := errors.AsType[*ExhaustedError](err)
	if !ok || e.Cause != cause || e.Attempts != attempts || e.Name != "bank" || !errors.Is(err, ErrExhausted) || !errors.Is(err, last) || e.Error() == "" {
		t.Fatalf("%v (%#v), want %s after %d, and %v", err, e, cause, attempts, last)
	}
	return *e
}

func snapshotOf(t testing.TB, r *Retry) Snapshot {
	t.Helper()
	s, ok := r.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	return s
}

// fence is a guard that refuses as f says.
type fence struct{ f func() error }

func (*fence) Name() string           { return "fence" }
func (*fence) Terms() *patterns.Terms { return nil }

func (g *fence) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{})
}

func (g *fence) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.Permit{}, g.f()
}

// unwinds runs f, and returns what it panicked with; "exit" if it ended by runtime.Goexit.
func unwinds(f func()) (what any) {
	done := make(chan any)
	go func() {
		what := any("exit")
		defer func() {
			if r := recover(); r != nil {
				what = r
			}
			done <- what
		}()
		f()
		what = nil
	}()
	return <-done
}

func exits() { runtime.Goexit() }
