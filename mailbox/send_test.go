package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// parks sends msg on a goroutine of its own, and notes how that went.
//
//bulwark:bubble
func (w *world) parks(ctx context.Context, pid *actor.PID, msg any) {
	w.t.Helper()
	go func() {
		began := time.Now()
		w.add("%v:%v:%v", msg, Send(ctx, w.system.Root, pid, msg), time.Since(began))
	}()
	synctest.Wait()
}

func TestAFullMailboxParksItsSendersInTurn(t *testing.T) {
	for name, opts := range map[string][]Option{
		"": {}, "with marks": {WaterMarks(0, 2)}, "with lanes": {Lanes(none, 1, 2)}, "inline": {Inline()},
	} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(_ *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil), "s")
				w.settled("s:started")
				next := make(chan struct{})
				for range 6 {
					go w.send(pid, func(actor.Context) { <-next })
					synctest.Wait()
				}
				// One is under way, two are queued, and three were refused.
				ctx := w.t.Context()
				w.parks(ctx, pid, "a")
				w.parks(ctx, pid, "b")
				w.refused(w.ask(pid, echo("nobody overtakes those who are parked")), ErrFull)
				if s := w.statsOf(pid, next); s.Parked != 2 {
					w.t.Errorf("%d are parked", s.Parked)
				}
				w.settled("a:<nil>:0s") // a message has ended, and another begun
				time.Sleep(time.Second)
				next <- struct{}{}
				w.settled("b:<nil>:1s")
				time.Sleep(time.Second)
				next <- struct{}{}
				w.settled("s:a s:b")
			}, append(opts, Capacity(2), OnFull(Block))...)
		})
	}
}

// statsOf returns the statistics of an actor whose message under way ends with next.
func (w *world) statsOf(pid *actor.PID, next chan<- struct{}) Stats {
	w.t.Helper()
	told := make(chan Stats)
	go func() {
		s, err := StatsOf(w.t.Context(), w.system.Root, pid)
		if err != nil {
			w.t.Error(err)
		}
		told <- s
	}()
	synctest.Wait() // it has asked
	// The turn serves system messages first, but admits who is parked when it takes a
	// message, so what it sees is what was before.
	next <- struct{}{}
	return <-told
}

func TestASenderLeavesWhenItsContextEnds(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, "fills")
		short, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.parks(short, pid, "gone")
		w.parks(w.t.Context(), pid, "stays")
		time.Sleep(time.Minute)
		w.settled("s:started gone:context deadline exceeded:1s")
		if err := Send(short, w.system.Root, pid, "late"); !errors.Is(err, context.DeadlineExceeded) {
			w.t.Errorf("got %v", err)
		}
		release()
		w.seen("s:fills", "stays:<nil>:1m0s", "s:stays")
	}, Capacity(1), OnFull(Block))
}

func TestWhoIsBehindASenderThatLeavesMayFit(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, echo("xx"))
		short, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		w.parks(short, pid, echo("yyy"))
		w.parks(w.t.Context(), pid, echo("z"))
		w.settled("s:started")
		time.Sleep(time.Second)
		w.seen("yyy:context", "deadline", "exceeded:1s", "z:<nil>:1s")
		if err := Send(w.t.Context(), w.system.Root, pid, echo("never fits")); !errors.Is(err, ErrFull) {
			w.t.Errorf("got %v", err)
		}
		release()
	}, Cost(4, sizes), OnFull(Block))
}

func TestTrap7WhatAnActorSendsToItselfIsNotParked(t *testing.T) {
	for _, inline := range []bool{false, true} {
		opts := []Option{Capacity(1), OnFull(Block)}
		if inline {
			opts = append(opts, Inline())
		}
		userWorld(t, func(_ *testing.T, w *world) {
			pid := w.spawn(w.subject("s", nil), "s")
			w.send(pid, func(c actor.Context) {
				for i := range 3 {
					w.add("%v", Send(context.Background(), c, c.Self(), fmt.Sprint(i)))
				}
				c.Send(c.Self(), "an ordinary send does not wait")
			})
			w.settled("s:started <nil> mailbox full mailbox full s:0")
		}, opts...)
	}
}

func TestAFullMailboxThatStopsAnswersThoseWhoAreParked(t *testing.T) {
	type end struct {
		name string
		do   func(w *world, pid *actor.PID)
		want string
	}
	for _, end := range []end{
		{"stop", func(w *world, pid *actor.PID) { w.system.Root.Stop(pid) }, ErrStopped.Error()},
		{"close", func(w *world, pid *actor.PID) { _ = Close(w.system.Root, pid) }, ErrClosed.Error()},
		{"gate", func(w *world, pid *actor.PID) {
			p, _ := w.system.ProcessRegistry.Get(pid)
			p.SendSystemMessage(pid, Gate{Refuse: errShut})
		}, errShut.Error()},
	} {
		t.Run(end.name, func(t *testing.T) {
			userWorld(t, func(_ *testing.T, w *world) {
				pid := w.spawn(w.subject("s", nil), "s")
				if err := Pause(w.system.Root, pid); err != nil {
					w.t.Error(err)
				}
				queued := w.ask(pid, echo("q"))
				w.parks(w.t.Context(), pid, "a")
				w.parks(w.t.Context(), pid, "b")
				w.take()
				end.do(w, pid)
				res, err := queued.Result()
				if u, ok := res.(Undelivered); err != nil || !ok || u.Error() != end.want {
					w.t.Errorf("queued: %v, %v", res, err)
				}
				synctest.Wait()
				if got := w.take(); !strings.Contains(got, "a:"+end.want+":0s") || !strings.Contains(got, "b:"+end.want+":0s") {
					w.t.Errorf("got %q", got)
				}
			}, Capacity(1), OnFull(Block))
		})
	}
}

func TestSendWaitsForNothingUnlessThePolicyIsBlock(t *testing.T) {
	for _, policy := range []Policy{Reject, DropOldest} {
		userWorld(t, func(_ *testing.T, w *world) {
			pid := w.spawn(w.subject("s", nil), "s")
			release := w.busy(pid)
			for _, msg := range []string{"a", "b"} {
				w.add("%v", Send(w.t.Context(), w.system.Root, pid, msg))
			}
			release()
			want := "s:started <nil> mailbox full s:a"
			if policy == DropOldest {
				want = "s:started <nil> <nil> s:b"
			}
			w.settled(want)
		}, Capacity(1), OnFull(policy))
	}
}

func TestSendSaysWhyAMessageCannotBeTaken(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		root, ctx := w.system.Root, t.Context()
		plain := w.spawn(actor.PropsFromFunc(func(actor.Context) {}), "plain")
		pattern := w.spawn(w.subject("p", nil, actor.WithMailbox(Producer(Config{}))), "p")
		future := actor.NewFuture(w.system, time.Hour)
		ended := w.spawn(w.subject("e", nil), "e")
		w.stops(ended)
		for _, c := range []struct {
			to   *actor.PID
			want error
		}{
			{plain, ErrForeign},
			{pattern, ErrForeign},
			{future.PID(), ErrForeign},
			{nil, ErrForeign},
			{actor.NewPID("elsewhere:1", "s"), ErrForeign},
			{ended, ErrStopped},
			{w.system.NewLocalPID("nobody"), ErrStopped},
		} {
			for what, err := range map[string]error{
				"Send": Send(ctx, root, c.to, "x"), "Pause": Pause(root, c.to), "Resume": Resume(root, c.to), "Close": Close(root, c.to),
			} {
				if !errors.Is(err, c.want) {
					t.Errorf("%s to %v: %v, want %v", what, c.to, err, c.want)
				}
			}
			if _, err := StatsOf(ctx, root, c.to); !errors.Is(err, c.want) {
				t.Errorf("StatsOf %v: %v, want %v", c.to, err, c.want)
			}
		}
		future.PipeTo() // nobody
	})
}

func TestABatchIsSentByItsMembers(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		w.settled("s:started")
		if err := Send(w.t.Context(), w.system.Root, pid, batch{"a", "b"}); err != nil {
			w.t.Error(err)
		}
		w.settled("s:a s:b")
		release := w.busy(pid)
		w.parks(w.t.Context(), pid, batch{"c", "d"})
		w.settled("")
		release()
		w.seen("s:c", "s:d", "[c", "d]:<nil>:0s")
	}, Capacity(1), OnFull(Block))
}

// Senders come, wait, and lose patience: each message is served once or not at all, as its
// sender was told.
func TestEveryMessageThatIsParkedIsServedOnceOrNot(t *testing.T) {
	const senders, each = 8, 300
	system := quietSystem()
	var mu sync.Mutex
	seen := map[int]int{}
	pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if n, ok := c.Message().(int); ok {
			mu.Lock()
			seen[n]++
			mu.Unlock()
		}
	}, actor.WithMailbox(MustNew(Capacity(2), OnFull(Block)))))
	took := make([]bool, senders*each)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*20*time.Microsecond)
				took[s*each+i] = Send(ctx, system.Root, pid, s*each+i) == nil
				cancel()
			}
		})
	}
	all.Wait()
	if err := system.Root.PoisonFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
	for n, ok := range took {
		if want := map[bool]int{true: 1}[ok]; seen[n] != want {
			t.Errorf("message %d was served %d times, want %d", n, seen[n], want)
		}
	}
	system.Shutdown()
}
