package actors_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// carriedBy is an office that notes by whom it was asked: the caller itself, or somebody
// else.
//
//bulwark:bubble
func carriedBy() (o *office, itself *[]bool) {
	itself = new([]bool)
	o = &office{stock: map[string]int{"k": 100}}
	o.call = func(ctx context.Context, _ []slip) error {
		*itself = append(*itself, strings.Contains(string(debug.Stack()), "AcquireFor"))
		time.Sleep(100 * time.Millisecond)
		return ctx.Err()
	}
	return o, itself
}

func TestWhoCarriesAnErrand(t *testing.T) {
	leaving, cancel := context.WithCancel(context.Background())
	defer cancel()
	tests := []struct {
		name     string
		ctx      context.Context
		punctual bool
		want     bool
	}{
		{"a caller who cannot leave carries it itself", context.Background(), true, true},
		{"a caller who could leave does not", leaving, true, false},
		{"nobody waits on an errand that may not end", context.Background(), false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, itself := carriedBy()
				m := newBranch(o)
				m.punctual = tt.punctual
				g := spawnBranch(t, actorstest.NewRegistry(t), m)
				ctx := tt.ctx
				if ctx == leaving { // a context of the bubble
					ctx = t.Context()
				}
				for range 3 {
					p, err := g.AcquireFor(ctx, patterns.Request{Key: "k"})
					if err != nil {
						t.Fatal(err)
					}
					p.Report(patterns.Success)
				}
				for _, it := range *itself {
					if it != tt.want {
						t.Errorf("carried by the caller: %v, want %v", *itself, tt.want)
					}
				}
				g.snapshot(t)
			})
		})
	}
}

func TestOneGoroutineCarriesAllErrands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(100)
		g := spawnBranch(t, actorstest.NewRegistry(t), newBranch(o))
		ask := func(times int) int {
			for range times {
				p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
				if err != nil {
					t.Fatal(err)
				}
				p.Report(patterns.Success)
			}
			stillness()
			return runtime.NumGoroutine()
		}
		if one, many := ask(1), ask(20); many > one {
			t.Errorf("%d goroutines after one errand, %d after 21", one, many)
		}
	})
}

func TestWhoCarriedForItselfDoesNotCarryForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, itself := carriedBy()
		m := newBranch(o)
		m.punctual = true
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		began := time.Now()
		took := make([]time.Duration, 3)
		var wg sync.WaitGroup
		for i := range took {
			wg.Go(func() {
				if p, err := g.AcquireFor(context.Background(), patterns.Request{Key: "k"}); err == nil {
					p.Report(patterns.Success)
				}
				took[i] = time.Since(began)
			})
			stillness()
		}
		wg.Wait()
		if took[0] != 100*time.Millisecond || took[1] != 200*time.Millisecond || took[2] != 200*time.Millisecond {
			t.Errorf("they were answered after %v, want 100, 200 and 200 ms", took)
		}
		stillness()
		if !(*itself)[0] || (*itself)[1] {
			t.Errorf("carried by a caller: %v, want the first only", *itself)
		}
		g.snapshot(t)
	})
}

func TestACallerThatCarriesIsHeldNoLongerThanItsErrandMayTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{stock: map[string]int{"k": 1}}
		o.call = func(ctx context.Context, _ []slip) error {
			<-ctx.Done()
			return ctx.Err()
		}
		m := newBranch(o)
		m.punctual = true
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		began := time.Now()
		_, err := g.AcquireFor(context.Background(), patterns.Request{Key: "k"})
		if err == nil || time.Since(began) != m.within {
			t.Errorf("answered %v after %v, want a refusal after %v", err, time.Since(began), m.within)
		}
		if s := g.snapshot(t); s.Rejected != 1 {
			t.Errorf("%d were rejected, want 1", s.Rejected)
		}
	})
}

// What carries an errand is foreign code, and may end the goroutine that it runs on.
func TestAnErrandThatEndsItsGoroutineFails(t *testing.T) {
	for name, punctual := range map[string]bool{"the caller's": true, "another": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &office{stock: map[string]int{"k": 1}}
				ended := false
				o.call = func(context.Context, []slip) error {
					if !ended {
						ended = true
						runtime.Goexit()
					}
					return nil
				}
				m := newBranch(o)
				m.punctual = punctual
				g := spawnBranch(t, actorstest.NewRegistry(t), m)
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := g.AcquireFor(context.Background(), patterns.Request{Key: "k"})
					if !errors.Is(err, patterns.ErrRejected) {
						t.Errorf("got %v, want a refusal", err)
					}
				})
				wg.Wait()
				if err := g.Reconfigure(t.Context(), semConfig{}); err != nil { // which opens the branch again
					t.Fatal(err)
				}
				p, err := g.AcquireFor(context.Background(), patterns.Request{Key: "k"})
				if err != nil {
					t.Errorf("the next one: %v", err)
				}
				p.Report(patterns.Success)
				g.snapshot(t)
			})
		})
	}
}
