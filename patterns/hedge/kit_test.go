package hedge

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

const (
	ms  = time.Millisecond
	sec = time.Second
)

var (
	errDown = errors.New("down")
	errBusy = errors.New("busy")
	errNone = errors.New("there is none")

	// nothing is a budget that allows none.
	nothing = retry.BudgetConfig{Ratio: retry.None, MinPerSecond: retry.None}
)

// after is a Config of so many extra attempts, each so long after the one before.
func after(d time.Duration, extra int) Config { return Config{Delay: d, MaxExtra: extra} }

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

func spawn(t testing.TB, guards *actors.Registry, name string, c Config, opts ...actors.Option) *Hedge {
	t.Helper()
	h, err := Spawn(guards, name, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func budget(t testing.TB, guards *actors.Registry, c retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.SpawnBudget(guards, "budget", c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func snapshot(t testing.TB, h *Hedge) Snapshot {
	t.Helper()
	s, ok := h.Snapshot(t.Context())
	if !ok {
		t.Error("no snapshot")
	}
	return s
}

// same is stricter than errors.Is.
func same(a, b error) bool { return any(a) == any(b) }

// end is how an attempt goes: it takes so long, and then returns its number, from 1, and an
// error, or unwinds.
type end struct {
	takes   time.Duration
	deaf    bool // whatever its context says
	err     error
	unwinds any // what it panics with; "exit" to end its goroutine
}

// script is a function whose attempts go one way after the other; beyond the last they are
// answered at once.
type script struct {
	ends  []end
	start time.Time

	lock   sync.Mutex
	began  []time.Duration // of each attempt, since the script was made
	causes []error         // of those that were cancelled
	all    sync.WaitGroup  // that run
}

func ending(ends ...end) *script { return &script{ends: ends, start: time.Now()} }

// run is the function that is called. Its result is the attempt's number, from 1.
//
//bulwark:bubble
func (s *script) run(ctx context.Context) (int, error) {
	s.all.Add(1)
	defer s.all.Done()
	s.lock.Lock()
	n := len(s.began)
	s.began = append(s.began, time.Since(s.start))
	s.lock.Unlock()
	if n >= len(s.ends) {
		return n + 1, nil
	}
	e := s.ends[n]
	if e.deaf {
		time.Sleep(e.takes)
	} else if err := sleep(ctx, e.takes); err != nil {
		s.lock.Lock()
		s.causes = append(s.causes, context.Cause(ctx))
		s.lock.Unlock()
		return 0, err
	}
	switch e.unwinds {
	case nil:
		return n + 1, e.err
	case "exit":
		runtime.Goexit()
	}
	panic(e.unwinds)
}

// sleep takes d, or as long as ctx lets it.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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

// witness is a guard that refuses as f says, and keeps what it is told.
type witness struct {
	f    func() error
	lock sync.Mutex
	told map[string]int
	held int
}

func (*witness) Name() string           { return "witness" }
func (*witness) Terms() *patterns.Terms { return nil }

func (w *witness) Acquire(ctx context.Context) (patterns.Permit, error) {
	return w.AcquireFor(ctx, patterns.Request{})
}

func (w *witness) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.f != nil {
		if err := w.f(); err != nil {
			return patterns.Permit{}, err
		}
	}
	w.held++
	return patterns.NewPermit(w, 1, 0), nil
}

func (w *witness) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	w.hear(o.String())
	return true
}

func (w *witness) Release(uint64) { w.hear("released") }

func (w *witness) hear(what string) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.told == nil {
		w.told = map[string]int{}
	}
	w.told[what]++
	w.held--
}

func budgetOf(t testing.TB, b *retry.Budget) retry.BudgetSnapshot {
	t.Helper()
	s, ok := b.Snapshot(t.Context())
	if !ok {
		t.Error("no snapshot")
	}
	return s
}
