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

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func isLeased(p patterns.Permit) bool { return p.ID()>>63 == 1 }

func leasedBreaker(t rapid.TB, guards *actors.Registry, name string, cfg circuitbreaker.Config) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(guards, name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func breakerState(t testing.TB, b *circuitbreaker.Breaker) circuitbreaker.Snapshot {
	t.Helper()
	s, ok := b.Snapshot(context.Background())
	if !ok {
		t.Fatal("no snapshot")
	}
	if !s.Balanced() {
		t.Errorf("counts do not balance: %+v", s.Counts)
	}
	return s
}

func mustAcquire(t testing.TB, b *circuitbreaker.Breaker) patterns.Permit {
	t.Helper()
	p, err := b.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pair is a leased breaker and a strict one of the same policy, which get the same
// calls from one goroutine.
type pair struct {
	leased, strict *circuitbreaker.Breaker
	held           [][2]patterns.Permit
}

func newPair(t rapid.TB, guards *actors.Registry, name string, cfg circuitbreaker.Config, size int) *pair {
	p := &pair{strict: leasedBreaker(t, guards, name+"/strict", cfg)}
	cfg.Mode = patterns.Leased(size, 10*time.Second)
	p.leased = leasedBreaker(t, guards, name+"/leased", cfg)
	return p
}

func (p *pair) acquire(t *rapid.T) {
	l, lerr := p.leased.Acquire(context.Background())
	s, serr := p.strict.Acquire(context.Background())
	if (lerr == nil) != (serr == nil) {
		t.Fatalf("leased says %v, strict %v", lerr, serr)
	}
	if lerr == nil {
		p.held = append(p.held, [2]patterns.Permit{l, s})
	}
}

func (p *pair) end(t *rapid.T, end func(*patterns.Permit)) {
	if len(p.held) == 0 {
		p.acquire(t)
	}
	if len(p.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.held)-1).Draw(t, "which")
	end(&p.held[i][0])
	end(&p.held[i][1])
	p.held = append(p.held[:i], p.held[i+1:]...)
}

func (p *pair) operate(t *rapid.T, op patterns.Operation) {
	for _, b := range []*circuitbreaker.Breaker{p.leased, p.strict} {
		if err := b.Operate(context.Background(), op); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *pair) compare(t *rapid.T, look bool) {
	l, _ := p.leased.Snapshot(context.Background())
	s, _ := p.strict.Snapshot(context.Background())
	l.Name, s.Name = "", ""
	if !look { // a success just before a transition may be settled just after it
		l.Stale, s.Stale = 0, 0
	}
	if l != s {
		t.Fatalf("leased: %+v\nstrict: %+v", l, s)
	}
}

// noDeadline hides the test's Deadline, which must not be asked for in a bubble.
type noDeadline struct{ rapid.TB }

// A leased breaker that gets its calls one after the other decides as a strict one,
// step by step. Where a success can open the circuit the leased one learns of it late,
// unless somebody looks, as this test then does after every step.
func TestALeasedBreakerDecidesAsAStrictOne(t *testing.T) {
	rules := map[string]struct {
		cfg  circuitbreaker.Config
		look bool
	}{
		"consecutive": {circuitbreaker.Config{ConsecutiveFailures: 3}, false},
		"ratio":       {circuitbreaker.Config{FailureRatio: 0.5, Window: circuitbreaker.Last(7), MinSamples: 1}, false},
		"both, opened by successes too": {circuitbreaker.Config{
			ConsecutiveFailures: 4, FailureRatio: 0.4, Window: circuitbreaker.Last(9), MinSamples: 6,
		}, true},
		"time window": {circuitbreaker.Config{
			FailureRatio: 0.4, Window: circuitbreaker.During(20 * time.Second), MinSamples: 5,
		}, true},
		"slow": {circuitbreaker.Config{
			SlowCall: time.Second, SlowRatio: 0.5, FailureRatio: 0.6, Window: circuitbreaker.Last(8), MinSamples: 4,
		}, true},
		"ramp": {circuitbreaker.Config{ConsecutiveFailures: 2, RampFor: 20 * time.Second, Probes: 1}, true},
	}
	for name, tt := range rules {
		for _, size := range []int{1, 2, 5, 64} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					guards := actorstest.NewRegistry(t)
					time.Sleep(1) // Instant 0 means that nobody looked at the clock
					tt.cfg.OpenFor = 15 * time.Second
					tt.cfg.ProbeTimeout = time.Minute
					n := 0
					rapid.Check(noDeadline{t}, func(t *rapid.T) {
						n++
						p := newPair(t, guards, fmt.Sprint(n), tt.cfg, size)
						report := func(o patterns.Outcome) func(*rapid.T) {
							return func(t *rapid.T) { p.end(t, func(q *patterns.Permit) { q.Report(o) }) }
						}
						check := func(*rapid.T) {}
						if tt.look {
							check = func(t *rapid.T) { p.compare(t, true) }
						}
						t.Repeat(map[string]func(*rapid.T){
							"acquire":  p.acquire,
							"success":  report(patterns.Success),
							"success2": report(patterns.Success),
							"failure":  report(patterns.Failure),
							"failure2": report(patterns.Failure),
							"dropped":  report(patterns.Dropped),
							"ignored":  report(patterns.Ignored),
							"release":  func(t *rapid.T) { p.end(t, (*patterns.Permit).Release) },
							"time": func(t *rapid.T) {
								time.Sleep(rapid.SampledFrom([]time.Duration{1, time.Second, 2 * time.Second, 16 * time.Second}).Draw(t, "d"))
								synctest.Wait() // what is due at this very instant is done
							},
							"operate": func(t *rapid.T) {
								if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
									return
								}
								kinds := []patterns.OperationKind{patterns.Reset, patterns.ForceOpen, patterns.ForceClosed, patterns.MetricsOnly}
								p.operate(t, patterns.Operation{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), For: 5 * time.Second})
							},
							"": check,
						})
						p.compare(t, tt.look)
						for len(p.held) > 0 {
							p.end(t, func(q *patterns.Permit) { q.Report(patterns.Success) })
							check(t)
						}
						p.compare(t, tt.look)
						for _, b := range []*circuitbreaker.Breaker{p.leased, p.strict} {
							if err := b.Stop(context.Background()); err != nil {
								t.Fatal(err)
							}
						}
					})
				})
			})
		}
	}
}

func TestALeasedBreakerOpensAfterExactlyAsManyFailuresInARow(t *testing.T) {
	for _, size := range []int{2, 64} {
		b := leasedBreaker(t, actorstest.NewRegistry(t), "b", circuitbreaker.Config{ConsecutiveFailures: 5, Mode: patterns.Leased(size, time.Hour)})
		for round := range 300 {
			for i := range 4 {
				p := mustAcquire(t, b)
				if !p.Report(patterns.Failure) {
					t.Fatalf("round %d: failure %d did not count", round, i)
				}
			}
			p := mustAcquire(t, b)
			p.Report(patterns.Success)
		}
		for i := range 5 {
			p, err := b.Acquire(t.Context())
			if err != nil {
				t.Fatalf("opened after %d", i)
			}
			p.Report(patterns.Failure)
		}
		if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("size %d: after five in a row: %v", size, err)
		}
	}
}

// From the moment that a command has returned, every call that begins is subject to it.
func TestEveryCallerSeesAStateChangeAtItsNextCall(t *testing.T) {
	opening := func(b *circuitbreaker.Breaker) error {
		for range 3 {
			p, err := b.Acquire(context.Background())
			if err != nil {
				return err
			}
			p.Report(patterns.Failure)
		}
		_, err := b.Inspect(context.Background()) // the last failure may have queued
		return err
	}
	ctx := context.Background()
	shut := map[string]func(b *circuitbreaker.Breaker) error{
		"forced":  func(b *circuitbreaker.Breaker) error { return b.ForceOpen(ctx, 0, "") },
		"opening": opening,
	}
	for name, shut := range shut {
		t.Run(name, func(t *testing.T) {
			cfg := circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: time.Hour, Mode: patterns.Leased(64, 0)}
			b := leasedBreaker(t, actorstest.NewRegistry(t), "b", cfg)
			var phase atomic.Int64 // odd while the gate is shut for certain
			var stop atomic.Bool
			var wrong, refused, granted atomic.Int64
			var callers sync.WaitGroup
			for range 6 {
				callers.Go(func() {
					for !stop.Load() {
						before := phase.Load()
						p, err := b.Acquire(ctx)
						shut := before%2 == 1 && phase.Load() == before
						if err != nil {
							refused.Add(1)
							runtime.Gosched()
							continue
						}
						granted.Add(1)
						if shut {
							wrong.Add(1)
						}
						p.Report(patterns.Ignored)
					}
				})
			}
			for range leasedRounds(30) {
				if err := shut(b); err != nil {
					t.Error(err)
				}
				phase.Add(1)
				for seen := refused.Load(); refused.Load() < seen+20; {
					runtime.Gosched()
				}
				phase.Add(1)
				if err := b.Reset(ctx); err != nil {
					t.Error(err)
				}
				for seen := granted.Load(); granted.Load() < seen+200; {
					runtime.Gosched()
				}
			}
			stop.Store(true)
			callers.Wait()
			if wrong.Load() > 0 {
				t.Errorf("%d of %d calls passed a closed gate", wrong.Load(), granted.Load())
			}
		})
	}
}

// After a command every permit is of the new epoch: none of the old leases is spent.
func TestNoPermitOfAnOldEpochIsSpent(t *testing.T) {
	ctx := context.Background()
	b := leasedBreaker(t, actorstest.NewRegistry(t), "b", circuitbreaker.Config{Mode: patterns.Leased(64, time.Hour)})
	for name, command := range map[string]func() error{
		"reset":         func() error { return b.Reset(ctx) },
		"forced closed": func() error { return b.ForceClosed(ctx, 0, "") },
		"metrics only":  func() error { return b.MetricsOnly(ctx, 0, "") },
		"reconfigured": func() error {
			return b.Reconfigure(ctx, circuitbreaker.Config{ConsecutiveFailures: 99, Mode: patterns.Leased(64, time.Hour)})
		},
	} {
		for range 20 {
			mustAcquire(t, b) // leaves a lease behind, and an orphan
			if err := command(); err != nil {
				t.Fatal(err)
			}
			before := breakerState(t, b)
			var callers sync.WaitGroup
			for range 4 {
				callers.Go(func() {
					for range 50 {
						p, err := b.Acquire(ctx)
						if err != nil || !isLeased(p) {
							t.Errorf("%s: %v, leased %v", name, err, isLeased(p))
						}
						p.Report(patterns.Success)
					}
				})
			}
			callers.Wait()
			if after := breakerState(t, b); after.Stale != before.Stale || after.Success != before.Success+200 {
				t.Errorf("%s: %+v became %+v", name, before.Counts, after.Counts)
			}
		}
	}
}

func TestOnlyProbesAndRampsAreNotLeased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := leasedBreaker(t, guards, "b", circuitbreaker.Config{
			ConsecutiveFailures: 1, Window: circuitbreaker.Last(100), OpenFor: time.Minute, Probes: 3, ConcurrentProbes: 2, RampFor: time.Minute, RampStart: 1,
			Mode: patterns.Leased(64, 0),
		})
		want := func(state circuitbreaker.State, leased bool) patterns.Permit {
			t.Helper()
			p := mustAcquire(t, b)
			if got := breakerState(t, b); got.State != state || isLeased(p) != leased {
				t.Errorf("%v, leased %v; want %v, %v", got.State, isLeased(p), state, leased)
			}
			return p
		}
		p := want(circuitbreaker.Closed, true)
		p.Report(patterns.Failure)
		if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("open: %v", err)
		}
		time.Sleep(time.Minute)
		p = want(circuitbreaker.HalfOpen, false)
		q := want(circuitbreaker.HalfOpen, false)
		if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("one probe too many: %v", err)
		}
		p.Report(patterns.Success)
		q.Report(patterns.Success)
		p = want(circuitbreaker.HalfOpen, false)
		p.Report(patterns.Success)
		p = want(circuitbreaker.Closed, false) // ramping up
		p.Report(patterns.Success)
		time.Sleep(time.Minute)
		p = want(circuitbreaker.Closed, true)
		p.Report(patterns.Success)
		if err := b.ForceClosed(t.Context(), 0, ""); err != nil {
			t.Fatal(err)
		}
		p = want(circuitbreaker.ForcedClosed, true)
		p.Report(patterns.Failure)
		if err := b.MetricsOnly(t.Context(), time.Minute, ""); err != nil {
			t.Fatal(err)
		}
		p = want(circuitbreaker.MetricsOnly, true)
		p.Report(patterns.Failure)
		if got := breakerState(t, b); got.Calls != 1 || got.Failures != 1 {
			t.Errorf("metrics only: %+v", got)
		}
		time.Sleep(time.Minute)
		p = want(circuitbreaker.Closed, true)
		p.Report(patterns.Success)
		if got := breakerState(t, b); got.Calls != 1 || got.Failures != 0 {
			t.Errorf("closed again: %+v", got)
		}
	})
}

func TestSlowLeasedCallsAreReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		time.Sleep(1) // Instant 0 means that nobody looked at the clock
		cfg := circuitbreaker.Config{
			SlowCall: time.Second, SlowRatio: 0.5, MinSamples: 4, Window: circuitbreaker.Last(10),
			Mode: patterns.Leased(64, time.Hour),
		}
		b := leasedBreaker(t, guards, "b", cfg)
		call := func(took time.Duration) {
			p := mustAcquire(t, b)
			time.Sleep(took)
			p.Report(patterns.Success)
		}
		for range 3 {
			call(time.Second)
		}
		for range 2 {
			call(time.Second + 1)
		}
		if got := breakerState(t, b); got.Calls != 5 || got.Slow != 2 || got.State != circuitbreaker.Closed {
			t.Errorf("%+v", got)
		}
		call(2 * time.Second) // 3 of 6
		if _, err := b.Acquire(t.Context()); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("three of six were slow: %v", err)
		}

		// A threshold that comes later counts for leases too.
		if err := b.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		cfg.SlowCall = time.Minute
		if err := b.Reconfigure(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		call(time.Minute)
		call(time.Minute + 1)
		if got := breakerState(t, b); got.Calls != 2 || got.Slow != 1 {
			t.Errorf("with the new threshold: %+v", got)
		}
	})
}

// A window of time changes by itself, but only a result makes a breaker judge it.
func TestUnusedPermitsThatComeBackOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := leasedBreaker(t, actorstest.NewRegistry(t), "b", circuitbreaker.Config{
			FailureRatio: 0.4, Window: circuitbreaker.During(20 * time.Second), MinSamples: 5, Mode: patterns.Leased(64, 13*time.Second),
		})
		report := func(outcomes ...patterns.Outcome) {
			for _, o := range outcomes {
				p := mustAcquire(t, b)
				p.Report(o)
			}
			breakerState(t, b) // counts them now
		}
		const success, failure = patterns.Success, patterns.Failure
		report(success, success, success)
		time.Sleep(10 * time.Second)
		report(success, success, success, failure, failure)
		time.Sleep(4 * time.Second)
		held := mustAcquire(t, b) // of a lease that ends when 2 of 5 are left
		time.Sleep(14 * time.Second)
		if got := breakerState(t, b); got.State != circuitbreaker.Closed || got.Calls != 5 || got.Failures != 2 {
			t.Errorf("%+v", got)
		}
		held.Report(success) // 2 of 6
		if got := breakerState(t, b); got.State != circuitbreaker.Closed || got.Calls != 6 {
			t.Errorf("%+v", got)
		}
		report(failure)
		if got := breakerState(t, b); got.State != circuitbreaker.Open {
			t.Errorf("%+v", got)
		}
	})
}

func TestLeasedCallsDoNotAlloc(t *testing.T) {
	for name, cfg := range map[string]circuitbreaker.Config{
		"plain":    {Mode: patterns.Leased(64, time.Hour)},
		"measured": {SlowCall: time.Hour, Mode: patterns.Leased(64, time.Hour)},
		"small":    {Mode: patterns.Leased(2, time.Hour)},
	} {
		b := leasedBreaker(t, actorstest.NewRegistry(t), "b", cfg)
		ctx := context.Background()
		call := func() {
			p, err := b.Acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			p.Report(patterns.Success)
		}
		call() // the first lease sets a timer
		if n := testing.AllocsPerRun(2000, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
