package mailbox

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// The traps of proto.actor that a mailbox can avoid, or fall into. They are numbered
// as in the notes that DESIGN.md builds on.

func TestTrap1AFailedRequestIsAnsweredAtOnce(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.settled("s:started")
		failed := w.ask(pid, fail{})
		w.refused(failed, ErrPanicked)
		w.settled("s:restarting s:started")
		w.answered(w.ask(pid, echo("hi")), echo("hi"))
	})
}

func TestTrap1MessagesBehindAFailedOneAreKept(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, func(c actor.Context) {
			for _, msg := range []any{"a", fail{}, "b", "c"} {
				c.Send(c.Self(), msg)
			}
		})
		w.settled("s:started s:a s:restarting s:started s:b s:c")
	})
}

func TestTrap2AStopAnswersQueuedAndLaterRequestsAtOnce(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		var queued []*actor.Future
		w.send(pid, func(c actor.Context) {
			for range 5 {
				queued = append(queued, w.ask(pid, echo("queued")))
			}
			c.Stop(c.Self())
			queued = append(queued, w.ask(pid, echo("queued")))
		})
		w.settled("s:started s:stopping s:stopped")
		for _, f := range queued {
			w.refused(f, ErrStopped)
		}
		if _, err := w.ask(pid, echo("later")).Result(); !errors.Is(err, actor.ErrDeadLetter) {
			t.Errorf("a later request got %v", err)
		}
	})
}

func TestTrap2AStopOfASuspendedActorAnswersQueuedRequests(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		undecided := &onFailure{func(actor.Supervisor, *actor.PID) {}}
		parent := w.spawn(w.subject("p", nil, actor.WithSupervisor(undecided)), "p")
		child := w.child(parent, w.subject("c", nil))
		w.settled("p:started c:started")
		w.refused(w.ask(child, fail{}), ErrPanicked)
		queued := w.ask(child, echo("queued"))
		w.settled("")
		w.stops(child)
		w.refused(queued, ErrStopped)
		w.settled("c:stopping c:stopped p:terminated(p/c1)")
	})
}

func TestTrap2AMailboxThatOutlivesItsActorRefusesAtOnce(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		var m *Combining
		props := w.subject("s", nil, actor.WithMailbox(func() actor.Mailbox {
			w.config.Handler = &fake{}
			m = NewCombining(w.config)
			return m
		}))
		w.stops(w.spawn(props, "s"))
		synctest.Wait() // watchers are told before the mailbox knows
		if err := m.Post(node("late"), Urgent); !errors.Is(err, ErrStopped) {
			t.Errorf("got %v", err)
		}
		if m.TryEnter() {
			t.Error("entered")
		}
		f := actor.NewFuture(w.system, time.Hour)
		m.PostUserMessage(&actor.MessageEnvelope{Message: "late", Sender: f.PID()})
		w.refused(f, ErrStopped)
		m.Stats() // does not hang
		w.settled("s:started s:stopping s:stopped")
	})
}

func TestTrap2AnActorsNameMayBeTakenWhileItStops(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		var pid *actor.PID
		pid = w.spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch msg := c.Message().(type) {
			case *actor.Stopped:
				w.spawn(w.subject("new", nil), pid.Id)
			case func(actor.Context):
				msg(c)
			}
		}, w.props...), "s")
		var queued *actor.Future
		w.send(pid, func(c actor.Context) {
			queued = w.ask(pid, echo("old"))
			c.Stop(c.Self())
		})
		synctest.Wait()
		w.refused(queued, ErrStopped)
		w.answered(w.ask(pid, echo("new")), echo("new"))
		w.settled("new:started")
	})
}

func TestTraps3And4AStopIsFinalWhateverPanics(t *testing.T) {
	directives := map[string]actor.DeciderFunc{
		"restart": func(any) actor.Directive { return actor.RestartDirective },
		"stop":    func(any) actor.Directive { return actor.StopDirective },
		"resume":  func(any) actor.Directive { return actor.ResumeDirective },
	}
	for _, how := range []string{"panic", "exit"} {
		for name, decider := range directives {
			strategy := actor.WithSupervisor(actor.NewOneForOneStrategy(10, time.Hour, decider))
			for _, life := range []string{"stopping", "stopped"} {
				t.Run(how+" on "+life+", supervisor says "+name, func(t *testing.T) {
					worlds(t, func(_ *testing.T, w *world) {
						bad := map[string]string{life: how}
						parent := w.spawn(w.subject("p", nil, strategy), "p")
						child := w.child(parent, w.subject("c", bad, strategy))
						grandchild := w.child(child, w.subject("g", nil))
						watcher := w.spawn(w.subject("w", nil), "w")
						w.send(watcher, func(c actor.Context) { c.Watch(child) })
						w.seen("p:started", "c:started", "g:started", "w:started")
						onGoroutine(func() { w.system.Root.Stop(child) })
						synctest.Wait()
						w.seen("c:stopping", "g:stopping", "g:stopped", "c:terminated(p/c1/c1)", "c:stopped", "p:terminated(p/c1)", "w:terminated(p/c1)")
						if _, err := w.ask(child, echo("x")).Result(); !errors.Is(err, actor.ErrDeadLetter) {
							t.Errorf("still there: %v", err)
						}
						w.stops(grandchild)
						w.stops(parent)
						w.settled("p:stopping p:stopped")
					})
				})
			}
		}
	}
}

func TestTraps3And4AnActorThatPanicsOnEverythingStopsToo(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		bad := map[string]string{"stopping": "panic", "stopped": "panic", "terminated(p/c1)": "panic", "restarting": "panic"}
		parent := w.spawn(w.subject("p", bad), "p")
		w.child(parent, w.subject("c", bad))
		w.settled("p:started c:started")
		w.stops(parent)
		w.settled("p:stopping c:stopping c:stopped p:terminated(p/c1) p:stopped")
		// The name is free, and its new owner is not disturbed.
		again := w.spawn(w.subject("q", nil), "p")
		w.answered(w.ask(again, echo("hi")), echo("hi"))
		w.settled("q:started")
	})
}

func TestTrap3WhoPanicsOnStoppedIsGoneOnce(t *testing.T) {
	for _, life := range []string{"stopping", "stopped"} {
		t.Run(life, func(t *testing.T) {
			worlds(t, func(_ *testing.T, w *world) {
				deadLetters := 0
				w.system.EventStream.Subscribe(func(e any) {
					if _, ok := e.(*actor.DeadLetterEvent); ok {
						deadLetters++
					}
				})
				watcher, other := w.spawn(w.subject("w", nil), "w"), w.spawn(w.subject("o", nil), "o")
				pid := w.spawn(w.subject("s", map[string]string{life: "panic"}), "s")
				w.send(watcher, func(c actor.Context) { c.Watch(pid) })
				w.send(other, func(c actor.Context) { c.Watch(pid); c.Unwatch(pid) })
				w.seen("w:started", "o:started", "s:started")
				done := actor.NewFuture(w.system, time.Hour)
				w.send(done.PID(), "done")
				w.send(pid, func(c actor.Context) {
					c.SetReceiveTimeout(time.Minute)
					p, _ := w.system.ProcessRegistry.Get(pid)
					c.Stop(pid)
					p.SendSystemMessage(pid, &actor.Terminated{Who: other})
					c.ReenterAfter(done, func(any, error) { panic("still there") })
					p.SendSystemMessage(pid, &actor.Watch{Watcher: other})
				})
				time.Sleep(time.Hour) // for a timeout that nobody cancelled
				w.seen("s:stopping", "s:stopped", "w:terminated(s)", "o:terminated(s)")
				if deadLetters != 0 {
					t.Errorf("%d dead letters", deadLetters)
				}
			})
		})
	}
}

func TestTrap3WatchersHearOfAStopAfterTheActorDid(t *testing.T) {
	for _, life := range []string{"stopping", "stopped", "nothing"} {
		oneWorld(t, Config{Inline: true}, func(_ *testing.T, w *world) {
			watcher := w.spawn(w.subject("w", nil), "w")
			pid := w.spawn(w.subject("s", map[string]string{life: "panic"}), "s")
			w.send(watcher, func(c actor.Context) { c.Watch(pid) })
			w.system.Root.Stop(pid)
			w.settled("w:started s:started s:stopping s:stopped w:terminated(s)")
		})
	}
}

func TestTrap4ARestartDoesNotUndoAStop(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := make(chan struct{})
		slow := w.child(pid, actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopping); ok {
				<-release
			}
		}))
		w.settled("s:started")
		stop := w.system.Root.StopFuture(pid)
		synctest.Wait()
		w.refused(w.ask(pid, fail{}), ErrPanicked) // while it waits for its child
		w.answered(w.ask(pid, echo("still here")), echo("still here"))
		p, _ := w.system.ProcessRegistry.Get(pid)
		p.SendSystemMessage(pid, &actor.Restart{})
		close(release)
		if err := stop.Wait(); err != nil {
			t.Error(err)
		}
		w.settled("s:stopping s:terminated(" + slow.Id + ") s:stopped")
	})
}

func TestAPanicOnRestartingIsTriedAgainByTheStrategy(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		limit := actor.NewOneForOneStrategy(2, time.Hour, actor.DefaultDecider)
		parent := w.spawn(w.subject("p", nil, actor.WithSupervisor(limit)), "p")
		child := w.child(parent, w.subject("c", map[string]string{"restarting": "panic"}))
		w.settled("p:started c:started")
		w.refused(w.ask(child, fail{}), ErrPanicked)
		w.settled("c:restarting c:restarting c:stopping c:stopped p:terminated(p/c1)")
	})
}

func TestTrap5AStrategyThatPanicsDoesNotEndTheProcess(t *testing.T) {
	for name, strategy := range map[string]actor.SupervisorStrategy{
		"panics":   &onFailure{func(actor.Supervisor, *actor.PID) { panic("strategy") }},
		"exits":    &onFailure{func(actor.Supervisor, *actor.PID) { exitGoroutine() }},
		"escalate": actor.NewOneForOneStrategy(1, 1, func(any) actor.Directive { return actor.EscalateDirective }),
		"all":      actor.NewAllForOneStrategy(1, 1, actor.DefaultDecider), // asks a guardian for its children
	} {
		t.Run(name, func(t *testing.T) {
			worlds(t, func(_ *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil, actor.WithGuardian(strategy)), "s")
				f := actor.NewFuture(w.system, time.Hour)
				onGoroutine(func() { w.system.Root.RequestWithCustomSender(pid, fail{}, f.PID()) })
				w.refused(f, ErrPanicked)
				w.settled("s:started s:stopping s:stopped")
			})
		})
	}
}

func TestTrap5AListenerThatPanicsDoesNotEndTheProcess(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.system.EventStream.Subscribe(func(e any) {
			if _, ok := e.(*actor.DeadLetterEvent); ok {
				panic("listener")
			}
		})
		w.send(pid, &actor.MessageEnvelope{Message: fail{}, Sender: w.system.NewLocalPID("nobody")})
		w.settled("s:started s:restarting s:started")
		w.answered(w.ask(pid, echo("hi")), echo("hi"))
	})
}

func TestTrap5ALoggerThatPanicsDoesNotEndTheProcess(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		w.broken.Store(true)
		pid := w.spawn(w.subject("s", nil), "s")
		w.refused(w.ask(pid, fail{}), ErrPanicked)
		w.settled("s:started s:stopping s:stopped") // proto.actor logs a failure before it tells the supervisor
		pid = w.spawn(w.subject("s", map[string]string{"stopping": "panic"}), "t")
		w.stops(pid)
		w.settled("s:started s:stopping s:stopped")
		w.broken.Store(false)
	})
}

func TestTrap6GoexitIsAFailureLikeAnyOther(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		f := actor.NewFuture(w.system, time.Hour)
		onGoroutine(func() { w.system.Root.RequestWithCustomSender(pid, exit{}, f.PID()) })
		w.refused(f, ErrPanicked)
		w.answered(w.ask(pid, echo("hi")), echo("hi"))
		w.settled("s:started s:restarting s:started")
	})
}

func TestTraps7And8AFullMailboxAnswersAtOnceAndRecovers(t *testing.T) {
	oneWorld(t, Config{Capacity: 2}, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		block := make(chan struct{})
		w.send(pid, func(c actor.Context) { <-block })
		synctest.Wait()
		fits := []*actor.Future{w.ask(pid, echo("1")), w.ask(pid, echo("2"))}
		for range 20 {
			w.refused(w.ask(pid, echo("3")), ErrFull)
			w.send(pid, "nobody to tell")
		}
		w.send(pid, urgent("u"))
		poison := w.system.Root.PoisonFuture(pid)
		close(block)
		w.answered(fits[0], echo("1"))
		w.answered(fits[1], echo("2"))
		if err := poison.Wait(); err != nil {
			t.Error(err)
		}
		w.settled("s:started s:u s:stopping s:stopped")
	})
}

func TestTrap7AnActorMaySendToItselfThoughItsMailboxIsFull(t *testing.T) {
	oneWorld(t, Config{Capacity: 1, Inline: true}, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, func(c actor.Context) {
			for _, msg := range []string{"a", "b", "c"} {
				c.Request(c.Self(), msg)
			}
		})
		w.settled("s:started s:a")
	})
}

func TestTrap9UrgentMessagesAreSeenInEnvelopes(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, func(c actor.Context) {
			c.Send(c.Self(), "a")
			c.Request(c.Self(), "b")
			c.Request(c.Self(), urgent("u"))
			c.Send(c.Self(), urgent("v"))
		})
		w.settled("s:started s:u s:v s:a s:b")
	})
}

func TestTrap10ABatchIsNotDeliveredItself(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, batch{"a", "b", func(actor.Context) { w.add("c") }})
		w.system.Root.RequestWithCustomSender(pid, batch{"d"}, pid)
		w.settled("s:started s:a s:b c s:d")
	})
}

func TestTrap12ARequestThatWasAnsweredBeforeThePanicKeepsItsAnswer(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		for range 9 { // the strategy allows ten
			w.answered(w.ask(pid, func(c actor.Context) {
				c.Respond("done")
				panic("ouch")
			}), "done")
		}
	})
}

func TestTrap20MessagesFromOnInitRunAfterStarted(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		var f *actor.Future
		w.spawn(w.subject("s", nil, actor.WithOnInit(func(c actor.Context) {
			w.send(c.Self(), "early")
			f = w.ask(c.Self(), echo("hi"))
		})), "s")
		w.answered(f, echo("hi"))
		w.settled("s:started s:early")
	})
}

func TestAStopFromOnInitIsObeyed(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		var f *actor.Future
		w.spawn(w.subject("s", nil, actor.WithOnInit(func(c actor.Context) {
			f = w.ask(c.Self(), echo("hi"))
			c.Stop(c.Self())
		})), "s")
		w.refused(f, ErrStopped)
		w.settled("s:stopping s:stopped")
	})
}

// apology is what a request that is a Refuser gets.
type apology struct{ reason error }

type polite struct{ panics bool }

func (p polite) Refused(reason error) any {
	if p.panics {
		panic("impolite")
	}
	if errors.Is(reason, ErrStopped) {
		return nil
	}
	return apology{reason}
}

func TestARefuserAnswersForItself(t *testing.T) {
	worlds(t, func(_ *testing.T, w *world) {
		pid := w.spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(polite); ok {
				panic("ouch")
			}
		}, w.props...), "s")
		w.answered(w.ask(pid, polite{}), apology{ErrPanicked})
		silent := w.ask(pid, polite{panics: true}) // its own fault that it waits
		before := time.Now()
		if _, err := silent.Result(); !errors.Is(err, actor.ErrTimeout) || time.Since(before) != time.Hour {
			t.Errorf("got %v after %v", err, time.Since(before))
		}
		w.answered(w.ask(pid, polite{}), apology{ErrPanicked})
	})
}

func TestUndeliveredIsAnError(t *testing.T) {
	var err error = Undelivered{Message: "m", Reason: ErrFull}
	if !errors.Is(err, ErrFull) || err.Error() != ErrFull.Error() {
		t.Errorf("%v", err)
	}
}

// What an ordinary actor does must work with this mailbox as with proto.actor's.

func TestAnActorMayChangeItsMailbox(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		plain := actor.WithMailbox(actor.Unbounded())
		w.life()
		combining := w.take()
		w.props = append(w.props, plain)
		w.life()
		if unbounded := w.take(); combining != unbounded {
			t.Errorf("with Combining %q\nwith Unbounded %q", combining, unbounded)
		}
	})
}

// life is the life of an ordinary actor.
//
//bulwark:bubble
func (w *world) life() {
	w.t.Helper()
	instances := 0
	type kept struct{ total int }
	state := &kept{}
	props := actor.PropsFromProducer(func() actor.Actor {
		instances++
		me := instances
		return actor.ReceiveFunc(func(c actor.Context) {
			switch msg := c.Message().(type) {
			case *actor.Started:
				w.add("started(%d)", me)
				c.SetReceiveTimeout(time.Minute)
			case *actor.Restarting, *actor.Stopping, *actor.Stopped, *actor.ReceiveTimeout:
				w.add("%T(%d)", msg, me)
			case *actor.Terminated:
				w.add("terminated(%s)", msg.Who.Id)
			case int:
				state.total += msg
				c.Respond(state.total)
			case fail:
				panic("ouch")
			case func(actor.Context):
				msg(c)
			}
		})
	}, w.props...)
	pid := w.spawn(props, "life")
	synctest.Wait()
	w.answered(w.ask(pid, 2), 2)
	w.send(pid, fail{})
	synctest.Wait()
	w.answered(w.ask(pid, 3), 5)

	child := w.child(pid, w.subject("child", nil))
	synctest.Wait()
	other := w.spawn(w.subject("other", nil), "watched")
	w.send(pid, func(c actor.Context) { c.Watch(other) })
	synctest.Wait()
	w.stops(other)
	synctest.Wait()
	w.stops(child)
	synctest.Wait()

	w.send(pid, func(c actor.Context) {
		c.ReenterAfter(w.ask(pid, 1), func(res any, err error) { w.add("reentered(%v,%v)", res, err) })
	})
	synctest.Wait()
	w.send(pid, func(c actor.Context) { c.SetReceiveTimeout(time.Minute) })
	time.Sleep(59 * time.Second)
	w.send(pid, "restarts the timeout")
	time.Sleep(59 * time.Second)
	w.add("silence")
	time.Sleep(2 * time.Second)

	late := w.child(pid, w.subject("late", nil))
	synctest.Wait()
	w.send(late, fail{})
	w.send(late, "after its failure")
	synctest.Wait()
	w.send(pid, fail{}) // takes its children with it
	synctest.Wait()
	w.answered(w.ask(pid, 1), 7)

	w.send(pid, func(c actor.Context) {
		c.Poison(c.Self())
		c.Send(c.Self(), func(actor.Context) { w.add("not after poison, or proto.actor changed") })
	})
	synctest.Wait()
	if _, err := w.ask(pid, 1).Result(); !errors.Is(err, actor.ErrDeadLetter) {
		w.t.Errorf("got %v", err)
	}
	w.stops(other) // who is not there is told at once, too
}

func TestManyGenerationsOfAFamily(t *testing.T) {
	worlds(t, func(t *testing.T, w *world) {
		top := w.spawn(w.subject("t", nil), "t")
		pid := top
		for range 30 {
			pid = w.child(pid, w.subject("d", nil))
		}
		synctest.Wait()
		w.answered(w.ask(pid, echo("deep")), echo("deep"))
		w.stops(top)
		if n := w.take(); len(n) == 0 {
			t.Error("nothing happened")
		}
	})
}

// onFailure is a strategy that does what it likes with a failed child.
type onFailure struct {
	do func(s actor.Supervisor, child *actor.PID)
}

func (f *onFailure) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	f.do(s, child)
}
