package mailbox

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

func TestWhatIsPostedBeforeStartRunsAfterStarted(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		f := &fake{}
		m := NewCombining(Config{Inline: inline, Capacity: 1, Handler: f})
		m.PostUserMessage("a")
		post(t, m, urgent("u"), Urgent)
		post(t, m, "b", Ordinary) // nobody could be answered yet: not refused
		if m.TryEnter() {
			t.Fatal("entered before Start")
		}
		m.RegisterHandlers(f, f)
		m.PostSystemMessage(&actor.Started{})
		f.want(t, "")
		m.Start()
		if scheduled := f.run(); (scheduled == 0) != inline {
			t.Errorf("%d goroutines", scheduled)
		}
		f.want(t, "started u a b")
		if !m.TryEnter() {
			t.Error("not idle")
		}
	})
}

func TestAnIdleActorRunsOnThePostersGoroutineIffInline(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostUserMessage("user")
		post(t, m, "node", Ordinary)
		m.PostSystemMessage("system")
		if inline {
			f.want(t, "user node system")
		} else {
			f.want(t, "")
		}
		if n := f.run(); (n == 1) == inline {
			t.Errorf("%d goroutines", n)
		}
		if !inline {
			f.want(t, "system user node")
		}
	})
}

func TestSystemComesBeforeUrgentComesBeforeOrdinary(t *testing.T) {
	m, f := newFake(Config{})
	envelope := func(msg any) any { return actor.WrapEnvelope(msg) }
	for _, msg := range []any{"o1", envelope("o2"), urgent("u1"), envelope(urgent("u2")), "o3"} {
		m.PostUserMessage(msg)
	}
	post(t, m, "o4", Ordinary)
	post(t, m, "u3", Urgent)
	m.PostUserMessage(func() {
		m.PostUserMessage("o6")
		m.PostUserMessage(urgent("u4"))
		m.PostSystemMessage("s3")
		m.PostSystemMessage("s4")
	})
	m.PostUserMessage("o5")
	m.PostSystemMessage("s1")
	m.PostSystemMessage("s2")
	f.run()
	f.want(t, "s1 s2 u1 u2 u3 o1 o2 o3 o4 s3 s4 u4 o5 o6")
}

func TestSuspendedMailboxServesSystemMessagesOnly(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		f.run()
		m.PostUserMessage("a")
		post(t, m, "b", Ordinary)
		post(t, m, "u", Urgent)
		if n := f.run(); n != 0 {
			t.Errorf("%d goroutines for nothing", n)
		}
		if m.TryEnter() {
			t.Error("entered")
		}
		f.want(t, "")
		m.PostSystemMessage("s")
		f.run()
		f.want(t, "s")
		m.PostUserMessage("c")
		m.PostSystemMessage(&actor.ResumeMailbox{})
		f.run()
		f.want(t, "u a b c")
		if !m.TryEnter() {
			t.Error("not idle")
		}
		m.Exit()
	})
}

func TestAMessageSuspendsBeforeTheNextOneRuns(t *testing.T) {
	m, f := newFake(Config{Inline: true})
	m.TryEnter()
	m.PostUserMessage(func() { f.add("a"); m.PostSystemMessage(&actor.SuspendMailbox{}) })
	m.PostUserMessage("b")
	m.Exit()
	f.want(t, "a")
	m.PostSystemMessage(&actor.ResumeMailbox{})
	f.want(t, "b")
}

func TestAFullMailboxRefusesOrdinaryMessagesOnly(t *testing.T) {
	m, f := newFake(Config{Capacity: 2, Inline: true})
	m.TryEnter()
	post(t, m, "a", Ordinary)
	post(t, m, "b", Ordinary)
	n := node("c")
	if err := m.Post(n, Ordinary); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	post(t, m, "u1", Urgent)
	m.PostUserMessage(urgent("u2"))
	m.PostUserMessage("d")
	m.PostUserMessage(&actor.PoisonPill{}) // must arrive whatever the load
	m.PostUserMessage(actor.WrapEnvelope(&actor.PoisonPill{}))
	if got := m.UserMessageCount(); got != 6 {
		t.Errorf("%d queued", got)
	}
	m.Exit()
	f.want(t, "u1 u2 a b  ") // and two PoisonPills, which have no text
	if s := f.stats(m); s.Refused != 2 || s.Depth != 0 || s.MaxDepth != 6 {
		t.Errorf("%+v", s)
	}
	if err := m.Post(n, Ordinary); err != nil { // n stayed ours
		t.Error(err)
	}
	f.want(t, "c")
}

func TestACallerServesABudgetOfOthers(t *testing.T) {
	const budget = 8
	for name, start := range map[string]func(m *Combining){
		"after a turn on the spot": func(m *Combining) { m.Exit() },
		"after a user message":     func(m *Combining) { m.Crashed("x", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			m, f := newFake(Config{Inline: true, Budget: budget})
			m.TryEnter()
			for range 3 * budget {
				post(t, m, "x", Ordinary)
			}
			start(m)
			if got := strings.Count(f.take(), "x"); got < budget || got > budget+1 {
				t.Errorf("served %d", got)
			}
			if m.TryEnter() {
				t.Fatal("entered while a goroutine owns the turn")
			}
			post(t, m, "late", Ordinary)
			f.want(t, "")
			if n := f.run(); n != 1 {
				t.Errorf("%d goroutines", n)
			}
			if got := f.take(); strings.Count(got, "x") < 2*budget-1 || !strings.HasSuffix(got, "late") {
				t.Errorf("the goroutine served %q", got)
			}
			if s := f.stats(m); s.Handovers != 1 || s.Queued != 3*budget+1 || s.Handed < 2*budget || s.Handed > 2*budget+1 {
				t.Errorf("%+v", s)
			}
			// The goroutine is done: callers serve again, and are not taken for it.
			post(t, m, "y", Ordinary)
			if s := f.stats(m); s.Queued != s.Handed+budget+1 && s.Queued != s.Handed+budget+2 {
				t.Errorf("%+v", s)
			}
			f.want(t, "y")
		})
	}
}

func TestAPanicFailsTheActorAndNotThePoster(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		var failed []any
		f.onFailure = func(_, msg any) { failed = append(failed, msg) }
		m.PostUserMessage(func() { panic("user") })
		m.PostUserMessage("a")
		f.run()
		f.want(t, "failure(user) a")
		post(t, m, func() { panic("node") }, Ordinary)
		post(t, m, "b", Ordinary)
		f.run()
		f.want(t, "refuse("+ErrPanicked.Error()+") failure(node) b")
		m.PostSystemMessage(func() { panic("system") })
		m.PostSystemMessage("c")
		f.run()
		f.want(t, "failure(system) c")
		m.PostUserMessage(func() { panic(nil) }) //nolint:govet // that is the point
		f.run()
		if got := f.take(); !strings.Contains(got, "panic called with nil argument") {
			t.Errorf("got %q", got)
		}
		if len(failed) != 4 {
			t.Fatalf("failures with %v", failed)
		}
		// The node's requester was answered and may use its message again.
		if failed[1] != posted("func()") {
			t.Errorf("the failure holds on to %v", failed[1])
		}
		if s := f.stats(m); s.Failures != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestGoexitEndsItsGoroutineAndNothingElse(t *testing.T) {
	goexit := "failure(" + errGoexit.Error() + ")"
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		check := func(want string) {
			t.Helper()
			m.PostUserMessage("next")
			if n := f.run(); n == 0 {
				t.Error("nobody took over")
			}
			f.want(t, want+" next")
			if !m.TryEnter() {
				t.Error("wedged")
			}
			m.Exit()
		}
		survived := false
		onGoroutine(func() {
			m.PostUserMessage(exitGoroutine)
			survived = true
		})
		if survived == inline {
			t.Errorf("poster survived: %v", survived)
		}
		check(goexit)
		onGoroutine(func() { post(t, m, exitGoroutine, Ordinary) })
		check("refuse(" + ErrPanicked.Error() + ") " + goexit)
		onGoroutine(func() { m.PostSystemMessage(exitGoroutine) })
		check(goexit)
		onGoroutine(func() {
			m.TryEnter()
			defer func() { m.Crashed(recover(), "mine") }()
			exitGoroutine()
		})
		check(goexit)
		onGoroutine(func() { // in the middle of what others queued
			m.TryEnter()
			m.PostUserMessage("a")
			m.PostUserMessage(exitGoroutine)
			m.PostUserMessage("b")
			m.Exit()
		})
		check("a " + goexit + " b")
		if s := f.stats(m); s.Failures != 5 || s.Handovers < 5 {
			t.Errorf("%+v", s)
		}
	})
}

func TestSupervisionThatFailsStopsTheActor(t *testing.T) {
	for name, end := range map[string]func(){
		"by a panic":            func() { panic("strategy") },
		"by exiting":            exitGoroutine,
		"by a panic with nil":   func() { panic(nil) }, //nolint:govet // that is the point
		"by a panic in a panic": func() { defer func() { panic("again") }(); panic("strategy") },
	} {
		for failure, fail := range map[string]func(){"panic": func() { panic("x") }, "Goexit": exitGoroutine} {
			t.Run(name+" after a "+failure, func(t *testing.T) {
				both(t, func(t *testing.T, inline bool) {
					m, f := newFake(Config{Inline: inline})
					f.onFailure = func(any, any) { end() }
					onGoroutine(func() { m.PostUserMessage(fail) })
					m.PostUserMessage("a")
					f.run()
					if got := f.take(); !strings.HasSuffix(got, ") stop a") {
						t.Errorf("got %q", got)
					}
					if !m.TryEnter() {
						t.Error("wedged")
					}
				})
			})
		}
	}
}

func TestCrashedEscalatesAndGoesOn(t *testing.T) {
	m, f := newFake(Config{Inline: true})
	var failed any
	f.onFailure = func(_, msg any) { failed = msg; m.PostSystemMessage(&actor.SuspendMailbox{}) }
	m.TryEnter()
	m.PostUserMessage("a")
	m.Crashed("ouch", "mine")
	f.want(t, "failure(ouch)")
	if failed != "mine" {
		t.Errorf("failed with %v", failed)
	}
	m.PostSystemMessage(&actor.ResumeMailbox{})
	f.want(t, "a")
}

func TestAfterRunsOutsideOfTurnsOncePerRelease(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline})
		entered := 0
		f.onAfter = func() {
			if m.TryEnter() {
				entered++
				m.Exit()
			}
		}
		check := func(want string) {
			t.Helper()
			f.run()
			f.want(t, want)
		}
		m.TryEnter()
		m.Exit()
		check("")
		m.TryEnter()
		m.After()
		m.Exit()
		check("after")
		m.TryEnter()
		m.After()
		m.PostUserMessage("a")
		post(t, m, func() { m.After(); f.add("b") }, Ordinary)
		m.Exit()
		check("a b after")
		m.PostUserMessage(m.After)
		check("after")
		post(t, m, m.After, Ordinary)
		check("after")
		m.PostUserMessage(func() { m.After(); panic("x") })
		check("failure(x) after")
		onGoroutine(func() { m.PostUserMessage(func() { m.After(); exitGoroutine() }) })
		check("failure(" + errGoexit.Error() + ") after")
		m.PostUserMessage("c")
		check("c")
		if entered != 6 {
			t.Errorf("After ran outside of a turn %d times", entered)
		}
	})
}

func TestAfterIsHandedOverWithTheTurn(t *testing.T) {
	m, f := newFake(Config{Inline: true, Budget: 1})
	m.TryEnter()
	m.After()
	m.PostUserMessage("a")
	m.PostUserMessage("b")
	m.Exit()
	f.want(t, "a")
	f.run()
	f.want(t, "b after")
}

// The next two tests hold still what is a matter of nanoseconds: somebody posts between
// two steps of the owner's.

func TestAPostBetweenTheLastLookAndTheReleaseKeepsTheTurn(t *testing.T) {
	m, f := newFake(Config{Inline: true})
	m.TryEnter()
	m.After()
	m.tally.onHanded = true
	seen := m.word.Load()
	post(t, m, "late", Ordinary)
	if m.release(seen) {
		t.Fatal("released")
	}
	if m.word.Load()&running == 0 || !m.wantsAfter || !m.tally.onHanded {
		t.Errorf("word %b, wantsAfter %v, onHanded %v", m.word.Load(), m.wantsAfter, m.tally.onHanded)
	}
	f.want(t, "")
	m.Exit()
	f.want(t, "late after")
	if s := m.Stats(); s.Handed != 1 || m.tally.onHanded {
		t.Errorf("%+v", s)
	}
}

func TestPostsBetweenALookAndTheClearingOfTheFlagAreSeen(t *testing.T) {
	m, f := newFake(Config{Inline: true})
	m.TryEnter()
	m.word.Or(ordinaryWaits) // set for a message that was served
	for _, msg := range []string{"a", "b"} {
		post(t, m, msg, Ordinary)
	}
	n := m.nextAgain(&m.ordinary, ordinaryWaits)
	if n == nil || n.Value() != "a" {
		t.Fatalf("found %v", n)
	}
	m.Exit()
	f.want(t, "b")
}

// leaver counts what turns left behind for After.
type leaver struct {
	left   int // owned by the turn
	behind atomic.Int64
	m      *Combining
}

func (l *leaver) Turn(*Node) {
	l.left++
	l.behind.Add(1)
	l.m.After()
}
func (l *leaver) Refuse(*Node, error) {}
func (l *leaver) After()              { l.behind.Store(0) }

// Whatever the timing, an After follows every turn that asked for one.
func TestNoAfterIsLost(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		withProcs(t, procs)
		both(t, func(t *testing.T, inline bool) {
			l := &leaver{}
			l.m = NewCombining(Config{Inline: inline, Budget: 3, Capacity: 1 << 22, Handler: l})
			var wg counted
			l.m.RegisterHandlers(&fake{}, &wg)
			l.m.Start()
			each := soak(3_000, 300_000)
			for range 4 {
				wg.Go(func() {
					for range each {
						post(t, l.m, nil, Ordinary)
						if l.m.TryEnter() {
							l.m.Exit()
						}
					}
				})
			}
			wg.Wait()
			if l.left != 4*each {
				t.Errorf("%d turns", l.left)
			}
			if got := l.behind.Load(); got != 0 {
				t.Errorf("%d turns wait for an After", got)
			}
		})
	}
}

type batch []any

func (b batch) GetMessages() []any { return b }

func TestABatchIsItsMembersAndNothingElse(t *testing.T) {
	m, f := newFake(Config{Inline: true})
	m.PostUserMessage(batch{"a", batch{"b", "c"}, actor.WrapEnvelope("d")})
	f.want(t, "a b c d")
	m.PostUserMessage(actor.WrapEnvelope(batch{"e", urgent("f")}))
	f.want(t, "e f")
	m.PostUserMessage(batch{})
	f.want(t, "")
	m.TryEnter()
	m.PostUserMessage(batch{"g", urgent("h"), "i"})
	m.Exit()
	f.want(t, "h g i")
}

func TestAnActorMayPostToItself(t *testing.T) {
	both(t, func(t *testing.T, inline bool) {
		m, f := newFake(Config{Inline: inline, Capacity: 1})
		m.PostUserMessage(func() {
			f.add("a")
			m.PostUserMessage(func() {
				f.add("b")
				post(t, m, "c", Ordinary)
			})
			if m.TryEnter() {
				t.Error("two turns at once")
			}
		})
		f.run()
		f.want(t, "a b c")
	})
}

// Actors that post to each other nest as deep as there are actors, not messages.
func TestARingOfInlineActorsDoesNotNestByMessages(t *testing.T) {
	a, fa := newFake(Config{Inline: true})
	b, fb := newFake(Config{Inline: true})
	rounds, depth, deepest := soak(10_000, 1_000_000), 0, 0
	var ping, pong func()
	ping = func() {
		depth++
		deepest = max(deepest, depth)
		if rounds--; rounds > 0 {
			b.PostUserMessage(pong)
		}
		depth--
	}
	pong = func() { depth++; a.PostUserMessage(ping); depth-- }
	a.PostUserMessage(ping)
	for rounds > 0 && fa.run()+fb.run() > 0 { // whoever used up its budget handed over
	}
	if rounds != 0 || deepest > 3 {
		t.Errorf("%d rounds left, %d deep", rounds, deepest)
	}
}

func TestDefaults(t *testing.T) {
	m := Producer(Config{})().(*Combining)
	if m.cfg.Capacity != DefaultCapacity || m.cfg.Budget != DefaultBudget || m.cfg.Inline {
		t.Errorf("%+v", m.cfg)
	}
}
