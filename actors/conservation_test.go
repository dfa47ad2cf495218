package actors_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// chaos is what everybody does to one guard at once.
type chaos struct {
	t      *testing.T
	guards *actors.Registry
	guard  commandable
	rounds int
	enough atomic.Bool // of what else is to happen meanwhile

	work   []func(*rand.Rand) // each is done by three at once
	points []any              // messages at which the guard crashes
}

func newChaos(t *testing.T, guards *actors.Registry, guard commandable, rounds int) *chaos {
	c := &chaos{t: t, guards: guards, guard: guard, rounds: rounds}
	c.work = []func(*rand.Rand){c.call, c.hold, c.ask, c.command}
	c.points = []any{actors.Acquire{}, actors.Report{}, actors.Cancel{}, actors.Operate{}}
	return c
}

type commandable interface {
	patterns.Guard
	actorstest.Guard
	Operate(context.Context, patterns.Operation) error
}

// each does f as often as it is to be done, and on until there was enough of the rest.
func (c *chaos) each(f func(i int)) {
	for i := 0; i < c.rounds || !c.enough.Load(); i++ {
		f(i)
	}
}

// restarts is how many a test under load wants to see.
const restarts = 12

func (c *chaos) tolerable(err error) {
	switch {
	case err == nil, errors.Is(err, patterns.ErrRejected), errors.Is(err, context.Canceled), errors.Is(err, actors.ErrUnsupported):
	default:
		c.t.Error(err)
	}
}

var errBank = errors.New("the bank is closed")

// call guards functions that succeed, fail, panic, and exit their goroutine.
func (c *chaos) call(r *rand.Rand) {
	c.each(func(int) {
		how := r.IntN(20)
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = recover() }()
			err := patterns.Run(c.t.Context(), c.guard, func(context.Context) error {
				switch how {
				case 0:
					panic("foreign code")
				case 1:
					runtime.Goexit()
				case 2, 3, 4:
					return errBank
				}
				return nil
			})
			if !errors.Is(err, errBank) {
				c.tolerable(err)
			}
		}()
		<-done
	})
}

// hold asks for permits and is cancelled, gives back, reports twice, or abandons what
// then expires.
func (c *chaos) hold(r *rand.Rand) {
	c.each(func(int) {
		ctx, cancel := context.WithCancel(c.t.Context())
		if r.IntN(3) == 0 {
			go cancel()
		}
		request := patterns.Request{Weight: r.IntN(3), Priority: patterns.Priority(r.IntN(5) - 2)}
		how := r.IntN(6)
		if how == 0 {
			request.HoldFor = 1 + time.Duration(r.IntN(int(time.Millisecond)))
		}
		p, err := c.guard.AcquireFor(ctx, request)
		c.tolerable(err)
		switch twice := p; how {
		case 0: // abandoned
		case 1:
			p.Release()
			twice.Report(patterns.Success)
		case 2:
			p.Report(patterns.Outcome(r.IntN(6)))
			twice.Release()
		default:
			p.Report(patterns.Outcome(r.IntN(4)))
		}
		cancel()
	})
}

// ask asks as an actor, which cancels, stops in between, and is replaced.
func (c *chaos) ask(r *rand.Rand) {
	in := newInbox(c.t, c.guards.System())
	c.each(func(i int) {
		a := actors.Acquire{Ref: uint64(i), Weight: r.IntN(3), Holder: in.pid}
		if r.IntN(4) == 0 {
			a.Deadline = time.Now().Add(time.Duration(r.IntN(int(time.Millisecond))))
		}
		in.ask(c.guard.PID(), a)
		if r.IntN(4) == 0 {
			in.ask(c.guard.PID(), actors.Cancel{Ref: uint64(i)})
		}
		if r.IntN(20) == 0 {
			in.stop(c.t)
			in = newInbox(c.t, c.guards.System())
			return
		}
		switch m := in.next(c.t).(type) {
		case actors.Granted:
			in.ask(c.guard.PID(), actors.Report{Permit: m.Permit, Outcome: patterns.Outcome(r.IntN(4))})
		case actors.Rejected:
			c.tolerable(m.Err)
		}
	})
	in.stop(c.t)
}

func (c *chaos) command(r *rand.Rand) {
	c.each(func(int) {
		err := c.guard.Operate(c.t.Context(), patterns.Operation{
			Kind: patterns.OperationKind(r.IntN(4)), For: time.Duration(r.IntN(int(100 * time.Microsecond))),
		})
		c.tolerable(err)
	})
}

// victim is the guard's actor that crashes next.
func (c *chaos) victim(i int) actorstest.Guard {
	if g, ok := c.guard.(*deskGuards); ok {
		return g.Shard(strconv.Itoa(i))
	}
	return c.guard
}

// run lets loose, watches the counts meanwhile, and ends with the guard at rest.
func (c *chaos) run(counts func() patterns.Counts, crash bool) {
	c.enough.Store(!crash)
	var work, watch sync.WaitGroup
	for i := range 3 {
		for j, f := range c.work {
			work.Go(func() { f(rand.New(rand.NewPCG(uint64(i), uint64(j)))) })
		}
	}
	stop := make(chan struct{})
	until := func(f func(i int)) {
		watch.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					f(i)
				}
			}
		})
	}
	until(func(int) {
		got := counts()
		if !got.Balanced() {
			c.t.Errorf("counts do not balance: %+v", got)
		}
		if got.Restarts >= restarts {
			c.enough.Store(true)
		}
		runtime.Gosched()
	})
	if crash {
		until(func(i int) {
			at := c.points[i%len(c.points)]
			actorstest.Crash(c.t, c.victim(i), []actorstest.CrashOption{actorstest.At(at), actorstest.AfterDeciding(at)}[i/len(c.points)%2])
		})
	}
	work.Wait()
	close(stop)
	watch.Wait()
}

// settled waits until every permit that was abandoned has expired.
func settled(t *testing.T, guards *actors.Registry, name string, counts func() patterns.Counts) patterns.Counts {
	t.Helper()
	events, stop := guards.Subscribe(actors.From(name), actors.Only[actors.PermitReclaimed]())
	defer stop()
	for {
		got := counts()
		if got.InFlight == 0 && got.Waiting == 0 {
			return got
		}
		select {
		case <-events:
		case <-time.After(time.Minute):
			t.Fatalf("never at rest: %+v", got)
		}
	}
}

func TestEveryPermitEndsOnceAndEveryRequestIsAnswered(t *testing.T) {
	rounds := 150
	if soak {
		rounds *= 100
	}
	for _, crash := range []bool{false, true} {
		name := map[bool]string{false: "in peace", true: "while the guard crashes"}[crash]
		intense := actors.WithIntensity(intensity.Config{Restarts: 1 << 16, Period: time.Millisecond})
		t.Run("semaphore "+name, func(t *testing.T) {
			guards := actorstest.NewRegistry(t, intense)
			s := spawnSem(t, guards, "sem", 3, 20)
			c := newChaos(t, guards, s, rounds)
			counts := func() patterns.Counts { return s.snapshot(t).Counts }
			c.run(counts, crash)
			got := settled(t, guards, "sem", counts)
			if used := s.snapshot(t).Used; used != 0 || got.Granted == 0 || got.Reclaimed == 0 || got.Repeated == 0 {
				t.Errorf("%d in use, %+v", used, got)
			}
			if crash == (got.Restarts == 0) {
				t.Errorf("%d restarts", got.Restarts)
			}
		})
		t.Run("breaker "+name, func(t *testing.T) {
			guards := actorstest.NewRegistry(t, intense)
			b := spawnBreaker(t, guards, "b", circuitbreaker.Config{
				ConsecutiveFailures: 2, OpenFor: 50 * time.Microsecond, Probes: 3, ConcurrentProbes: 2, RampFor: 50 * time.Microsecond,
			})
			c := newChaos(t, guards, b, rounds)
			counts := func() patterns.Counts {
				s, _ := b.Snapshot(t.Context())
				return s.Counts
			}
			c.run(counts, crash)
			got := settled(t, guards, "b", counts)
			if got.Granted == 0 || crash == (got.Restarts == 0) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAFunctionThatNeverReturnsCountsAsAFailure(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := spawnBreaker(t, guards, "b", circuitbreaker.Config{})
	func() {
		defer func() {
			if got := recover(); got != "foreign code" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = patterns.Run(t.Context(), b, func(context.Context) error { panic("foreign code") })
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = patterns.Run(t.Context(), b, func(context.Context) error { runtime.Goexit(); return nil })
		t.Error("went on")
	}()
	<-done
	s, _ := b.Snapshot(t.Context())
	if s.Failure != 2 || s.InFlight != 0 || s.ConsecutiveFailures != 2 || s.Restarts != 0 {
		t.Errorf("%+v", s)
	}
}

func allocs(t *testing.T, want float64, f func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	f()
	if got := testing.AllocsPerRun(2000, f); got > want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}

func TestAllocsOfAGuardedCall(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := spawnBreaker(t, guards, "b", circuitbreaker.Config{})
	ctx := t.Context()
	fn := func(context.Context) (int, error) { return 1, nil }
	fails := func(context.Context) (int, error) { return 1, errBank }
	allocs(t, 0, func() {
		if _, err := patterns.Do(ctx, b, fn); err != nil {
			t.Fatal(err)
		}
	})
	if err := b.MetricsOnly(ctx, 0, ""); err != nil {
		t.Fatal(err)
	}
	allocs(t, 0, func() { _, _ = patterns.Do(ctx, b, fails) })
	allocs(t, 0, func() {
		p, err := b.AcquireFor(ctx, patterns.Request{Weight: 2, Priority: patterns.High})
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
	})
}

func TestAllocsOfARefusal(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := spawnBreaker(t, guards, "b", circuitbreaker.Config{ConsecutiveFailures: 1, OpenFor: time.Hour})
	ctx := t.Context()
	p := acquire(t, b, patterns.Request{})
	p.Report(patterns.Failure)
	fn := func(context.Context) (int, error) { return 1, nil }
	allocs(t, 0, func() {
		if _, err := patterns.Do(ctx, b, fn); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Fatal(err)
		}
	})
	s := spawnSem(t, guards, "sem", 1, 0) // refuses because nobody may wait
	acquire(t, s, patterns.Request{})
	allocs(t, 0, func() {
		if _, err := s.Acquire(ctx); !errors.Is(err, actors.ErrQueueFull) {
			t.Fatal(err)
		}
	})
}

func TestAllocsOfWaiting(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 1, 1)
	ctx := t.Context()
	permits := make(chan patterns.Permit, 1)
	asks := make(chan struct{})
	go func() {
		for range asks {
			p, err := s.Acquire(ctx)
			if err != nil {
				t.Error(err)
			}
			permits <- p
		}
	}()
	defer close(asks)
	p := acquire(t, s, patterns.Request{})
	allocs(t, 0, func() {
		asks <- struct{}{}
		p.Report(patterns.Success)
		p = <-permits
	})
}
