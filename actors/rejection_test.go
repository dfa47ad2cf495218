package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// Whichever way a refusal takes, the caller gets what WithRejection makes of it, once.
func TestARefusalLooksAsItsGuardWasTold(t *testing.T) {
	mine := errors.New("come back later")
	acquire := func(t *testing.T, g *deskGuard) error { _, err := g.Acquire(t.Context()); return err }
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, g *deskGuard) error
	}{
		{"on the spot", acquire},
		{"for a request", func(t *testing.T, g *deskGuard) error {
			_, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k", Weight: -1})
			return err
		}},
		{"in the mailbox's queue", func(t *testing.T, g *deskGuard) (err error) {
			g.occupied(t, func() { err = acquire(t, g) })
			return err
		}},
		{"by Spend", func(_ *testing.T, g *deskGuard) error { return g.Spend("k", 1) }},
		{"by Do", func(t *testing.T, g *deskGuard) error {
			return patterns.Run(t.Context(), g, func(context.Context) error { return nil })
		}},
		{"once it has stopped", func(t *testing.T, g *deskGuard) error {
			if err := g.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			return acquire(t, g)
		}},
		{"in an actor", func(t *testing.T, g *deskGuard) error {
			result := make(chan error, 1)
			g.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*actor.Started); ok {
					actors.AcquireThen(c, g, func(_ patterns.Permit, err error) { result <- err })
				}
			}))
			return <-result
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := 0
				g := spawnDesk(t, actorstest.NewRegistry(t), deskConfig{Limit: 1, Spends: true}, actors.WithRejection(patterns.Rejection{
					Replace: func(error) error { return mine },
					Observe: func(err error) {
						if seen++; !errors.Is(err, mine) {
							t.Errorf("saw %v", err)
						}
					},
				}))
				held, err := g.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if tt.name == "once it has stopped" {
					held.Release()
				}
				err = tt.do(t, g)
				if !errors.Is(err, mine) || !errors.Is(err, patterns.ErrRejected) || err.Error() != mine.Error() || seen != 1 {
					t.Errorf("got %v, seen %d times", err, seen)
				}
				held.Release()
				if err := context.Cause(t.Context()); err != nil {
					t.Fatal(err)
				}
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := g.Acquire(ended); !errors.Is(err, context.Canceled) || errors.Is(err, mine) {
					t.Errorf("the caller's own end: %v", err)
				}
			})
		})
	}
}

func TestAMailboxThatIsFullRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 10, 0, actors.WithMailboxCapacity(2))
		free := s.machine.occupy(func() { s.Snapshot(context.Background()) })
		results := make(chan error, 5)
		for range cap(results) {
			go func() {
				_, err := s.Acquire(context.Background())
				results <- err
			}()
			synctest.Wait()
		}
		for range len(results) {
			err := <-results
			refusal, ok := errors.AsType[*actors.Refusal](err)
			if !ok || refusal.Name != "sem" || !errors.Is(err, actors.ErrOverloaded) || !errors.Is(err, patterns.ErrRejected) {
				t.Errorf("while it is full: %v", err)
			}
		}
		free()
		synctest.Wait()
		if len(results) != 2 {
			t.Errorf("%d waited in the mailbox", len(results))
		}
		for range len(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}
