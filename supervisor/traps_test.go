package supervisor

import (
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
			props.Configure(actor.WithMailbox(mailbox.Producer(mailbox.Config{})))
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
		{"always", 1000, false},
		{"once, with children", 1, true},
		{"always, with children", 1000, true},
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
