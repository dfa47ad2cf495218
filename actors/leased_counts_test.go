package actors_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// tally is what the callers of a guard saw.
type tally struct {
	asked, granted, refused, released atomic.Uint64
	outcomes                          [4]atomic.Uint64
}

// hammer calls b from several goroutines until each has made n calls.
func hammer(b *circuitbreaker.Breaker, seen *tally, goroutines, n int) {
	ctx := context.Background()
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			var held []patterns.Permit
			for i := range n {
				seen.asked.Add(1)
				p, err := b.Acquire(ctx)
				if err != nil {
					seen.refused.Add(1)
					runtime.Gosched()
				} else {
					seen.granted.Add(1)
					held = append(held, p)
				}
				if len(held) < 1+(i/64+g)%12 && i < n-1 {
					continue
				}
				for k := range held {
					switch x := (i*7 + k*3 + g) % 23; {
					case x == 0:
						seen.released.Add(1)
						held[k].Release()
					case x < 4:
						seen.outcomes[x].Add(1)
						held[k].Report(patterns.Outcome(x))
					default:
						seen.outcomes[patterns.Success].Add(1)
						held[k].Report(patterns.Success)
					}
				}
				held = held[:0]
			}
		})
	}
	all.Wait()
}

// leasedRounds is n, or many times that in a long run.
func leasedRounds(n int) int {
	if soak {
		return 20 * n
	}
	return n
}

// Whatever happens in the middle, the counts balance whenever somebody looks, and in
// the end they are what the callers saw.
func TestLeasedCountsAreConserved(t *testing.T) {
	ctx := context.Background()
	cfg := circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: time.Microsecond, ProbeTimeout: time.Millisecond, Mode: patterns.Leased(16, time.Millisecond)}
	other := cfg
	other.FailureRatio, other.SlowCall = 0.9, time.Microsecond
	crash := func(opts ...actorstest.CrashOption) func(testing.TB, *circuitbreaker.Breaker) {
		return func(t testing.TB, b *circuitbreaker.Breaker) { actorstest.Crash(t, b, opts...) }
	}
	ok := func(f func(b *circuitbreaker.Breaker) error) func(testing.TB, *circuitbreaker.Breaker) {
		return func(t testing.TB, b *circuitbreaker.Breaker) {
			if err := f(b); err != nil {
				t.Error(err)
			}
		}
	}
	disturbances := map[string][]func(testing.TB, *circuitbreaker.Breaker){
		"openings only":      nil,
		"garbage collection": {func(testing.TB, *circuitbreaker.Breaker) { runtime.GC() }},
		"an operator": {
			ok(func(b *circuitbreaker.Breaker) error { return b.Reset(ctx) }),
			ok(func(b *circuitbreaker.Breaker) error { return b.ForceOpen(ctx, 50*time.Microsecond, "") }),
			ok(func(b *circuitbreaker.Breaker) error { return b.Reconfigure(ctx, other) }),
			ok(func(b *circuitbreaker.Breaker) error { return b.MetricsOnly(ctx, 0, "") }),
			ok(func(b *circuitbreaker.Breaker) error { return b.ForceClosed(ctx, time.Millisecond, "") }),
			ok(func(b *circuitbreaker.Breaker) error { return b.Reconfigure(ctx, cfg) }),
			ok(func(b *circuitbreaker.Breaker) error { return b.Reset(ctx) }),
		},
		"crashes while acquiring": {crash(actorstest.At(actors.Acquire{})), crash(actorstest.AfterDeciding(actors.Acquire{}))},
		"crashes while reporting": {crash(actorstest.At(actors.Report{})), crash(actorstest.AfterDeciding(actors.Report{}))},
		"crashes while releasing": {crash(actorstest.At(actors.Cancel{}))},
		"crashes of the timer":    {crash(actorstest.AtTick())},
	}
	for name, disturb := range disturbances {
		t.Run(name, func(t *testing.T) {
			guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: intensity.MaxRestarts, Period: time.Millisecond}))
			b := leasedBreaker(t, guards, "b", cfg)
			var seen tally
			done := make(chan struct{})
			go func() {
				defer close(done)
				hammer(b, &seen, 6, leasedRounds(4000))
			}()
			looks := 0
			for running := true; running; looks++ {
				breakerState(t, b)
				if len(disturb) > 0 {
					disturb[looks%len(disturb)](t, b)
				}
				select {
				case <-done:
					running = false
				default:
					runtime.Gosched()
				}
			}
			got := breakerState(t, b)
			lost := got.InFlight // reports that a crash swallowed
			if lost > got.Restarts {
				t.Errorf("%d in flight after %d restarts", lost, got.Restarts)
			}
			if got.Asked != seen.asked.Load() || got.Granted != seen.granted.Load() || got.Rejected != seen.refused.Load() || got.Cancelled+got.Waiting != 0 {
				t.Errorf("callers asked %d, got %d, were refused %d: %+v", seen.asked.Load(), seen.granted.Load(), seen.refused.Load(), got.Counts)
			}
			missing := seen.released.Load() - got.Reclaimed
			for o, n := range map[patterns.Outcome]uint64{
				patterns.Success: got.Success, patterns.Failure: got.Failure, patterns.Dropped: got.Dropped, patterns.Ignored: got.Ignored,
			} {
				missing += seen.outcomes[o].Load() - n
			}
			if missing != lost {
				t.Errorf("%d ends are missing, %d in flight: %+v", missing, lost, got.Counts)
			}
			if got.Repeated+got.Unknown != 0 || got.Success > seen.outcomes[patterns.Success].Load() {
				t.Errorf("%+v", got.Counts)
			}
			t.Logf("%d looks; %+v", looks, got.Counts)
		})
	}
}

// A restart keeps the leases that are out: they are as good as the machine is.
func TestLeasesSurviveARestartOfASoundMachine(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := leasedBreaker(t, guards, "b", circuitbreaker.Config{Mode: patterns.Leased(64, time.Hour)})
	permits := make([]patterns.Permit, 1000)
	for i := range permits {
		permits[i] = mustAcquire(t, b)
	}
	permits[999].Report(patterns.Failure) // by message, counted by the shell
	permits[998].Release()
	actorstest.Crash(t, b, actorstest.At(actors.Operate{}))
	if err := b.Reset(t.Context()); err == nil {
		t.Fatal("did not crash")
	}
	if got := breakerState(t, b); got.Restarts != 1 || got.InFlight != 998 || got.Granted != 1000 || got.Failure != 1 || got.ConsecutiveFailures != 1 {
		t.Errorf("%+v", got)
	}
	for i := range 998 {
		if !permits[i].Report(patterns.Success) {
			t.Fatalf("permit %d was lost", i)
		}
	}
	got := breakerState(t, b)
	if got.Success != 998 || got.InFlight != 0 || got.Stale != 0 || got.ConsecutiveSuccesses != 998 {
		t.Errorf("%+v", got)
	}
}

func TestShutdownWaitsForLeasedPermitsOfEveryGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 100 * time.Millisecond
		guards := actorstest.NewRegistry(t)
		began := time.Now()
		for i := range 3 {
			b := leasedBreaker(t, guards, fmt.Sprint(i), circuitbreaker.Config{Mode: patterns.Leased(8, ttl)})
			p := mustAcquire(t, b)
			time.AfterFunc(time.Duration(i+1)*time.Minute, func() { p.Report(patterns.Success) })
		}
		if err := guards.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took < 3*time.Minute || took > 3*time.Minute+ttl {
			t.Errorf("shut down after %v", took)
		}
	})
}

func TestShutdownNamesTheLeasedPermitsThatAreLeft(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := leasedBreaker(t, guards, "b", circuitbreaker.Config{Mode: patterns.Leased(8, time.Hour)})
	for range 30 {
		mustAcquire(t, b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var left *actors.ShutdownError
	if err := guards.Shutdown(ctx); !errors.As(err, &left) || left.InFlight["b"] != 30 {
		t.Errorf("%v", err)
	}
	if _, err := b.Acquire(t.Context()); !errors.Is(err, actors.ErrStopped) {
		t.Errorf("afterwards: %v", err)
	}
}

// Stopping in the middle of traffic answers everybody, and grants nothing afterwards.
func TestStoppingALeasedGuardInTheMiddleOfTraffic(t *testing.T) {
	for range leasedRounds(10) {
		guards := actorstest.NewRegistry(t)
		b := leasedBreaker(t, guards, "b", circuitbreaker.Config{ConsecutiveFailures: 1 << 30, Mode: patterns.Leased(16, 0)})
		var seen tally
		done := make(chan struct{})
		go func() {
			defer close(done)
			hammer(b, &seen, 4, 500)
		}()
		for seen.granted.Load() < 100 {
			runtime.Gosched()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := b.Stop(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		granted := seen.granted.Load()
		if _, err := b.Acquire(t.Context()); !errors.Is(err, actors.ErrStopped) {
			t.Errorf("afterwards: %v", err)
		}
		<-done
		got := breakerState(t, b)
		if got.InFlight != 0 || got.Granted != seen.granted.Load() {
			t.Errorf("%d granted when Stop returned, %d in all: %+v", granted, seen.granted.Load(), got.Counts)
		}
	}
}
