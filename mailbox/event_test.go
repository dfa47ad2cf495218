package mailbox

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// events notes what mailboxes publish, as e:…
//
//bulwark:bubble
func (w *world) events() {
	w.system.EventStream.Subscribe(func(e any) {
		switch e := e.(type) {
		case Dropped:
			w.add("dropped %v of %v", e.Since.LogValue(), e.Total.Total())
		case Pressure:
			w.add("high=%v at %d", e.High, e.Depth)
		}
	})
}

func TestEveryDropIsCountedAndAnnouncedOnceASecond(t *testing.T) {
	for name, opts := range map[string][]Option{"core": {}, "shelf": {OnFull(DropOldest)}} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(_ *testing.T, w *world) {
				w.events()
				kind := "full"
				if name == "shelf" {
					kind = "evicted"
				}
				pid := w.spawn(w.subject("s", nil), "s")
				release := w.busy(pid)
				w.send(pid, "fits")
				w.send(pid, "1")
				w.settled("s:started dropped [" + kind + "=1] of 1")
				for range 9 {
					w.send(pid, "more")
					time.Sleep(time.Second / 10)
				}
				w.settled("")
				time.Sleep(time.Second / 10)
				w.settled("dropped [" + kind + "=9] of 10")
				time.Sleep(time.Hour / 2) // and nothing more
				w.settled("")
				w.send(pid, "again")
				w.settled("dropped [" + kind + "=1] of 11")
				w.refusedOrNot(w.ask(pid, brief{until: time.Now()}))
				time.Sleep(time.Second)
				w.settled("dropped [expired=1] of 12")
				w.must(Close(w.system.Root, pid))
				release()
				time.Sleep(2 * time.Second)
				w.settled("dropped [closed=1] of 13")
				w.stops(pid)
				w.settled("s:stopping s:stopped")
			}, append(opts, Capacity(1))...)
		})
	}
}

// refusedOrNot waits for an answer.
func (w *world) refusedOrNot(f *actor.Future) {
	w.t.Helper()
	if _, err := f.Result(); err != nil {
		w.t.Error(err)
	}
}

func TestAllKindsOfDropsAreCounted(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		root := w.system.Root
		synctest.Wait()
		w.must(Pause(root, pid))
		p, _ := w.system.ProcessRegistry.Get(pid)
		w.send(pid, "0a")
		w.send(pid, "1b") // a is evicted
		w.send(pid, "0c") // full
		w.send(pid, brief{until: time.Now()})
		p.SendSystemMessage(pid, Gate{Refuse: errShut}) // b
		synctest.Wait()
		w.send(pid, "gated")
		p.SendSystemMessage(pid, Gate{})
		synctest.Wait()
		w.send(pid, "1d")
		w.stops(pid)
		synctest.Wait()
		want := Drops{Full: 1, Evicted: 1, Expired: 1, Gated: 2, Stopped: 1}
		var got Drops
		w.system.EventStream.Subscribe(func(e any) {
			if e, ok := e.(Dropped); ok {
				got = e.Total
			}
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got != want || got.Total() != 6 {
			t.Errorf("%+v, want %+v", got, want)
		}
		if text := got.LogValue().String(); text != "[full=1 evicted=1 expired=1 gated=2 stopped=1]" {
			t.Errorf("logged as %s", text)
		}
	}, Capacity(1), OnFull(DropLowest), Lanes(byDigit))
}

func TestPressureIsToldOnceEachWay(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		w.events()
		pid := w.spawn(w.subject("s", nil), "s")
		root := w.system.Root
		w.settled("s:started")
		w.must(Pause(root, pid))
		for _, msg := range []string{"1", "2", "3", "4"} {
			w.send(pid, msg)
			synctest.Wait()
		}
		w.settled("high=true at 3")
		w.must(Resume(root, pid))
		synctest.Wait()
		if got := w.take(); strings.Count(got, "high=false at ") != 1 {
			w.t.Errorf("got %q", got)
		}
		w.send(pid, "below the high mark")
		w.settled("s:below the high mark")
	}, WaterMarks(1, 3))
}

func TestPressureHasHysteresis(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		w.events()
		step := make(chan struct{})
		pid := w.spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				<-step
			}
		}, w.props...), "s")
		fill := func(n int) {
			for range n {
				w.send(pid, "x")
				synctest.Wait()
			}
		}
		serve := func(n int) {
			for range n {
				step <- struct{}{}
				synctest.Wait()
			}
		}
		fill(4) // one is under way
		w.settled("high=true at 3")
		serve(1)
		fill(2)
		w.settled("")
		serve(2)
		w.settled("")
		serve(1)
		w.settled("high=false at 1")
		fill(1)
		w.settled("")
		fill(1)
		w.settled("high=true at 3")
		serve(4)
		w.settled("high=false at 1")
	}, WaterMarks(1, 3))
}

func TestAListenerThatPanicsOrWaitsHoldsUpNobody(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		wait := make(chan struct{})
		w.system.EventStream.Subscribe(func(e any) {
			switch e.(type) {
			case Dropped:
				panic("listener")
			case Pressure:
				<-wait
			}
		})
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, "fits")
		w.refused(w.ask(pid, echo("x")), ErrFull)
		release()
		w.settled("s:started s:fits")
		w.answered(w.ask(pid, echo("y")), echo("y"))
		close(wait)
	}, Capacity(1), WaterMarks(0, 1))
}

func TestEventsSayHowBadTheyAre(t *testing.T) {
	who := &actor.PID{Id: "s"}
	for e, want := range map[event]string{
		Dropped{Who: who, Since: Drops{Full: 1}, Total: Drops{Full: 2}}: "WARN e.actor=s e.since.full=1 e.total.full=2\n",
		Pressure{Who: who, High: true, Depth: 3}:                        "WARN e.actor=s e.high=true e.depth=3\n",
		Pressure{Who: who, Depth: 1}:                                    "INFO e.actor=s e.high=false e.depth=1\n",
	} {
		var text strings.Builder
		slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		}})).Info("", "e", e)
		if got := e.Level().String() + " " + text.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
