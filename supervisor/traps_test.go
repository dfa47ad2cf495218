package supervisor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
)

// The tests here, and some beside them, are named after the traps of proto.actor that
// they are in the way of. With proto.actor's own mailboxes, a strategy alone cannot
// do anything about traps 2 and 6.

func TestTrap1AFailedRequestIsAnsweredOnce(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		k.refused(k.ask("boss/a", fail{"ouch"}), mailbox.ErrPanicked)
		k.works("boss/a")

		// An actor that asks gets one answer too.
		answers := make(chan any, 10)
		asker := k.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch msg := c.Message().(type) {
			case fail:
				c.Request(k.pid("boss/a"), msg)
			case mailbox.Undelivered:
				answers <- msg.Message
			}
		}))
		k.system.Root.Send(asker, fail{"ouch"})
		synctest.Wait()
		if len(answers) != 1 || <-answers != any(fail{"ouch"}) {
			k.t.Errorf("%d answers", len(answers))
		}
	})
}

// explaining is a request that answers for itself.
type explaining struct{}

func (explaining) Refused(reason error) any { return fmt.Sprint("sorry: ", reason) }

func TestTrap1ARequestMayAnswerForItself(t *testing.T) {
	bubbles(t, func(k *kit) {
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case explaining:
				panic("ouch")
			case echo:
				c.Respond(echo("before"))
				panic("after")
			}
		})
		if k.ours {
			props.Configure(k.mailbox())
		}
		k.root(k.actorOf("boss", []spawn{{props, "a"}}, must(k.t, Config{})), "boss")
		if got := k.answered(k.ask("boss/a", explaining{})); got != "sorry: "+mailbox.ErrPanicked.Error() {
			k.t.Errorf("answered %v", got)
		}
		var dead []any
		k.system.EventStream.Subscribe(func(e any) {
			if e, ok := e.(*actor.DeadLetterEvent); ok {
				dead = append(dead, e.Message)
			}
		})
		if got := k.answered(k.ask("boss/a", echo("x"))); got != echo("before") {
			k.t.Errorf("answered %v", got)
		}
		synctest.Wait()
		if len(dead) > 0 {
			k.t.Errorf("answered twice: %v", dead)
		}
	})
}

// brokenProcess panics when it is sent something.
type brokenProcess struct{}

func (brokenProcess) SendUserMessage(*actor.PID, any)   { panic("broken") }
func (brokenProcess) SendSystemMessage(*actor.PID, any) { panic("broken") }
func (brokenProcess) Stop(*actor.PID)                   { panic("broken") }

func TestTrap1AnAnswerThatPanicsIsOnlyLogged(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, Config{}))
		sender, _ := k.system.ProcessRegistry.Add(brokenProcess{}, "broken")
		k.system.Root.RequestWithCustomSender(k.pid("boss/a"), fail{"ouch"}, sender)
		k.noted("a restarting, a started")
		k.logged("ERROR answering a failed message failed")
	})
}

func TestTrap2QueuedRequestsOfAChildThatIsGivenUpAreAnswered(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		k.family(must(t, Config{Intensity: IntensityConfig{Restarts: -1}}))
		block := make(chan struct{})
		k.system.Root.Send(k.pid("boss/a"), wait{block})
		failing, queued := k.ask("boss/a", fail{"ouch"}), k.ask("boss/a", echo("queued"))
		k.waits(queued)
		close(block)
		synctest.Wait()
		k.refused(failing, mailbox.ErrPanicked)
		k.refused(queued, mailbox.ErrStopped)
	})
}

// frail is an actor with children that panics on some of its life's messages.
func (k *kit) frail(name string, children []spawn, panics func(msg any) bool) *actor.Props {
	inner := k.actorOf(name, children)
	props := inner.Clone(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
		return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
			next(c, env)
			if panics(env.Message) {
				panic(fmt.Sprintf("on %T", env.Message))
			}
		}
	}))
	return props
}

func TestTrap3APanicOnStoppedLeavesNoZombie(t *testing.T) {
	for name, children := range map[string]bool{"with children": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				var below []spawn
				if children {
					below = []spawn{{k.actorOf("x", nil), "x"}, {k.actorOf("y", nil), "y"}}
				}
				child := k.frail("a", below, func(msg any) bool { _, ok := msg.(*actor.Stopped); return ok })
				k.root(k.actorOf("boss", []spawn{{child, "a"}, {k.actorOf("b", nil), "b"}}, must(k.t, Config{})), "boss")
				k.system.Root.Stop(k.pid("boss/a"))
				synctest.Wait()
				if b, _ := TreeOf(k.t.Context(), k.system, k.pid("boss")); len(b.Children) != 1 {
					k.t.Errorf("tree\n%v", b)
				}
				k.stopped("boss")
				k.alone()
			})
		})
	}
}

func TestTrap4APanicOnStoppingDoesNotCancelTheStop(t *testing.T) {
	for _, tt := range []struct {
		name     string
		times    int
		children bool
	}{
		{"once", 1, false},
		{"always", 1 << 30, false},
		{"once, with children", 1, true},
		{"always, with children", 1 << 30, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				var below []spawn
				if tt.children {
					below = []spawn{{k.actorOf("x", nil), "x"}, {k.actorOf("y", nil), "y"}}
				}
				left := tt.times
				child := k.frail("a", below, func(msg any) bool {
					if _, ok := msg.(*actor.Stopping); !ok {
						return false
					}
					left--
					return left >= 0
				})
				k.root(k.actorOf("boss", []spawn{{child, "a"}, {k.actorOf("b", nil), "b"}}, must(k.t, Config{})), "boss")
				k.system.Root.Stop(k.pid("boss/a"))
				synctest.Wait()
				if _, ok := k.system.ProcessRegistry.GetLocal("boss/a"); ok {
					k.t.Error("it lives")
				}
				k.stopped("boss")
				if tt.times == 1 || k.ours { // what always panics leaves children of its own to nobody
					k.alone()
				}
			})
		})
	}
}

// A child that fails while it waits for its children to stop must not be restarted into
// a new life, or whoever stopped it waits for ever.
func TestTrap4ARestartDoesNotCancelAStopThatIsUnderWay(t *testing.T) {
	for _, decided := range []Directive{Restart, Resume, Stop} {
		t.Run(decided.String(), func(t *testing.T) {
			bubbles(t, func(k *kit) {
				block := make(chan struct{})
				slow := k.actorOf("x", nil)
				child := k.actorOf("a", []spawn{{slow, "x"}})
				k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{}, Decide(func(any) Directive { return decided }))), "boss")
				k.send("boss/a/x", wait{block})
				k.system.Root.Stop(k.pid("boss/a")) // waits for x
				synctest.Wait()
				process, _ := k.system.ProcessRegistry.GetLocal("boss/a")
				process.SendUserMessage(k.pid("boss/a"), fail{"while it stops"})
				synctest.Wait()
				close(block)
				synctest.Wait()
				k.stopped("boss")
				k.alone()
			})
		})
	}
}

// The same, when it is the supervising actor that stops, or restarts.
func TestTrap4ASupervisorThatEndsIsNotHeldUpByAChildThatFails(t *testing.T) {
	for _, end := range []string{"stops", "restarts"} {
		t.Run(end, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				block := make(chan struct{})
				child := k.actorOf("a", []spawn{{k.actorOf("x", nil), "x"}})
				k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{})), "boss")
				k.send("boss/a/x", wait{block})
				if end == "stops" {
					k.system.Root.Stop(k.pid("boss"))
				} else {
					k.send("boss", fail{"ouch"}) // the root's default strategy restarts it
				}
				synctest.Wait()
				process, _ := k.system.ProcessRegistry.GetLocal("boss/a")
				process.SendUserMessage(k.pid("boss/a"), fail{"while it stops"})
				synctest.Wait()
				close(block)
				synctest.Wait()
				if end == "restarts" {
					k.works("boss", "boss/a", "boss/a/x")
					k.stopped("boss")
				}
				k.alone()
			})
		})
	}
}

// A panic on Terminated keeps proto.actor from going on with the stop.
func TestTrap4APanicOnTerminatedDoesNotCancelTheStop(t *testing.T) {
	for _, decided := range []Directive{Restart, Resume, Stop} {
		t.Run(decided.String(), func(t *testing.T) {
			bubbles(t, func(k *kit) {
				left := 1
				child := k.frail("a", []spawn{{k.actorOf("x", nil), "x"}}, func(msg any) bool {
					_, ok := msg.(*actor.Terminated)
					left--
					return ok && left >= -5
				})
				k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{}, Decide(func(any) Directive { return decided }))), "boss")
				k.system.Root.Stop(k.pid("boss/a"))
				synctest.Wait()
				k.stopped("boss")
				k.alone()
			})
		})
	}
}

func TestAPanicOnTerminatedIsAFailureLikeOthers(t *testing.T) {
	bubbles(t, func(k *kit) {
		child := k.frail("a", []spawn{{k.actorOf("x", nil), "x"}}, func(msg any) bool {
			_, ok := msg.(*actor.Terminated)
			return ok
		})
		k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{})), "boss")
		k.stopped("boss/a/x")
		k.changed("boss/a restarted 1")
		k.works("boss/a", "boss/a/x")
	})
}

func TestTrap4ASupervisorThatStopsHandsNothingUp(t *testing.T) {
	bubbles(t, func(k *kit) {
		block := make(chan struct{})
		child := k.actorOf("a", []spawn{{k.actorOf("x", nil), "x"}})
		boss := k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{Intensity: IntensityConfig{Restarts: -1}}))
		k.root(k.actorOf("king", []spawn{{boss, "boss"}}), "king") // whose strategy is proto.actor's
		k.send("king/boss/a/x", wait{block})
		k.system.Root.Stop(k.pid("king/boss"))
		synctest.Wait()
		process, _ := k.system.ProcessRegistry.GetLocal("king/boss/a")
		process.SendUserMessage(k.pid("king/boss/a"), fail{"while it stops"})
		synctest.Wait()
		close(block)
		synctest.Wait()
		if e := k.events(); len(e) != 0 {
			k.t.Errorf("gave up %+v", e)
		}
		if _, ok := k.system.ProcessRegistry.GetLocal("king/boss"); ok {
			k.t.Error("it was restarted")
		}
		k.stopped("king")
		k.alone()
	})
}

func TestTrap3AStrategyThatKnewNothingOfAChildFinishesItsStop(t *testing.T) {
	bubbles(t, func(k *kit) {
		s, err := New(Config{})
		if err != nil {
			k.t.Fatal(err)
		}
		child := k.frail("a", nil, func(msg any) bool { _, ok := msg.(*actor.Stopped); return ok })
		k.root(k.actorOf("boss", []spawn{{child, "a"}}, actor.WithSupervisor(s)), "boss")
		k.system.Root.Stop(k.pid("boss/a"))
		synctest.Wait()
		k.stopped("boss")
		k.alone()
	})
}

// After a panic on Stopped, proto.actor's mailbox goes on with what it has.
func TestTrap3AZombieServesNoMoreThanTheNextMessage(t *testing.T) {
	bubbles(t, func(k *kit) {
		var e ends
		inner := k.slow(&e, "a")
		child := inner.Clone(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
			return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
				if next(c, env); e.list != nil {
					if _, ok := env.Message.(*actor.Stopped); ok {
						panic("ouch")
					}
				}
			}
		}))
		k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{}, Types(func(string) RestartType { return Permanent }))), "boss")
		for i := range 10 {
			k.system.Root.Send(k.pid("boss/a"), fmt.Sprint(i))
		}
		synctest.Wait()
		k.system.Root.Stop(k.pid("boss/a"))
		k.sleep(time.Minute)
		if len(k.notes) > 3 {
			k.t.Errorf("noted %v", k.notes)
		}
		b, _ := TreeOf(k.t.Context(), k.system, k.pid("boss"))
		if len(b.Children) != 1 || b.Children[0].State != Running {
			k.t.Errorf("tree\n%v", b)
		}
		k.stopped("boss")
		k.alone()
	})
}

func TestTrap3AnActorOfTheSameNameAsAZombieIsItself(t *testing.T) {
	bubble(t, func(k *kit) {
		s := must(t, allow(1, time.Minute))
		inner := k.actorOf("boss", []spawn{{k.actorOf("a", nil), "a"}}, s)
		zombie := inner.Clone(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
			return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
				if next(c, env); fmt.Sprintf("%T", env.Message) == "*actor.Stopped" {
					panic("ouch")
				}
			}
		}))
		k.root(zombie, "boss")
		k.system.Root.Stop(k.pid("boss"))
		synctest.Wait()
		k.noted("boss started, a started, a stopped, boss stopped")
		k.root(k.actorOf("boss", []spawn{{k.actorOf("a", nil), "a"}}, s), "boss")
		k.send("boss/a", fail{"ouch"})
		k.noted("boss started, a started, a restarting, a started")
		b, err := TreeOf(k.t.Context(), k.system, k.pid("boss"))
		if err != nil || len(b.Children) != 1 || b.Children[0].Restarts != 1 {
			t.Errorf("%v, tree\n%v", err, b)
		}
	})
}

func TestAChildThatEndedBeforeItsFailureWasLookedAtIsLeftInPeace(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		block := make(chan struct{})
		k.send("boss", wait{block})
		k.send("boss/a", fail{"ouch"})
		k.system.Root.Stop(k.pid("boss/a"))
		synctest.Wait()
		close(block)
		k.changed("boss/a running>stopped ")
		k.stopped("boss")
		k.alone()
	})
}

// A child's name is free before its parent knows that the child is gone.
func TestANewChildIsNotTakenForTheOldOneOfItsName(t *testing.T) {
	for _, kind := range []RestartType{Transient, Permanent} {
		t.Run(kind.String(), func(t *testing.T) {
			bubbles(t, func(k *kit) {
				spawned := make(chan struct{})
				child := k.frail("a", nil, func(msg any) bool {
					if _, ok := msg.(*actor.Stopped); ok && spawned != nil {
						k.system.Root.Send(k.pid("boss"), func() {})
						k.system.Root.Send(k.pid("boss"), spawn{k.actorOf("a", nil), "a"})
						k.system.Root.Send(k.pid("boss"), func() { close(spawned) })
						<-spawned
						spawned = nil
					}
					return false
				})
				k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, Config{}, Types(func(string) RestartType { return kind }))), "boss")
				k.system.Root.Stop(k.pid("boss/a"))
				synctest.Wait()
				k.noted("boss started, a started, a stopped, a started")
				k.send("boss/a", fail{"ouch"})
				k.works("boss/a")
				b, _ := TreeOf(k.t.Context(), k.system, k.pid("boss"))
				if len(b.Children) != 1 || b.Children[0].Restarts != 1 || b.Children[0].Failures != 1 {
					k.t.Errorf("tree\n%v", b)
				}
			})
		})
	}
}

func TestNothingIsKeptOfChildrenThatAreGone(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		for i := range 100 {
			id := fmt.Sprint("c", i)
			k.send("boss", spawn{k.actorOf(id, nil), id})
			k.send("boss/"+id, fail{"ouch"})
			k.stopped("boss/" + id)
		}
		p, _ := k.system.ProcessRegistry.GetLocal("boss" + nodeSuffix)
		if n := p.(*node); len(n.members) != 2 || len(n.byName) != 2 || len(n.ended) != 0 {
			k.t.Errorf("%d members, %d names, %d ended", len(n.members), len(n.byName), len(n.ended))
		}
	})
}

func TestASupervisorThatHasStoppedIsAskedInVain(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		k.stopped("boss/a")
		k.stopped("boss/b")
		block := make(chan struct{})
		k.send("boss", wait{block})
		k.system.Root.Stop(k.pid("boss"))
		synctest.Wait()
		asked := make(chan error, 2)
		go func() {
			_, err := TreeOf(context.Background(), k.system, k.pid("boss"))
			asked <- err
		}()
		go func() { asked <- Dismiss(context.Background(), k.system, k.pid("boss/a")) }()
		synctest.Wait()
		close(block)
		for range 2 {
			if err := <-asked; !errors.Is(err, ErrNotSupervised) {
				k.t.Errorf("got %v", err)
			}
		}
		k.alone()
	})
}

func TestANameThatIsTakenChangesNothing(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		taken := make(chan error, 1)
		k.send("boss", try(func(c actor.Context) {
			_, err := c.SpawnNamed(k.actorOf("a", nil), "a")
			taken <- err
		}))
		if err := <-taken; !errors.Is(err, actor.ErrNameExists) {
			k.t.Errorf("got %v", err)
		}
		k.send("boss/a", fail{"ouch"})
		b, _ := TreeOf(k.t.Context(), k.system, k.pid("boss"))
		if len(b.Children) != 2 || b.Children[0].Restarts != 1 || b.Children[0].Name != "a" {
			k.t.Errorf("tree\n%v", b)
		}
	})
}

func TestTrap5OneForAllUnderAGuardianDoesNotEndTheProcess(t *testing.T) {
	bubble(t, func(k *kit) {
		s, err := OneForAll(Config{})
		if err != nil {
			t.Fatal(err)
		}
		k.root(k.actorOf("a", nil, actor.WithGuardian(s)), "a")
		k.refused(k.ask("a", fail{"ouch"}), mailbox.ErrPanicked)
		k.noted("a started, a stopped")
		k.logged("ERROR supervisor gave up a child: what supervises it is no actor, and has no history")
	})
}

func TestTrap6AnExitOfTheGoroutineIsAFailureLikeOthers(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		k.family(must(t, Config{}))
		k.refused(k.ask("boss/a", func() { runtime.Goexit() }), mailbox.ErrPanicked)
		k.noted("a restarting, a started")
		k.works("boss/a")
	})
}

func TestTrap15NothingRestartsAChildThatWasStoppedMeanwhile(t *testing.T) {
	bubbles(t, func(k *kit) {
		var dead []string
		k.system.EventStream.Subscribe(func(e any) {
			if e, ok := e.(*actor.DeadLetterEvent); ok {
				dead = append(dead, fmt.Sprintf("%T", e.Message))
			}
		})
		k.family(must(k.t, Config{Backoff: BackoffConfig{Base: time.Second, Jitter: -1}}))
		k.send("boss/a", fail{"ouch"})
		k.stopped("boss/a")
		k.noted("a stopped")
		k.changed("boss/a running>restarting backoff for 1s, boss/a restarting>stopped backoff")
		k.sleep(time.Hour)
		k.noted("")
		k.changed("")
		// Nor one of the same name.
		k.send("boss", spawn{k.actorOf("a", nil), "a"})
		k.noted("a started")
		k.send("boss/a", fail{"ouch"})
		k.stopped("boss/a")
		k.send("boss", spawn{k.actorOf("a", nil), "a"})
		k.noted("a stopped, a started")
		k.sleep(time.Hour)
		k.noted("")
		if dead != nil {
			k.t.Errorf("dead letters: %v", dead)
		}
	})
}

func TestTrap15NothingIsLeftOfASupervisorThatStopsWhileChildrenWait(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{Backoff: BackoffConfig{Base: time.Hour}}))
		k.send("boss/a", fail{"ouch"})
		k.stopped("boss")
		k.alone()
	})
}

// counting is a strategy that looks at proto.actor's own statistics.
type counting struct {
	*Strategy
	most int
}

func (c *counting) HandleFailure(
	system *actor.ActorSystem, s actor.Supervisor, child *actor.PID, rs *actor.RestartStatistics, reason, message any,
) {
	c.Strategy.HandleFailure(system, s, child, rs, reason, message)
	if rs != nil {
		c.most = max(c.most, rs.FailureCount())
	}
}

func TestTrap16FailuresLeaveNoMoreThanAFewBehind(t *testing.T) {
	bubble(t, func(k *kit) {
		s, err := OneForOne(Config{Intensity: IntensityConfig{Restarts: -2}})
		if err != nil {
			t.Fatal(err)
		}
		c := &counting{Strategy: s}
		k.family(actor.WithSupervisor(c))
		for i := range 2000 {
			k.system.Root.Send(k.pid("boss/a"), fail{i})
		}
		synctest.Wait()
		b, _ := TreeOf(k.t.Context(), k.system, k.pid("boss"))
		if c.most != 0 || len(b.Children) != 1 || b.Children[0].Restarts != 2000 || len(b.Children[0].History) != 8 || b.Children[0].History[7].Reason != 1999 {
			t.Errorf("%d failure times, tree %+v", c.most, b)
		}
	})
}

func TestAllForOneCountsTheFailuresOfAll(t *testing.T) { // proto.actor counts those of one
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Scope: All, Intensity: IntensityConfig{Restarts: 2, Period: time.Minute}}))
		for _, id := range []string{"boss/a", "boss/b"} {
			k.send(id, fail{"ouch"})
		}
		k.changes()
		k.send("boss/c", fail{"ouch"})
		if e := k.events(); len(e) != 1 || e[0].Cause != CauseIntensity {
			k.t.Errorf("events %+v", e)
		}
	})
}

func TestAChildThatPanicsOnRestartingIsRestartedUntilItIsGivenUp(t *testing.T) {
	bubbles(t, func(k *kit) {
		child := k.frail("a", nil, func(msg any) bool { _, ok := msg.(*actor.Restarting); return ok })
		k.root(k.actorOf("boss", []spawn{{child, "a"}}, must(k.t, allow(3, time.Minute))), "boss")
		k.send("boss/a", fail{"ouch"})
		if e := k.events(); len(e) != 1 || e[0].Reason != "on *actor.Restarting" {
			k.t.Errorf("events %+v", e)
		}
		synctest.Wait()
		if got := k.notes; !slices.Equal(got[len(got)-1:], []string{"a stopped"}) {
			k.t.Errorf("noted %v", got)
		}
	})
}
