package actors_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// stage is a full semaphore: one permit held through the handle, one by an actor, and
// two requests that wait.
type stage struct {
	t       *testing.T
	s       *sem
	mine    patterns.Permit
	holder  *inbox
	granted actors.Granted
	in      *inbox // whose requests 1 and 2 wait
	other   *inbox // who asks for what fails
}

// occupied runs f while the guard's turn is taken, so that f has to queue.
func (st *stage) occupied(f func()) { occupied(st.occupy(), f) }

func occupied(free, f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	synctest.Wait()
	free()
	wg.Wait()
}

// occupy takes the guard's turn until free is called.
func (st *stage) occupy() (free func()) {
	return st.s.machine.occupy(func() { st.s.Snapshot(st.t.Context()) })
}

// crashes are the ways in which a message can fail. do returns the answer, if there
// is one, and whether the permit held through the handle (mine) or by the actor
// (theirs) is no longer out because of it.
var crashes = []struct {
	name         string
	at           any
	do           func(st *stage) error
	silent       bool // there is no answer
	mine, theirs bool
}{
	{name: "Acquire on the spot", at: actors.Acquire{}, do: func(st *stage) error {
		_, err := st.s.AcquireFor(st.t.Context(), patterns.Request{Priority: patterns.Critical})
		return err
	}},
	{name: "Acquire in the queue", at: actors.Acquire{}, do: func(st *stage) (err error) {
		st.occupied(func() { _, err = st.s.AcquireFor(st.t.Context(), patterns.Request{Priority: patterns.Critical}) })
		return err
	}},
	{name: "Acquire by message", at: actors.Acquire{}, do: func(st *stage) error {
		st.other.ask(st.s.PID(), actors.Acquire{Ref: 9, Priority: patterns.Critical, Holder: st.other.pid})
		r := nextAs[actors.Rejected](st.t, st.other)
		if r.Ref != 9 {
			st.t.Errorf("%+v", r)
		}
		return r.Err
	}},
	{name: "Report on the spot", at: actors.Report{}, mine: true, silent: true, do: func(st *stage) error {
		if st.mine.Report(patterns.Success) {
			st.t.Error("it counted")
		}
		return nil
	}},
	{name: "Report in the queue", at: actors.Report{}, mine: true, silent: true, do: func(st *stage) error {
		st.occupied(func() { st.mine.Report(patterns.Failure) })
		return nil
	}},
	{name: "Report by message", at: actors.Report{}, theirs: true, silent: true, do: func(st *stage) error {
		st.holder.ask(st.s.PID(), actors.Report{Permit: st.granted.Permit})
		return nil
	}},
	{name: "Release through the handle", at: actors.Cancel{}, mine: true, silent: true, do: func(st *stage) error {
		st.mine.Release()
		return nil
	}},
	{name: "Cancel by message", at: actors.Cancel{}, theirs: true, silent: true, do: func(st *stage) error {
		st.holder.ask(st.s.PID(), actors.Cancel{Permit: st.granted.Permit})
		return nil
	}},
	{name: "Release by message", at: actors.Release{}, theirs: true, silent: true, do: func(st *stage) error {
		st.holder.ask(st.s.PID(), actors.Release{Holder: st.holder.pid})
		return nil
	}},
	{name: "Inspect through the handle", at: actors.Inspect{}, do: func(st *stage) error {
		_, err := st.s.Inspect(st.t.Context())
		return err
	}},
	{name: "Inspect by message", at: actors.Inspect{}, do: func(st *stage) error {
		st.other.ask(st.s.PID(), actors.Inspect{})
		return nextAs[mailbox.Undelivered](st.t, st.other)
	}},
	{name: "Operate through the handle", at: actors.Operate{}, do: func(st *stage) error {
		return st.s.Operate(st.t.Context(), patterns.Operation{})
	}},
	{name: "Operate by message", at: actors.Operate{}, do: func(st *stage) error {
		st.other.ask(st.s.PID(), actors.Operate{})
		return nextAs[actors.Refused](st.t, st.other).Err
	}},
	{name: "Reconfigure through the handle", at: actors.Reconfigure{}, do: func(st *stage) error {
		return st.s.Reconfigure(st.t.Context(), semConfig{Limit: 2})
	}},
	{name: "Reconfigure by message", at: actors.Reconfigure{}, do: func(st *stage) error {
		st.other.ask(st.s.PID(), actors.Reconfigure{Config: semConfig{Limit: 2}})
		return nextAs[actors.Refused](st.t, st.other).Err
	}},
	{name: "the timer", at: nil, silent: true, do: func(st *stage) error {
		st.other.ask(st.s.PID(), actors.Acquire{Deadline: time.Now().Add(time.Second)})
		nextAs[actors.Rejected](st.t, st.other) // after the restart
		return nil
	}},
}

func TestWhatARestartKeeps(t *testing.T) {
	for _, tt := range crashes {
		for _, when := range []string{"before", "after"} {
			if when == "after" && (tt.at == actors.Release{} || tt.at == actors.Inspect{} || tt.at == nil) {
				continue // nothing is decided
			}
			t.Run(tt.name+"/"+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					guards := actorstest.NewRegistry(t)
					st := &stage{t: t, s: spawnSem(t, guards, "sem", 2, 10)}
					st.mine = acquire(t, st.s, patterns.Request{})
					st.holder, st.in, st.other = newInbox(t, guards.System()), newInbox(t, guards.System()), newInbox(t, guards.System())
					st.holder.ask(st.s.PID(), actors.Acquire{Holder: st.holder.pid})
					st.granted = nextAs[actors.Granted](t, st.holder)
					st.in.ask(st.s.PID(), actors.Acquire{Ref: 1})
					st.in.ask(st.s.PID(), actors.Acquire{Ref: 2, Holder: st.in.pid})
					synctest.Wait()

					at := actorstest.At(tt.at)
					switch {
					case tt.at == nil:
						at = actorstest.AtTick()
					case when == "after":
						at = actorstest.AfterDeciding(tt.at)
					}
					actorstest.Crash(t, st.s, at)
					err := tt.do(st)
					if !tt.silent && !errors.Is(err, actors.ErrFailed) {
						t.Errorf("answered with %v", err)
					}
					actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.Restarted) bool {
						return e.Name == "sem" && e.Restarts == 1 && !e.Repaired
					}))
					synctest.Wait()

					got := st.s.snapshot(t)
					want := uint64(2)
					if tt.mine || tt.theirs {
						want = 1
					}
					if got.Waiting != want || got.InFlight != 2 || got.Used != 2 || got.Epoch != 1 || got.Restarts != 1 {
						t.Errorf("want %d waiting: %+v", want, got)
					}
					// Whatever is still out can be reported, and lets the others in, in their order.
					if !tt.mine && !st.mine.Report(patterns.Success) {
						t.Error("a permit held through the handle was lost")
					}
					if g := nextAs[actors.Granted](t, st.in); g.Ref != 1 {
						t.Errorf("%+v is not first", g)
					} else {
						st.in.ask(st.s.PID(), actors.Report{Permit: g.Permit})
					}
					if g := nextAs[actors.Granted](t, st.in); g.Ref != 2 {
						t.Errorf("%+v is not second", g)
					}
					if !tt.theirs {
						st.holder.ask(st.s.PID(), actors.Report{Permit: st.granted.Permit})
					}
					st.in.stop(t) // it is still watched
					synctest.Wait()
					if got := st.s.snapshot(t); got.InFlight != 0 || got.Used != 0 || got.Waiting != 0 || got.Repeated != 0 {
						t.Errorf("%+v", got)
					}
				})
			})
		}
	}
}

func TestAGrantThatFailedIsGivenBack(t *testing.T) {
	for _, tt := range crashes[:3] {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				st := &stage{t: t, s: spawnSem(t, guards, "sem", 1, 10), other: newInbox(t, guards.System())}
				actorstest.Crash(t, st.s, actorstest.AfterDeciding(tt.at), actorstest.Times(3))
				for range 3 {
					if err := tt.do(st); !errors.Is(err, actors.ErrFailed) || !errors.Is(err, patterns.ErrRejected) {
						t.Errorf("answered with %v", err)
					}
				}
				synctest.Wait()
				if got := st.s.snapshot(t); got.InFlight != 0 || got.Used != 0 || got.Rejected != 3 || got.Restarts != 3 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestAnOpenBreakerStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBreaker(t, guards, "b", circuitbreaker.Config{ConsecutiveFailures: 2, OpenFor: time.Minute, Probes: 1})
		p, q := acquire(t, b, patterns.Request{}), acquire(t, b, patterns.Request{})
		p.Report(patterns.Failure)
		actorstest.Crash(t, b, actorstest.AfterDeciding(actors.Report{}))
		q.Report(patterns.Failure) // opens it, and nobody was told yet
		synctest.Wait()
		if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("error %v", err)
		}
		actorstest.WantEvents(t, guards, circuitbreaker.Opened, actorstest.Is[actors.Restarted]())
		actorstest.Crash(t, b, actorstest.At(actors.Operate{}))
		if err := b.Reset(t.Context()); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		s, _ := b.Snapshot(t.Context())
		if s.State != circuitbreaker.Open || s.Epoch != 2 || s.Restarts != 2 || !s.Balanced() || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		probe := acquire(t, b, patterns.Request{})
		probe.Report(patterns.Success)
		actorstest.WantEvents(t, guards, circuitbreaker.Probing, circuitbreaker.ClosedAgain)
	})
}

func TestABrokenMachineIsRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 2, 10)
		p := acquire(t, s, patterns.Request{})
		actorstest.Crash(t, s, actorstest.At(actors.Operate{}))
		s.machine.broken = true
		if err := s.Operate(t.Context(), patterns.Operation{}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.Restarted) bool { return e.Repaired }))
		if got := s.snapshot(t); got.Repairs != 1 || got.Epoch != 2 || got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
		if p.Report(patterns.Success) {
			t.Error("a report of an old epoch counted")
		}
		if got := s.snapshot(t); got.Stale != 1 || got.Used != 0 || got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A panic of the rules is as good as any.
func TestRulesThatPanicLeaveTheCountsBalanced(t *testing.T) {
	for _, method := range []string{"Acquire", "Report", "Release", "Operate", "Reconfigure", "Snapshot"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				s := spawnSem(t, guards, "sem", 2, 10)
				p, q := acquire(t, s, patterns.Request{}), acquire(t, s, patterns.Request{})
				in := newInbox(t, guards.System())
				in.ask(s.PID(), actors.Acquire{Ref: 1}) // waits
				synctest.Wait()
				s.machine.panicIn = method
				var err error
				switch method {
				case "Acquire":
					_, err = s.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
				case "Report":
					p.Report(patterns.Success)
				case "Release":
					p.Release()
				case "Operate":
					err = s.Operate(t.Context(), patterns.Operation{})
				case "Reconfigure":
					err = s.Reconfigure(t.Context(), semConfig{Limit: 2})
				case "Snapshot":
					_, err = s.Inspect(t.Context())
				}
				if method != "Report" && method != "Release" && !errors.Is(err, actors.ErrFailed) {
					t.Errorf("error %v", err)
				}
				synctest.Wait()
				got := s.snapshot(t)
				if got.Restarts != 1 {
					t.Errorf("%+v", got)
				}
				q.Report(patterns.Success)
				nextAs[actors.Granted](t, in)
				s.snapshot(t)
			})
		})
	}
}

func TestARequestThatFailedAfterItQueuedIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		p := acquire(t, s, patterns.Request{})
		in := newInbox(t, guards.System())
		synctest.Wait()
		s.machine.panicIn = "Wake" // which is asked when the timer is set
		in.ask(s.PID(), actors.Acquire{Ref: 4, Deadline: time.Now().Add(time.Hour), Holder: in.pid})
		if r := nextAs[actors.Rejected](t, in); r.Ref != 4 || !errors.Is(r.Err, actors.ErrFailed) {
			t.Errorf("%+v", r)
		}
		synctest.Wait()
		p.Report(patterns.Success)
		synctest.Wait()
		if got := s.snapshot(t); got.Waiting != 0 || got.InFlight != 0 || got.Restarts != 1 || len(in.got) != 0 {
			t.Errorf("%d more answers, %+v", len(in.got), got)
		}
	})
}

// One request that the rules cannot bear must not take the guard with it.
func TestAPoisonedWaiterIsRefusedAndTheOthersAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 5, 10)
		p := acquire(t, s, patterns.Request{Weight: 5})
		poison, next := newInbox(t, guards.System()), newInbox(t, guards.System())
		poison.ask(s.PID(), actors.Acquire{Weight: 3, Holder: poison.pid})
		var byHandle error
		var wg sync.WaitGroup
		synctest.Wait()
		wg.Go(func() { _, byHandle = s.AcquireFor(t.Context(), patterns.Request{Weight: 3}) })
		synctest.Wait()
		next.ask(s.PID(), actors.Acquire{Weight: 2})
		synctest.Wait()
		if err := s.Reconfigure(t.Context(), semConfig{Limit: 5, Poison: 3}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err) // it serves those who wait
		}
		if r := nextAs[actors.Rejected](t, poison); !errors.Is(r.Err, actors.ErrFailed) {
			t.Errorf("%+v", r)
		}
		wg.Wait()
		if !errors.Is(byHandle, actors.ErrFailed) {
			t.Errorf("error %v", byHandle)
		}
		p.Report(patterns.Success)
		nextAs[actors.Granted](t, next)
		if got := s.snapshot(t); got.InFlight != 1 || got.Waiting != 0 || got.Restarts != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAGuardThatFailsTooOftenIsGivenUp(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 2, Period: time.Minute}))
				spec, m := semSpec(semConfig{Limit: 1}, 10, func(s *actors.Spec[semConfig, semSnapshot]) { s.OnFailure = policy })
				s, err := actors.Spawn(guards, "sem", spec, wrapSem(m))
				if err != nil {
					t.Fatal(err)
				}
				other := spawnSem(t, guards, "other", 1, 10)
				held := acquire(t, s, patterns.Request{})
				in := newInbox(t, guards.System())
				in.ask(s.PID(), actors.Acquire{Ref: 1})
				var waited error
				var wg sync.WaitGroup
				wg.Go(func() { _, waited = s.Acquire(t.Context()) })
				synctest.Wait()

				fail := func() {
					actorstest.Crash(t, s, actorstest.At(actors.Operate{}))
					if err := s.Operate(t.Context(), patterns.Operation{}); !errors.Is(err, actors.ErrFailed) {
						t.Errorf("error %v", err)
					}
					synctest.Wait()
				}
				fail()
				fail()
				time.Sleep(2 * time.Minute) // those are forgotten
				fail()
				fail()
				if got := s.snapshot(t); got.Restarts != 4 || got.Waiting != 2 {
					t.Fatalf("%+v", got)
				}
				fail()
				actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.GaveUp) bool {
					return e.Name == "sem" && e.Policy == policy && e.Reason != nil
				}), actorstest.Is(func(e actors.Stopped) bool { return e.Name == "sem" && e.InFlight == 1 }))
				nextAs[actors.Rejected](t, in)
				wg.Wait()

				p, err := s.Acquire(t.Context())
				if policy == patterns.FailOpen {
					if waited != nil || err != nil || s.Unguarded() != 2 || p.ID() != 0 || p.Report(patterns.Success) {
						t.Errorf("error %v, waited %v, unguarded %d, permit %d", err, waited, s.Unguarded(), p.ID())
					}
					ran := false
					if err := patterns.Run(t.Context(), s, func(context.Context) error { ran = true; return nil }); err != nil || !ran {
						t.Errorf("ran %v, error %v", ran, err)
					}
				} else if !errors.Is(waited, actors.ErrUnavailable) || !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) || s.Unguarded() != 0 {
					t.Errorf("error %v, waited %v, unguarded %d", err, waited, s.Unguarded())
				}
				if err := s.Operate(t.Context(), patterns.Operation{}); !errors.Is(err, actors.ErrUnavailable) {
					t.Errorf("error %v", err)
				}
				if held.Report(patterns.Success) {
					t.Error("a report counted")
				}
				if got := s.snapshot(t); got.InFlight != 1 || got.Restarts != 4 {
					t.Errorf("last snapshot %+v", got)
				}
				o := acquire(t, other, patterns.Request{})
				o.Report(patterns.Success)
				if got := other.snapshot(t); got.Restarts != 0 {
					t.Errorf("%+v", got)
				}

				again := spawnSem(t, guards, "sem", 1, 10) // the name is free
				acquire(t, again, patterns.Request{})
				if g, ok := guards.Get("sem"); !ok || g != patterns.Guard(again) {
					t.Errorf("got %v", g)
				}
				fresh := func() {
					actorstest.Crash(t, again, actorstest.At(actors.Operate{}))
					_ = again.Operate(t.Context(), patterns.Operation{})
					synctest.Wait()
				}
				fresh() // its history starts anew
				fresh()
				if got := again.snapshot(t); got.Restarts != 2 || got.InFlight != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// While the supervisor makes up its mind, callers wait within their context.
func TestCallersWaitWhileTheGuardIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		decide := make(chan struct{})
		strategy := strategyFunc(func(sup actor.Supervisor, child *actor.PID) {
			<-decide
			sup.RestartChildren(child)
		})
		s := underParent(t, guards, strategy)
		actorstest.Crash(t, s.sem, actorstest.At(actors.Operate{}))
		if err := s.Operate(t.Context(), patterns.Operation{}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := s.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		if _, ok := s.Snapshot(ctx); ok {
			t.Error("a snapshot out of nowhere")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			p, err := s.Acquire(t.Context())
			if err != nil {
				t.Error(err)
			}
			p.Release()
		})
		synctest.Wait()
		close(decide)
		wg.Wait()
		if got := s.snapshot(t); got.Restarts != 1 || got.InFlight != 0 || got.Cancelled != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// proto.actor delivers word of a holder's death even to an actor that has just failed.
func TestAHolderThatDiesWhileTheGuardIsAwayIsReleasedWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		decide := make(chan struct{})
		s := underParent(t, guards, strategyFunc(func(sup actor.Supervisor, child *actor.PID) {
			<-decide
			sup.RestartChildren(child)
		}))
		if err := s.Reconfigure(t.Context(), semConfig{Limit: 3}); err != nil {
			t.Fatal(err)
		}
		holder, waiter := newInbox(t, guards.System()), newInbox(t, guards.System())
		holder.ask(s.PID(), actors.Acquire{Weight: 2, Holder: holder.pid})
		nextAs[actors.Granted](t, holder)
		waiter.ask(s.PID(), actors.Acquire{Weight: 2})
		synctest.Wait()
		actorstest.Crash(t, s.sem, actorstest.AfterDeciding(actors.Acquire{}))
		if _, err := s.AcquireFor(t.Context(), patterns.Request{Priority: patterns.Critical}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		holder.stop(t)
		synctest.Wait()
		if len(waiter.got) != 0 {
			t.Error("served by a guard that has failed")
		}
		close(decide)
		nextAs[actors.Granted](t, waiter)
		if got := s.snapshot(t); got.InFlight != 1 || got.Used != 2 || got.Reclaimed != 1 {
			t.Errorf("%+v", got)
		}
	})
}

type strategyFunc func(sup actor.Supervisor, child *actor.PID)

func (f strategyFunc) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	f(sup, child)
}

// parented is a semaphore under an actor of the test's.
type parented struct {
	*sem
	parent *inbox
}

func underParent(t *testing.T, guards *actors.Registry, strategy actor.SupervisorStrategy) parented {
	t.Helper()
	parent := newInbox(t, guards.System(), actor.WithSupervisor(strategy))
	spawned := make(chan parented, 1)
	guards.System().Root.Send(parent.pid, do(func(c actor.Context) {
		spawned <- parented{spawnSem(t, guards, "sem", 2, 10, actors.Under(c)), parent}
	}))
	return <-spawned
}

func TestAParentThatGivesItsGuardUpSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := underParent(t, guards, strategyFunc(func(sup actor.Supervisor, child *actor.PID) { sup.StopChildren(child) }))
		if want := s.parent.pid.Id + "/sem"; s.PID().Id != want {
			t.Errorf("PID %v, want %v", s.PID(), want)
		}
		actorstest.Crash(t, s.sem, actorstest.At(actors.Acquire{}))
		if _, err := s.Acquire(t.Context()); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		actorstest.WantEvents(t, guards, actorstest.Is[actors.GaveUp](), actorstest.Is[actors.Stopped]())
		if _, err := s.Acquire(t.Context()); err != nil || s.Unguarded() != 1 {
			t.Errorf("error %v, unguarded %d", err, s.Unguarded())
		}
	})
}

func TestAGuardStopsInOrderWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := underParent(t, guards, actor.DefaultSupervisorStrategy())
		acquire(t, s.sem, patterns.Request{Weight: 2})
		var waited error
		var wg sync.WaitGroup
		wg.Go(func() { _, waited = s.Acquire(t.Context()) })
		synctest.Wait()
		s.parent.stop(t)
		wg.Wait()
		_, err := s.Acquire(t.Context())
		if !errors.Is(waited, actors.ErrStopped) || !errors.Is(err, actors.ErrStopped) || s.Unguarded() != 0 {
			t.Errorf("waited %v, error %v, unguarded %d", waited, err, s.Unguarded())
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.Stopped) bool { return e.InFlight == 1 }))
		again := spawnSem(t, guards, "sem", 1, 1)
		acquire(t, again, patterns.Request{})
	})
}

// Everybody asks while the guard keeps failing.
func TestRestartsUnderLoad(t *testing.T) {
	guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1 << 16, Period: time.Hour}))
	s := spawnSem(t, guards, "sem", 3, 100)
	in := newInbox(t, guards.System())
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var crasher sync.WaitGroup
	crasher.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			at := []any{actors.Acquire{}, actors.Report{}, actors.Cancel{}, actors.Inspect{}}[i%4]
			if i%2 == 0 {
				actorstest.Crash(t, s, actorstest.At(at))
			} else {
				actorstest.Crash(t, s, actorstest.AfterDeciding(at))
			}
		}
	})
	rounds := 400
	if soak {
		rounds *= 100
	}
	var enough atomic.Bool
	crasher.Go(func() {
		for !enough.Load() {
			if v, err := s.Inspect(t.Context()); err == nil {
				enough.Store(v.(semSnapshot).Restarts >= restarts)
			}
			runtime.Gosched()
		}
	})
	for range 6 {
		wg.Go(func() {
			for i := 0; i < rounds || !enough.Load(); i++ {
				p, err := s.AcquireFor(t.Context(), patterns.Request{Weight: 1 + i%2})
				if err != nil && !errors.Is(err, actors.ErrFailed) {
					t.Error(err)
				}
				if i%3 == 0 {
					p.Release()
				} else {
					p.Report(patterns.Success)
				}
			}
		})
	}
	wg.Go(func() {
		for i := 0; i < rounds || !enough.Load(); i++ {
			in.ask(s.PID(), actors.Acquire{Holder: in.pid})
			switch m := in.next(t).(type) {
			case actors.Granted:
				in.ask(s.PID(), actors.Report{Permit: m.Permit})
			case actors.Rejected:
				if !errors.Is(m.Err, actors.ErrFailed) {
					t.Error(m.Err)
				}
			default:
				t.Errorf("%T", m)
			}
		}
	})
	wg.Wait()
	close(stop)
	crasher.Wait()
	for {
		v, err := s.Inspect(t.Context())
		if errors.Is(err, actors.ErrFailed) {
			continue // the last crash
		}
		got := v.(semSnapshot)
		if !got.Balanced() || got.InFlight != 0 || got.Used != 0 || got.Waiting != 0 || got.Restarts < restarts || got.Repairs != 0 {
			t.Errorf("%+v", got)
		}
		return
	}
}
