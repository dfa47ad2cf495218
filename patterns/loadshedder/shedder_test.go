package loadshedder

import (
	"context"
	"errors"
	"fmt"
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

func spawnEdge(t testing.TB, guards *actors.Registry, c Config) *Shedder {
	t.Helper()
	return handletest.Must(Spawn(guards, "edge", c))(t)
}

func isCause(err error, c Cause) bool {
	e, ok := errors.AsType[*ShedError](err)
	return ok && e.Cause == c && e.Name == "edge" && errors.Is(err, ErrShed) && errors.Is(err, patterns.ErrRejected) && e.Error() != ""
}

func TestCallersWaitInOrderAndTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnEdge(t, guards, hall)
		first, second := handletest.MustAcquire(t, s, patterns.Request{}), handletest.MustAcquire(t, s, patterns.Request{})
		if _, err := s.TryAcquire(); !isCause(err, CauseInFlight) {
			t.Errorf("does not wait: %v", err)
		}
		var served []patterns.Priority
		next := make(chan patterns.Permit)
		for _, p := range []patterns.Priority{patterns.Low, patterns.Normal, patterns.Critical} {
			go func() {
				permit, err := s.AcquireFor(t.Context(), patterns.Request{Priority: p})
				if err != nil {
					t.Error(err)
				}
				served = append(served, p)
				next <- permit
			}()
			synctest.Wait()
		}
		if _, err := s.Acquire(t.Context()); !isCause(err, CauseQueue) {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Second)
		first.Report(patterns.Success)
		for range 3 {
			p := <-next
			p.Report(patterns.Failure)
		}
		second.Release()
		if !slices.Equal(served, []patterns.Priority{patterns.Critical, patterns.Normal, patterns.Low}) {
			t.Errorf("served %v", served)
		}
		time.Sleep(10 * time.Second)
		actorstest.WantEvents(t, guards, BeganShedding, HasRecovered)
		snap := handletest.Settled(t, s)
		if snap.Used != 0 || snap.Peak != 2 || snap.Waits.Count() != 3 || snap.Shed != (ShedCounts{InFlight: 1, Queue: 1}) || snap.Rejected != 2 || snap.Strained {
			t.Errorf("%+v", snap)
		}
	})
}

func TestAWaitEndsOnTime(t *testing.T) {
	for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(8, 0)} {
		synctest.Test(t, func(t *testing.T) {
			s := spawnEdge(t, actorstest.NewRegistry(t), with(hall, func(c *Config) { c.Mode, c.MaxWait = mode, 5*sec }))
			held := handletest.MustAcquire(t, s, patterns.Request{Weight: 2})
			began := time.Now()
			_, err := s.Acquire(t.Context())
			if took := time.Since(began); !isCause(err, CauseMaxWait) || took < 5*time.Second || took > 5001*time.Millisecond {
				t.Errorf("after %v: %v", took, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) && !isCause(err, CauseDeadline) {
				t.Errorf("its own context: %v", err)
			}
			go func() {
				time.Sleep(time.Second)
				held.Report(patterns.Success)
			}()
			p, err := s.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.Release()
			synctest.Wait()
			if snap := handletest.Settled(t, s); snap.Used != 0 || snap.Waiting != 0 {
				t.Errorf("%+v", snap)
			}
		})
	}
}

func TestNoPlaceLeaksHoweverItsHolderEnds(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"returns": func(context.Context) error { return nil },
		"fails":   func(context.Context) error { return errors.New("no") },
		"panics":  func(context.Context) error { panic("no") },
		"exits":   func(context.Context) error { runtime.Goexit(); return nil },
		"is late": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := spawnEdge(t, actorstest.NewRegistry(t), with(hall, func(c *Config) { c.MaxQueue = 20 }))
				var wg sync.WaitGroup
				for i := range 40 {
					wg.Go(func() {
						defer func() { _ = recover() }()
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
						defer cancel()
						_ = patterns.Run(ctx, s, fn)
					})
				}
				wg.Wait()
				synctest.Wait()
				if snap := handletest.Settled(t, s); snap.Used != 0 || snap.InFlight != 0 || snap.Waiting != 0 || snap.Peak > 2 {
					t.Errorf("%+v", snap)
				}
			})
		})
	}
}

func TestPlacesOfAnActorThatDiedComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnEdge(t, guards, hall)
		got := make(chan any, 10)
		holder := guards.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Request(s.PID(), actors.Acquire{Weight: 2, Holder: c.Self()})
				c.Request(s.PID(), actors.Acquire{Holder: c.Self(), Priority: patterns.High})
				c.Request(s.PID(), actors.Acquire{NoWait: true, Ref: 3})
			case actors.Granted, actors.Rejected:
				got <- m
			}
		}))
		if _, ok := (<-got).(actors.Granted); !ok {
			t.Error("not granted")
		}
		if r, ok := (<-got).(actors.Rejected); !ok || r.Ref != 3 || !isCause(r.Err, CauseInFlight) {
			t.Errorf("%+v", r)
		}
		if snap := handletest.Settled(t, s); snap.Used != 2 || snap.Waiting != 1 {
			t.Errorf("%+v", snap)
		}
		guards.System().Root.Stop(holder)
		synctest.Wait()
		if snap := handletest.Settled(t, s); snap.Used != 0 || snap.Waiting != 0 {
			t.Errorf("%+v", snap)
		}
	})
}

func TestTheLimitIsNeverExceeded(t *testing.T) {
	const limit = 30
	for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(8, 10*ms)} {
		for _, queue := range []int{NoQueue, 10} {
			t.Run(fmt.Sprint(mode, queue), func(t *testing.T) {
				s := spawnEdge(t, actorstest.NewRegistry(t), with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.Mode = limit, queue, mode }))
				var now, most, shed atomic.Int64
				var wg sync.WaitGroup
				for i := range 40 {
					wg.Go(func() {
						for n := range 300 {
							p, err := s.AcquireFor(context.Background(), patterns.Request{Priority: patterns.Background + patterns.Priority(i%levels), Weight: n % 3})
							if err != nil {
								shed.Add(1)
								continue
							}
							w := int64(max(1, n%3))
							for in := now.Add(w); ; {
								if m := most.Load(); in <= m || most.CompareAndSwap(m, in) {
									break
								}
							}
							runtime.Gosched()
							now.Add(-w)
							if n%5 == 0 {
								p.Release()
							} else {
								p.Report(patterns.Outcome(n % 4))
							}
						}
					})
				}
				wg.Wait()
				snap := handletest.Settled(t, s)
				if most.Load() > limit || snap.Peak > limit {
					t.Errorf("%d at once, peak %d", most.Load(), snap.Peak)
				}
				if snap.Rejected != uint64(shed.Load()) || snap.InFlight != 0 {
					t.Errorf("%d were shed: %+v", shed.Load(), snap)
				}
			})
		}
	}
}

func TestLeasedCallersAreShedAtTheLimitAndServedAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spawnEdge(t, actorstest.NewRegistry(t), with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.Mode = 64, NoQueue, patterns.Leased(0, 0) }))
		for round := range 3 {
			var held []patterns.Permit
			for {
				p, err := s.Acquire(t.Context())
				if err != nil {
					if !isCause(err, CauseInFlight) {
						t.Fatal(err)
					}
					break
				}
				held = append(held, p)
			}
			if len(held) < 56 || len(held) > 64 {
				t.Errorf("round %d: %d of 64", round, len(held))
			}
			for i := range held {
				held[i].Report(patterns.Success)
			}
			time.Sleep(10 * time.Second)
			if snap := handletest.Settled(t, s); snap.Used != 0 || snap.Shedding || snap.Strained {
				t.Errorf("round %d: %+v", round, snap)
			}
		}
	})
}

func TestACrashLosesNothing(t *testing.T) {
	for name, crash := range map[string]actorstest.CrashOption{
		"at an Acquire":    actorstest.At(actors.Acquire{}),
		"after an Acquire": actorstest.AfterDeciding(actors.Acquire{}),
		"at a Report":      actorstest.At(actors.Report{}),
		"after a Report":   actorstest.AfterDeciding(actors.Report{}),
		"at a Cancel":      actorstest.At(actors.Cancel{}),
		"at a Tick":        actorstest.AtTick(),
		"at a Consult":     actorstest.At(actors.Consult{}),
		"after a Consult":  actorstest.AfterDeciding(actors.Consult{}),
		"at an Operate":    actorstest.At(actors.Operate{}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := spawnEdge(t, actorstest.NewRegistry(t), with(eyes, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.StaleAfter, c.SampleInterval = 4, 5, time.Hour, Off }))
				held := []patterns.Permit{handletest.MustAcquire(t, s, patterns.Request{Weight: 2}), handletest.MustAcquire(t, s, patterns.Request{})}
				for range 8 {
					_ = s.Observe(t.Context(), Reading{Signal: CPU, Value: 0.95})
					time.Sleep(250 * ms)
				}
				before := handletest.Settled(t, s)
				actorstest.Crash(t, s, crash)
				_ = s.Observe(t.Context(), Reading{Signal: CPU, Value: 0.95})
				if p, err := s.AcquireFor(t.Context(), patterns.Request{Priority: patterns.Critical}); err == nil {
					p.Release()
				}
				_, _ = s.TryAcquireFor(patterns.Request{Weight: 4}) // so that there is something to tick for
				held[1].Report(patterns.Success)
				_ = s.Reset(t.Context())
				time.Sleep(3 * time.Second)
				_ = s.Observe(t.Context(), Reading{Signal: CPU, Value: 0.95})
				snap := handletest.Settled(t, s)
				if snap.Restarts != 1 || snap.Used != 2 || !snap.Signals[CPU].On || snap.Limit != 4 || snap.Shed.Total() < before.Shed.Total() {
					t.Errorf("%+v", snap)
				}
				held[0].Report(patterns.Success)
				if snap := handletest.Settled(t, s); snap.Used != 0 || snap.InFlight != 0 {
					t.Errorf("%+v", snap)
				}
			})
		})
	}
}

func TestHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnEdge(t, guards, Config{})
		spelled := Config{}.withDefaults()
		for _, c := range []Config{{}, spelled} {
			if same, err := GetOrSpawn(guards, "edge", c); err != nil || same != s {
				t.Errorf("%p, %v; want %p", same, err, s)
			}
		}
		if _, err := GetOrSpawn(guards, "edge", Config{MaxInFlight: 5}); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("another Config: %v", err)
		}
		if _, err := Spawn(guards, "edge", Config{}); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("twice: %v", err)
		}
		if _, err := Spawn(guards, "other", Config{CPU: 85}); !slices.Equal(configtest.Faulty(err), []string{"CPU"}) {
			t.Errorf("a bad Config: %v", err)
		}
		if _, err := Spawn(nil, "other", Config{}); !errors.Is(err, actors.ErrNilRegistry) {
			t.Errorf("no registry: %v", err)
		}
		other, err := GetOrSpawn(guards, "aside", Config{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name, each := range All(guards) {
			names = append(names, name)
			if got, ok := Get(guards, name); !ok || got != each {
				t.Errorf("%s: %p, %v", name, got, ok)
			}
		}
		for range All(guards) {
			break
		}
		for range All(nil) {
			t.Error("a shedder of no registry")
		}
		if _, ok := Get(nil, "edge"); ok {
			t.Error("a shedder of no registry")
		}
		if !slices.Equal(names, []string{"aside", "edge"}) {
			t.Errorf("%v", names)
		}
		if err := other.Reconfigure(t.Context(), Config{MaxInFlight: -1, OnFailure: patterns.FailClosed}); !slices.Equal(configtest.Faulty(err), []string{"OnFailure", "MaxInFlight"}) {
			t.Errorf("%v", err)
		}
		if err := other.Reconfigure(t.Context(), Config{MaxInFlight: 7}); err != nil || handletest.Settled(t, other).Limit != 7 {
			t.Errorf("%v", err)
		}
		var bad *patterns.ConfigError
		if err := other.Observe(t.Context(), Reading{Signal: 77}); !errors.As(err, &bad) || bad.Field != "Signal" {
			t.Errorf("%v", err)
		}
		if _, err := other.Consult(t.Context(), 7); !errors.Is(err, actors.ErrUnsupported) {
			t.Errorf("%v", err)
		}
		if err := other.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); err != nil {
			t.Error(err)
		}
		if _, err := other.Acquire(t.Context()); !errors.Is(err, ErrShed) {
			t.Errorf("forced open: %v", err)
		}
		if err := other.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		p, err := other.TryAcquire()
		if err != nil {
			t.Fatal(err)
		}
		p.Report(patterns.Success)
	})
}

func TestTheFailPolicyDecidesWhenTheActorIsGone(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			s := spawnEdge(t, guards, with(door, func(c *Config) { c.OnFailure = policy }))
			actorstest.Crash(t, s, actorstest.At(actors.Acquire{}), actorstest.Times(1000))
			for range 100 {
				if p, err := s.Acquire(t.Context()); err == nil {
					p.Release()
				}
			}
			synctest.Wait()
			p, err := s.Acquire(t.Context())
			if (err == nil) != (policy == patterns.FailOpen) {
				t.Errorf("%v: %v", policy, err)
			}
			p.Report(patterns.Success)
			if alive(guards, s.sampling) {
				t.Error("it still measures")
			}
		})
	}
}

func alive(guards *actors.Registry, pid *actor.PID) bool {
	_, ok := guards.System().ProcessRegistry.GetLocal(pid.Id)
	return ok
}
