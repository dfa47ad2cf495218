package mailbox

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// byDigit is the priority of messages such as "2b".
func byDigit(msg any) int {
	switch msg := msg.(type) {
	case string:
		return int(msg[0] - '0')
	case echo:
		return int(msg[0] - '0')
	}
	return 0
}

// sizes costs a message its length.
func sizes(msg any) int64 {
	if e, ok := msg.(echo); ok {
		return int64(len(e))
	}
	return 0
}

// A full mailbox, and what becomes of whom. Messages come in the order given while the
// actor is busy; want are the fates of each: "ok", or the reason.
func TestWhoHasToGo(t *testing.T) {
	ok, full, evicted := "ok", ErrFull.Error(), ErrEvicted.Error()
	byPriority := Lanes(byDigit, 1, 1, 1, 1)
	for name, c := range map[string]struct {
		opts []Option
		msgs string
		want []string
	}{
		"the newcomer, by default": {
			[]Option{Capacity(2)}, "a b c", []string{ok, ok, full},
		},
		"the newcomer": {
			[]Option{Capacity(2), OnFull(Reject), WaterMarks(1, 2)}, "a b c", []string{ok, ok, full},
		},
		"the oldest": {
			[]Option{Capacity(2), OnFull(DropOldest)}, "a b c d", []string{evicted, evicted, ok, ok},
		},
		"the oldest in whatever lane": {
			[]Option{Capacity(3), OnFull(DropOldest), byPriority}, "3a 0b 1c 0d 0e", []string{evicted, evicted, ok, ok, ok},
		},
		"the oldest of the lowest": {
			[]Option{Capacity(3), OnFull(DropLowest), byPriority}, "1a 0b 0c 3d 2e", []string{ok, evicted, evicted, ok, ok},
		},
		"the newcomer if it is the lowest": {
			[]Option{Capacity(2), OnFull(DropLowest), byPriority}, "1a 2b 0c", []string{ok, ok, full},
		},
		"the newcomer if all are like it": {
			[]Option{Capacity(2), OnFull(DropLowest), byPriority}, "1a 1b 1c", []string{ok, ok, full},
		},
		"priorities beyond the lanes are the last one's": {
			[]Option{Capacity(1), OnFull(DropLowest), byPriority}, "3a 9b", []string{ok, full},
		},
		"the newcomer that costs too much together with the others": {
			[]Option{Cost(5, sizes)}, "aa bb cc d", []string{ok, ok, full, ok},
		},
		"the newcomer that costs too much by itself, and nobody else": {
			[]Option{Cost(3, sizes), OnFull(DropOldest)}, "aa bbbb c", []string{ok, full, ok},
		},
		"as many as cost enough": {
			[]Option{Cost(5, sizes), OnFull(DropOldest)}, "aa b cc ddd", []string{evicted, evicted, ok, ok},
		},
		"as many of the lowest as cost enough": {
			[]Option{Cost(6, sizes), OnFull(DropLowest), byPriority}, "2a 0b 1c 3ddd", []string{ok, evicted, evicted, ok},
		},
		"nobody in vain": {
			[]Option{Cost(6, sizes), OnFull(DropLowest), byPriority}, "2a 0b 2c 1dddd", []string{ok, ok, ok, full},
		},
		"the newcomer that could not be parked": {
			[]Option{Capacity(2), OnFull(Block)}, "a b c", []string{ok, ok, full},
		},
	} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(t *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil), "s")
				release := w.busy(pid)
				var asked []*actor.Future
				for msg := range strings.FieldsSeq(c.msgs) {
					asked = append(asked, w.ask(pid, echo(msg)))
				}
				release()
				if got := fates(asked); !slices.Equal(got, c.want) {
					t.Errorf("of %s: %q, want %q", c.msgs, got, c.want)
				}
			}, c.opts...)
		})
	}
}

// fates says what became of requests.
func fates(asked []*actor.Future) (all []string) {
	for _, f := range asked {
		switch res, err := f.Result(); res := res.(type) {
		case echo:
			all = append(all, "ok")
		case Undelivered:
			all = append(all, res.Error())
		default:
			all = append(all, err.Error())
		}
	}
	return all
}

func TestAMailboxIsFullWhileItsOldestMessageIsTooOld(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, "a")
		time.Sleep(time.Second)
		w.send(pid, "b")
		time.Sleep(time.Nanosecond)
		w.refused(w.ask(pid, echo("c")), ErrFull)
		release()
		w.settled("s:started s:a s:b")
		w.answered(w.ask(pid, echo("d")), echo("d"))
	}, Sojourn(time.Second))
}

func TestWhatIsTooOldIsDroppedIfTheOldestAre(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		for _, msg := range []string{"a", "b", "c", "d"} {
			w.send(pid, msg)
			time.Sleep(time.Second)
		}
		w.send(pid, "e") // a has waited for 4 s, b for 3
		release()
		w.settled("s:started s:c s:d s:e")
	}, Sojourn(2*time.Second), OnFull(DropOldest))
}

func TestLanesShareTheActorByWeight(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		for range 20 {
			w.send(pid, "0")
		}
		for range 20 {
			w.send(pid, "1")
		}
		w.send(pid, "2")
		release()
		synctest.Wait()
		got := strings.ReplaceAll(strings.ReplaceAll(w.take(), "s:", ""), " ", "")
		// The low lane has one turn in four or five, and all that is left.
		if high := strings.TrimPrefix(got, "started")[:12]; strings.Count(high, "0") < 2 || strings.Count(high, "1") < 8 || !strings.Contains(high[:3], "2") {
			t.Errorf("order %s", got)
		}
		if strings.Count(got, "0") != 20 || !strings.HasSuffix(got, "0000000") {
			t.Errorf("order %s", got)
		}
	}, Lanes(byDigit, 1, 4, 16))
}

func TestTrap9PriorityIsSeenInEnvelopes(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.send(pid, func(c actor.Context) {
			c.Send(c.Self(), "1plain")
			c.Request(c.Self(), "1env")
			c.Request(c.Self(), "2env")
			c.Send(c.Self(), "2plain")
		})
		w.settled("s:started s:2env s:1plain s:2plain s:1env") // to within one turn
	}, Lanes(byDigit, 1, 1, 1<<20))
}

type important int8

func (p important) GetPriority() int8 { return int8(p) }

func TestPriorityIsWhatProtoActorMeansByIt(t *testing.T) {
	for msg, want := range map[any]int{"plain": 4, important(7): 7, important(0): 0} {
		if got := Priority(msg); got != want {
			t.Errorf("priority of %v is %d, want %d", msg, got, want)
		}
	}
}

func TestTrap9TheLowestLaneNeverStarves(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		served := 0
		var flood actor.ReceiveFunc = func(c actor.Context) {
			if msg, ok := c.Message().(string); ok {
				if served++; msg == "0low" {
					w.add("low after %d", served)
					return
				}
				if served < 1000 {
					c.Send(c.Self(), "1high")
					c.Send(c.Self(), "1high")
				}
			}
		}
		pid := w.spawn(actor.PropsFromFunc(flood, w.props...), "s")
		w.send(pid, "1high")
		w.send(pid, "0low")
		synctest.Wait()
		var n int
		if got := w.take(); !strings.HasPrefix(got, "low after ") || len(got) > len("low after 999") {
			t.Errorf("got %q after %d", got, n)
		}
	}, Lanes(byDigit, 1, 100))
}

func TestControlAndRepliesAreNeverShed(t *testing.T) {
	for _, policy := range []Policy{Reject, DropOldest, DropLowest, Block} {
		t.Run(policy.String(), func(t *testing.T) {
			userWorld(t, func(_ *testing.T, w *world) {
				var got []any
				pid := w.spawn(actor.PropsFromFunc(func(c actor.Context) {
					switch msg := c.Message().(type) {
					case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Touch:
					case func(actor.Context):
						msg(c)
					default:
						got = append(got, msg)
					}
				}, w.props...), "s")
				release := w.busy(pid)
				w.send(pid, "2fills")
				w.send(pid, &actor.ReceiveTimeout{})
				all := []any{Undelivered{Reason: ErrFull}, &actor.DeadLetterResponse{}, &actor.Touched{Who: pid}, urgent("u"), echo("reply"), Demand{N: 1}}
				for _, msg := range all {
					w.send(pid, msg)
				}
				w.system.Root.Request(pid, urgent("u2"))
				touched := w.ask(pid, &actor.Touch{})
				done := w.system.Root.PoisonFuture(pid)
				release()
				if err := done.Wait(); err != nil {
					w.t.Error(err)
				}
				if res, err := touched.Result(); err != nil {
					w.t.Errorf("touch: %v %v", res, err)
				}
				want := append(slices.Clone(all), urgent("u2"), "2fills")
				if n := len(got) - 1; n != len(want) || !slices.Equal(got[:n], want) {
					w.t.Errorf("got %v, want %v and a timeout", got, want)
				} else if _, ok := got[n].(*actor.ReceiveTimeout); !ok {
					w.t.Errorf("last is %T", got[n])
				}
			}, Capacity(1), OnFull(policy), Lanes(byDigit), Protect(func(msg any) bool { return msg == echo("reply") }))
		})
	}
}

func TestAPoisonPillComesAfterAllThatWasSentBefore(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		for _, msg := range []string{"0a", "1b", "0c"} {
			w.send(pid, msg)
		}
		w.system.Root.Poison(pid)
		late := w.ask(pid, echo("1d"))
		release()
		w.refused(late, ErrStopped)
		w.settled("s:started s:1b s:0a s:0c s:stopping s:stopped")
	}, Lanes(byDigit, 1, 100))
}

func TestAFunctionThatFailsCostsNoMessage(t *testing.T) {
	bad := func(msg any) {
		switch msg {
		case "panics":
			panic("priority")
		case "exits":
			exitGoroutine()
		}
	}
	for name, opts := range map[string][]Option{
		"lanes":   {Lanes(func(msg any) int { bad(msg); return 2 })},
		"cost":    {Cost(1000, func(msg any) int64 { bad(msg); return 1 })},
		"protect": {Protect(func(msg any) bool { bad(msg); return false })},
	} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(t *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil), "s")
				w.send(pid, "fine")
				w.settled("s:started s:fine")
				w.send(pid, "panics")
				w.settled("s:panics")
				onGoroutine(func() {
					w.send(pid, "exits")
					t.Error("it did not exit")
				})
				w.settled("s:exits")
			}, opts...)
		})
	}
}

func TestABadPriorityIsRefusedIfThereIsNoRoom(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		defer w.busy(pid)()
		w.send(pid, "fills")
		f := actor.NewFuture(w.system, time.Hour)
		onGoroutine(func() { w.system.Root.RequestWithCustomSender(pid, "exits", f.PID()) })
		w.refused(f, ErrFull)
		w.refused(w.ask(pid, "panics"), ErrFull)
	}, Capacity(1), Lanes(func(msg any) int {
		if msg == "exits" {
			exitGoroutine()
		}
		panic("priority")
	}))
}

// brief is a message with a deadline.
type brief struct {
	echo
	until time.Time
	do    func()
}

func (b brief) Deadline() time.Time {
	if b.do != nil {
		b.do()
	}
	return b.until
}

func TestMessagesExpire(t *testing.T) {
	for name, opts := range map[string][]Option{
		"in the core's queue": {},
		"on the shelf":        {WaterMarks(1, 2)},
		"inline":              {Inline()},
	} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(_ *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil), "s")
				in := func(d time.Duration) brief { return brief{until: time.Now().Add(d)} }
				w.refused(w.ask(pid, in(-1)), ErrExpired)
				w.refused(w.ask(pid, in(0)), ErrExpired)
				var early, late, always *actor.Future
				w.send(pid, func(actor.Context) {
					early, late, always = w.ask(pid, in(time.Second)), w.ask(pid, in(time.Second+1)), w.ask(pid, brief{})
					time.Sleep(time.Second)
				})
				synctest.Wait()
				time.Sleep(time.Second)
				w.refused(early, ErrExpired)
				for _, f := range []*actor.Future{late, always} {
					if _, err := f.Result(); err == nil {
						w.t.Error("a subject that answers a brief?")
					}
				}
			}, opts...)
		})
	}
}

func TestMessagesHaveATTLUnlessTheySayOtherwise(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		old := w.ask(pid, echo("old"))
		long := w.ask(pid, brief{until: time.Now().Add(time.Minute)})
		time.Sleep(time.Second / 2)
		fresh := w.ask(pid, echo("fresh"))
		time.Sleep(time.Second / 2)
		release()
		w.refused(old, ErrExpired)
		w.answered(fresh, echo("fresh"))
		if u, err := long.Result(); err == nil {
			w.t.Errorf("refused: %v", u)
		}
	}, TTL(time.Second))
}

func TestWhatHasExpiredMakesRoomBeforeAnybodyIsRefused(t *testing.T) {
	for _, policy := range []Policy{Reject, DropOldest, DropLowest, Block} {
		userWorld(t, func(_ *testing.T, w *world) {
			pid := w.spawn(w.subject("s", nil), "s")
			release := w.busy(pid)
			old := w.ask(pid, echo("0old"))
			time.Sleep(time.Second / 2)
			young := w.ask(pid, echo("0young"))
			time.Sleep(time.Second / 2)
			fits := w.ask(pid, echo("0fits"))
			w.refused(old, ErrExpired)
			release()
			w.answered(young, echo("0young"))
			w.answered(fits, echo("0fits"))
		}, Capacity(2), OnFull(policy), Lanes(byDigit), TTL(time.Second))
	}
}

func TestADeadlineThatFailsCostsNoMessage(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(actor.PropsFromFunc(func(c actor.Context) {
			if b, ok := c.Message().(brief); ok && c.Sender() != nil {
				c.Respond(b.echo)
			} else if ok {
				w.add("served")
			}
		}, w.props...), "s")
		w.answered(w.ask(pid, brief{echo: "x", do: func() { panic("deadline") }}), echo("x"))
		onGoroutine(func() { w.send(pid, brief{do: exitGoroutine}) })
		w.settled("served")
	})
}

// Posters that make room by dropping others, and a turn that takes what there is, never have
// more queued than may be, and never say so.
func TestNoMoreAreQueuedThanMayBeHoweverManyPost(t *testing.T) {
	const capacity, posters, each = 10, 4, 3000
	for name, full := range map[string]Policy{"oldest": DropOldest, "lowest": DropLowest} {
		t.Run(name, func(t *testing.T) {
			system := quietSystem()
			defer system.Shutdown()
			box := MustNew(Capacity(capacity), OnFull(full), Lanes(func(msg any) int { return msg.(int) % 3 }))
			pid := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithMailbox(box)))
			var all sync.WaitGroup
			for p := range posters {
				all.Go(func() {
					for i := range each {
						system.Root.Send(pid, p+i)
					}
				})
			}
			all.Wait()
			s, err := StatsOf(t.Context(), system.Root, pid)
			if err != nil || s.MaxDepth > capacity || s.MaxDepth == 0 {
				t.Errorf("%d were queued, %v", s.MaxDepth, err)
			}
		})
	}
}
