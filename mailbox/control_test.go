package mailbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

func TestAPausedActorServesNothingUntilItIsResumed(t *testing.T) {
	worldsOfNew(t, func(_ *testing.T, w *world) {
		root := w.system.Root
		pid := w.spawn(w.subject("s", nil), "s")
		w.must(Pause(root, pid))
		w.must(Pause(root, pid))
		w.send(pid, "a")
		w.send(pid, urgent("u"))
		early := w.ask(pid, echo("early"))
		time.Sleep(time.Hour / 2)
		w.settled("s:started")
		w.must(Resume(root, pid))
		w.must(Resume(root, pid))
		w.answered(early, echo("early"))
		w.settled("s:u s:a")
	})
}

func TestAnActorMayPauseItself(t *testing.T) {
	worldsOfNew(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, func(c actor.Context) {
			w.must(Pause(c, c.Self()))
			c.Send(c.Self(), "a")
		})
		w.settled("s:started")
		w.must(Resume(w.system.Root, pid))
		w.settled("s:a")
	})
}

func TestAPausedActorCanBeStoppedAndSupervised(t *testing.T) {
	worldsOfNew(t, func(_ *testing.T, w *world) {
		root := w.system.Root
		pid := w.spawn(w.subject("s", nil), "s")
		w.settled("s:started")
		w.must(Pause(root, pid))
		queued := w.ask(pid, echo("q"))
		p, _ := w.system.ProcessRegistry.Get(pid)
		p.SendSystemMessage(pid, &actor.Restart{})
		w.settled("s:restarting s:started")
		p.SendSystemMessage(pid, &actor.SuspendMailbox{})
		synctest.Wait()
		w.must(Resume(root, pid)) // the supervisor's word stands
		w.settled("")
		w.must(Pause(root, pid))
		p.SendSystemMessage(pid, &actor.ResumeMailbox{}) // and so does the operator's
		w.settled("")
		w.stops(pid)
		w.refused(queued, ErrStopped)
		w.settled("s:stopping s:stopped")
	})
}

func TestAClosedMailboxRefusesEverythingButControl(t *testing.T) {
	worldsOfNew(t, func(_ *testing.T, w *world) {
		root := w.system.Root
		pid := w.spawn(w.subject("s", nil), "s")
		w.must(Pause(root, pid))
		queued := w.ask(pid, echo("q"))
		w.send(pid, urgent("before"))
		w.must(Close(root, pid))
		w.must(Close(root, pid))
		w.refused(queued, ErrClosed)
		w.refused(w.ask(pid, echo("later")), ErrClosed)
		if err := Send(w.t.Context(), root, pid, "x"); !errors.Is(err, ErrClosed) {
			w.t.Errorf("got %v", err)
		}
		w.must(Resume(root, pid))
		w.refused(w.ask(pid, echo("resumed")), ErrClosed)
		w.send(pid, urgent("after"))
		w.settled("s:started s:before s:after")
		p, _ := w.system.ProcessRegistry.Get(pid)
		p.SendSystemMessage(pid, Gate{Refuse: errShut, Pass: 1})
		p.SendSystemMessage(pid, Gate{}) // who opens a gate does not open what is closed
		synctest.Wait()
		w.refused(w.ask(pid, echo("still")), ErrClosed)
		w.must(root.PoisonFuture(pid).Wait())
		w.settled("s:stopping s:stopped")
	})
}

func TestStatsOfTellsWhatAMailboxHolds(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		ctx, root := t.Context(), w.system.Root
		pid := w.spawn(w.subject("s", nil), "s")
		synctest.Wait()
		w.must(Pause(root, pid))
		for _, msg := range []echo{"a", "bb", "ccc"} {
			w.send(pid, msg)
			time.Sleep(time.Second)
		}
		w.send(pid, echo("too much"))
		s, err := StatsOf(ctx, root, pid)
		if err != nil || s.Depth != 3 || s.Cost != 6 || s.OldestAge != 3*time.Second || !s.Paused || s.Closed || s.Drops != (Drops{Full: 1}) || !s.Pressed {
			t.Errorf("%+v, %v", s, err)
		}
		w.must(Close(root, pid))
		if s, err = StatsOf(ctx, root, pid); err != nil || s.Depth != 0 || s.Cost != 0 || !s.Closed || s.Drops.Closed != 3 || s.Pressed {
			t.Errorf("closed: %+v, %v", s, err)
		}
		w.must(Resume(root, pid))
		release := make(chan struct{})
		w.send(pid, urgentFunc(func(c actor.Context) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if _, err := StatsOf(short, c, c.Self()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("an actor that asks for its own: %v", err)
			}
			close(release)
		}))
		<-release
	}, Cost(6, sizes), WaterMarks(0, 3))
}

// urgentFunc is a func that a subject runs, however full its mailbox is.
type urgentFunc func(actor.Context)

func (urgentFunc) Lane() Lane { return Urgent }

// worldsOfNew is worlds, with the mailboxes of New.
//
//bulwark:bubble
func worldsOfNew(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	for name, opts := range every {
		t.Run(name, func(t *testing.T) { userWorld(t, f, opts...) })
	}
}
