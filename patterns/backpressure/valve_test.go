package backpressure

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
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

func spawnValve(t testing.TB, guards *actors.Registry, c Config) *Valve {
	t.Helper()
	return handletest.Must(Spawn(guards, "valve", c))(t)
}

func mustAcquire(t testing.TB, v *Valve, n int) (permits []patterns.Permit) {
	t.Helper()
	for range n {
		p, err := v.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		permits = append(permits, p)
	}
	return permits
}

func TestProducersWaitBetweenTheMarksAndGoOnInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, small)
		permits := mustAcquire(t, v, 4)
		order := make(chan actors.Granted, 3)
		system := guards.System()
		producer := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if g, ok := c.Message().(actors.Granted); ok {
				order <- g
			}
		}))
		defer func() { _ = system.Root.StopFuture(producer).Wait() }()
		for i := range uint64(3) {
			system.Root.RequestWithCustomSender(v.PID(), actors.Acquire{Ref: i}, producer)
			synctest.Wait()
		}
		if s := handletest.Settled(t, v); s.Waiting != 3 || !s.Hot {
			t.Fatalf("%+v", s)
		}
		for i := range 2 {
			permits[i].Report(patterns.Success)
		}
		synctest.Wait()
		if len(order) != 0 {
			t.Fatal("somebody passed between the marks")
		}
		permits[2].Report(patterns.Failure)
		for i := range uint64(3) {
			g := <-order
			if g.Ref != i {
				t.Errorf("producer %d came in place %d", g.Ref, i)
			}
			system.Root.Send(v.PID(), actors.Report{Permit: g.Permit})
		}
		actorstest.WantEvents(t, guards, Heated, Cooled, Heated)
		permits[3].Report(patterns.Success)
		synctest.Wait()
		if s := handletest.Settled(t, v); s.Pending != 0 || s.Hot || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTryAcquireNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := spawnValve(t, actorstest.NewRegistry(t), small)
		p, err := v.TryAcquire()
		if err != nil {
			t.Fatal(err)
		}
		mustAcquire(t, v, 3)
		if _, err := v.TryAcquire(); !isCause(err, CauseHot) {
			t.Errorf("hot: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _ = v.Acquire(ctx) }()
		synctest.Wait()
		if _, err := v.TryAcquire(); !isCause(err, CauseWaiters) {
			t.Errorf("behind somebody: %v", err)
		}
		if _, err := v.TryAcquireFor(patterns.Request{Weight: 6, Priority: patterns.High}); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("too heavy: %v", err)
		}
		cancel()
		synctest.Wait()
		p.Release()
		if s := handletest.Settled(t, v); s.Waiting != 0 || s.Pending != 3 || s.InFlight != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func isCause(err error, c Cause) bool {
	p, ok := errors.AsType[*PressureError](err)
	return ok && p.Cause == c && p.Name == "valve" && errors.Is(err, ErrPressure) && errors.Is(err, patterns.ErrRejected) && p.Error() != ""
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, with(small, func(c *Config) { c.MaxWaiting = 1 }))
		mustAcquire(t, v, 4)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := v.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		if _, err := v.Acquire(t.Context()); !isCause(err, CauseQueue) {
			t.Errorf("error %v", err)
		}
		if _, err := v.AcquireFor(t.Context(), patterns.Request{Weight: 2}); !isCause(err, CauseQueue) {
			t.Errorf("error %v", err)
		}
		wg.Wait()
		if s := handletest.Settled(t, v); s.Cancelled != 1 || s.Rejected != 2 || s.Waiting != 0 {
			t.Errorf("%+v", s.Counts)
		}
	})
}

func TestNoPermitLeaksHoweverItsHolderEnds(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"returns": func(context.Context) error { return nil },
		"fails":   func(context.Context) error { return errors.New("no") },
		"panics":  func(context.Context) error { panic("no") },
		"exits":   func(context.Context) error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := spawnValve(t, actorstest.NewRegistry(t), small)
				for range 20 {
					done := make(chan struct{})
					go func() {
						defer close(done)
						defer func() { _ = recover() }()
						_ = patterns.Run(t.Context(), v, fn)
					}()
					<-done
				}
				if s := handletest.Settled(t, v); s.Pending != 0 || s.Reported != 20 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestCreditsOfAnActorThatDiedComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, small)
		system := guards.System()
		credits := make(chan actors.Granted, 10)
		producer := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for range 5 {
					c.Request(v.PID(), actors.Acquire{Holder: c.Self()})
				}
			case actors.Granted:
				credits <- m
			}
		}))
		synctest.Wait()
		if s := handletest.Settled(t, v); len(credits) != 4 || s.Pending != 4 || s.Waiting != 1 {
			t.Fatalf("%d credits, %+v", len(credits), s)
		}
		if err := system.Root.StopFuture(producer).Wait(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := handletest.Settled(t, v); s.Pending != 0 || s.Waiting != 0 || s.Hot || s.Reclaimed != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARestartKeepsWhatIsPendingAndWhoWaits(t *testing.T) {
	for _, msg := range []any{actors.Report{}, actors.Cancel{}, actors.Inspect{}, actors.Acquire{}} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			v := spawnValve(t, guards, small)
			permits := mustAcquire(t, v, 4)
			var wg sync.WaitGroup
			wg.Go(func() {
				if p, err := v.Acquire(t.Context()); err != nil {
					t.Error(err)
				} else {
					p.Release()
				}
			})
			synctest.Wait()
			actorstest.Crash(t, v, actorstest.At(msg))
			switch msg.(type) {
			case actors.Report:
				permits[0].Report(patterns.Success)
			case actors.Cancel:
				permits[0].Release()
			case actors.Acquire:
				_, _ = v.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
				permits[0].Report(patterns.Success)
			default:
				_, _ = v.Snapshot(t.Context())
				permits[0].Report(patterns.Success)
			}
			synctest.Wait()
			if s := handletest.Settled(t, v); s.Pending != 3 || s.Waiting != 1 || !s.Hot || s.Restarts != 1 {
				t.Errorf("%T: %+v", msg, s)
			}
			permits[1].Report(patterns.Success)
			permits[2].Report(patterns.Success)
			wg.Wait()
			synctest.Wait()
			if s := handletest.Settled(t, v); s.Pending != 1 || s.Hot {
				t.Errorf("%T: %+v", msg, s)
			}
		})
	}
}

func TestPressureIsYieldedAtEachTransition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, small)
		if _, err := Spawn(guards, "other", small); err != nil {
			t.Fatal(err)
		}
		var seen []bool
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			for hot := range v.Pressure(ctx) {
				seen = append(seen, hot)
			}
		})
		for range 2 {
			synctest.Wait()
			permits := mustAcquire(t, v, 4)
			synctest.Wait()
			for i := range permits {
				permits[i].Report(patterns.Success)
			}
			time.Sleep(time.Second)
		}
		cancel()
		wg.Wait()
		if want := []bool{false, true, false, true, false}; !slices.Equal(seen, want) {
			t.Errorf("saw %v, want %v", seen, want)
		}
		for hot := range v.Pressure(t.Context()) { // the first comes at once
			if hot {
				t.Error("hot")
			}
			break
		}
		wg.Go(func() {
			for range v.Pressure(context.Background()) { // it ends when the valve stops
			}
		})
		synctest.Wait()
		if err := v.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

func TestLeasedProducersNeverExceedTheMaximum(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	v := spawnValve(t, guards, Config{MaxPending: 64, HighWater: 48, LowWater: 8, Mode: patterns.Leased(16, time.Millisecond)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var held []patterns.Permit
			for range 2000 {
				p, err := v.TryAcquire()
				if err != nil {
					if !errors.Is(err, ErrPressure) {
						t.Error(err)
					}
					for i := range held {
						held[i].Report(patterns.Success)
					}
					held = held[:0]
					continue
				}
				held = append(held, p)
			}
			for i := range held {
				held[i].Report(patterns.Success)
			}
		})
	}
	wg.Wait()
	s := handletest.Settled(t, v)
	if s.InFlight != 0 || s.Peak > 64 || s.Granted == 0 {
		t.Errorf("%+v", s)
	}
}

func TestReconfigureServesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, small)
		mustAcquire(t, v, 4)
		var wg sync.WaitGroup
		wg.Go(func() { mustAcquire(t, v, 1) })
		synctest.Wait()
		for field, c := range map[string]Config{"Mode": {Mode: patterns.Leased(0, 0)}, "OnFailure": {OnFailure: patterns.FailClosed}, "MaxPending": {MaxPending: -1}} {
			if err := v.Reconfigure(t.Context(), c); !slices.Contains(configtest.Faulty(err), field) {
				t.Errorf("%s changed: %v", field, err)
			}
		}
		if err := v.Reconfigure(t.Context(), Config{MaxPending: 50, MaxWaiting: 6}); err != nil {
			t.Error(err)
		}
		wg.Wait()
		actorstest.WantEvents(t, guards, actorstest.Is[ConfigChanged]())
	})
}

func TestGuardsAreFoundByName(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	v := spawnValve(t, guards, Config{})
	same, err := GetOrSpawn(guards, "valve", Config{MaxPending: 1000})
	if err != nil || same != v {
		t.Errorf("got %v, %v", same, err)
	}
	if _, err := GetOrSpawn(guards, "valve", Config{MaxPending: 9}); !errors.Is(err, actors.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if got, ok := Get(guards, "valve"); !ok || got != v {
		t.Error("not found")
	}
	for name, got := range All(guards) {
		if name != "valve" || got != v {
			t.Errorf("%s: %v", name, got)
		}
	}
	if _, ok := Get(nil, "valve"); ok {
		t.Error("found in nothing")
	}
	if _, err := Spawn(guards, "bad", Config{MaxPending: -1, MaxWaiting: -5}); len(configtest.Faulty(err)) != 2 {
		t.Errorf("error %v", err)
	}
}

func TestGuardedCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	v := spawnValve(t, guards, Config{MaxPending: 10, MaxWaiting: NoQueue})
	ctx := context.Background()
	if n := testing.AllocsPerRun(500, func() {
		p, _ := v.Acquire(ctx)
		p.Report(patterns.Success)
		p, _ = v.TryAcquire()
		p.Report(patterns.Success)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	mustAcquire(t, v, 8)
	if n := testing.AllocsPerRun(500, func() {
		if _, err := v.Acquire(ctx); !errors.Is(err, ErrPressure) {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("refused: %v allocations", n)
	}
}

func BenchmarkCall(b *testing.B) {
	guards := actorstest.NewRegistry(b)
	strict, _ := Spawn(guards, "strict", Config{})
	leased, _ := Spawn(guards, "leased", Config{Mode: patterns.Leased(0, 0)})
	for name, v := range map[string]*Valve{"strict": strict, "leased": leased} {
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				p, _ := v.Acquire(ctx)
				p.Report(patterns.Success)
			}
		})
	}
}
