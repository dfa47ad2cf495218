package actors_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestASpentPermitLeavesNothingToReport(t *testing.T) {
	spend := patterns.Request{Spend: true, Key: "k"}
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, g *deskGuard, in *inbox) error
	}{
		{"on the spot", func(t *testing.T, g *deskGuard, _ *inbox) error {
			p, err := g.AcquireFor(t.Context(), spend)
			if p.ID() != 0 || p.Report(patterns.Success) {
				t.Error("there is a permit")
			}
			return err
		}},
		{"by Spend", func(_ *testing.T, g *deskGuard, _ *inbox) error { return g.Spend("k", 1) }},
		{"in the mailbox's queue", func(t *testing.T, g *deskGuard, _ *inbox) (err error) {
			g.occupied(t, func() {
				var p patterns.Permit
				if p, err = g.AcquireFor(t.Context(), spend); p.ID() != 0 || p.Report(patterns.Success) {
					t.Error("there is a permit")
				}
			})
			return err
		}},
		{"by Spend in the mailbox's queue", func(t *testing.T, g *deskGuard, _ *inbox) (err error) {
			g.occupied(t, func() { err = g.Spend("k", 1) })
			return err
		}},
		{"that might be held for so long", func(t *testing.T, g *deskGuard, _ *inbox) error {
			_, err := g.AcquireFor(t.Context(), patterns.Request{Spend: true, Key: "k", HoldFor: time.Minute})
			return err
		}},
		{"by message", func(t *testing.T, g *deskGuard, in *inbox) error {
			in.ask(g.PID(), actors.Acquire{Ref: 7, Key: "k", Spend: true})
			if granted := nextAs[actors.Granted](t, in); granted.Ref != 7 || granted.Permit != (patterns.PermitID{}) {
				t.Errorf("%+v", granted)
			}
			return nil
		}},
		{"by message, for a holder", func(t *testing.T, g *deskGuard, in *inbox) error {
			in.ask(g.PID(), actors.Acquire{Key: "k", Spend: true, Holder: in.pid, HoldFor: time.Minute})
			nextAs[actors.Granted](t, in)
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 10, Spends: true})
				box, option := tap()
				in := newInbox(t, guards.System(), option)
				for range 3 { // of one that may be out
					if err := tt.do(t, g, in); err != nil {
						t.Fatalf("error %v", err)
					}
				}
				time.Sleep(time.Hour) // nothing expires
				got := g.snapshot(t)
				if got.Counts.Granted != 3 || got.Success != 3 || got.InFlight != 0 || len(got.Used) != 0 || got.Reclaimed != 0 || got.Repeated != 0 {
					t.Errorf("%+v", got)
				}
				if !slices.Equal(got.Granted, []string{"k", "k", "k"}) {
					t.Errorf("granted %v", got.Granted)
				}
				if w, u := box.watches.Load(), box.unwatches.Load(); w != u {
					t.Errorf("%d watches, %d unwatches", w, u)
				}
			})
		})
	}
}

func TestSpendingWaitsForItsTurn(t *testing.T) {
	for _, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: order, Waiting: 10, Every: time.Second, Spends: true})
			in := newInbox(t, guards.System())
			start := time.Now()
			if err := g.Spend("", 1); err != nil {
				t.Fatal(err)
			}
			if err := g.Spend("", 1); !errors.Is(err, errDeskFull) || time.Since(start) != 0 {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
			in.ask(g.PID(), actors.Acquire{Spend: true, Holder: in.pid})
			synctest.Wait()
			if _, err := g.AcquireFor(t.Context(), patterns.Request{Spend: true}); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != 2*time.Second && order != patterns.LIFO {
				t.Errorf("%v: spent after %v", order, took)
			}
			nextAs[actors.Granted](t, in)
			if got := g.snapshot(t); got.Success != 3 || got.Rejected != 1 || got.InFlight != 0 || len(got.Used) != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestRulesThatDoNotSpendRefuseTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		in := newInbox(t, guards.System())
		for name, g := range map[string]interface {
			actorstest.Guard
			patterns.Guard
			Spend(key string, weight int) error
		}{"desk": spawnDesk(t, guards, deskConfig{Limit: 5, Waiting: 10}), "sem": spawnSem(t, guards, "sem", 5, 10)} {
			refused := func(how string, err error) {
				t.Helper()
				if !errors.Is(err, patterns.ErrInvalidRequest) || !errors.Is(err, patterns.ErrRejected) {
					t.Errorf("%s %s: error %v", name, how, err)
				}
			}
			_, err := g.AcquireFor(t.Context(), patterns.Request{Spend: true})
			refused("on the spot", err)
			_, err = g.AcquireFor(t.Context(), patterns.Request{Spend: true, HoldFor: 1})
			refused("in the queue", err)
			refused("by Spend", g.Spend("", 1))
			in.ask(g.PID(), actors.Acquire{Spend: true})
			refused("by message", nextAs[actors.Rejected](t, in).Err)
		}
	})
}

func TestSpendingWhatIsNoWeightIsRefused(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	g := spawnDesk(t, guards, deskConfig{Limit: 5, Waiting: 10, Spends: true})
	if err := g.Spend("", -1); !errors.Is(err, patterns.ErrInvalidRequest) {
		t.Errorf("error %v", err)
	}
	if err := g.Spend("", 6); !errors.Is(err, errDeskNever) {
		t.Errorf("error %v", err)
	}
	if err := g.Spend("", 0); err != nil {
		t.Errorf("error %v", err)
	}
	g.snapshot(t)
}

// Whoever has left by the time its permit is spent has spent nothing.
func TestSpendingThatCrossesACancellationIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 10, Every: time.Hour, Spends: true})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		free := g.machine.occupy(func() { g.Snapshot(t.Context()) })
		go func() {
			_, err := g.AcquireFor(ctx, patterns.Request{Spend: true, Weight: 1, HoldFor: time.Second})
			done <- err
		}()
		synctest.Wait() // it is in the mailbox
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		free()
		got := g.snapshot(t)
		if got.Cancelled != 1 || got.Counts.Granted != 0 || got.Success != 0 || got.InFlight != 0 || len(got.Used) != 0 {
			t.Errorf("%+v", got)
		}
		if err := g.Spend("", 1); err != nil { // the hour was refunded
			t.Errorf("error %v", err)
		}
		if got := g.snapshot(t); got.Success != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// The same, at any moment: what the desk gave out is what callers believe to have spent.
func TestSpendingIsCountedAsOftenAsItSucceeds(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	g := spawnDesk(t, guards, deskConfig{Limit: 1 << 20, Waiting: 64, Every: 20 * time.Microsecond, Order: patterns.Fair, Spends: true})
	rounds := 300
	if soak {
		rounds *= 50
	}
	var wg sync.WaitGroup
	spent := make([]uint64, 6)
	for i := range spent {
		wg.Go(func() {
			for n := range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if n%2 == 0 {
					go cancel()
				}
				_, err := g.AcquireFor(ctx, patterns.Request{Spend: true, Key: string(rune('a' + i%3)), NoWait: n%5 == 0})
				switch {
				case err == nil:
					spent[i]++
				case !errors.Is(err, context.Canceled) && !errors.Is(err, patterns.ErrRejected):
					t.Error(err)
				}
				cancel()
				runtime.Gosched()
			}
		})
	}
	wg.Wait()
	sum := uint64(0)
	for _, n := range spent {
		sum += n
	}
	got := settledDesk(t, guards, g)
	if got.Success != sum || got.Counts.Granted != sum || got.InFlight != 0 || got.Reclaimed != 0 || sum == 0 {
		t.Errorf("%d spent, %+v", sum, got.Counts)
	}
}

// settledDesk waits until nobody waits any more.
func settledDesk(t *testing.T, guards *actors.Registry, g *deskGuard) (last deskSnapshot) {
	t.Helper()
	settled(t, guards, g.Name(), func() patterns.Counts {
		last = g.snapshot(t)
		return last.Counts
	})
	return last
}

func TestAllocsOfSpending(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 10, Spends: true})
	g.machine.forgetful = true
	ctx := t.Context()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func(){
		"AcquireFor": func() {
			_, err := g.AcquireFor(ctx, patterns.Request{Spend: true, Key: "k"})
			must(err)
		},
		"without waiting": func() {
			_, err := g.AcquireFor(ctx, patterns.Request{Spend: true, NoWait: true, Key: "k"})
			must(err)
		},
		"Spend": func() { must(g.Spend("k", 1)) },
		"TryAcquireFor": func() {
			p, err := g.TryAcquireFor(patterns.Request{Key: "k"})
			must(err)
			p.Release()
		},
	} {
		t.Run(name, func(t *testing.T) { allocs(t, 0, f) })
	}
	held := acquire(t, g, patterns.Request{})
	defer held.Release()
	for name, f := range map[string]func() error{
		"TryAcquire": func() error { _, err := g.TryAcquire(); return err },
		"AcquireFor without waiting": func() error {
			_, err := g.AcquireFor(ctx, patterns.Request{NoWait: true, Key: "k"})
			return err
		},
	} {
		t.Run(name+", refused", func(t *testing.T) {
			allocs(t, 0, func() {
				if err := f(); !errors.Is(err, errDeskFull) {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestAllocsOfWaitingInAnyOrder(t *testing.T) {
	for _, order := range orders {
		for _, maxWait := range []time.Duration{0, time.Hour} {
			t.Run(order.String()+" "+maxWait.String(), func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 10, Order: order, MaxWait: maxWait, FreesAll: true})
				g.machine.forgetful = true
				ctx := t.Context()
				permits := make(chan patterns.Permit, 1)
				asks := make(chan struct{})
				go func() {
					for range asks {
						p, err := g.AcquireFor(ctx, patterns.Request{Key: "k"})
						if err != nil {
							t.Error(err)
						}
						permits <- p
					}
				}()
				defer close(asks)
				p := acquire(t, g, patterns.Request{Key: "k"})
				allocs(t, 0, func() {
					asks <- struct{}{}
					p.Report(patterns.Success)
					p = <-permits
				})
			})
		}
	}
}
