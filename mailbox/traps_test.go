package mailbox

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// More traps of proto.actor, with the mailboxes of user actors; see contract_test.go.

// In a bubble a sender that spins never lets synctest.Wait return.
func TestTrap7AFullMailboxTakesNoProcessor(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		for range 100 {
			go func() { _ = Send(w.t.Context(), w.system.Root, pid, "x") }()
		}
		synctest.Wait()
		time.Sleep(time.Hour)
		release()
		synctest.Wait()
		if got := w.take(); len(got) != len("s:started")+100*len(" s:x") {
			w.t.Errorf("got %q", got)
		}
	}, Capacity(1), OnFull(Block))
}

func TestTrap8WhatIsDroppedIsAnsweredAndNothingRunsOn(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		var asked []*actor.Future
		for range 20 {
			asked = append(asked, w.ask(pid, echo("x")))
		}
		for _, f := range asked[:12] {
			w.refused(f, ErrEvicted)
		}
		s, err := statsLater(w, pid)
		release()
		if got := <-s; <-err != nil || got.Drops != (Drops{Evicted: 12}) || got.Depth != 8 {
			t.Errorf("%+v", got)
		}
		for _, f := range asked[12:] {
			w.answered(f, echo("x"))
		}
		w.stops(pid)
		synctest.Wait() // proto.actor's own goes on for ever
	}, Capacity(8), OnFull(DropOldest))
}

// statsLater asks for the statistics of an actor that is busy.
func statsLater(w *world, pid *actor.PID) (<-chan Stats, <-chan error) {
	s, failed := make(chan Stats, 1), make(chan error, 1)
	go func() {
		stats, err := StatsOf(w.t.Context(), w.system.Root, pid)
		s <- stats
		failed <- err
	}()
	synctest.Wait()
	return s, failed
}

// Stash turns messages round, forgets their senders, and may run in circles. An actor that
// is not ready pauses itself instead.
func TestTrap11APauseKeepsOrderAndSendersWhereStashDoesNot(t *testing.T) {
	worldsOfNew(t, func(_ *testing.T, w *world) {
		pid := w.spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch msg := c.Message().(type) {
			case *actor.Started:
				ready := actor.NewFuture(c.ActorSystem(), time.Hour)
				w.must(Pause(c, c.Self()))
				c.ReenterAfter(ready, func(any, error) { w.must(Resume(c, c.Self())) })
				time.AfterFunc(time.Minute, func() { w.system.Root.Send(ready.PID(), "ready") })
			case string:
				w.add("%s", msg)
				c.Respond(msg)
			case fail:
				panic("ouch")
			}
		}, w.props...), "s")
		synctest.Wait()
		var asked []*actor.Future
		for _, msg := range []any{"a", "b", fail{}, "c", "d"} {
			asked = append(asked, w.ask(pid, msg))
		}
		time.Sleep(time.Minute)
		w.settled("a b") // and it has been restarted, and is not ready
		time.Sleep(time.Minute)
		w.settled("c d")
		for i, want := range []string{"a", "b", "", "c", "d"} {
			if i != 2 {
				w.answered(asked[i], want)
			}
		}
		w.refused(asked[2], ErrPanicked)
	})
}

func TestTrap14ABurstLeavesNothingInAPlainMailbox(t *testing.T) {
	m := MustNew()().(*Combining)
	m.RegisterHandlers(&fake{}, actor.NewSynchronizedDispatcher(1))
	m.Start()
	m.word.Or(paused)
	for range DefaultCapacity {
		m.PostUserMessage("x")
	}
	m.word.And(^paused)
	m.announce(0)
	q := &m.user.intake
	if n := m.UserMessageCount(); n != 0 || q.first != nil || q.last != nil || q.took != nil {
		t.Errorf("%d are left", n)
	}
}

func TestAStopWhileFullAnswersEverybody(t *testing.T) {
	for _, policy := range []Policy{Reject, DropOldest, DropLowest, Block} {
		for _, bad := range []string{"", "panic", "exit"} {
			t.Run(policy.String()+" "+bad, func(t *testing.T) {
				userWorld(t, func(t *testing.T, w *world) {
					pid := w.spawn(w.subject("s", map[string]string{"stopping": bad}), "s")
					release := w.busy(pid)
					var asked []*actor.Future
					for range 6 {
						asked = append(asked, w.ask(pid, echo("0x")))
					}
					w.parks(t.Context(), pid, "0y")
					stopped := w.system.Root.StopFuture(pid)
					release()
					w.must(stopped.Wait())
					for i, fate := range fates(asked) {
						if fate != ErrStopped.Error() && fate != ErrFull.Error() && fate != ErrEvicted.Error() {
							t.Errorf("%d: %s", i, fate)
						}
					}
					synctest.Wait()
					if got := w.take(); policy == Block && !strings.Contains(got, "0y:"+ErrStopped.Error()) {
						t.Errorf("got %q", got)
					}
				}, Capacity(3), OnFull(policy), Lanes(byDigit))
			})
		}
	}
}
