package bulkhead

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

func spawnRooms(t testing.TB, guards *actors.Registry, c Config) *Bulkhead {
	t.Helper()
	return handletest.Must(Spawn(guards, "rooms", c))(t)
}

func isCause(err error, c Cause) bool {
	f, ok := errors.AsType[*FullError](err)
	return ok && f.Cause == c && f.Name == "rooms" && errors.Is(err, ErrFull) && errors.Is(err, patterns.ErrRejected) && f.Error() != ""
}

func TestCallersAreServedInOrderAsSlotsGetFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnRooms(t, guards, queued)
		first, second := handletest.MustAcquire(t, b, patterns.Request{}), handletest.MustAcquire(t, b, patterns.Request{})
		var served []int
		next := make(chan patterns.Permit)
		for i := range 3 {
			go func() {
				p, err := b.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				served = append(served, i)
				next <- p
			}()
			synctest.Wait()
		}
		if _, err := b.Acquire(t.Context()); !isCause(err, CauseQueue) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		first.Report(patterns.Success)
		for i := range 3 {
			p := <-next
			if served[i] != i {
				t.Fatalf("served %v", served)
			}
			p.Report(patterns.Failure)
		}
		second.Release()
		synctest.Wait()
		time.Sleep(time.Second)
		actorstest.WantEvents(t, guards, WasSaturated, WasRelieved)
		s := handletest.Settled(t, b)
		if s.Active != 0 || s.Peak != 2 || s.Saturated || s.Waits.Count() != 3 || s.Waits.Max < 999*time.Millisecond || s.Waits.Quantile(0.5) < 999*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

func TestMaxWaitEndsAWaitWhoseContextWouldNot(t *testing.T) {
	for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(8, 0)} {
		synctest.Test(t, func(t *testing.T) {
			b := spawnRooms(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.Mode = mode }))
			held := handletest.MustAcquire(t, b, patterns.Request{Weight: 2})
			began := time.Now()
			_, err := b.Acquire(t.Context())
			if took := time.Since(began); !isCause(err, CauseMaxWait) || took < 5*time.Second || took > 5001*time.Millisecond {
				t.Errorf("after %v: %v", took, err)
			}
			if s := handletest.Settled(t, b); s.Waiting != 0 || s.Rejected != 1 {
				t.Errorf("%+v", s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := b.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("its own context: %v", err)
			}
			if b.Reconfigure(t.Context(), with(queued, func(c *Config) { c.Mode, c.MaxWait = mode, time.Hour })) != nil {
				t.Error("cannot wait for longer")
			}
			go func() {
				time.Sleep(time.Minute)
				held.Report(patterns.Success)
			}()
			p, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.Release()
			synctest.Wait()
			if s := handletest.Settled(t, b); s.Active != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestTryAcquireNeverWaits(t *testing.T) {
	for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(8, 0)} {
		synctest.Test(t, func(t *testing.T) {
			b := spawnRooms(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.Mode = mode }))
			p, err := b.TryAcquire()
			if err != nil {
				t.Fatal(err)
			}
			q, err := b.TryAcquireFor(patterns.Request{Priority: patterns.Low})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.TryAcquire(); !errors.Is(err, ErrFull) {
				t.Errorf("full: %v", err)
			}
			go func() { _, _ = b.Acquire(t.Context()) }()
			synctest.Wait()
			if _, err := b.TryAcquire(); !isCause(err, CauseWaiters) {
				t.Errorf("behind somebody: %v", err)
			}
			p.Release()
			q.Release()
			synctest.Wait()
			if s := handletest.Settled(t, b); s.Active != 1 || s.InFlight != 1 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestNoSlotLeaksHoweverItsHolderEnds(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"returns": func(context.Context) error { return nil },
		"fails":   func(context.Context) error { return errors.New("no") },
		"panics":  func(context.Context) error { panic("no") },
		"exits":   func(context.Context) error { runtime.Goexit(); return nil },
		"is late": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := spawnRooms(t, actorstest.NewRegistry(t), queued)
				var wg sync.WaitGroup
				for i := range 40 {
					wg.Go(func() {
						defer func() { _ = recover() }()
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
						defer cancel()
						_ = patterns.Run(ctx, b, fn)
					})
				}
				wg.Wait()
				synctest.Wait()
				if s := handletest.Settled(t, b); s.Active != 0 || s.InFlight != 0 || s.Waiting != 0 || s.Peak > 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestAPermitThatIsKeptForTooLongIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnRooms(t, guards, queued)
		kept := handletest.MustAcquire(t, b, patterns.Request{Weight: 2, HoldFor: time.Second})
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if kept.Report(patterns.Success); handletest.Settled(t, b).Active != 1 {
			t.Error("freed somebody else's slot")
		}
		p.Release()
	})
}

func TestSlotsOfAnActorThatDiedComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnRooms(t, guards, queued)
		system := guards.System()
		granted := make(chan actors.Granted, 10)
		holder := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Request(b.PID(), actors.Acquire{Weight: 2, Holder: c.Self()})
				c.Request(b.PID(), actors.Acquire{Holder: c.Self()})
			case actors.Granted:
				granted <- m
			}
		}))
		synctest.Wait()
		if s := handletest.Settled(t, b); len(granted) != 1 || s.Active != 2 || s.Waiting != 1 {
			t.Fatalf("%+v", s)
		}
		if err := system.Root.StopFuture(holder).Wait(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := handletest.Settled(t, b); s.Active != 0 || s.Waiting != 0 || s.Reclaimed != 1 || s.Rejected != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARestartKeepsSlotsAndWhoWaits(t *testing.T) {
	for _, msg := range []any{actors.Report{}, actors.Cancel{}, actors.Inspect{}, actors.Acquire{}} {
		synctest.Test(t, func(t *testing.T) {
			b := spawnRooms(t, actorstest.NewRegistry(t), queued)
			first, second := handletest.MustAcquire(t, b, patterns.Request{}), handletest.MustAcquire(t, b, patterns.Request{})
			var wg sync.WaitGroup
			wg.Go(func() {
				p := handletest.MustAcquire(t, b, patterns.Request{Weight: 2})
				p.Release()
			})
			synctest.Wait()
			actorstest.Crash(t, b, actorstest.At(msg))
			switch msg.(type) {
			case actors.Report:
				first.Report(patterns.Success)
			case actors.Cancel:
				first.Release()
			case actors.Acquire:
				_, _ = b.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
				first.Report(patterns.Success)
			default:
				_, _ = b.Snapshot(t.Context())
				first.Report(patterns.Success)
			}
			synctest.Wait()
			if s := handletest.Settled(t, b); s.Active != 1 || s.Waiting != 1 || s.Restarts != 1 {
				t.Errorf("%T: %+v", msg, s)
			}
			second.Report(patterns.Success)
			wg.Wait()
			synctest.Wait()
			if s := handletest.Settled(t, b); s.Active != 0 || s.Waiting != 0 {
				t.Errorf("%T: %+v", msg, s)
			}
		})
	}
}

func TestAResizeServesThoseWhoWaitAndKeepsWhatIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnRooms(t, guards, queued)
		permits := []patterns.Permit{handletest.MustAcquire(t, b, patterns.Request{}), handletest.MustAcquire(t, b, patterns.Request{})}
		var wg sync.WaitGroup
		wg.Go(func() { handletest.MustAcquire(t, b, patterns.Request{}) })
		synctest.Wait()
		for field, c := range map[string]Config{"Mode": {Mode: patterns.Leased(0, 0)}, "OnFailure": {OnFailure: patterns.FailClosed}, "MaxWait": {MaxWait: -1}} {
			if err := b.Validate(c); !slices.Contains(configtest.Faulty(err), field) {
				t.Errorf("%s: Validate says %v", field, err)
			}
			if err := b.Reconfigure(t.Context(), c); !slices.Contains(configtest.Faulty(err), field) {
				t.Errorf("%s changed: %v", field, err)
			}
		}
		if err := b.Reconfigure(t.Context(), with(queued, func(c *Config) { c.MaxConcurrent = 3 })); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := b.Reconfigure(t.Context(), with(queued, func(c *Config) { c.MaxConcurrent = 1 })); err != nil {
			t.Fatal(err)
		}
		for i := range permits {
			if _, err := b.TryAcquire(); !errors.Is(err, ErrFull) {
				t.Errorf("with %d taken of 1: %v", 3-i, err)
			}
			permits[i].Report(patterns.Success)
		}
		if s := handletest.Settled(t, b); s.Active != 1 || s.Limit != 1 {
			t.Errorf("%+v", s)
		}
		actorstest.WantEvents(t, guards, WasSaturated, actorstest.Is[ConfigChanged](), actorstest.Is[ConfigChanged]())
	})
}

func TestAPartitionThatIsFullLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnRooms(t, guards, rooms)
		greedy := patterns.Request{Key: "greedy"}
		permits := []patterns.Permit{handletest.MustAcquire(t, b, greedy), handletest.MustAcquire(t, b, greedy)}
		for range 5 {
			if _, err := b.AcquireFor(t.Context(), greedy); !isCause(err, CauseSlots) {
				t.Errorf("error %v", err)
			}
		}
		for _, key := range []string{"a", "b", ""} {
			p := handletest.MustAcquire(t, b, patterns.Request{Key: key, Weight: 2})
			defer p.Release()
		}
		if _, err := b.AcquireFor(t.Context(), patterns.Request{Key: "c"}); !isCause(err, CausePartitions) {
			t.Errorf("error %v", err)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e Saturated) bool { return e.Key == "greedy" }))
		for i := range permits {
			permits[i].Release()
		}
		if s := handletest.Settled(t, b); s.Partitions != 2 || s.Active != 6 || s.SaturatedPartitions != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheLimitHoldsUnderFire(t *testing.T) {
	for name, c := range map[string]Config{
		"strict": {MaxConcurrent: 3, MaxWaiting: 4, MaxWait: time.Millisecond},
		"leased": {MaxConcurrent: 32, MaxWaiting: 4, Mode: patterns.Leased(16, time.Millisecond)},
		"refuse": {MaxConcurrent: 32, Mode: patterns.Leased(4, time.Millisecond)},
	} {
		t.Run(name, func(t *testing.T) {
			b := spawnRooms(t, actorstest.NewRegistry(t), c)
			var running, worst, ran atomic.Int64
			var wg sync.WaitGroup
			for i := range 48 {
				wg.Go(func() {
					for n := range 200 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+n%7)*time.Millisecond)
						p, err := b.Acquire(ctx)
						if err == nil {
							if now := running.Add(1); now > int64(c.MaxConcurrent) {
								worst.Store(now)
							}
							ran.Add(1)
							runtime.Gosched()
							running.Add(-1)
							switch (i + n) % 3 {
							case 0:
								p.Report(patterns.Success)
							case 1:
								p.Report(patterns.Failure)
							case 2:
								p.Release()
							}
						}
						cancel()
					}
				})
			}
			wg.Wait()
			if worst.Load() > 0 || ran.Load() == 0 {
				t.Errorf("%d at once of %d; %d ran", worst.Load(), c.MaxConcurrent, ran.Load())
			}
			s := handletest.Settled(t, b)
			if s.InFlight != 0 || s.Waiting != 0 || s.Peak > c.MaxConcurrent {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestGuardsAreFoundByName(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := spawnRooms(t, guards, Config{})
	same, err := GetOrSpawn(guards, "rooms", Config{MaxConcurrent: 10})
	if err != nil || same != b {
		t.Errorf("got %v, %v", same, err)
	}
	if _, err := GetOrSpawn(guards, "rooms", Config{MaxConcurrent: 9}); !errors.Is(err, actors.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if got, ok := Get(guards, "rooms"); !ok || got != b {
		t.Error("not found")
	}
	for name, got := range All(guards) {
		if name != "rooms" || got != b {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, ok := Get(nil, "rooms"); ok {
		t.Error("found in nothing")
	}
	if _, err := Spawn(guards, "bad", Config{MaxConcurrent: -1, MaxWaiting: -5}); len(configtest.Faulty(err)) != 2 {
		t.Errorf("error %v", err)
	}
	if b.Reset(t.Context()) != nil || b.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}) == nil {
		t.Error("operations")
	}
}

func TestGuardedCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	ctx := context.Background()
	for name, c := range map[string]Config{"refusing": {MaxConcurrent: 4}, "queueing": {MaxConcurrent: 4, MaxWaiting: 1}, "partitions": rooms} {
		b, err := Spawn(guards, name, c)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(500, func() {
			p, _ := b.Acquire(ctx)
			p.Report(patterns.Success)
			p, _ = b.TryAcquire()
			p.Report(patterns.Success)
			p, _ = b.AcquireFor(ctx, patterns.Request{Weight: 2, Key: "k"})
			p.Report(patterns.Failure)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		handletest.MustAcquire(t, b, patterns.Request{Weight: c.MaxConcurrent})
		if n := testing.AllocsPerRun(500, func() {
			if _, err := b.TryAcquire(); !errors.Is(err, ErrFull) {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s, refused: %v allocations", name, n)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	guards := actorstest.NewRegistry(b)
	for name, c := range map[string]Config{
		"strict": {MaxConcurrent: 1000}, "queueing": {MaxConcurrent: 1000, MaxWaiting: 1000},
		"leased": {MaxConcurrent: 1000, Mode: patterns.Leased(0, 0)},
	} {
		g, err := Spawn(guards, name, c)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				p, _ := g.Acquire(ctx)
				p.Report(patterns.Success)
			}
		})
	}
}
