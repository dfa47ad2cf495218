package actors_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

var orders = []patterns.Order{patterns.FIFO, patterns.LIFO, patterns.Fair, patterns.Keyed}

// inTurn ends the permit that is out, and then each that is granted, n times, and returns
// whose they were.
func inTurn(t *testing.T, in *inbox, g actorstest.Guard, first patterns.Permit, n int) (refs []uint64) {
	t.Helper()
	first.Report(patterns.Success)
	for range n {
		granted := nextAs[actors.Granted](t, in)
		refs = append(refs, granted.Ref)
		in.ask(g.PID(), actors.Report{Permit: granted.Permit})
	}
	return refs
}

func TestTheOrderSaysWhoIsNext(t *testing.T) {
	requests := []actors.Acquire{
		{Ref: 1, Key: "a"},
		{Ref: 2, Key: "a"},
		{Ref: 3, Key: "a"},
		{Ref: 4, Key: "b"},
		{Ref: 5, Key: "c", Priority: patterns.High},
		{Ref: 6, Key: "c", Priority: patterns.High},
		{Ref: 7, Key: "b", Priority: patterns.High},
		{Ref: 8, Key: "c", Priority: patterns.Background},
		{Ref: 9, Key: "b"},
	}
	for order, want := range map[patterns.Order][]uint64{
		patterns.FIFO: {5, 6, 7, 1, 2, 3, 4, 9, 8},
		patterns.LIFO: {7, 6, 5, 9, 4, 3, 2, 1, 8},
		patterns.Fair: {5, 7, 6, 1, 4, 2, 9, 3, 8},
	} {
		t.Run(order.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: order, Waiting: 100})
				in := newInbox(t, guards.System())
				held := acquire(t, g, patterns.Request{})
				queue(t, in, g, requests...)
				if got := inTurn(t, in, g, held, len(requests)); !slices.Equal(got, want) {
					t.Errorf("served %v, want %v", got, want)
				}
				if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 || len(got.Used) != 0 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// The last of the orders in which those stand who wait is the one in which they are served.
func TestANewOrderAppliesToThoseWhoWait(t *testing.T) {
	requests := []actors.Acquire{
		{Ref: 1, Key: "a"}, {Ref: 2, Key: "a"}, {Ref: 3, Key: "b"}, {Ref: 4, Key: "c", Priority: patterns.Low}, {Ref: 5, Key: "b"},
	}
	want := map[patterns.Order][]uint64{
		patterns.FIFO: {1, 2, 3, 5, 4}, patterns.LIFO: {5, 3, 2, 1, 4}, patterns.Fair: {1, 3, 2, 5, 4},
	}
	for _, through := range orders {
		for _, from := range orders {
			for _, to := range orders[:3] {
				t.Run(fmt.Sprintf("%v to %v to %v", from, through, to), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						guards := actorstest.NewRegistry(t)
						g := spawnDesk(t, guards, deskConfig{Limit: 4, Order: from, Waiting: 100})
						in := newInbox(t, guards.System())
						held := map[string]patterns.Permit{}
						for _, key := range []string{"a", "b", "c"} {
							held[key] = acquire(t, g, patterns.Request{Key: key, Weight: 1})
						}
						// One of each key is out. A limit of 1 keeps everybody waiting, in any order.
						c := g.machine.cfg
						c.Limit = 1
						if err := g.Reconfigure(t.Context(), c); err != nil {
							t.Fatal(err)
						}
						queue(t, in, g, requests...)
						g.reorder(t, through)
						g.reorder(t, to)
						if len(in.got) != 0 {
							t.Fatal("served though nothing was free")
						}
						for _, key := range []string{"b", "c"} {
							p := held[key]
							p.Report(patterns.Success)
						}
						if got := inTurn(t, in, g, held["a"], len(requests)); !slices.Equal(got, want[to]) {
							t.Errorf("served %v, want %v", got, want[to])
						}
						g.snapshot(t)
					})
				})
			}
		}
	}
}

func TestInKeyedOrderEachKeyHasAQueueOfItsOwn(t *testing.T) {
	for _, all := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 2, FreesAll: all})
			in := newInbox(t, guards.System())
			a := acquire(t, g, patterns.Request{Key: "a"})
			b := acquire(t, g, patterns.Request{Key: "b"}) // of its own capacity
			queue(
				t, in, g, actors.Acquire{Ref: 1, Key: "a"}, actors.Acquire{Ref: 2, Key: "a"},
				actors.Acquire{Ref: 3, Key: "b"}, actors.Acquire{Ref: 4, Key: "b", Priority: patterns.High},
			)
			for _, key := range []string{"a", "b"} { // each queue is full
				if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: key}); !errors.Is(err, errDeskFull) {
					t.Errorf("error %v", err)
				}
			}
			c := acquire(t, g, patterns.Request{Key: "c"}) // overtakes everybody, and nobody of its key
			if got := inTurn(t, in, g, b, 2); !slices.Equal(got, []uint64{4, 3}) {
				t.Errorf("served %v of b", got)
			}
			if got := g.snapshot(t); got.Waiting != 2 || !maps.Equal(got.Used, map[string]int{"a": 1, "c": 1}) {
				t.Errorf("%+v", got)
			}
			if got := inTurn(t, in, g, a, 2); !slices.Equal(got, []uint64{1, 2}) {
				t.Errorf("served %v of a", got)
			}
			c.Release()
			if got := g.snapshot(t); got.InFlight != 0 || len(got.Used) != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// An Acquire of the rules' own may change the order, and then whoever is first now has to
// be asked for, though no permit has ended.
func TestAnOrderThatChangesBetweenAsksForWhoeverIsFirstNow(t *testing.T) {
	for _, to := range orders[:3] {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 2, Order: patterns.Keyed, Waiting: 100})
			in := newInbox(t, guards.System())
			acquire(t, g, patterns.Request{Key: "a", Weight: 2})
			queue(t, in, g, actors.Acquire{Ref: 1, Key: "a"}, actors.Acquire{Ref: 2, Key: "a"})
			g.machine.then = func(m *desk) {
				m.cfg.Limit = 4
				m.turn(to)
			}
			acquire(t, g, patterns.Request{Key: "b"})
			want := uint64(1)
			if to == patterns.LIFO {
				want = 2
			}
			if granted := nextAs[actors.Granted](t, in); granted.Ref != want {
				t.Errorf("%v: granted %d", to, granted.Ref)
			}
			synctest.Wait()
			if got := g.snapshot(t); got.Waiting != 1 || got.Used[""] != 4 {
				t.Errorf("%v: %+v", to, got)
			}
		})
	}
}

func TestTheRulesAreToldWhoWaitsAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 100})
		in := newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{Key: "a"})
		other := acquire(t, g, patterns.Request{Key: "b"})
		start := time.Now()
		now := func() patterns.Instant { return patterns.Instant(time.Since(start)) }
		began := func() patterns.Instant { return g.snapshot(t).Joins[0].Deadline.Add(-time.Hour) }

		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			p, err := g.AcquireFor(ctx, patterns.Request{Key: "a", Weight: 1, Deadline: 7, Asked: 9})
			if err != nil {
				t.Error(err)
			}
			p.Report(patterns.Success)
		})
		synctest.Wait()
		time.Sleep(time.Second)
		queue(t, in, g, actors.Acquire{Ref: 1, Key: "b", Weight: 1, Deadline: time.Now().Add(time.Minute)})
		time.Sleep(time.Second)
		queue(t, in, g, actors.Acquire{Ref: 2, Key: "a", Priority: patterns.High})
		queue(t, in, g, actors.Acquire{Ref: 3, Key: "a", NoWait: true})
		nextAs[actors.Rejected](t, in)

		origin := began().Add(-time.Second) // of the time of this test, by the guard's clock
		joins := g.snapshot(t).Joins
		at := func(d time.Duration) patterns.Instant { return origin.Add(d) }
		for i, want := range []deskJoin{
			{patterns.Request{Key: "a", Weight: 1, Deadline: at(time.Second + time.Hour)}, patterns.Queue{Oldest: patterns.Never}},
			{patterns.Request{Key: "b", Weight: 1, Deadline: at(2*time.Second + time.Minute)}, patterns.Queue{Total: 1, Oldest: patterns.Never}},
			{patterns.Request{Key: "a", Priority: patterns.High}, patterns.Queue{Waiting: 1, Total: 2, Ahead: 0, Oldest: at(time.Second)}},
			{patterns.Request{Key: "a", NoWait: true}, patterns.Queue{Waiting: 2, Total: 3, Ahead: 2, Oldest: at(time.Second)}},
		} {
			if joins[i] != want {
				t.Errorf("Join %d was told %+v, want %+v", i, joins[i], want)
			}
		}
		time.Sleep(time.Second)
		if elapsed := now(); elapsed != patterns.Instant(4*time.Second) {
			t.Fatalf("the test took %v", time.Duration(elapsed))
		}
		held.Report(patterns.Success)
		in.ask(g.PID(), actors.Report{Permit: nextAs[actors.Granted](t, in).Permit}) // 2, which waited for one second
		wg.Wait()
		other.Report(patterns.Success)
		nextAs[actors.Granted](t, in)
		if got := g.snapshot(t).Waited; !slices.Equal(got, []time.Duration{time.Second, 3 * time.Second, 2 * time.Second}) {
			t.Errorf("waited for %v", got)
		}
	})
}

func TestWhoeverWaitsForTimeIsServedOnTheDot(t *testing.T) {
	for _, order := range orders {
		t.Run(order.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: order, Waiting: 100, Every: time.Second})
				in := newInbox(t, guards.System())
				start := time.Now()
				acquire(t, g, patterns.Request{})
				for i := range uint64(5) {
					in.ask(g.PID(), actors.Acquire{Ref: i, Deadline: start.Add(time.Hour)})
				}
				for i := range 5 {
					nextAs[actors.Granted](t, in)
					if took, want := time.Since(start), time.Duration(i+1)*time.Second; took != want {
						t.Errorf("granted after %v, want %v", took, want)
					}
				}
				if _, err := g.AcquireFor(t.Context(), patterns.Request{}); err != nil || time.Since(start) != 6*time.Second {
					t.Errorf("error %v after %v", err, time.Since(start))
				}
				time.Sleep(2 * time.Hour)
				if got := g.snapshot(t); got.Granted != nil && len(got.Granted) != 7 || got.Rejected != 0 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestEachKeyHasAnAlarmOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: patterns.Keyed, Waiting: 100, Every: time.Second})
		in := newInbox(t, guards.System())
		start := time.Now()
		keys := []string{"a", "b", "c", "d"}
		for i, key := range keys {
			acquire(t, g, patterns.Request{Key: key})
			queue(t, in, g, actors.Acquire{Ref: uint64(i), Key: key}, actors.Acquire{Ref: uint64(i), Key: key})
			time.Sleep(100 * time.Millisecond)
		}
		in.ask(g.PID(), actors.Cancel{Ref: 1}) // b's first; the second is as soon as that
		if r := nextAs[actors.Rejected](t, in); r.Ref != 1 {
			t.Errorf("%+v", r)
		}
		for _, want := range []struct {
			ref uint64
			at  time.Duration
		}{{0, 1000}, {1, 1100}, {2, 1200}, {3, 1300}, {0, 2000}, {2, 2200}, {3, 2300}} {
			granted := nextAs[actors.Granted](t, in)
			if took := time.Since(start); granted.Ref != want.ref || took != want.at*time.Millisecond {
				t.Errorf("granted %d after %v, want %d after %v", granted.Ref, took, want.ref, want.at*time.Millisecond)
			}
		}
	})
}

// A line that all have left is used again, for another key: neither may the old alarm ring
// for the new head, nor may the new one be lost.
func TestAnAlarmIsNotLostWhenItsLineIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: patterns.Keyed, Waiting: 100, Every: 10 * time.Second})
		in := newInbox(t, guards.System())
		start := time.Now()
		acquire(t, g, patterns.Request{Key: "a"})
		queue(t, in, g, actors.Acquire{Ref: 1, Key: "a"}) // rings at 10 s
		in.ask(g.PID(), actors.Cancel{Ref: 1})
		nextAs[actors.Rejected](t, in)
		time.Sleep(3 * time.Second)
		acquire(t, g, patterns.Request{Key: "b"})
		queue(t, in, g, actors.Acquire{Ref: 2, Key: "b"}) // rings at 13 s, in the same line
		queue(t, in, g, actors.Acquire{Ref: 3, Key: "a"}) // rings at 10 s, in another
		for _, want := range []struct {
			ref uint64
			at  time.Duration
		}{{3, 10}, {2, 13}} {
			granted := nextAs[actors.Granted](t, in)
			if took := time.Since(start); granted.Ref != want.ref || took != want.at*time.Second {
				t.Errorf("granted %d after %v, want %d after %v", granted.Ref, took, want.ref, want.at*time.Second)
			}
		}
		g.snapshot(t)
	})
}

func TestAnAlarmOutlivesAChangeOfOrder(t *testing.T) {
	for _, dirty := range []bool{false, true} {
		for _, from := range orders {
			for _, to := range orders {
				t.Run(fmt.Sprintf("%v to %v, dirty %v", from, to, dirty), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						guards := actorstest.NewRegistry(t)
						g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: from, Waiting: 100, Every: 10 * time.Second})
						in := newInbox(t, guards.System())
						start := time.Now()
						acquire(t, g, patterns.Request{})
						queue(t, in, g, actors.Acquire{Ref: 1}, actors.Acquire{Ref: 2})
						time.Sleep(3 * time.Second)
						if dirty {
							g.machine.then = func(m *desk) { m.turn(to) }
							// Its turn comes next, whatever the order, and it has to wait.
							in.ask(g.PID(), actors.Acquire{Ref: 3, Priority: patterns.Critical})
							synctest.Wait()
							in.ask(g.PID(), actors.Cancel{Ref: 3})
							nextAs[actors.Rejected](t, in)
						} else {
							g.reorder(t, to)
						}
						for i := range 2 {
							nextAs[actors.Granted](t, in)
							if took, want := time.Since(start), time.Duration(i+1)*10*time.Second; took != want {
								t.Errorf("granted after %v, want %v", took, want)
							}
						}
						g.snapshot(t)
					})
				})
			}
		}
	}
}

// The newcomer changes the order and stays: its own alarm is set in its new line.
func TestANewcomerThatChangesTheOrderIsServedOnTheDot(t *testing.T) {
	for _, from := range orders {
		for _, to := range orders {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: from, Waiting: 100, Every: 10 * time.Second})
				in := newInbox(t, guards.System())
				start := time.Now()
				acquire(t, g, patterns.Request{Key: "a"})
				queue(t, in, g, actors.Acquire{Ref: 1, Key: "a"})
				g.machine.then = func(m *desk) {
					at := m.next[m.key("a")]
					m.turn(to)
					m.next[m.key("a")] = at
				}
				queue(t, in, g, actors.Acquire{Ref: 2, Key: "a", Priority: patterns.High})
				if granted := nextAs[actors.Granted](t, in); granted.Ref != 2 || time.Since(start) != 10*time.Second {
					t.Errorf("%v to %v: granted %d after %v", from, to, granted.Ref, time.Since(start))
				}
				if granted := nextAs[actors.Granted](t, in); granted.Ref != 1 || time.Since(start) != 20*time.Second {
					t.Errorf("%v to %v: granted %d after %v", from, to, granted.Ref, time.Since(start))
				}
			})
		}
	}
}

func TestWhoeverWaitsForTooLongIsRefusedByWhoSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 100, MaxWait: time.Minute})
		in := newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{})
		start := time.Now()
		ask := func(ref uint64, by time.Duration) {
			a := actors.Acquire{Ref: ref}
			if by > 0 {
				a.Deadline = start.Add(by)
			}
			queue(t, in, g, a)
		}
		ask(1, 0)
		ask(2, time.Second)
		ask(3, time.Hour)
		ask(4, time.Minute) // both at once: the rules have the word
		errs := make(chan error, 2)
		go func() {
			_, err := g.Acquire(t.Context())
			errs <- err
		}()
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := g.Acquire(ctx)
			errs <- err
		}()
		for _, want := range []struct {
			ref uint64
			at  time.Duration
			err error
		}{{2, time.Second, actors.ErrExpired}, {1, time.Minute, errDeskLate}, {3, time.Minute, errDeskLate}, {4, time.Minute, errDeskLate}} {
			r := nextAs[actors.Rejected](t, in)
			if took := time.Since(start); r.Ref != want.ref || !errors.Is(r.Err, want.err) || took != want.at {
				t.Errorf("refused %d with %v after %v, want %+v", r.Ref, r.Err, took, want)
			}
		}
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if err := <-errs; !errors.Is(err, errDeskLate) || time.Since(start) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		held.Report(patterns.Success)
		if got := g.snapshot(t); got.Waiting != 0 || got.Rejected != 5 || got.Cancelled != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestARequestWhoseTurnWouldComeTooLateIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 100, Waiting: 100, Every: time.Second})
		in := newInbox(t, guards.System())
		start := time.Now()
		acquire(t, g, patterns.Request{})
		queue(t, in, g, actors.Acquire{}, actors.Acquire{}) // until 1 s and 2 s
		in.ask(g.PID(), actors.Acquire{Ref: 9, Deadline: start.Add(3*time.Second - 1)})
		if r := nextAs[actors.Rejected](t, in); r.Ref != 9 || !errors.Is(r.Err, errDeskLate) {
			t.Errorf("%+v", r)
		}
		ctx, cancel := context.WithDeadline(t.Context(), start.Add(3*time.Second-1))
		defer cancel()
		if _, err := g.Acquire(ctx); !errors.Is(err, errDeskLate) || time.Since(start) != 0 {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithDeadline(t.Context(), start.Add(3*time.Second+1))
		defer cancel()
		if _, err := g.Acquire(ctx); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// What was fit to wait may become impossible meanwhile.
func TestAWaiterThatTheRulesRefuseMakesWayForTheNext(t *testing.T) {
	for _, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 3, Order: order, Waiting: 100})
			in := newInbox(t, guards.System())
			held := acquire(t, g, patterns.Request{Weight: 3})
			queue(t, in, g, actors.Acquire{Ref: 1, Weight: 2, Holder: in.pid}, actors.Acquire{Ref: 2})
			if err := g.Reconfigure(t.Context(), deskConfig{Limit: 1, Order: order, Waiting: 100}); err != nil {
				t.Fatal(err)
			}
			held.Report(patterns.Success)
			refused, granted := 0, 0
			for range 2 {
				switch m := in.next(t).(type) {
				case actors.Rejected:
					if refused++; m.Ref != 1 || !errors.Is(m.Err, errDeskNever) {
						t.Errorf("%v: %+v", order, m)
					}
				case actors.Granted:
					if granted++; m.Ref != 2 {
						t.Errorf("%v: %+v", order, m)
					}
				}
			}
			if got := g.snapshot(t); refused != 1 || granted != 1 || got.Waiting != 0 || got.Rejected != 1 {
				t.Errorf("%v: %d refused, %d granted, %+v", order, refused, granted, got)
			}
		})
	}
}

func TestARequestThatDoesNotWaitIsRefusedInstead(t *testing.T) {
	for _, others := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 2, Waiting: 100})
			in := newInbox(t, guards.System())
			waiting := uint64(0)
			held := acquire(t, g, patterns.Request{NoWait: true, Weight: 2})
			if others { // one could be granted, but others come first
				queue(t, in, g, actors.Acquire{Weight: 2})
				waiting++
			}
			refused := func(how string, err error) {
				t.Helper()
				if !errors.Is(err, errDeskFull) {
					t.Errorf("%s: error %v", how, err)
				}
			}
			_, err := g.AcquireFor(t.Context(), patterns.Request{NoWait: true})
			refused("on the spot", err)
			_, err = g.TryAcquire()
			refused("TryAcquire", err)
			_, err = g.TryAcquireFor(patterns.Request{Key: "k", Weight: 1})
			refused("TryAcquireFor", err)
			g.occupied(t, func() { _, err = g.AcquireFor(t.Context(), patterns.Request{NoWait: true}) })
			refused("in the queue", err)
			in.ask(g.PID(), actors.Acquire{Ref: 5, NoWait: true, Holder: in.pid})
			refused("by message", nextAs[actors.Rejected](t, in).Err)
			got := g.snapshot(t)
			if got.Waiting != waiting || got.Rejected != 5 || got.InFlight != 1 {
				t.Errorf("%+v", got)
			}
			for _, j := range got.Joins[waiting:] {
				if !j.NoWait || j.Queue.Waiting != int(waiting) || j.Ahead != 2*int(waiting) {
					t.Errorf("Join was told %+v", j)
				}
			}
			held.Report(patterns.Success)
			if others {
				in.ask(g.PID(), actors.Report{Permit: nextAs[actors.Granted](t, in).Permit})
				synctest.Wait()
			}
			p, err := g.TryAcquire()
			if err != nil || !p.Report(patterns.Success) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// impatient lets nobody wait and does not say so, and shy rules are no Queuer at all.
type (
	impatient struct{ *desk }
	shy       struct {
		actors.Machine[deskConfig, deskSnapshot]
	}
)

func (m impatient) Join(patterns.Instant, *patterns.Request, patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	return patterns.Never, false, nil
}

func TestNobodyWaitsWhomTheRulesForgetToRefuse(t *testing.T) {
	for name, machine := range map[string]func(*desk) actors.Machine[deskConfig, deskSnapshot]{
		"rules that forget": func(m *desk) actors.Machine[deskConfig, deskSnapshot] { return impatient{m} },
		"rules that do not queue": func(m *desk) actors.Machine[deskConfig, deskSnapshot] {
			return shy{m}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				var made []*desk
				spec := deskSpec(deskConfig{Limit: 1, Waiting: 100}, &made)
				build := spec.New
				spec.New = func(o actors.Origin) actors.Machine[deskConfig, deskSnapshot] { return machine(build(o).(*desk)) }
				g, err := actors.Spawn(guards, "desk", spec, func(t *actors.Typed[deskConfig, deskSnapshot]) *deskGuard {
					return &deskGuard{t, made[0]}
				})
				if err != nil {
					t.Fatal(err)
				}
				acquire(t, g, patterns.Request{})
				var refusal *actors.Refusal
				_, err = g.AcquireFor(t.Context(), patterns.Request{NoWait: true})
				if !errors.Is(err, actors.ErrQueueFull) || !errors.As(err, &refusal) || refusal.Name != "desk" {
					t.Errorf("error %v", err)
				}
				if got := g.snapshot(t); got.Waiting != 0 || got.Rejected != 1 {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// shallow runs f on a small stack: a recursion of one level for each of many who wait would
// end the process.
func shallow(f func()) {
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20))
	f()
}

func TestManyWhoWait(t *testing.T) {
	const n = 10_000
	for _, order := range orders {
		t.Run(order.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 2 * n, Order: order, Waiting: n, MaxWait: time.Hour, FreesAll: true})
				g.machine.forgetful = true
				in := newInbox(t, guards.System())
				in.quiet.Store(true)
				key := func(i int) string { return strconv.Itoa(i % 500) }
				come := func() {
					for i := range n {
						in.ask(g.PID(), actors.Acquire{Ref: uint64(i), Key: key(i), Holder: in.pid})
					}
					synctest.Wait()
					if got := g.snapshot(t); got.Waiting != n {
						t.Fatalf("%d wait", got.Waiting)
					}
				}
				gone := func(how string) {
					synctest.Wait()
					if got := g.snapshot(t); got.Waiting != 0 {
						t.Errorf("%s: %d wait", how, got.Waiting)
					}
				}
				limit := func(limit int) {
					c := g.machine.cfg
					c.Limit = limit
					if err := g.Reconfigure(t.Context(), c); err != nil {
						t.Error(err)
					}
				}
				for i := range 500 {
					acquire(t, g, patterns.Request{Key: key(i)})
				}
				limit(1)
				come()
				shallow(func() { limit(2 * n) })
				gone("granted")
				guards.System().Root.Send(g.PID(), actors.Release{Holder: in.pid})
				limit(1)
				come()
				shallow(func() {
					time.Sleep(time.Hour)
					synctest.Wait()
				})
				gone("expired")
				come()
				for _, to := range orders {
					g.reorder(t, to)
				}
				shallow(func() { guards.System().Root.Send(g.PID(), actors.Release{Holder: in.pid}) })
				gone("cancelled")
				g.reorder(t, order)
				come()
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				shallow(func() { _ = g.Stop(ended) })
				gone("stopped")
			})
		})
	}
}

func TestAnAlarmThatComesSoonerIsHeard(t *testing.T) {
	for _, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: order, Waiting: 100, Every: 10 * time.Second})
			in := newInbox(t, guards.System())
			start := time.Now()
			first := acquire(t, g, patterns.Request{})
			acquire(t, g, patterns.Request{Weight: 3}) // at 10 s
			queue(t, in, g, actors.Acquire{})          // at 40 s
			first.Release()                            // at 30 s
			nextAs[actors.Granted](t, in)
			if took := time.Since(start); took != 30*time.Second {
				t.Errorf("%v: granted after %v", order, took)
			}
		})
	}
}
