package actors_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// farOffice is an office that takes a tenth of a second to answer.
//
//bulwark:bubble
func farOffice(stock int) (o *office, trips *[]int) {
	trips = new([]int)
	o = &office{stock: map[string]int{"k": stock}}
	o.call = func(ctx context.Context, slips []slip) error {
		*trips = append(*trips, len(slips))
		time.Sleep(100 * time.Millisecond)
		return ctx.Err()
	}
	return o, trips
}

//bulwark:bubble
func stillness() { synctest.Wait() }

func TestWhatComesWhileAnErrandIsUnderWayGoesTogetherWithTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, trips := farOffice(15)
		g := spawnBranch(t, actorstest.NewRegistry(t), newBranch(o))
		var wg sync.WaitGroup
		granted, refused := make(chan int, 64), make(chan int, 64)
		for i := range 20 {
			wg.Go(func() {
				p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
				if errors.Is(err, errSoldOut) {
					refused <- i
					return
				}
				if err != nil {
					t.Error(err)
				}
				granted <- i
				p.Report(patterns.Success)
			})
			stillness() // so that they come in order
		}
		wg.Wait()
		if len(*trips) != 2 || (*trips)[0] != 1 || (*trips)[1] != 19 {
			t.Errorf("errands of %v, want 1 and 19", *trips)
		}
		if len(granted) != 15 || len(refused) != 5 {
			t.Errorf("%d granted and %d refused, want 15 and 5", len(granted), len(refused))
		}
		close(refused)
		for i := range refused {
			if i < 15 {
				t.Errorf("caller %d was refused, which came before one that was not", i)
			}
		}
		g.snapshot(t)
	})
}

func TestWhoLeavesBeforeTheAnswerGivesBackWhatItTook(t *testing.T) {
	for name, after := range map[string]time.Duration{"on the way": 50 * time.Millisecond, "in the queue": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, _ := farOffice(1)
				guards := actorstest.NewRegistry(t)
				g := spawnBranch(t, guards, newBranch(o))
				var wg sync.WaitGroup
				if name == "in the queue" {
					wg.Go(func() { _, _ = g.Consult(t.Context(), "k") })
					stillness()
				}
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				_, err := g.AcquireFor(ctx, patterns.Request{Key: "k"})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the context's error", err)
				}
				wg.Wait()
				time.Sleep(time.Second)
				if o.left("k", 0) != 1 {
					t.Errorf("%d are left, want 1", o.left("k", 0))
				}
				if s := g.snapshot(t); s.Cancelled != 1 || s.Waiting != 0 {
					t.Errorf("cancelled %d, waiting %d", s.Cancelled, s.Waiting)
				}
			})
		})
	}
}

func TestAWaiterWhoLeavesWhileItIsAskedForAgainIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, trips := farOffice(1)
		m := newBranch(o)
		m.bench = newBench(9)
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		first, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.AcquireFor(ctx, patterns.Request{Key: "k"}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want that it left", err)
			}
		})
		time.Sleep(150 * time.Millisecond) // it was told to wait
		first.Release()
		time.Sleep(50 * time.Millisecond) // and is being asked for again
		stillness()
		if len(*trips) != 3 {
			t.Fatalf("errands of %v, want a third under way", *trips)
		}
		cancel()
		wg.Wait()
		if s := g.snapshot(t); s.Waiting != 0 || s.Cancelled != 1 {
			t.Errorf("%d wait and %d left, want 0 and 1", s.Waiting, s.Cancelled)
		}
		time.Sleep(time.Second) // and the answer that it did not wait for came
		if s := g.snapshot(t); s.Waiting != 0 || s.Cancelled != 1 || o.left("k", 0) != 1 {
			t.Errorf("%d wait, %d left, and of the stock there are %d; want 0, 1 and 1", s.Waiting, s.Cancelled, o.left("k", 0))
		}
	})
}

func TestAnErrandThatIsLateHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{stock: map[string]int{"k": 10}}
		var back atomic.Bool
		o.call = func(context.Context, []slip) error {
			if back.Load() {
				return nil
			}
			time.Sleep(time.Minute)
			return errSoldOut
		}
		m := newBranch(o)
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		began := time.Now()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want what the rules make of a late errand", err)
				}
			})
		}
		wg.Wait()
		if d := time.Since(began); d != time.Second {
			t.Errorf("they were held for %v, want 1s", d)
		}
		back.Store(true)
		if err := g.Reconfigure(t.Context(), semConfig{}); err != nil {
			t.Fatal(err)
		}
		p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
		if err != nil {
			t.Errorf("while the late one is out: %v", err)
		}
		p.Release()
		time.Sleep(2 * time.Minute)
		g.snapshot(t)
	})
}

func TestAPanicOnAnErrandIsAnsweredOnceAndTheOthersGoOn(t *testing.T) {
	for _, method := range []string{"Room", "Load", "Depart", "Return", "Conclude"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, _ := farOffice(100)
				m := newBranch(o)
				m.panicIn, m.panicOn = method, 1
				g := spawnBranch(t, actorstest.NewRegistry(t), m)
				var wg sync.WaitGroup
				failed := make(chan error, 10)
				for range 10 {
					wg.Go(func() {
						p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
						if err != nil {
							failed <- err
							return
						}
						p.Report(patterns.Success)
					})
				}
				wg.Wait()
				if len(failed) > 1 {
					t.Errorf("%d of 10 failed: %v", len(failed), <-failed)
				}
				if s := g.snapshot(t); s.Restarts != 1 || s.Waiting != 0 {
					t.Errorf("restarts %d, waiting %d", s.Restarts, s.Waiting)
				}
			})
		})
	}
}

func TestWhatCarriesMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{stock: map[string]int{"k": 1}}
		o.call = func(context.Context, []slip) error { panic("foreign code") }
		g := spawnBranch(t, actorstest.NewRegistry(t), newBranch(o))
		if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"}); !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("got %v, want a refusal", err)
		}
		if s := g.snapshot(t); s.Restarts != 0 {
			t.Errorf("%d restarts", s.Restarts)
		}
	})
}

func TestQuestionsAreAnsweredFromElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(7)
		guards := actorstest.NewRegistry(t)
		g := spawnBranch(t, guards, newBranch(o))
		if v, err := g.Consult(t.Context(), "k"); v != 7 || err != nil {
			t.Errorf("got %v, %v, want 7", v, err)
		}
		if v, err := g.Consult(t.Context(), 3); v != 3 || err != nil {
			t.Errorf("one that needs no errand: got %v, %v, want 3", v, err)
		}
		if _, err := g.Consult(t.Context(), 'x'); !errors.Is(err, actors.ErrUnsupported) {
			t.Errorf("an unknown one: got %v", err)
		}
		in := newInbox(t, guards.System())
		in.ask(g.PID(), actors.Consult{Question: "k"})
		in.ask(g.PID(), actors.Acquire{Ref: 5, Key: "k", Weight: 8})
		in.ask(g.PID(), actors.Acquire{Ref: 6, Key: "k"})
		if r := nextAs[actors.Rejected](t, in); r.Ref != 5 || !errors.Is(r.Err, errSoldOut) {
			t.Errorf("got %+v", r)
		}
		r := nextAs[actors.Granted](t, in)
		if r.Ref != 6 {
			t.Errorf("got %+v", r)
		}
		in.ask(g.PID(), actors.Report{Permit: r.Permit, Outcome: patterns.Success})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Consult(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		time.Sleep(time.Second)
		g.snapshot(t)
	})
}

func TestMessagesThatWaitForAnErrandCanBeWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(5)
		guards := actorstest.NewRegistry(t)
		g := spawnBranch(t, guards, newBranch(o))
		in := newInbox(t, guards.System())
		in.ask(g.PID(), actors.Acquire{Ref: 1, Key: "k"})
		in.ask(g.PID(), actors.Acquire{Ref: 2, Key: "k", Deadline: time.Now().Add(10 * time.Millisecond)})
		stillness()
		in.ask(g.PID(), actors.Cancel{Ref: 1})
		if r := nextAs[actors.Rejected](t, in); r.Ref != 1 || !errors.Is(r.Err, actors.ErrCancelled) {
			t.Errorf("got %+v, want 1 cancelled", r)
		}
		if r := nextAs[actors.Rejected](t, in); r.Ref != 2 || !errors.Is(r.Err, actors.ErrExpired) {
			t.Errorf("got %+v, want 2 expired", r)
		}
		other := newInbox(t, guards.System())
		other.ask(g.PID(), actors.Acquire{Ref: 3, Key: "k", Holder: other.pid})
		stillness()
		other.stop(t)
		time.Sleep(time.Second)
		if s := g.snapshot(t); o.left("k", 0) != 5 || s.Waiting != 0 {
			t.Errorf("%d are left, want 5; %d wait", o.left("k", 0), s.Waiting)
		}
	})
}

func TestWhoMayWaitKeepsItsPlaceWhileItIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(1)
		m := newBranch(o)
		m.bench, m.again = newBench(10), patterns.Instant(time.Hour)
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		var wg sync.WaitGroup
		order := make(chan int, 3)
		for i, weight := range []int{2, 1, 3} { // the second would fit, and comes after the first
			wg.Go(func() {
				p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k", Weight: weight})
				if err != nil {
					t.Error(err)
				}
				order <- i
				p.Report(patterns.Success)
			})
			stillness()
		}
		time.Sleep(time.Minute)
		if len(order) != 0 || o.left("k", 0) != 1 {
			t.Errorf("%d passed before the first, %d are left", len(order), o.left("k", 0))
		}
		o.left("k", 5)
		wg.Wait()
		for want := range 3 {
			if i := <-order; i != want {
				t.Errorf("%d passed as number %d", i, want)
			}
		}
		g.snapshot(t)
	})
}

func TestAGuardThatStopsAnswersEverybodyAndGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(9)
		g := spawnBranch(t, actorstest.NewRegistry(t), newBranch(o))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"}); !errors.Is(err, actors.ErrStopped) {
					t.Errorf("got %v, want that it has stopped", err)
				}
			})
		}
		stillness()
		if err := g.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if o.left("k", 0) != 9 {
			t.Errorf("%d are left when it has stopped, want 9", o.left("k", 0))
		}
		g.snapshot(t)
	})
}

func TestMoreThanThereIsRoomForAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := farOffice(9)
		m := newBranch(o)
		m.room, m.most = 3, 2
		g := spawnBranch(t, actorstest.NewRegistry(t), m)
		var wg sync.WaitGroup
		refused := make(chan error, 10)
		for range 6 {
			wg.Go(func() {
				p, err := g.AcquireFor(t.Context(), patterns.Request{Key: "k"})
				if err != nil {
					refused <- err
				}
				p.Report(patterns.Success)
			})
			stillness()
		}
		wg.Wait()
		if len(refused) != 2 || !errors.Is(<-refused, actors.ErrOverloaded) {
			t.Errorf("%d refused, want 2 for want of room", len(refused))
		}
		g.snapshot(t)
	})
}

// Whatever happens: everybody gets one answer, nothing is lost, and of one key whoever came
// first is asked for first.
func TestErrandsConserveWhatTheyCarry(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const stock, callers = 30, 24
		methods := []string{"", "Room", "Load", "Depart", "Return", "Conclude", "Disown"}
		panicIn := rapid.SampledFrom(methods).Draw(rt, "panics in")
		panicOn := rapid.IntRange(1, 4).Draw(rt, "at the")
		fails := rapid.SliceOfN(rapid.IntRange(0, 9), 64, 64).Draw(rt, "fails")
		takes := rapid.SliceOfN(rapid.IntRange(0, 300), 64, 64).Draw(rt, "takes ms")
		weights := rapid.SliceOfN(rapid.IntRange(1, 3), callers, callers).Draw(rt, "weights")
		leaves := rapid.SliceOfN(rapid.IntRange(0, 400), callers, callers).Draw(rt, "leaves after ms")
		seats := rapid.SampledFrom([]int{0, 100}).Draw(rt, "seats")
		stays := rapid.SliceOfN(rapid.Bool(), callers, callers).Draw(rt, "cannot leave")
		synctest.Test(t, func(t *testing.T) {
			o := &office{stock: map[string]int{"a": stock, "b": stock}}
			var trip atomic.Int64
			o.call = func(ctx context.Context, _ []slip) error {
				i := (trip.Add(1) - 1) % 64
				time.Sleep(time.Duration(takes[i]) * time.Millisecond)
				if fails[i] == 0 {
					return errSoldOut
				}
				return nil
			}
			m := newBranch(o)
			m.bench, m.most = newBench(seats), 5
			m.panicIn, m.panicOn = panicIn, panicOn
			m.punctual = true
			g := spawnBranch(t, actorstest.NewRegistry(t), m)
			var wg sync.WaitGroup
			for i, w := range weights {
				wg.Go(func() {
					time.Sleep(time.Duration(i*17) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(leaves[i])*time.Millisecond+1)
					defer cancel()
					r := patterns.Request{Key: string(rune('a' + i%2)), Weight: w}
					if stays[i] {
						ctx, r.NoWait = context.WithoutCancel(ctx), true // who waits may do so for ever
					}
					p, err := g.AcquireFor(ctx, r)
					if err == nil {
						time.Sleep(10 * time.Millisecond)
						p.Release()
					}
					if i%7 == 0 {
						_ = g.Reconfigure(t.Context(), semConfig{})
					}
				})
			}
			wg.Wait()
			_ = g.Reconfigure(t.Context(), semConfig{})
			time.Sleep(10 * time.Second)
			s := g.snapshot(t)
			if s.Waiting != 0 || s.InFlight != 0 {
				rt.Errorf("at the end %d wait and %d are out", s.Waiting, s.InFlight)
			}
			if panicIn == "" && s.Restarts > 0 {
				rt.Errorf("%d restarts", s.Restarts)
			}
			if panicIn == "" && (o.left("a", 0) != stock || o.left("b", 0) != stock) && len(m.returns) == 0 && !failed(fails[:min(64, trip.Load())]) {
				rt.Errorf("%v are left; %v, %+v, %d trips", o.stock, m.holding, s.Counts, trip.Load())
			}
		})
	})
}

func failed(fails []int) bool {
	for _, f := range fails {
		if f == 0 {
			return true
		}
	}
	return false
}
