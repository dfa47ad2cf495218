package actors_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// pass lets d pass, and everything happen that is due by then.
//
//bulwark:bubble
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// queue posts one request per line, so that they wait in this order.
//
//bulwark:bubble
func queue(t *testing.T, in *inbox, to actorstest.Guard, requests ...actors.Acquire) {
	t.Helper()
	for _, r := range requests {
		in.ask(to.PID(), r)
		synctest.Wait()
	}
}

func TestWaitersAreServedByPriorityAndThenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		v := spawnValve(t, guards, "valve", 100)
		in := newInbox(t, guards.System())
		queue(
			t, in, v,
			actors.Acquire{Key: "n1"}, actors.Acquire{Key: "b1", Priority: patterns.Background},
			actors.Acquire{Key: "c1", Priority: patterns.Critical}, actors.Acquire{Key: "n2"},
			actors.Acquire{Key: "l1", Priority: patterns.Low}, actors.Acquire{Key: "h1", Priority: patterns.High},
			actors.Acquire{Key: "c2", Priority: patterns.Critical}, actors.Acquire{Key: "b2", Priority: patterns.Background},
		)
		v.openUp(t)
		s, _ := v.Snapshot(t.Context())
		if want := []string{"c1", "c2", "h1", "n1", "n2", "l1", "b1", "b2"}; !slices.Equal(s.Granted, want) {
			t.Errorf("served %v, want %v", s.Granted, want)
		}
		if !s.Balanced() || s.InFlight != 8 || s.Waiting != 0 {
			t.Errorf("counts %+v", s.Counts)
		}
	})
}

func TestANewcomerOvertakesOnlyThoseOfLowerPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 4, 10)
		in := newInbox(t, guards.System())
		held := acquire(t, s, patterns.Request{Weight: 2})
		in.ask(s.PID(), actors.Acquire{Ref: 1, Weight: 3}) // does not fit
		in.ask(s.PID(), actors.Acquire{Ref: 2})            // would fit, but is not first
		in.ask(s.PID(), actors.Acquire{Ref: 3, Priority: patterns.Low})
		synctest.Wait()
		if got := s.snapshot(t); got.Waiting != 3 || got.Used != 2 {
			t.Fatalf("%+v", got)
		}
		in.ask(s.PID(), actors.Acquire{Ref: 4, Priority: patterns.High})
		if g := nextAs[actors.Granted](t, in); g.Ref != 4 {
			t.Errorf("granted %d first", g.Ref)
		}
		held.Report(patterns.Success)
		for want := uint64(1); want <= 1; want++ {
			if g := nextAs[actors.Granted](t, in); g.Ref != want {
				t.Errorf("granted %d, want %d", g.Ref, want)
			}
		}
		if got := s.snapshot(t); got.Waiting != 2 || got.Used != 4 {
			t.Errorf("%+v", got)
		}
	})
}

func acquire(t testing.TB, g patterns.Guard, r patterns.Request) patterns.Permit {
	t.Helper()
	p, err := g.AcquireFor(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAHeavyWaiterIsNotStarvedByLighterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 3, 10)
		held := []patterns.Permit{acquire(t, s, patterns.Request{}), acquire(t, s, patterns.Request{}), acquire(t, s, patterns.Request{})}
		heavy := make(chan patterns.Permit)
		go func() { heavy <- acquire(t, s, patterns.Request{Weight: 3}) }()
		synctest.Wait()
		light := make(chan patterns.Permit, 5)
		for range 5 {
			go func() { light <- acquire(t, s, patterns.Request{}) }()
			synctest.Wait()
		}
		for i := range held {
			if len(light) != 0 {
				t.Fatalf("a lighter one overtook after %d permits came back", i)
			}
			held[i].Report(patterns.Success)
			synctest.Wait()
		}
		p := <-heavy
		synctest.Wait()
		if len(light) != 0 {
			t.Fatal("the limit was exceeded")
		}
		p.Release()
		for range 5 {
			p := <-light
			p.Release()
		}
		if got := s.snapshot(t); got.InFlight != 0 || got.Used != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestWhoeverStoodBehindAHeavyWaiterThatLeftIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 2, 10)
		acquire(t, s, patterns.Request{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.AcquireFor(ctx, patterns.Request{Weight: 2}); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
		synctest.Wait()
		in := newInbox(t, guards.System())
		in.ask(s.PID(), actors.Acquire{})
		synctest.Wait()
		if len(in.got) != 0 {
			t.Fatal("overtook")
		}
		cancel()
		nextAs[actors.Granted](t, in)
		wg.Wait()
		if got := s.snapshot(t); got.Cancelled != 1 || got.InFlight != 2 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAFullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		for _, limit := range []int{0, 2} {
			s := spawnSem(t, guards, "sem"+strconv.Itoa(limit), 1, limit)
			in := newInbox(t, guards.System())
			acquire(t, s, patterns.Request{})
			for range limit {
				in.ask(s.PID(), actors.Acquire{})
			}
			synctest.Wait()
			_, err := s.Acquire(t.Context())
			var refusal *actors.Refusal
			if !errors.Is(err, actors.ErrQueueFull) || !errors.Is(err, patterns.ErrRejected) || !errors.As(err, &refusal) || refusal.Name != s.Name() {
				t.Errorf("error %v", err)
			}
			in.ask(s.PID(), actors.Acquire{Ref: 7, Holder: in.pid})
			if r := nextAs[actors.Rejected](t, in); r.Ref != 7 || !errors.Is(r.Err, actors.ErrQueueFull) {
				t.Errorf("%+v", r)
			}
			if got := s.snapshot(t); got.Rejected != 2 || got.Waiting != uint64(limit) {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestARequestThatNoGuardCouldGrantIsRefused(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 1, 1)
	for _, r := range []patterns.Request{{Weight: -1}, {Priority: 3}, {Priority: -3}, {Priority: -128}, {HoldFor: -1}} {
		if _, err := s.AcquireFor(t.Context(), r); !errors.Is(err, patterns.ErrInvalidRequest) || !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("%+v: error %v", r, err)
		}
	}
	s.snapshot(t)
}

func TestAWaiterWhoseContextEndsFreesItsPlaceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		p := acquire(t, s, patterns.Request{})
		for range 3 { // each needs the only place
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			_, err := s.Acquire(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, patterns.ErrRejected) {
				t.Errorf("error %v", err)
			}
			if waited := time.Since(start); waited != time.Minute {
				t.Errorf("waited %v", waited)
			}
			cancel()
		}
		if got := s.snapshot(t); got.Cancelled != 3 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
		p.Report(patterns.Success)
		if got := s.snapshot(t); got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Acquire(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if _, err := s.AcquireFor(ctx, patterns.Request{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if got := s.snapshot(t); got.Asked != 4 {
			t.Errorf("a request whose context had ended was counted: %+v", got)
		}
	})
}

// Its withdrawal overtakes the request itself.
func TestARequestThatWasCancelledBeforeItWasHeardTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		st := &stage{t: t, s: spawnSem(t, guards, "sem", 1, 1)}
		acquire(t, st.s, patterns.Request{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		free := st.occupy()
		go func() {
			_, err := st.s.Acquire(ctx)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		free()
		if got := st.s.snapshot(t); got.Waiting != 0 || got.Cancelled != 1 || got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestARefusalThatCrossesACancellationCountsAsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		st := &stage{t: t, s: spawnSem(t, guards, "sem", 1, 1)}
		p := acquire(t, st.s, patterns.Request{})
		ctx, cancel := context.WithCancel(t.Context())
		done, stopped := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := st.s.Acquire(ctx)
			done <- err
		}()
		synctest.Wait()
		free := st.occupy()
		go func() { stopped <- st.s.Stop(t.Context()) }() // refuses everybody
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		free()
		p.Report(patterns.Success)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if got := st.s.snapshot(t); got.Cancelled != 1 || got.Rejected != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Cancelling races with granting: whoever comes second must undo what the first did.
func TestAGrantThatCrossesACancellationIsUndone(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 2, 64)
	rounds := 3000
	if soak {
		rounds *= 50
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				for range r.IntN(3) {
					go cancel()
				}
				weight := 1 + r.IntN(2)
				p, err := s.AcquireFor(ctx, patterns.Request{Weight: weight, Priority: patterns.Priority(r.IntN(5) - 2)})
				runtime.Gosched() // so that others wait
				switch {
				case err == nil && r.IntN(2) == 0:
					p.Release()
				case err == nil:
					p.Report(patterns.Success)
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
				cancel()
			}
		})
	}
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if got := s.snapshot(t); got.Used > got.Limit {
					t.Errorf("%d of %d", got.Used, got.Limit)
				}
			}
		}
	})
	wg.Wait()
	close(stop)
	watch.Wait()
	got := s.snapshot(t)
	if got.InFlight != 0 || got.Used != 0 || got.Waiting != 0 {
		t.Errorf("leaked: %+v", got)
	}
}

func TestAMessageWithADeadlineIsRefusedWhenItPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in := newInbox(t, guards.System())
		p := acquire(t, s, patterns.Request{})
		start := time.Now()
		for i, d := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute, time.Hour} {
			in.ask(s.PID(), actors.Acquire{Ref: uint64(i), Deadline: start.Add(d), Holder: in.pid})
		}
		for _, want := range []struct {
			ref uint64
			at  time.Duration
		}{{1, time.Minute}, {2, 2 * time.Minute}, {0, 3 * time.Minute}} {
			r := nextAs[actors.Rejected](t, in)
			if r.Ref != want.ref || !errors.Is(r.Err, actors.ErrExpired) || !errors.Is(r.Err, patterns.ErrRejected) {
				t.Errorf("%+v, want %v", r, want)
			}
			if at := time.Since(start); at != want.at {
				t.Errorf("%d expired after %v, want %v", r.Ref, at, want.at)
			}
		}
		p.Report(patterns.Success)
		if g := nextAs[actors.Granted](t, in); g.Ref != 3 {
			t.Errorf("%+v", g)
		}
		time.Sleep(2 * time.Hour) // the deadline of what was granted means nothing any more
		if got := s.snapshot(t); got.InFlight != 1 || got.Rejected != 3 || len(in.got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestADeadlineThatHasPassedIsRefusedWithoutAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in := newInbox(t, guards.System())
		for _, d := range []time.Time{time.Now(), time.Now().Add(-1), time.Unix(0, 0)} {
			in.ask(s.PID(), actors.Acquire{Deadline: d})
			if r := nextAs[actors.Rejected](t, in); !errors.Is(r.Err, actors.ErrExpired) {
				t.Errorf("%v: %+v", d, r)
			}
		}
		if got := s.snapshot(t); got.Rejected != 3 || got.Granted != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAPermitHeldTooLongIsTakenBack(t *testing.T) {
	for _, how := range []string{"handle", "message"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				s := spawnSem(t, guards, "sem", 1, 10)
				in := newInbox(t, guards.System())
				time.Sleep(time.Hour) // the guard has not looked at the clock since
				start := time.Now()
				var report func() bool
				if how == "handle" {
					p := acquire(t, s, patterns.Request{HoldFor: time.Minute})
					report = func() bool { return p.Report(patterns.Success) }
				} else {
					in.ask(s.PID(), actors.Acquire{HoldFor: time.Minute, Holder: in.pid})
					g := nextAs[actors.Granted](t, in)
					report = func() bool { in.ask(s.PID(), actors.Report{Permit: g.Permit}); return false }
				}
				next := acquire(t, s, patterns.Request{HoldFor: time.Hour}) // waits for the first to be taken back
				if held := time.Since(start); held != time.Minute {
					t.Errorf("held for %v", held)
				}
				actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.PermitReclaimed) bool {
					return e.Name == "sem" && e.Cause == actors.ReclaimedExpired && e.At.Equal(start.Add(time.Minute))
				}))
				if report() {
					t.Error("the late report counted")
				}
				synctest.Wait()
				if !next.Report(patterns.Success) {
					t.Error("the second permit is gone")
				}
				time.Sleep(2 * time.Hour)
				if got := s.snapshot(t); got.Reclaimed != 1 || got.Reported != 1 || got.Repeated != 1 || got.InFlight != 0 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestTheTimeToHoldBeginsWithTheGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in := newInbox(t, guards.System())
		p := acquire(t, s, patterns.Request{})
		in.ask(s.PID(), actors.Acquire{HoldFor: time.Minute})
		time.Sleep(time.Hour)
		p.Report(patterns.Success)
		nextAs[actors.Granted](t, in)
		time.Sleep(time.Minute - 1)
		if got := s.snapshot(t); got.InFlight != 1 {
			t.Errorf("taken back early: %+v", got)
		}
		time.Sleep(1)
		synctest.Wait()
		if got := s.snapshot(t); got.InFlight != 0 || got.Reclaimed != 1 {
			t.Errorf("not taken back: %+v", got)
		}
	})
}

func TestCancelWithdrawsTheSendersOwnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		a, b := newInbox(t, guards.System()), newInbox(t, guards.System())
		p := acquire(t, s, patterns.Request{})
		for ref := range uint64(3) {
			a.ask(s.PID(), actors.Acquire{Ref: ref, Holder: a.pid})
			b.ask(s.PID(), actors.Acquire{Ref: ref})
		}
		a.ask(s.PID(), actors.Cancel{Ref: 1})
		if r := nextAs[actors.Rejected](t, a); r.Ref != 1 || !errors.Is(r.Err, actors.ErrCancelled) {
			t.Errorf("%+v", r)
		}
		a.ask(s.PID(), actors.Cancel{Ref: 1}) // again
		b.ask(s.PID(), actors.Cancel{Ref: 9}) // never asked
		synctest.Wait()
		if got := s.snapshot(t); got.Waiting != 5 || got.Repeated != 2 || len(b.got) != 0 {
			t.Errorf("%+v", got)
		}
		for range 5 {
			p.Report(patterns.Success)
			synctest.Wait()
			select {
			case m := <-a.got:
				p = patterns.NewPermit(s, m.(actors.Granted).Permit.ID, 0)
			case m := <-b.got:
				p = patterns.NewPermit(s, m.(actors.Granted).Permit.ID, 0)
			}
		}
		p.Report(patterns.Success)
		if got := s.snapshot(t); got.InFlight != 0 || got.Granted != 6 {
			t.Errorf("%+v", got)
		}
	})
}
