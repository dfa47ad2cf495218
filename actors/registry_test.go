package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func TestNames(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	ctx := t.Context()
	b := spawnBreaker(t, guards, "  a name ", circuitbreaker.Config{})
	if b.Name() != "a name" || b.PID().Id != "bulwark/a name" {
		t.Errorf("name %q, PID %v", b.Name(), b.PID())
	}
	for _, name := range []string{"a name", "\ta name\n"} {
		if g, ok := guards.Get(name); !ok || g != patterns.Guard(b) {
			t.Errorf("%q: got %v", name, g)
		}
		if got, ok := circuitbreaker.Get(guards, name); !ok || got != b {
			t.Errorf("%q: got %v", name, got)
		}
	}
	for _, tt := range []struct {
		name  string
		cfg   circuitbreaker.Config
		spawn func(*actors.Registry, string, circuitbreaker.Config, ...actors.Option) (*circuitbreaker.Breaker, error)
		want  []error
	}{
		{"a name", circuitbreaker.Config{}, circuitbreaker.Spawn, []error{actors.ErrNameTaken}},
		{" a name", circuitbreaker.Config{Probes: 3}, circuitbreaker.Spawn, []error{actors.ErrNameTaken}},
		{"a name ", circuitbreaker.Config{}, circuitbreaker.GetOrSpawn, nil},
		{"a name", circuitbreaker.Config{Probes: 3}, circuitbreaker.GetOrSpawn, []error{actors.ErrConflict}},
		{"", circuitbreaker.Config{}, circuitbreaker.Spawn, []error{actors.ErrName}},
		{" \n\t", circuitbreaker.Config{}, circuitbreaker.GetOrSpawn, []error{actors.ErrName}},
		{"", circuitbreaker.Config{Probes: -1}, circuitbreaker.Spawn, []error{actors.ErrName, &patterns.ConfigError{}}},
		{"bad", circuitbreaker.Config{Probes: -1}, circuitbreaker.Spawn, []error{&patterns.ConfigError{}}},
		{"A NAME", circuitbreaker.Config{}, circuitbreaker.Spawn, nil},
	} {
		got, err := tt.spawn(guards, tt.name, tt.cfg)
		if (err == nil) != (len(tt.want) == 0) || (err == nil) != (got != nil) {
			t.Errorf("%q: guard %v, error %v", tt.name, got, err)
		}
		for _, want := range tt.want {
			if config := new(patterns.ConfigError); errors.As(want, &config) {
				if _, ok := errors.AsType[*patterns.ConfigError](err); !ok {
					t.Errorf("%q: error %v", tt.name, err)
				}
			} else if !errors.Is(err, want) {
				t.Errorf("%q: error %v, want %v", tt.name, err, want)
			}
		}
	}
	spec, m := semSpec(semConfig{Limit: 1}, 1)
	if _, err := actors.GetOrSpawn(guards, "a name", spec, wrapSem(m)); !errors.Is(err, actors.ErrConflict) {
		t.Errorf("of another pattern: %v", err)
	}
	if _, ok := guards.Get("bad"); ok {
		t.Error("what was refused has a name")
	}
	if err := b.Stop(ctx); err != nil {
		t.Error(err)
	}
	if _, ok := guards.Get("a name"); ok {
		t.Error("a stopped guard has a name")
	}
	if _, err := circuitbreaker.Spawn(guards, "a name", circuitbreaker.Config{Probes: 3}); err != nil {
		t.Error(err)
	}
	if err := b.Stop(ctx); err != nil { // again: it must not take the new one's name
		t.Error(err)
	}
	if _, ok := guards.Get("a name"); !ok {
		t.Error("the new guard has lost its name")
	}
}

func TestNothingToSpawnIn(t *testing.T) {
	if _, err := actors.NewRegistry(nil); !errors.Is(err, actors.ErrNilSystem) {
		t.Errorf("error %v", err)
	}
	if _, err := circuitbreaker.Spawn(nil, "b", circuitbreaker.Config{}); !errors.Is(err, actors.ErrNilRegistry) {
		t.Errorf("error %v", err)
	}
	if _, ok := circuitbreaker.Get(nil, "b"); ok {
		t.Error("got a breaker from nowhere")
	}
	system := actorstest.NewSystem(t)
	if _, err := actors.NewRegistry(system, actors.WithIntensity(intensity.Config{Period: -1})); err == nil {
		t.Error("a bad intensity runs")
	}
	guards := actorstest.NewRegistryIn(t, system)
	if _, err := actors.NewRegistry(system); !errors.Is(err, actors.ErrNameTaken) {
		t.Errorf("a second registry: %v", err)
	}
	spawnSem(t, guards, "sem", 1, 1)
	if err := guards.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := actors.NewRegistry(system) // the first is gone
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestGetOrSpawnStartsOneGuard(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	for round := range 20 {
		name := fmt.Sprint("b", round)
		got := make([]*circuitbreaker.Breaker, 64)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				b, err := circuitbreaker.GetOrSpawn(guards, name, circuitbreaker.Config{})
				if err != nil {
					t.Error(err)
					return
				}
				p, err := b.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				p.Report(patterns.Success)
				got[i] = b
			})
		}
		wg.Wait()
		if n := len(slices.Compact(got)); n != 1 {
			t.Fatalf("%d guards", n)
		}
		if s, _ := got[0].Snapshot(t.Context()); s.Granted != 64 {
			t.Errorf("%+v", s.Counts)
		}
	}
}

func TestIteratingOverGuards(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	for _, name := range []string{"c", "a", "e", "b", "d"} {
		if name == "b" {
			spawnBreaker(t, guards, name, circuitbreaker.Config{})
		} else {
			spawnSem(t, guards, name, 1, 1)
		}
	}
	var names, snapshots, some []string
	for name, g := range guards.Guards() {
		names = append(names, name)
		if g.Name() != name {
			t.Errorf("%s is %s", name, g.Name())
		}
	}
	for name, s := range guards.All() {
		snapshots = append(snapshots, fmt.Sprintf("%s %T", name, s))
	}
	for name := range guards.All() {
		if some = append(some, name); name == "b" {
			break
		}
	}
	for range guards.Guards() {
		break
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
	if want := []string{"a actors_test.semSnapshot", "b circuitbreaker.Snapshot", "c actors_test.semSnapshot", "d actors_test.semSnapshot", "e actors_test.semSnapshot"}; !slices.Equal(snapshots, want) {
		t.Errorf("%v", snapshots)
	}
	if want := []string{"a", "b"}; !slices.Equal(some, want) {
		t.Errorf("%v", some)
	}
}

func TestShutdownWaitsForPermitsAndAnswersEverybodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s, idle := spawnSem(t, guards, "sem", 1, 10), spawnSem(t, guards, "idle", 1, 10)
		p := acquire(t, s, patterns.Request{})
		in := newInbox(t, guards.System())
		in.ask(s.PID(), actors.Acquire{Ref: 1, Holder: in.pid})
		var waited error
		var wg sync.WaitGroup
		wg.Go(func() { _, waited = s.Acquire(t.Context()) })
		synctest.Wait()
		events, _ := guards.Subscribe()

		start := time.Now()
		done := make(chan error)
		for range 3 {
			go func() { done <- guards.Shutdown(t.Context()) }()
		}
		nextAs[actors.Rejected](t, in)
		wg.Wait()
		if !errors.Is(waited, actors.ErrStopped) {
			t.Errorf("error %v", waited)
		}
		for range 2 { // all but one have nothing to do
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		for _, g := range []*sem{s, idle} {
			if _, err := g.Acquire(t.Context()); !errors.Is(err, actors.ErrStopped) {
				t.Errorf("error %v", err)
			}
		}
		if _, err := circuitbreaker.Spawn(guards, "new", circuitbreaker.Config{}); !errors.Is(err, actors.ErrClosed) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		if !p.Report(patterns.Success) {
			t.Error("the report of a permit in flight did not count")
		}
		if err := <-done; err != nil || time.Since(start) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		var stopped []string
		for ev := range events {
			stopped = append(stopped, fmt.Sprintf("%T %s", ev, ev.Source()))
		}
		slices.Sort(stopped)
		if want := []string{"actors.Stopped idle", "actors.Stopped sem"}; !slices.Equal(stopped, want) {
			t.Errorf("%v", stopped)
		}
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := circuitbreaker.Spawn(guards, "new", circuitbreaker.Config{}); !errors.Is(err, actors.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

func TestShutdownNamesWhoseGuardsHadPermitsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s, other, idle := spawnSem(t, guards, "sem", 3, 10), spawnSem(t, guards, "other", 1, 10), spawnSem(t, guards, "idle", 1, 10)
		acquire(t, s, patterns.Request{})
		acquire(t, s, patterns.Request{})
		acquire(t, other, patterns.Request{})
		p := acquire(t, idle, patterns.Request{})
		p.Report(patterns.Success)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		left, ok := errors.AsType[*actors.ShutdownError](guards.Shutdown(ctx))
		if !ok || !errors.Is(left, context.DeadlineExceeded) || len(left.InFlight) != 2 || left.InFlight["sem"] != 2 || left.InFlight["other"] != 1 {
			t.Errorf("%v", left)
		}
		if _, err := s.Acquire(t.Context()); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("error %v", err)
		}
	})
}

func TestStopsAtTheSameTimeAllEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		p := acquire(t, s, patterns.Request{})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := s.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := guards.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		p.Report(patterns.Success)
		wg.Wait()
	})
}

func TestARegistryStopsGuardsUnderUsersActorsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := underParent(t, guards, actor.DefaultSupervisorStrategy())
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, alive := guards.System().ProcessRegistry.GetLocal(s.PID().Id); alive {
			t.Error("it lives on")
		}
		late := make(chan error, 1)
		guards.System().Root.Send(s.parent.pid, do(func(c actor.Context) {
			_, err := circuitbreaker.Spawn(guards, "late", circuitbreaker.Config{}, actors.Under(c))
			late <- err
		}))
		if err := <-late; !errors.Is(err, actors.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}

// The root is told last that a guard has stopped, and then takes one that was spawned
// meanwhile, under the same name, for the one that is gone.
func TestAGuardThatIsSpawnedBeforeTheOldOneIsForgottenEndsWithItsRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := actorstest.NewSystem(t)
		guards := actorstest.NewRegistryIn(t, system)
		s := spawnSem(t, guards, "sem", 1, 1)
		watcher := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(s.PID())
			case *actor.Terminated: // on the goroutine of the guard that stops
				spawnSem(t, guards, "sem", 1, 1)
			}
		}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(10))))
		system.Root.Stop(s.PID())
		synctest.Wait()
		g, _ := guards.Get("sem")
		p := acquire(t, g, patterns.Request{})
		p.Release()
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, alive := system.ProcessRegistry.GetLocal("bulwark/sem"); alive {
			t.Error("a guard has outlived its registry")
		}
		system.Root.Stop(watcher)
	})
}

// A guard of the same name, spawned at once, is not mistaken for the old one.
func TestAGuardThatIsSpawnedAgainAtOnceEndsWithItsRegistry(t *testing.T) {
	rounds := 60
	if soak {
		rounds = 5000
	}
	system := actorstest.NewSystem(t)
	for range rounds {
		guards, err := actors.NewRegistry(system)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			s := spawnSem(t, guards, "sem", 1, 1)
			system.Root.Stop(s.PID())
			for {
				_, err := circuitbreaker.Spawn(guards, "sem", circuitbreaker.Config{})
				if err == nil {
					break
				}
				if !errors.Is(err, actors.ErrNameTaken) {
					t.Fatal(err)
				}
			}
			b, _ := circuitbreaker.Get(guards, "sem")
			if err := b.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		spawnSem(t, guards, "sem", 1, 1)
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, alive := system.ProcessRegistry.GetLocal("bulwark/sem"); alive {
			t.Fatal("a guard has outlived its registry")
		}
	}
}

func TestSpawningDuringShutdownEnds(t *testing.T) {
	rounds := 100
	if soak {
		rounds = 5000
	}
	system := actorstest.NewSystem(t)
	for range rounds {
		guards, err := actors.NewRegistry(system)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 10 {
					_, err := circuitbreaker.Spawn(guards, fmt.Sprint(g, "-", i), circuitbreaker.Config{})
					if err != nil && !errors.Is(err, actors.ErrClosed) {
						t.Error(err)
					}
				}
			})
		}
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestAStoppedGuardCanStillBeCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBreaker(t, guards, "b", circuitbreaker.Config{CallTimeout: time.Second})
		p, q := acquire(t, b, patterns.Request{}), acquire(t, b, patterns.Request{})
		p.Report(patterns.Success)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Stop(ended); err == nil {
			t.Error("a permit was out")
		}
		ctx := t.Context()
		refused := map[string]error{}
		_, refused["Acquire"] = b.Acquire(ctx)
		_, refused["AcquireFor"] = b.AcquireFor(ctx, patterns.Request{Weight: 2, HoldFor: time.Second})
		_, refused["Do"] = patterns.Do(ctx, b, func(context.Context) (int, error) { t.Error("it ran"); return 0, nil })
		refused["Reset"] = b.Reset(ctx)
		refused["ForceOpen"] = b.ForceOpen(ctx, 0, "")
		refused["ForceClosed"] = b.ForceClosed(ctx, 0, "")
		refused["MetricsOnly"] = b.MetricsOnly(ctx, 0, "")
		refused["Reconfigure"] = b.Reconfigure(ctx, circuitbreaker.Config{CallTimeout: time.Second})
		refused["Operate"] = b.Operate(ctx, patterns.Operation{})
		for method, err := range refused {
			r, ok := errors.AsType[*actors.Refusal](err)
			if !ok || r.Name != "b" || !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
				t.Errorf("%s: error %v", method, err)
			}
		}
		if _, ok := errors.AsType[*patterns.ConfigError](b.Reconfigure(ctx, circuitbreaker.Config{Probes: -1})); !ok {
			t.Error("a bad config is not named")
		}
		if q.Report(patterns.Success) {
			t.Error("a report counted")
		}
		q.Release()
		s, ok := b.Snapshot(ctx)
		if !ok || s.Granted != 2 || s.Success != 1 || s.InFlight != 1 || !s.Balanced() {
			t.Errorf("%+v", s)
		}
		if v, err := b.Inspect(ctx); err != nil || v != any(s) {
			t.Errorf("%v, error %v", v, err)
		}
		if b.Name() != "b" || b.Terms().Timeout != time.Second || b.Unguarded() != 0 || b.System() != guards.System() {
			t.Errorf("%q, %+v, %d", b.Name(), b.Terms(), b.Unguarded())
		}
		b.Stats()
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

// A PoisonPill stops a guard like any actor.
func TestAPoisonedGuardStopsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		guards.System().Root.Poison(s.PID())
		actorstest.WantEvents(t, guards, actorstest.Is[actors.Stopped]())
		if _, err := s.Acquire(t.Context()); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRulesThatPanicAtTheirLastSnapshotDoNotKeepTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		s.machine.panicIn = "Snapshot"
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if _, ok := s.Snapshot(t.Context()); ok {
			t.Error("a snapshot out of nowhere")
		}
		spawnSem(t, guards, "sem", 1, 1)
	})
}
