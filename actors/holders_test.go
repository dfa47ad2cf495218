package actors_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// tapped counts the system messages that an actor gets.
type tapped struct {
	actor.Mailbox
	watches, unwatches atomic.Int32
}

func (m *tapped) PostSystemMessage(msg any) {
	switch msg.(type) {
	case *actor.Watch:
		m.watches.Add(1)
	case *actor.Unwatch:
		m.unwatches.Add(1)
	}
	m.Mailbox.PostSystemMessage(msg)
}

func tap() (*tapped, actor.PropsOption) {
	m := &tapped{}
	return m, actor.WithMailbox(func() actor.Mailbox { m.Mailbox = actor.Unbounded()(); return m })
}

func TestAHolderIsWatchedOnceAndOnlyWhileItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 2, 10)
		box, option := tap()
		in := newInbox(t, guards.System(), option)
		for i := range uint64(5) {
			in.ask(s.PID(), actors.Acquire{Ref: i, Holder: in.pid})
		}
		g1, g2 := nextAs[actors.Granted](t, in), nextAs[actors.Granted](t, in)
		synctest.Wait()
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 1 || u != 0 {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
		in.ask(s.PID(), actors.Report{Permit: g1.Permit})
		in.ask(s.PID(), actors.Cancel{Permit: g2.Permit})
		in.ask(s.PID(), actors.Cancel{Ref: 4})
		for range 2 {
			in.ask(s.PID(), actors.Report{Permit: nextAs[actors.Granted](t, in).Permit})
		}
		nextAs[actors.Rejected](t, in)
		synctest.Wait()
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 1 || u != 1 {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
		// A restart of the guard renews the watch of those who hold something.
		in.ask(s.PID(), actors.Acquire{Holder: in.pid})
		nextAs[actors.Granted](t, in)
		actorstest.Crash(t, s, actorstest.At(actors.Operate{}))
		_ = s.Operate(t.Context(), patterns.Operation{})
		synctest.Wait()
		in.stop(t)
		synctest.Wait()
		if got := s.snapshot(t); got.InFlight != 0 || got.Reclaimed != 2 || got.Reported != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAHolderThatOnlyWaitedIsNotWatchedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		box, option := tap()
		in := newInbox(t, guards.System(), option)
		acquire(t, s, patterns.Request{})
		for round := range int32(3) {
			a := actors.Acquire{Holder: in.pid}
			if round == 1 {
				a.Deadline = time.Now().Add(time.Second)
			}
			in.ask(s.PID(), a)
			if round != 1 {
				in.ask(s.PID(), actors.Cancel{})
			}
			nextAs[actors.Rejected](t, in)
			synctest.Wait()
			if w, u := box.watches.Load(), box.unwatches.Load(); w != round+1 || u != round+1 {
				t.Errorf("%d watches, %d unwatches", w, u)
			}
		}
	})
}

// Watching somebody who is gone runs the subscribers of the event stream.
func TestASubscriberThatCallsTheGuardThatWatchesHangsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 2, 10)
		in, dead := newInbox(t, guards.System()), newInbox(t, guards.System())
		dead.stop(t)
		called := 0
		sub := guards.System().EventStream.Subscribe(func(ev any) {
			if e, ok := ev.(*actor.DeadLetterEvent); ok {
				if _, watch := e.Message.(*actor.Watch); watch {
					called++
					p := acquire(t, s, patterns.Request{})
					p.Release()
				}
			}
		})
		in.ask(s.PID(), actors.Acquire{Holder: dead.pid})
		nextAs[actors.Granted](t, in)
		synctest.Wait()
		guards.System().EventStream.Unsubscribe(sub)
		if got := s.snapshot(t); called == 0 || got.InFlight != 0 {
			t.Errorf("called %d times, %+v", called, got)
		}
	})
}

func TestWhatAStoppedHolderHeldAndWaitedForComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 3, 10)
		holder, desk, next := newInbox(t, guards.System()), newInbox(t, guards.System()), newInbox(t, guards.System())
		holder.ask(s.PID(), actors.Acquire{Weight: 2, Holder: holder.pid})
		held := nextAs[actors.Granted](t, holder)
		// Somebody else asks for it.
		desk.ask(s.PID(), actors.Acquire{Ref: 1, Weight: 2, Holder: holder.pid})
		desk.ask(s.PID(), actors.Acquire{Ref: 2, Weight: 1, Holder: holder.pid})
		desk.ask(s.PID(), actors.Acquire{Ref: 3, Weight: 3, Holder: holder.pid})
		next.ask(s.PID(), actors.Acquire{Ref: 4, Weight: 3})
		synctest.Wait()
		holder.stop(t)
		synctest.Wait()
		for ref := uint64(1); ref <= 3; ref++ { // none is granted on the way
			if r := nextAs[actors.Rejected](t, desk); r.Ref != ref || !errors.Is(r.Err, actors.ErrCancelled) {
				t.Errorf("%+v, want %d", r, ref)
			}
		}
		if g := nextAs[actors.Granted](t, next); g.Ref != 4 {
			t.Errorf("%+v", g)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.PermitReclaimed) bool {
			return e.Cause == actors.ReclaimedHolderGone && e.Permit == held.Permit && e.Name == "sem"
		}))
		if got := s.snapshot(t); got.Reclaimed != 1 || got.Granted != 2 || got.InFlight != 1 || got.Waiting != 0 || got.Used != 3 {
			t.Errorf("%+v", got)
		}
		guards.System().Root.Send(s.PID(), actors.Report{Permit: held.Permit})
		if got := s.snapshot(t); got.Repeated != 1 || got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAHolderThatDoesNotExistLosesItsPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in, dead := newInbox(t, guards.System()), newInbox(t, guards.System())
		dead.stop(t)
		for _, holder := range []*actor.PID{
			dead.pid, actor.NewPID("elsewhere:1234", "nobody"), actor.NewPID("", ""), guards.System().NewLocalPID("never"),
		} {
			in.ask(s.PID(), actors.Acquire{Holder: holder})
			nextAs[actors.Granted](t, in)
			synctest.Wait()
			if got := s.snapshot(t); got.InFlight != 0 {
				t.Errorf("%v: %+v", holder, got)
			}
		}
		in.ask(s.PID(), actors.Acquire{}) // nobody holds it: it stays out
		nextAs[actors.Granted](t, in)
		synctest.Wait()
		if got := s.snapshot(t); got.InFlight != 1 || got.Reclaimed != 4 {
			t.Errorf("%+v", got)
		}
		guards.System().Root.Send(s.PID(), actors.Release{})
		guards.System().Root.Send(s.PID(), actors.Release{Holder: in.pid})
		if got := s.snapshot(t); got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// Holders die while they are granted a permit, wait for one, or report one.
func TestHoldersThatDieAtAnyMomentLeaveNothingBehind(t *testing.T) {
	rounds := 50
	if soak {
		rounds = 5000
	}
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 3, 1000)
		for range rounds {
			var wg sync.WaitGroup
			for range 4 {
				in := newInbox(t, guards.System())
				wg.Go(func() {
					for i := range uint64(5) {
						in.ask(s.PID(), actors.Acquire{Ref: i, Holder: in.pid})
					}
				})
				wg.Go(func() {
					for {
						select {
						case m := <-in.got:
							if g, ok := m.(actors.Granted); ok {
								in.ask(s.PID(), actors.Report{Permit: g.Permit})
							}
						default:
							in.stop(t)
							return
						}
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			if got := s.snapshot(t); got.InFlight != 0 || got.Waiting != 0 || got.Used != 0 {
				t.Fatalf("%+v", got)
			}
		}
	})
}

// crash makes an actor panic.
type crash struct{}

// worker holds permits, and loses its mind.
type worker struct {
	out chan any
}

func (w *worker) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case do:
		msg(c)
	case crash:
		panic("as told")
	case *actor.Restarting:
	case actors.Granted, actors.Rejected:
		w.out <- msg
	}
}

func TestAHolderThatRestartsLosesWhatItHeld(t *testing.T) {
	for _, middleware := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			s, other := spawnSem(t, guards, "sem", 2, 10), spawnSem(t, guards, "other", 2, 10)
			out := make(chan any, 10)
			props := actor.PropsFromProducer(func() actor.Actor { return &worker{out} })
			if middleware {
				props.Configure(actor.WithReceiverMiddleware(actors.ReleaseOnRestart(guards), actors.ReleaseOnRestart(nil)))
			}
			root := guards.System().Root
			pid := root.Spawn(props)
			bystander := newInbox(t, guards.System())
			bystander.ask(s.PID(), actors.Acquire{Holder: bystander.pid})
			root.Send(pid, do(func(c actor.Context) {
				c.Request(s.PID(), actors.Acquire{Holder: c.Self()})
				c.Request(s.PID(), actors.Acquire{Holder: c.Self()}) // waits
				c.Request(other.PID(), actors.Acquire{Holder: c.Self()})
			}))
			synctest.Wait()
			root.Send(pid, crash{})
			synctest.Wait()
			got, gotOther := s.snapshot(t), other.snapshot(t)
			switch {
			case middleware && (got.InFlight != 1 || got.Waiting != 0 || got.Reclaimed != 1 || gotOther.InFlight != 0):
				t.Errorf("kept: %+v, %+v", got, gotOther)
			case !middleware && (got.InFlight != 2 || got.Waiting != 1 || gotOther.InFlight != 1):
				t.Errorf("lost: %+v, %+v", got, gotOther)
			}
			if err := root.StopFuture(pid).Wait(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if got := s.snapshot(t); got.InFlight != 1 || got.Waiting != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A Release overtakes the requests that its holder sent before.
func TestARequestThatIsOvertakenByItsHoldersReleaseDoesNotStayOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		st := &stage{t: t, s: spawnSem(t, guards, "sem", 2, 10)}
		out := make(chan any, 10)
		root := guards.System().Root
		pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &worker{out} },
			actor.WithReceiverMiddleware(actors.ReleaseOnRestart(guards))))
		st.occupied(func() {
			root.Send(pid, do(func(c actor.Context) { c.Request(st.s.PID(), actors.Acquire{Holder: c.Self()}) }))
			root.Send(pid, crash{})
		})
		synctest.Wait()
		if got := st.s.snapshot(t); got.Granted != 1 || got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
		if err := root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestAcquireThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		type result struct {
			permit patterns.Permit
			err    error
		}
		results := make(chan result, 10)
		ask := func(guard patterns.Guard) do {
			return func(c actor.Context) {
				actors.AcquireThen(c, guard, func(p patterns.Permit, err error) { results <- result{p, err} })
			}
		}
		root := guards.System().Root
		function := newInbox(t, guards.System()) // an actor of a type that == panics on
		pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &worker{make(chan any, 10)} }))

		root.Send(function.pid, ask(s))
		first := <-results
		if first.err != nil {
			t.Fatal(first.err)
		}
		root.Send(pid, ask(s)) // waits
		synctest.Wait()
		root.Send(pid, ask(s)) // no place
		if r := <-results; !errors.Is(r.err, actors.ErrQueueFull) {
			t.Errorf("error %v", r.err)
		}
		if !first.permit.Report(patterns.Success) {
			t.Error("did not count")
		}
		second := <-results
		if got := s.snapshot(t); got.InFlight != 1 || second.err != nil {
			t.Errorf("%+v, error %v", got, second.err)
		}
		if err := root.StopFuture(pid).Wait(); err != nil { // the actor is the permit's holder
			t.Error(err)
		}
		synctest.Wait()
		if got := s.snapshot(t); got.InFlight != 0 || got.Reclaimed != 1 {
			t.Errorf("%+v", got)
		}

		root.Send(function.pid, ask(unactored{}))
		if r := <-results; !errors.Is(r.err, actors.ErrUnsupported) {
			t.Errorf("error %v", r.err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		root.Send(function.pid, ask(s))
		if r := <-results; !errors.Is(r.err, actors.ErrStopped) || !errors.Is(r.err, patterns.ErrRejected) {
			t.Errorf("error %v", r.err)
		}
	})
}

// unactored is a guard that no actor runs.
type unactored struct{}

func (unactored) Name() string                                           { return "" }
func (unactored) Terms() *patterns.Terms                                 { return nil }
func (unactored) Acquire(context.Context) (p patterns.Permit, err error) { return p, nil }
func (unactored) AcquireFor(context.Context, patterns.Request) (p patterns.Permit, err error) {
	return p, nil
}

func TestAcquireThenIsNotContinuedInAnotherInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 1)
		p := acquire(t, s, patterns.Request{})
		root := guards.System().Root
		pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &worker{make(chan any, 10)} }))
		root.Send(pid, do(func(c actor.Context) {
			actors.AcquireThen(c, s, func(patterns.Permit, error) { t.Error("continued") })
		}))
		root.Send(pid, crash{})
		synctest.Wait()
		if got := s.snapshot(t); got.Waiting != 1 {
			t.Errorf("%+v", got)
		}
		p.Report(patterns.Success)
		synctest.Wait()
		if got := s.snapshot(t); got.Granted != 2 || got.InFlight != 0 || got.Reclaimed != 1 {
			t.Errorf("%+v", got)
		}
		if err := root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestAcquireThenFollowsTheFailPolicy(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: intensity.Never}))
			spec, m := semSpec(semConfig{Limit: 1}, 10, func(s *actors.Spec[semConfig, semSnapshot]) { s.OnFailure = policy })
			s, err := actors.Spawn(guards, "sem", spec, wrapSem(m))
			if err != nil {
				t.Fatal(err)
			}
			acquire(t, s, patterns.Request{})
			in := newInbox(t, guards.System())
			results := make(chan error, 2)
			ask := do(func(c actor.Context) {
				actors.AcquireThen(c, s, func(_ patterns.Permit, err error) { results <- err })
			})
			guards.System().Root.Send(in.pid, ask) // waits
			synctest.Wait()
			actorstest.Crash(t, s, actorstest.At(actors.Operate{}))
			_ = s.Operate(t.Context(), patterns.Operation{})
			synctest.Wait()
			guards.System().Root.Send(in.pid, ask) // finds nobody
			for range 2 {
				err := <-results
				if policy == patterns.FailOpen && err != nil || policy == patterns.FailClosed && !errors.Is(err, actors.ErrUnavailable) {
					t.Errorf("%v: error %v", policy, err)
				}
			}
			if got := s.Unguarded(); got != map[patterns.FailPolicy]uint64{patterns.FailOpen: 2}[policy] {
				t.Errorf("unguarded %d", got)
			}
		})
	}
}
