package actors_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// wantDemand fails the test unless the next thing that the producer gets is a Demand of n,
// and nothing else comes; 0 means nothing at all.
//
//bulwark:bubble
func wantDemand(t *testing.T, in *inbox, n int) {
	t.Helper()
	synctest.Wait()
	if n > 0 {
		if d := nextAs[actors.Demand](t, in); d.N != n {
			t.Errorf("a demand of %d, want %d", d.N, n)
		}
	}
	if len(in.got) > 0 {
		t.Errorf("got %+v besides", <-in.got)
	}
}

func TestAProducerIsToldHowMuchToProduce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 5})
		box, option := tap()
		in := newInbox(t, guards.System(), option)
		produce := func(ref uint64, window int) { in.ask(g.PID(), actors.Produce{Ref: ref, Window: window}) }
		done := func(n int) { in.ask(g.PID(), actors.Done{N: n}) }
		flying := func(want uint64) {
			t.Helper()
			if got := g.snapshot(t); got.InFlight != want || got.Repeated != 0 {
				t.Errorf("want %d in flight: %+v", want, got.Counts)
			}
		}

		produce(1, 3)
		if d := nextAs[actors.Demand](t, in); d != (actors.Demand{Ref: 1, N: 3}) {
			t.Errorf("%+v", d)
		}
		wantDemand(t, in, 0)
		done(2)
		wantDemand(t, in, 2) // one message for both
		produce(2, 9)
		if d := nextAs[actors.Demand](t, in); d != (actors.Demand{Ref: 2, N: 2}) {
			t.Errorf("%+v", d)
		}
		flying(5) // and one place in the queue
		if got := g.snapshot(t); got.Waiting != 1 {
			t.Errorf("%+v", got)
		}
		done(3)
		wantDemand(t, in, 3)

		produce(3, 2) // it has five
		wantDemand(t, in, 0)
		if got := g.snapshot(t); got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
		done(3)
		wantDemand(t, in, 0)
		done(1)
		wantDemand(t, in, 1)
		flying(2)

		produce(4, 0)
		done(1)
		wantDemand(t, in, 0)
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 1 || u != 0 {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
		done(1)
		wantDemand(t, in, 0)
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 1 || u != 1 {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
		flying(0)
		produce(5, 1) // a new one
		wantDemand(t, in, 1)
		produce(6, 0)
		done(1)
		wantDemand(t, in, 0)
		if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 || len(got.Used) != 0 || got.Success != 12 {
			t.Errorf("%+v", got)
		}
	})
}

func TestDoneEndsTheOldestPermitsWithItsOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3, Measured: true})
		in := newInbox(t, guards.System())
		time.Sleep(1) // Instant 0 means that nobody measured
		for _, o := range []patterns.Outcome{patterns.Failure, patterns.Dropped, patterns.Ignored, 77, patterns.Success} {
			in.ask(g.PID(), actors.Produce{Window: 1})
			wantDemand(t, in, 1)
			time.Sleep(time.Second)
			in.ask(g.PID(), actors.Produce{Window: 2})
			wantDemand(t, in, 1)
			in.ask(g.PID(), actors.Produce{Window: 0})
			time.Sleep(time.Second)
			in.ask(g.PID(), actors.Done{N: 1, Outcome: o})
			in.ask(g.PID(), actors.Done{N: 1})
			wantDemand(t, in, 0)
		}
		got := g.snapshot(t)
		if got.Failure != 2 || got.Dropped != 1 || got.Ignored != 1 || got.Success != 6 || got.InFlight != 0 {
			t.Errorf("%+v", got.Counts)
		}
		for i, elapsed := range got.Elapsed {
			if want := time.Duration(2-i%2) * time.Second; elapsed != want {
				t.Errorf("permit %d took %v, want %v", i, elapsed, want)
			}
		}
	})
}

// A slot of the ledger that is used again must not pass on when its last permit began.
func TestTheTimeOfAPermitIsNotThatOfTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3, Measured: true})
		in := newInbox(t, guards.System())
		time.Sleep(1) // Instant 0 means that nobody measured
		in.ask(g.PID(), actors.Acquire{})
		first := nextAs[actors.Granted](t, in)
		time.Sleep(time.Minute)
		in.ask(g.PID(), actors.Report{Permit: first.Permit})
		synctest.Wait()
		p := acquire(t, g, patterns.Request{})
		id := p.ID()
		time.Sleep(time.Second)
		in.ask(g.PID(), actors.Report{Permit: patterns.PermitID{ID: id}}) // by message, not measured
		synctest.Wait()
		if got := g.snapshot(t).Elapsed; !slices.Equal(got, []time.Duration{time.Minute, 0}) {
			t.Errorf("took %v", got)
		}
	})
}

func TestWhatAProducerGetsWrongEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3})
		box, option := tap()
		in, stranger := newInbox(t, guards.System(), option), newInbox(t, guards.System())
		for _, bad := range []actors.Produce{
			{Ref: 8, Window: -1}, {Ref: 8, Window: 1<<16 + 1}, {Ref: 8, Window: 1, Priority: 3}, {Ref: 8, Window: 1, Priority: -128},
		} {
			in.ask(g.PID(), bad)
			if r := nextAs[actors.Rejected](t, in); r.Ref != 8 || !errors.Is(r.Err, patterns.ErrInvalidRequest) {
				t.Errorf("%+v", r)
			}
		}
		in.ask(g.PID(), actors.Produce{Window: 0}) // ends what never was
		wantDemand(t, in, 0)
		if w, u := box.watches.Load(), box.unwatches.Load(); w != u {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
		in.ask(g.PID(), actors.Produce{Window: 2})
		wantDemand(t, in, 2)
		in.ask(g.PID(), actors.Produce{Window: -1}) // keeps the old one
		nextAs[actors.Rejected](t, in)

		in.ask(g.PID(), actors.Done{N: 5}) // of two
		wantDemand(t, in, 2)
		in.ask(g.PID(), actors.Done{N: -3})
		in.ask(g.PID(), actors.Done{})
		stranger.ask(g.PID(), actors.Done{N: 4})
		wantDemand(t, in, 0)
		if got := g.snapshot(t); got.Repeated != 3+4 || got.Success != 2 || got.InFlight != 2 || got.Unknown != 0 {
			t.Errorf("%+v", got.Counts)
		}
		guards.System().Root.Send(g.PID(), actors.Produce{Window: 1})
		guards.System().Root.Send(g.PID(), actors.Done{N: 1})
		synctest.Wait()
		if got := g.snapshot(t); got.Unknown != 2 || got.InFlight != 2 {
			t.Errorf("%+v", got.Counts)
		}
	})
}

func TestProducersTakeTurnsWithAllWhoWait(t *testing.T) {
	for _, tt := range []struct {
		order patterns.Order
		want  string
	}{
		// p and q produce, and 1, 2 and 3 are requests that came after p and before q.
		{patterns.FIFO, "p123qpqpqp"},
		{patterns.LIFO, "qqqqqqqqqq"}, // as long as q is the newest, again and again
		{patterns.Fair, "p1q2p3qpqp"},
	} {
		t.Run(tt.order.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: tt.order, Waiting: 10})
				p, q, in := newInbox(t, guards.System()), newInbox(t, guards.System()), newInbox(t, guards.System())
				held := acquire(t, g, patterns.Request{})
				p.ask(g.PID(), actors.Produce{Window: 4, Key: "p"})
				synctest.Wait()
				queue(t, in, g, actors.Acquire{Key: "1"}, actors.Acquire{Key: "2"}, actors.Acquire{Key: "3"})
				q.ask(g.PID(), actors.Produce{Window: 4, Key: "q"})
				synctest.Wait()
				if got := g.snapshot(t); got.Waiting != 5 || len(p.got)+len(q.got) != 0 {
					t.Fatalf("%+v", got)
				}
				held.Report(patterns.Success)
				for range tt.want {
					synctest.Wait()
					select {
					case d := <-p.got:
						if d.(actors.Demand).N != 1 {
							t.Errorf("%+v", d)
						}
						p.ask(g.PID(), actors.Done{N: 1})
					case <-q.got:
						q.ask(g.PID(), actors.Done{N: 1})
					case m := <-in.got:
						in.ask(g.PID(), actors.Report{Permit: m.(actors.Granted).Permit})
					default:
						t.Fatal("nobody was served")
					}
				}
				synctest.Wait()
				got := g.snapshot(t)
				if served := strings.Join(got.Granted[1:], ""); served[:len(tt.want)] != tt.want && tt.order != patterns.Fair {
					t.Errorf("served %v, want %v", served, tt.want)
				} else if tt.order == patterns.Fair && !fair(served) {
					t.Errorf("served %v", served)
				}
			})
		})
	}
}

func TestAProducerThatChangesItsWindowKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Waiting: 10})
		p, in := newInbox(t, guards.System()), newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{})
		p.ask(g.PID(), actors.Produce{Ref: 1, Window: 1, Key: "p"})
		queue(t, in, g, actors.Acquire{Ref: 1}, actors.Acquire{Ref: 2})
		p.ask(g.PID(), actors.Produce{Ref: 2, Window: 2, Key: "p"})
		held.Report(patterns.Success)
		if d := nextAs[actors.Demand](t, p); d != (actors.Demand{Ref: 2, N: 1}) {
			t.Errorf("%+v", d)
		}
		p.ask(g.PID(), actors.Produce{Ref: 3, Window: 2, Key: "q"}) // another key: behind all
		p.ask(g.PID(), actors.Done{N: 1})
		for ref := range uint64(2) {
			if granted := nextAs[actors.Granted](t, in); granted.Ref != ref+1 {
				t.Errorf("%+v", granted)
			} else {
				in.ask(g.PID(), actors.Report{Permit: granted.Permit})
			}
		}
		if d := nextAs[actors.Demand](t, p); d != (actors.Demand{Ref: 3, N: 1}) {
			t.Errorf("%+v", d)
		}
		p.ask(g.PID(), actors.Cancel{Ref: 3}) // the place for a second one
		if r := nextAs[actors.Rejected](t, p); r.Ref != 3 || !errors.Is(r.Err, actors.ErrCancelled) {
			t.Errorf("%+v", r)
		}
		if got := g.snapshot(t); got.Waiting != 0 || got.InFlight != 1 {
			t.Errorf("%+v", got.Counts)
		}
	})
}

// fair reports whether p, q and the others all were served within each five.
func fair(served string) bool {
	first := served[:5]
	return strings.Contains(first, "p") && strings.Contains(first, "q") && strings.ContainsAny(first, "123")
}

func TestAProducersPriorityAndKeyAreThoseOfItsPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: patterns.Keyed, Waiting: 10})
		p, in := newInbox(t, guards.System()), newInbox(t, guards.System())
		a, b := acquire(t, g, patterns.Request{Key: "a"}), acquire(t, g, patterns.Request{Key: "b"})
		queue(t, in, g, actors.Acquire{Key: "a"}, actors.Acquire{Key: "b"})
		p.ask(g.PID(), actors.Produce{Window: 1, Key: "a", Priority: patterns.High})
		synctest.Wait()
		b.Report(patterns.Success)
		bs := nextAs[actors.Granted](t, in)
		wantDemand(t, p, 0)
		a.Report(patterns.Success)
		wantDemand(t, p, 1)
		p.ask(g.PID(), actors.Done{N: 1})
		wantDemand(t, p, 1) // again before the one who waits
		p.ask(g.PID(), actors.Produce{Window: 2, Key: "b", Priority: patterns.Low})
		p.ask(g.PID(), actors.Done{N: 1}) // that of a
		nextAs[actors.Granted](t, in)
		wantDemand(t, p, 0)
		in.ask(g.PID(), actors.Report{Permit: bs.Permit})
		wantDemand(t, p, 1)
	})
}

func TestProducersDoNotFillTheQueue(t *testing.T) {
	for _, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: order, Waiting: 1})
			p, q, in := newInbox(t, guards.System()), newInbox(t, guards.System()), newInbox(t, guards.System())
			acquire(t, g, patterns.Request{})
			p.ask(g.PID(), actors.Produce{Window: 4})
			q.ask(g.PID(), actors.Produce{Window: 4})
			queue(t, in, g, actors.Acquire{})
			if got := g.snapshot(t); got.Waiting != 3 || len(in.got) != 0 {
				t.Errorf("%v: %+v", order, got)
			}
			if j := g.snapshot(t).Joins[0]; j.Queue.Waiting != 0 || j.Total != 0 || j.Ahead != 2 {
				t.Errorf("%v: Join was told %+v", order, j)
			}
			in.ask(g.PID(), actors.Acquire{Ref: 2})
			if r := nextAs[actors.Rejected](t, in); r.Ref != 2 || !errors.Is(r.Err, errDeskFull) {
				t.Errorf("%v: %+v", order, r)
			}
		})
	}
}

func TestAProducerThatWaitsForTimeIsServedOnTheDot(t *testing.T) {
	for _, order := range orders {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			g := spawnDesk(t, guards, deskConfig{Limit: 100, Order: order, Every: time.Second})
			p := newInbox(t, guards.System())
			start := time.Now()
			p.ask(g.PID(), actors.Produce{Window: 5})
			for i := range 5 {
				if d := nextAs[actors.Demand](t, p); d.N != 1 || time.Since(start) != time.Duration(i)*time.Second {
					t.Errorf("%v: %+v after %v", order, d, time.Since(start))
				}
			}
			time.Sleep(time.Hour)
			p.ask(g.PID(), actors.Done{N: 5})
			if d := nextAs[actors.Demand](t, p); d.N != 1 {
				t.Errorf("%v: %+v", order, d)
			}
			wantDemand(t, p, 0)
		})
	}
}

func TestAProducerThatStopsGivesEverythingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3, Waiting: 10})
		p, in := newInbox(t, guards.System()), newInbox(t, guards.System())
		p.ask(g.PID(), actors.Produce{Window: 5})
		wantDemand(t, p, 3)
		queue(t, in, g, actors.Acquire{Ref: 1}, actors.Acquire{Ref: 2})
		p.stop(t)
		nextAs[actors.Granted](t, in)
		nextAs[actors.Granted](t, in)
		synctest.Wait()
		if got := g.snapshot(t); got.InFlight != 2 || got.Waiting != 0 || got.Reclaimed != 3 {
			t.Errorf("%+v", got)
		}
	})
}

// crew produces, and restarts.
type crew struct{ out chan any }

func (w *crew) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case do:
		msg(c)
	case crash:
		panic("as told")
	case actors.Demand, actors.Rejected:
		w.out <- msg
	}
}

func TestAProducerThatRestartsStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3})
		out := make(chan any, 10)
		root := guards.System().Root
		pid := root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &crew{out} },
			actor.WithReceiverMiddleware(actors.ReleaseOnRestart(guards))))
		produce := func(window int) {
			root.Send(pid, do(func(c actor.Context) { c.Request(g.PID(), actors.Produce{Ref: 1, Window: window}) }))
			synctest.Wait()
		}
		produce(5)
		if d := (<-out).(actors.Demand); d.N != 3 {
			t.Errorf("%+v", d)
		}
		root.Send(pid, crash{})
		synctest.Wait()
		if r, ok := (<-out).(actors.Rejected); !ok || !errors.Is(r.Err, actors.ErrCancelled) { // its place in the queue
			t.Errorf("%+v", r)
		}
		if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 || got.Reclaimed != 3 {
			t.Errorf("%+v", got)
		}
		produce(2)
		if d := (<-out).(actors.Demand); d.N != 2 {
			t.Errorf("%+v", d)
		}
		if err := root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := g.snapshot(t); got.InFlight != 0 || got.Reclaimed != 5 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAProducerMayWithdrawFromTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 1})
		box, option := tap()
		p := newInbox(t, guards.System(), option)
		held := acquire(t, g, patterns.Request{})
		p.ask(g.PID(), actors.Produce{Ref: 3, Window: 5})
		p.ask(g.PID(), actors.Cancel{Ref: 3})
		if r := nextAs[actors.Rejected](t, p); r.Ref != 3 || !errors.Is(r.Err, actors.ErrCancelled) {
			t.Errorf("%+v", r)
		}
		held.Report(patterns.Success)
		wantDemand(t, p, 0) // the standing order is over
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 1 || u != 1 {
			t.Errorf("%d watches, %d unwatches", w, u)
		}
	})
}

func TestAProducerWhomTheRulesRefuseIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3})
		p, q := newInbox(t, guards.System()), newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{Weight: 3})
		p.ask(g.PID(), actors.Produce{Ref: 3, Window: 5}) // waits
		synctest.Wait()
		g.machine.refuse = true
		held.Report(patterns.Success)
		if r := nextAs[actors.Rejected](t, p); r.Ref != 3 || !errors.Is(r.Err, errDeskNever) {
			t.Errorf("%+v", r)
		}
		q.ask(g.PID(), actors.Produce{Ref: 4, Window: 5})
		if r := nextAs[actors.Rejected](t, q); r.Ref != 4 || !errors.Is(r.Err, errDeskNever) {
			t.Errorf("%+v", r)
		}
		g.machine.refuse = false
		synctest.Wait()
		wantDemand(t, p, 0)
		if got := g.snapshot(t); got.Rejected != 2 || got.Waiting != 0 || got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
		p.ask(g.PID(), actors.Produce{Ref: 3, Window: 2})
		wantDemand(t, p, 2)
	})
}

func TestProducersAreToldWhenTheGuardStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 5})
		full, waits := newInbox(t, guards.System()), newInbox(t, guards.System())
		full.ask(g.PID(), actors.Produce{Ref: 1, Window: 2})
		wantDemand(t, full, 2)
		waits.ask(g.PID(), actors.Produce{Ref: 2, Window: 5})
		wantDemand(t, waits, 3)
		stopped := make(chan error)
		go func() { stopped <- g.Stop(t.Context()) }()
		for ref, in := range map[uint64]*inbox{1: full, 2: waits} {
			if r := nextAs[actors.Rejected](t, in); r.Ref != ref || !errors.Is(r.Err, actors.ErrStopped) {
				t.Errorf("%+v", r)
			}
		}
		full.ask(g.PID(), actors.Produce{Ref: 3, Window: 9})
		if r := nextAs[actors.Rejected](t, full); r.Ref != 3 || !errors.Is(r.Err, actors.ErrStopped) {
			t.Errorf("%+v", r)
		}
		full.ask(g.PID(), actors.Done{N: 1})
		waits.ask(g.PID(), actors.Done{N: 3})
		synctest.Wait()
		select {
		case err := <-stopped:
			t.Errorf("stopped with a permit out: %v", err)
		default:
		}
		full.ask(g.PID(), actors.Done{N: 1})
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(full.got)+len(waits.got) != 0 {
			t.Error("told twice")
		}
		if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 || got.Success != 5 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAGuardThatRestartsGoesOnWithItsProducers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 3})
		p, q := newInbox(t, guards.System()), newInbox(t, guards.System())
		p.ask(g.PID(), actors.Produce{Window: 2})
		wantDemand(t, p, 2)
		q.ask(g.PID(), actors.Produce{Window: 9})
		wantDemand(t, q, 1)
		actorstest.Crash(t, g, actorstest.At(actors.Operate{}))
		if err := g.Operate(t.Context(), patterns.Operation{}); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		wantDemand(t, p, 0)
		if got := g.snapshot(t); got.InFlight != 3 || got.Waiting != 1 || got.Restarts != 1 {
			t.Errorf("%+v", got)
		}
		p.ask(g.PID(), actors.Done{N: 2})
		wantDemand(t, q, 1) // it is first
		wantDemand(t, p, 1)
		p.stop(t) // it is still watched
		wantDemand(t, q, 1)
	})
}

// However many permits come at once, nothing goes deeper and deeper.
func TestAProducerOfVeryMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 1 << 16
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: window})
		g.machine.forgetful = true
		p := newInbox(t, guards.System())
		held := acquire(t, g, patterns.Request{Weight: window})
		p.ask(g.PID(), actors.Produce{Window: window})
		wantDemand(t, p, 0)
		shallow(func() { held.Report(patterns.Success) })
		wantDemand(t, p, window)
		shallow(func() { p.ask(g.PID(), actors.Done{N: window}) })
		wantDemand(t, p, window)
		p.stop(t)
		synctest.Wait()
		if got := g.snapshot(t); got.InFlight != 0 || got.Waiting != 0 {
			t.Errorf("%+v", got)
		}
	})
}
