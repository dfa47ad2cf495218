package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func stashing(n int) middleware.ReceiveConfig {
	return middleware.ReceiveConfig{Refused: middleware.Stash, Stash: n, TTL: time.Minute}
}

func TestTrap11AStashIsFirstInFirstOutAndKeepsSenderAndHeaders(t *testing.T) {
	for name, rooms := range map[string]bulkhead.Config{
		"of a guard that queues": {MaxWaiting: 10}, "of a guard that does not": {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				guard, p := k.oneRoom(rooms)
				pid := k.spawn(k.receiver(guard, stashing(100)))
				var want []any
				for i := range 50 {
					k.tell(pid, job{i})
					want = append(want, i)
				}
				envelope := &actor.MessageEnvelope{Message: headed{"tenant"}, Sender: k.me}
				envelope.SetHeader("tenant", "acme")
				k.system.Root.Send(pid, envelope)
				k.want()
				if s := k.inspect(pid); s.Stashed != 51 {
					t.Errorf("%+v", s)
				}
				p.Release()
				pass(time.Second)
				k.want(append(want, "acme")...)
				if s := k.inspect(pid); s.Admitted != 51 || s.Replayed != 51 || s.Stashed != 0 {
					t.Errorf("%+v", s)
				}
				if c := counts(t, guard); c.InFlight != 0 || c.Waiting != 0 || c.Success != 51 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// With proto.actor's own stash an actor that stashes again after its restart never ends.
func TestTrap11WhoIsStashedWhenTheActorRestartsIsAnsweredAndNotReplayed(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{MaxWaiting: 10})
		pid := k.spawn(k.receiver(guard, stashing(100)))
		k.tell(pid, job{1}, job{2})
		k.want()
		if c := counts(t, guard); c.Waiting != 1 {
			t.Errorf("%+v", c)
		}
		restart(k, pid)
		got := k.want(middleware.ErrRestarting, middleware.ErrRestarting)
		if !errors.Is(got[0].(error), patterns.ErrRejected) {
			t.Errorf("%v never ran, and does not say so", got[0])
		}
		if c := counts(t, guard); c.Waiting != 0 || c.InFlight != 1 || c.Cancelled != 1 {
			t.Errorf("the place in the guard's queue: %+v", c)
		}
		p.Release()
		k.tell(pid, job{3})
		pass(time.Second)
		k.want(3)
		if c := counts(t, guard); k.lives != 2 || c.InFlight != 0 {
			t.Errorf("%d lives, %+v", k.lives, c)
		}
	})
}

// restart does what a supervisor does.
//
//bulwark:bubble
func restart(k *kit, pid *actor.PID) {
	if p, ok := k.system.ProcessRegistry.Get(pid); ok {
		p.SendSystemMessage(pid, &actor.Restart{})
	}
	synctest.Wait()
}

func TestWhoIsStashedWhenTheActorStopsIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{MaxWaiting: 10})
		defer p.Release()
		for name, mb := range map[string]actor.MailboxProducer{"ours": mailbox.Producer(mailbox.Config{}), "theirs": actor.Unbounded()} {
			pid := k.spawn(k.receiver(guard, stashing(100)), actor.WithMailbox(mb))
			k.tell(pid, job{1}, job{2}, job{3})
			k.want()
			if err := k.system.Root.StopFuture(pid).Wait(); err != nil {
				t.Fatal(err)
			}
			t.Log(name)
			k.want(middleware.ErrStopping, middleware.ErrStopping, middleware.ErrStopping)
			if c := counts(t, guard); c.Waiting != 0 || c.InFlight != 1 {
				t.Errorf("%s: %+v", name, c)
			}
		}
	})
}

// An actor that waits for its children to stop still gets messages.
func TestAnActorThatIsStoppingStashesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		defer p.Release()
		until := make(chan int)
		child := make(chan *actor.PID, 1)
		pid := k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				child <- c.Spawn(actor.PropsFromFunc(k.receive))
			}
		}, k.receiver(guard, stashing(10)))
		k.system.Root.Send(<-child, block{until})
		synctest.Wait()
		k.system.Root.Stop(pid)
		synctest.Wait()
		// Its process is marked as dead, but who holds on to it can still send.
		k.tell(pid, job{1})
		k.want(middleware.ErrStopping)
		close(until)
		synctest.Wait()
	})
}

func TestAFullStashAnswersWithTheReasonWhyItStashes(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawn(k.receiver(guard, stashing(2)))
		k.tell(pid, job{1}, job{2}, job{3})
		k.want(middleware.ErrStashFull)
		p.Release()
		pass(time.Second)
		k.want(1, 2)
		if s := k.inspect(pid); s.Rejected != 1 || s.Admitted != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAStashedMessageExpires(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{MaxWaiting: 10})
		pid := k.spawn(k.receiver(guard, middleware.ReceiveConfig{Refused: middleware.Stash, TTL: 10 * time.Second}))
		k.tell(pid, job{1})
		pass(5 * time.Second)
		k.tell(pid, job{2})
		pass(5*time.Second - 1)
		k.want()
		pass(1)
		got := k.want(middleware.ErrExpired)
		if !errors.Is(got[0].(error), patterns.ErrRejected) {
			t.Error(got[0])
		}
		p.Release()
		pass(1)
		k.want(2)
		if s := k.inspect(pid); s.Expired != 1 || s.Admitted != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// due is a message that is of no use after some time.
type due struct{ at time.Time }

func (d due) Deadline() (time.Time, bool) { return d.at, !d.at.IsZero() }

func TestTrap33AMessageWhoseDeadlineHasPassedIsNotHandled(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawnFunc(func(c actor.Context) {
			if m, ok := c.Message().(due); ok {
				c.Respond(m.at.IsZero())
			}
		}, k.receiver(guard, stashing(10)))
		soon := time.Now().Add(time.Second)
		k.tell(pid, due{soon}, due{}, due{time.Now()})
		got := k.want(middleware.ErrExpired) // the last, when it is taken from the mailbox
		if m := got[0].(*middleware.RejectedError).Message; m != (due{time.Now()}) {
			t.Errorf("%v", m)
		}
		pass(time.Second)
		k.want(middleware.ErrExpired) // the first, in the stash
		p.Release()
		pass(time.Second)
		k.want(true)
	})
}

func TestAnOpenBreakerIsAskedAgainWhenItSaid(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{ConsecutiveFailures: 1, OpenFor: 10 * time.Second, Probes: 1})
		pid := k.spawn(k.receiver(b, stashing(10)))
		k.tell(pid, fail{errSick}, job{1}, job{2})
		k.want(errSick)
		pass(9 * time.Second)
		k.want()
		pass(2 * time.Second)
		k.want(1, 2)
		if c := counts(t, b); c.Rejected > 20 {
			t.Errorf("it was asked again and again: %+v", c)
		}
	})
}

func TestAMessageThatCouldNeverPassIsNotStashed(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawn(k.receiver(guard, stashing(10), middleware.Weight(func(m any) int { return m.(job).id })))
		k.tell(pid, job{-1})
		k.want(patterns.ErrInvalidRequest)
		k.tell(pid, job{1}, job{-2}, job{1})
		k.want()
		p.Release()
		pass(time.Second)
		k.want(1, patterns.ErrInvalidRequest, 1)
	})
}

func TestAPanicOnAStashedMessageIsAnsweredOnceAndTheOthersToo(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawn(k.receiver(guard, stashing(10)))
		k.tell(pid, job{1}, crash{"bug"}, job{2}, job{3})
		k.want()
		p.Release()
		pass(time.Second)
		k.want(1, mailbox.ErrPanicked, middleware.ErrRestarting, middleware.ErrRestarting)
		if c := counts(t, guard); c.InFlight != 0 || c.Failure != 1 || c.Success != 1 || k.lives != 2 {
			t.Errorf("%+v, %d lives", c, k.lives)
		}
	})
}

func TestAnActorThatIsResumedGoesOnWithItsStash(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		children := make(chan *actor.PID, 1)
		resume := actor.NewOneForOneStrategy(10, time.Second, func(any) actor.Directive { return actor.ResumeDirective })
		k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				children <- c.Spawn(actor.PropsFromFunc(k.receive, k.receiver(guard, stashing(10)), actor.WithMailbox(mailbox.Producer(mailbox.Config{}))))
			}
		}, actor.WithSupervisor(resume))
		pid := <-children
		k.tell(pid, crash{"bug"}, job{2})
		k.want()
		p.Release()
		pass(time.Second)
		k.want(mailbox.ErrPanicked, 2)
	})
}

// refuser answers for itself.
type refuser struct{ panics bool }

func (r refuser) Refused(reason error) any {
	if r.panics {
		panic("in a refuser")
	}
	return fmt.Sprintf("refused: %v", errors.Is(reason, patterns.ErrRejected))
}

func TestAMessageMayAnswerForItself(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		defer p.Release()
		pid := k.spawn(k.receiver(guard, middleware.ReceiveConfig{}))
		k.tell(pid, refuser{true}, refuser{false})
		k.want("refused: true")
	})
}

func TestManyStashedMessagesLetOthersHaveTheirTurn(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawn(k.receiver(guard, stashing(1000)))
		for i := range 500 {
			k.tell(pid, job{i})
		}
		k.want()
		p.Release()
		pass(time.Second)
		for i, got := range k.got() {
			if got != i {
				t.Fatalf("answer %d is %v", i, got)
			}
		}
		if s := k.inspect(pid); s.Replayed != 500 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAPermitThatComesTooLateGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{MaxWaiting: 10})
		until := make(chan int)
		free := func(m any) bool { _, ok := m.(job); return ok }
		pid := k.spawn(k.receiver(guard, middleware.ReceiveConfig{Refused: middleware.Stash, TTL: time.Second}, middleware.Only(free)))
		k.tell(pid, job{1})
		k.want()
		k.tell(pid, block{until}) // the actor is busy when the permit comes, and for too long
		synctest.Wait()
		p.Release()
		pass(2 * time.Second)
		close(until)
		k.want(middleware.ErrExpired)
		if c := counts(t, guard); c.InFlight != 0 || c.Reclaimed != 2 {
			t.Errorf("%+v", c)
		}
	})
}

func TestAGuardThatStopsWhileMessagesAreStashedIsSaid(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		guard, p := k.oneRoom(bulkhead.Config{MaxWaiting: 10})
		defer p.Release()
		pid := k.spawn(k.receiver(guard, stashing(10)))
		k.tell(pid, job{1}, job{2})
		k.want()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = guard.Stop(ctx)
		k.want(actors.ErrStopped, actors.ErrStopped)
	})
}

func TestAGuardThatPanicsIsSaid(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		pid := k.spawn(k.receiver(&bomb{}, stashing(10)))
		k.tell(pid, job{1})
		pass(time.Second)
		if got := k.got(); len(got) != 1 || !strings.Contains(fmt.Sprint(got[0]), "guard panicked: boom") {
			t.Errorf("%v", got)
		}
	})
}
