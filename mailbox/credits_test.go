package mailbox

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// producer spawns an actor that notes its Demands.
func (w *world) producer(name string) *actor.PID {
	return w.spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case Demand:
			w.add("%s+%d", name, msg.N)
		case Undelivered:
			w.add("%s!%v", name, msg.Reason)
		case func(actor.Context):
			msg(c)
		}
	}), name)
}

// produces makes an actor ask for credits, and waits until it has some.
//
//bulwark:bubble
func (w *world) produces(who, pid *actor.PID, window int) {
	w.send(who, func(c actor.Context) { c.Request(pid, Produce{Window: window}) })
	synctest.Wait()
}

// sends makes an actor send n messages.
//
//bulwark:bubble
func (w *world) sends(who, pid *actor.PID, n int) {
	w.send(who, func(c actor.Context) {
		for range n {
			c.Request(pid, "x")
		}
	})
	synctest.Wait()
}

// consumer is a subject that takes a step for each message.
//
//bulwark:bubble
func (w *world) consumer() (pid *actor.PID, serve func(n int)) {
	step := make(chan struct{})
	pid = w.spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(string); ok {
			<-step
		}
	}, w.props...), "consumer")
	return pid, func(n int) {
		for range n {
			step <- struct{}{}
			synctest.Wait()
		}
	}
}

func TestProducersAreGivenCreditsAsTheQueueDrains(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid, serve := w.consumer()
		a := w.producer("a")
		w.produces(a, pid, 4)
		w.settled("a+4")
		w.sends(a, pid, 3) // one is under way, two are queued, and one credit is left
		w.settled("")
		serve(1) // half of them are used
		w.settled("a+2")
		serve(2)
		w.settled("")
		w.sends(a, pid, 5) // two more than it may, and there is room for them
		w.settled("a+2")
		w.produces(a, pid, 0)
		serve(5)
		w.settled("")
	}, Capacity(22), WaterMarks(1, 8))
}

func TestCreditsAreNotRefusedForLackOfRoom(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid, serve := w.consumer()
		a := w.producer("a")
		w.produces(a, pid, 3)
		w.settled("a+3")
		w.send(pid, "under way")
		synctest.Wait()
		w.send(pid, "the only place that is not promised")
		w.refused(w.ask(pid, "no place"), ErrFull)
		w.sends(a, pid, 3)
		w.settled("")
		w.refused(w.ask(pid, "no place"), ErrFull)
		if s, _ := StatsOf(t.Context(), w.system.Root, w.system.NewLocalPID("a")); s.Credits != 0 {
			t.Errorf("%d credits", s.Credits)
		}
		serve(5)
		w.take()
	}, Capacity(4), WaterMarks(1, 4))
}

func TestProducersHaveEqualShares(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid, _ := w.consumer()
		a, b, c := w.producer("a"), w.producer("b"), w.producer("c")
		w.produces(a, pid, 6)
		w.settled("a+6")
		w.produces(b, pid, 100)
		w.settled("b+4") // what there is
		w.produces(c, pid, 100)
		w.settled("") // nothing is left
		w.stops(a)
		w.settled("c+5") // b has more than half of what it may have
	}, Capacity(10), WaterMarks(5, 10))
}

func TestCreditsOfProducersThatStopComeBack(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid, _ := w.consumer()
		a := w.producer("a")
		w.produces(a, pid, 5)
		stats := func() Stats {
			s, err := StatsOf(t.Context(), w.system.Root, pid)
			w.must(err)
			return s
		}
		if s := stats(); s.Credits != 5 {
			t.Errorf("%d credits", s.Credits)
		}
		w.stops(a)
		synctest.Wait()
		if s := stats(); s.Credits != 0 {
			t.Errorf("%d credits", s.Credits)
		}
		gone := w.producer("gone")
		process, _ := w.system.ProcessRegistry.Get(pid)
		w.stops(gone)
		synctest.Wait()
		process.SendUserMessage(pid, &actor.MessageEnvelope{Message: Produce{Window: 3}, Sender: gone})
		synctest.Wait()
		if s := stats(); s.Credits != 0 {
			t.Errorf("%d credits of one that is gone", s.Credits)
		}
		w.settled("a+5")
	}, WaterMarks(1, 10))
}

func TestAProducerThatAsksAgainBeginsAnew(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid, _ := w.consumer()
		a := w.producer("a")
		w.produces(a, pid, 5)
		w.produces(a, pid, 2)
		w.produces(a, pid, 0)
		w.produces(a, pid, 0)
		w.produces(a, pid, 8)
		w.settled("a+5 a+2 a+8")
	}, WaterMarks(1, 10))
}

func TestNoCreditsAfterTheHighMarkUntilTheLowOne(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid, serve := w.consumer()
		for range 5 {
			w.send(pid, "x")
			synctest.Wait()
		}
		a := w.producer("a")
		w.produces(a, pid, 3)
		serve(2)
		w.settled("")
		serve(1)
		w.settled("a+3")
		serve(2)
	}, WaterMarks(1, 4))
}

func TestWhoCannotHaveCreditsIsTold(t *testing.T) {
	for _, c := range []struct {
		opts   []Option
		window int
	}{{nil, 1}, {[]Option{WaterMarks(1, 2)}, -1}, {[]Option{WaterMarks(1, 2)}, MaxWindow + 1}} {
		userWorld(t, func(_ *testing.T, w *world) {
			pid, _ := w.consumer()
			w.produces(w.producer("a"), pid, c.window)
			w.settled("a!" + ErrNoCredits.Error())
			w.stops(pid)
		}, c.opts...)
	}
}

func TestAStopEndsCredits(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid, _ := w.consumer()
		a := w.producer("a")
		process, _ := w.system.ProcessRegistry.Get(pid)
		b, err := find(w.system.Root, pid)
		w.must(err)
		w.produces(a, pid, 5)
		_, there := w.system.ProcessRegistry.GetLocal(b.credit.watcher.Id)
		w.stops(pid)
		synctest.Wait()
		if _, left := w.system.ProcessRegistry.GetLocal(b.credit.watcher.Id); !there || left {
			t.Errorf("who hears of producers' ends is there: %v, and then: %v", there, left)
		}
		process.SendUserMessage(pid, &actor.MessageEnvelope{Message: Produce{Window: 3}, Sender: a})
		w.settled("a+5 a!" + ErrStopped.Error())
		w.stops(a)
	}, WaterMarks(1, 10))
}

// Whatever producers and others do, credits and what is queued stay below the high mark,
// and all that was sent on credit is served.
func TestCreditsAreConserved(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		const high = 10
		rng := rand.New(rand.NewPCG(1, 2))
		pid := w.spawn(w.subject("s", nil), "s")
		type state struct{ credits, sent, refused int }
		states := map[string]*state{}
		var names []string
		for i := range 4 {
			name := fmt.Sprint("p", i)
			st := &state{}
			states[name], names = st, append(names, name)
			w.spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch msg := c.Message().(type) {
				case Demand:
					st.credits += msg.N
				case Undelivered:
					st.refused++
				case func(actor.Context):
					msg(c)
				}
			}), name)
		}
		for range 2000 {
			who := w.system.NewLocalPID(names[rng.IntN(len(names))])
			st := states[who.Id]
			switch rng.IntN(6) {
			case 0:
				w.must(Pause(w.system.Root, pid))
			case 1:
				w.must(Resume(w.system.Root, pid))
			case 2:
				st.credits = 0
				w.produces(who, pid, rng.IntN(8))
			default:
				n := min(rng.IntN(4), st.credits)
				st.credits -= n
				st.sent += n
				w.sends(who, pid, n)
			}
			synctest.Wait()
			s, err := StatsOf(t.Context(), w.system.Root, pid)
			w.must(err)
			sum := 0
			for _, st := range states {
				sum += st.credits
				if st.refused > 0 {
					t.Fatal("refused in spite of a credit")
				}
			}
			if s.Credits != sum || s.Credits+s.Depth > high {
				t.Fatalf("producers have %d credits, the mailbox knows of %d, and %d are queued", sum, s.Credits, s.Depth)
			}
		}
		w.must(Resume(w.system.Root, pid))
		time.Sleep(time.Second)
		w.take()
	}, WaterMarks(2, 10))
}
