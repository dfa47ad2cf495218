package timeout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

var (
	second = Config{PerAttempt: time.Second}
	alone  = Config{PerAttempt: time.Second, Abandon: true, MaxAbandoned: 2}

	errOwn  = errors.New("the function's own")
	errHung = errors.New("the caller hung up")
)

func spawn(t testing.TB, guards *actors.Registry, name string, c Config) *Timeout {
	t.Helper()
	g, err := Spawn(guards, name, c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func snapshot(t testing.TB, g *Timeout) Snapshot {
	t.Helper()
	s, ok := g.Snapshot(t.Context())
	if !ok {
		t.Error("no snapshot")
	}
	return s
}

// same is stricter than errors.Is.
func same(a, b error) bool { return any(a) == any(b) }

// sleep is a call that takes d and listens to its context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deaf is one that does not listen.
//
//bulwark:bubble
func deaf(d time.Duration) { time.Sleep(d) }

// both runs a test with and without Abandon, in a bubble.
//
//bulwark:bubble
func both(t *testing.T, f func(t *testing.T, guards *actors.Registry, g *Timeout)) {
	t.Helper()
	for name, c := range map[string]Config{"on the caller's goroutine": second, "on another": alone} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				f(t, guards, spawn(t, guards, "t", c))
			})
		})
	}
}

func TestACallInTimeIsLeftAlone(t *testing.T) {
	both(t, func(t *testing.T, _ *actors.Registry, g *Timeout) {
		v, err := patterns.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second {
				t.Errorf("the deadline is in %v", time.Until(at))
			}
			return 7, sleep(ctx, time.Second/2)
		})
		if v != 7 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		v, err = patterns.Do(t.Context(), g, func(context.Context) (int, error) { return 8, errOwn })
		if v != 8 || !same(err, errOwn) {
			t.Errorf("%d, %v", v, err)
		}
		if s := snapshot(t, g); s.Totals != (Totals{Calls: 2, Succeeded: 1, Failed: 1}) || s.Limit != time.Second {
			t.Errorf("%+v", s)
		}
	})
}

func TestALateCallSaysWhoseLimitItWas(t *testing.T) {
	both(t, func(t *testing.T, guards *actors.Registry, g *Timeout) {
		var cause error
		start := time.Now()
		err := patterns.Run(t.Context(), g, func(ctx context.Context) error {
			err := sleep(ctx, time.Hour)
			cause = context.Cause(ctx)
			return err
		})
		if time.Since(start) != time.Second {
			t.Errorf("it took %v", time.Since(start))
		}
		synctest.Wait() // for the other goroutine
		for what, err := range map[string]error{"error": err, "cause": cause} {
			e, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, patterns.ErrRejected) {
				t.Fatalf("the %s is %v", what, err)
			}
			if e.Name != "t" || e.After != time.Second || e.Elapsed != time.Second || !e.Timeout() || e.Err != nil {
				t.Errorf("the %s is %+v", what, e)
			}
		}
		actorstest.WantEvents(t, guards, HasTimedOut)
		if s := snapshot(t, g); s.Totals != (Totals{Calls: 1, TimedOut: 1}) || s.Ratio() != 1 || s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheErrorReadsWell(t *testing.T) {
	e := &Error{Name: "bank", After: time.Second, Elapsed: 1100 * time.Millisecond, Err: os.ErrDeadlineExceeded}
	if got := e.Error(); got != `timeout "bank": took 1.1s, limit 1s: i/o timeout` {
		t.Error(got)
	}
	if got := (&AbandonedError{Name: "bank", Max: 3}).Error(); got != `timeout "bank": 3 calls are abandoned and still run` {
		t.Error(got)
	}
}

func TestWhoseErrorItIs(t *testing.T) {
	deadlineIn := func(ctx context.Context, d time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return sleep(ctx, time.Hour)
	}
	for _, tt := range []struct {
		name string
		ctx  time.Duration // of the caller's own deadline
		fn   func(context.Context) error
		ours bool
		want func(error) bool // about the function's error
		end  Totals
	}{
		{"a context's is ours", 0, func(ctx context.Context) error { return sleep(ctx, time.Hour) }, true, nil, Totals{TimedOut: 1}},
		{"its cause is ours", 0, func(ctx context.Context) error { _ = sleep(ctx, time.Hour); return context.Cause(ctx) }, true, nil, Totals{TimedOut: 1}},
		{"that of a child is ours", 0, func(ctx context.Context) error { return deadlineIn(ctx, 2*time.Second) }, true, nil, Totals{TimedOut: 1}},
		{"what it was wrapped in is kept", 0, func(ctx context.Context) error {
			return fmt.Errorf("%w: %w", errOwn, sleep(ctx, time.Hour))
		}, true, func(err error) bool { return errors.Is(err, errOwn) }, Totals{TimedOut: 1}},
		{"that of a connection with the deadline is ours", 0, func(ctx context.Context) error { _ = sleep(ctx, time.Hour); return os.ErrDeadlineExceeded }, true, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }, Totals{TimedOut: 1}},
		{"its own is its own, however late", 0, func(ctx context.Context) error { _ = sleep(ctx, time.Hour); return errOwn }, false, func(err error) bool { return same(err, errOwn) }, Totals{Failed: 1}},
		{"success is success, however late", 0, func(ctx context.Context) error { _ = sleep(ctx, time.Hour); return nil }, false, func(err error) bool { return err == nil }, Totals{Succeeded: 1}},
		{"an earlier one inside is not ours", 0, func(ctx context.Context) error { return deadlineIn(ctx, time.Second/2) }, false, func(err error) bool { return same(err, context.DeadlineExceeded) }, Totals{Failed: 1}},
		{"another timeout's is not ours, even late", 0, func(ctx context.Context) error { _ = sleep(ctx, time.Hour); return &Error{Name: "other"} }, false, func(err error) bool { e, ok := errors.AsType[*Error](err); return ok && e.Name == "other" }, Totals{Failed: 1}},
		{"the caller's deadline is not ours", time.Second / 2, func(ctx context.Context) error { return sleep(ctx, time.Hour) }, false, func(err error) bool { return same(err, context.DeadlineExceeded) }, Totals{HungUp: 1}},
		{"nor is one at the same time", time.Second, func(ctx context.Context) error { return sleep(ctx, time.Hour) }, false, func(err error) bool { return same(err, context.DeadlineExceeded) }, Totals{HungUp: 1}},
		{"a later one of the caller is not the caller's", 2 * time.Second, func(ctx context.Context) error { return sleep(ctx, time.Hour) }, true, nil, Totals{TimedOut: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := spawn(t, actorstest.NewRegistry(t), "t", second)
				ctx := t.Context()
				if tt.ctx > 0 {
					outer, cancel := context.WithTimeout(ctx, tt.ctx)
					defer cancel()
					ctx = outer
				}
				err := patterns.Run(ctx, g, tt.fn)
				if tt.ours {
					if e, ok := errors.AsType[*Error](err); !ok || e.Name != "t" {
						t.Errorf("error %v", err)
					}
				} else if errors.Is(err, ErrTimeout) && !strings.Contains(err.Error(), "other") {
					t.Errorf("it was relabelled: %v", err)
				}
				if tt.want != nil && !tt.want(err) {
					t.Errorf("error %v", err)
				}
				tt.end.Calls = 1
				if s := snapshot(t, g); s.Totals != tt.end {
					t.Errorf("%+v", s.Totals)
				}
			})
		})
	}
}

func TestTheEarlierOfNestedTimeoutsHolds(t *testing.T) {
	for name, limits := range map[string][2]time.Duration{"inner": {2 * time.Second, time.Second}, "outer": {time.Second, 2 * time.Second}} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, abandon %v", name, away), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					guards := actorstest.NewRegistry(t)
					p, err := pipeline.New("both",
						spawn(t, guards, "outer", Config{PerAttempt: limits[0], Abandon: away}),
						spawn(t, guards, "inner", Config{PerAttempt: limits[1], Abandon: away}))
					if err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					err = patterns.Run(t.Context(), p, func(ctx context.Context) error { return sleep(ctx, time.Hour) })
					if e, ok := errors.AsType[*Error](err); !ok || e.Name != name || time.Since(start) != time.Second {
						t.Errorf("error %v after %v", err, time.Since(start))
					}
					synctest.Wait()
				})
			})
		}
	}
}

func TestATimeoutInsideItselfIsOneTimeout(t *testing.T) {
	both(t, func(t *testing.T, _ *actors.Registry, g *Timeout) {
		err := patterns.Run(t.Context(), g, func(ctx context.Context) error {
			return patterns.Run(ctx, g, func(ctx context.Context) error {
				_ = sleep(ctx, time.Hour)
				return context.Cause(ctx)
			})
		})
		if !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		synctest.Wait()
		if s := snapshot(t, g); s.Totals != (Totals{Calls: 2, TimedOut: 1, HungUp: 1}) {
			t.Errorf("%+v", s.Totals)
		}
	})
}

func TestTheCallersEndIsTheCallers(t *testing.T) {
	both(t, func(t *testing.T, _ *actors.Registry, g *Timeout) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second/2, func() { cancel(errHung) })
		err := patterns.Run(ctx, g, func(ctx context.Context) error { return sleep(ctx, time.Hour) })
		if !same(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if err := patterns.Run(ctx, g, func(context.Context) error { t.Error("it ran"); return nil }); !same(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if s := snapshot(t, g); s.Totals != (Totals{Calls: 2, HungUp: 2}) {
			t.Errorf("%+v", s.Totals)
		}
	})
}

func TestThePermitsOfGuardsInsideComeBackWithTheFunction(t *testing.T) {
	both(t, func(t *testing.T, guards *actors.Registry, g *Timeout) {
		rooms, err := bulkhead.Spawn(guards, "rooms", bulkhead.Config{MaxConcurrent: 1})
		if err != nil {
			t.Fatal(err)
		}
		p, err := pipeline.New("p", g, rooms)
		if err != nil {
			t.Fatal(err)
		}
		abandoned := snapshot(t, g).Limit == time.Second && g.Plan().(*plan).apart
		start := time.Now()
		err = patterns.Run(t.Context(), p, func(context.Context) error { deaf(3 * time.Second); return context.DeadlineExceeded })
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Abandoned != abandoned {
			t.Fatalf("error %v", err)
		}
		if want := map[bool]time.Duration{true: time.Second, false: 3 * time.Second}[abandoned]; time.Since(start) != want || e.Elapsed != want {
			t.Errorf("it took %v, says %v", time.Since(start), e.Elapsed)
		}
		err = patterns.Run(t.Context(), p, func(context.Context) error { return nil })
		if abandoned != errors.Is(err, bulkhead.ErrFull) {
			t.Errorf("error %v", err)
		}
		deaf(3 * time.Second)
		if err := patterns.Run(t.Context(), p, func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}

func TestTheContextEndsWithTheCall(t *testing.T) {
	both(t, func(t *testing.T, _ *actors.Registry, g *Timeout) {
		for _, asked := range []bool{true, false} {
			var kept context.Context
			_ = patterns.Run(t.Context(), g, func(ctx context.Context) error {
				kept = ctx
				if asked {
					_ = ctx.Done()
				}
				return nil
			})
			<-kept.Done()
			if kept.Err() != context.Canceled {
				t.Errorf("error %v", kept.Err())
			}
		}
	})
}

func TestAPanicReachesACallerWhoWaits(t *testing.T) {
	both(t, func(t *testing.T, _ *actors.Registry, g *Timeout) {
		for name, fn := range map[string]func(){"a panic": func() { panic(errOwn) }, "Goexit": runtime.Goexit} {
			done := make(chan any)
			go func() {
				var got any = "returned"
				defer func() { done <- got }()
				defer func() {
					if r := recover(); r != nil {
						got = r
					} else if got == "returned" {
						got = "exited"
					}
				}()
				_ = patterns.Run(context.Background(), g, func(context.Context) error { fn(); return nil })
				got = "went on"
			}()
			want := map[string]any{"a panic": errOwn, "Goexit": "exited"}[name]
			if got := <-done; got != want {
				t.Errorf("%s: %v", name, got)
			}
		}
		if s := snapshot(t, g); s.Totals != (Totals{Calls: 2, Failed: 2}) || s.Panicked != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// abandon leaves a function behind that ends as f does, a second later.
//
//bulwark:bubble
func abandon(t *testing.T, g *Timeout, f func()) {
	t.Helper()
	start := time.Now()
	err := patterns.Run(t.Context(), g, func(context.Context) error {
		deaf(2 * time.Second)
		f()
		return nil
	})
	if e, ok := errors.AsType[*Error](err); !ok || !e.Abandoned || time.Since(start) != time.Second {
		t.Errorf("error %v after %v", err, time.Since(start))
	}
}

func TestWhatIsLeftBehindIsCountedAndItsPanicsAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", alone)
		for i, f := range []func(){func() {}, runtime.Goexit, func() { panic("lost") }} {
			abandon(t, g, f)
			time.Sleep(time.Second / 2)
			if s := snapshot(t, g); s.Abandoned != 1 || s.Oldest != time.Second/2 || s.Left != uint64(i+1) {
				t.Errorf("%+v", s)
			}
			time.Sleep(time.Second)
			if s := snapshot(t, g); s.Abandoned != 0 || s.Oldest != 0 {
				t.Errorf("%+v", s)
			}
		}
		if s := snapshot(t, g); s.Panicked != 1 || s.TimedOut != 3 {
			t.Errorf("%+v", s)
		}
		actorstest.WantEvents(t, guards, HasTimedOut, HasTimedOut, HasTimedOut, actorstest.Is(func(e AbandonedPanicked) bool {
			return e.Panic == "lost" && e.Count == 1 && e.Name == "t"
		}))
	})
}

func TestAtTheMostThatMayBeLeftBehindCallsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", alone)
		free := make(chan struct{})
		stuck := func(context.Context) error { <-free; return nil }
		results := make(chan error, 3)
		for range 3 { // there is room for two
			go func() { results <- patterns.Run(context.Background(), g, stuck) }()
		}
		time.Sleep(2 * time.Second)
		if len(results) != 2 {
			t.Errorf("%d have been let go", len(results))
		}
		err := patterns.Run(t.Context(), g, func(context.Context) error { t.Error("it ran"); return nil })
		if e, ok := errors.AsType[*AbandonedError](err); !ok || e.Max != 2 || !errors.Is(err, ErrAbandoned) || !errors.Is(err, patterns.ErrRejected) || errors.Is(err, ErrTimeout) {
			t.Errorf("error %v", err)
		}
		if s := snapshot(t, g); s.Abandoned != 2 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		close(free)
		synctest.Wait()
		succeeded := 0
		for range 3 {
			if err := <-results; err == nil {
				succeeded++
			} else if !errors.Is(err, ErrTimeout) {
				t.Error(err)
			}
		}
		if succeeded != 1 { // who stayed with the function has its result
			t.Errorf("%d succeeded", succeeded)
		}
		if err := patterns.Run(t.Context(), g, func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		if s := snapshot(t, g); s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAFunctionThatEndsAtTheDeadlineIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := spawn(t, actorstest.NewRegistry(t), "t", alone)
		for range 200 {
			v, err := patterns.Do(t.Context(), g, func(context.Context) (int, error) {
				deaf(time.Second)
				return 7, nil
			})
			if (err == nil) != (v == 7) || err != nil && !errors.Is(err, ErrTimeout) {
				t.Fatalf("%d, %v", v, err)
			}
			synctest.Wait()
			if s := snapshot(t, g); s.Abandoned != 0 || s.Left != s.TimedOut {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestManyLateCallsAreOneEventASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", Config{PerAttempt: 10 * time.Millisecond})
		for range 50 {
			_ = patterns.Run(t.Context(), g, func(ctx context.Context) error { return sleep(ctx, time.Hour) })
		}
		is := func(n uint64) func(patterns.Event) bool {
			return actorstest.Is(func(e TimedOut) bool { return e.Count == n && e.Limit == 10*time.Millisecond })
		}
		actorstest.WantEvents(t, guards, is(1), is(49))
	})
}

func TestAReconfigureHoldsForTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", second)
		took := func() time.Duration {
			start := time.Now()
			_ = patterns.Run(t.Context(), g, func(ctx context.Context) error {
				deaf(time.Millisecond)
				return sleep(ctx, time.Hour)
			})
			return time.Since(start)
		}
		if took() != time.Second {
			t.Error("not a second")
		}
		if err := g.Reconfigure(t.Context(), Config{PerAttempt: time.Minute, Abandon: true}); err != nil {
			t.Fatal(err)
		}
		if took() != time.Minute {
			t.Error("not a minute")
		}
		if err := g.Reconfigure(t.Context(), Config{PerAttempt: -1}); err == nil {
			t.Error("it took a bad one")
		}
		if err := g.Reconfigure(t.Context(), Config{OnFailure: patterns.FailClosed}); err == nil {
			t.Error("it changed what is fixed")
		}
		actorstest.WantEvents(t, guards, HasTimedOut, actorstest.Is(func(e ConfigChanged) bool { return e.To.MaxAbandoned == 100 }), HasTimedOut)
		synctest.Wait()
	})
}

func TestARestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", alone)
		abandon(t, g, func() {})
		actorstest.Crash(t, g, actorstest.AfterDeciding(actors.Consult{}))
		time.Sleep(1500 * time.Millisecond) // the turn that was told of the end fails
		if s := snapshot(t, g); s.Abandoned != 0 || s.Left != 1 || s.Restarts != 1 {
			t.Errorf("%+v", s)
		}
		// The turn that is asked for room fails, and nobody knows whether there was any.
		actorstest.Crash(t, g, actorstest.AfterDeciding(actors.Consult{}))
		start := time.Now()
		err := patterns.Run(t.Context(), g, func(context.Context) error { deaf(2 * time.Second); return nil })
		if err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		if s := snapshot(t, g); s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWithoutItsActorItGoesOnOrRefuses(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Minute}))
				g := spawn(t, guards, "t", Config{PerAttempt: time.Second, OnFailure: policy})
				actorstest.Crash(t, g, actorstest.At(actors.Consult{}), actorstest.Times(9))
				for range 5 {
					_ = g.Tell(late{})
					synctest.Wait()
				}
				err := patterns.Run(t.Context(), g, func(ctx context.Context) error { return sleep(ctx, time.Hour) })
				if policy == patterns.FailClosed {
					if !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) {
						t.Errorf("error %v", err)
					}
				} else if !errors.Is(err, ErrTimeout) || g.Unguarded() != 1 {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestAfterAStopEverybodyIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := spawn(t, actorstest.NewRegistry(t), "t", second)
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := patterns.Run(t.Context(), g, func(context.Context) error { return nil })
		if !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("error %v", err)
		}
	})
}

func TestThereAreNoPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", second)
		for name, f := range map[string]func() (patterns.Permit, error){
			"Acquire":       func() (patterns.Permit, error) { return g.Acquire(t.Context()) },
			"AcquireFor":    func() (patterns.Permit, error) { return g.AcquireFor(t.Context(), patterns.Request{}) },
			"TryAcquire":    g.TryAcquire,
			"TryAcquireFor": func() (patterns.Permit, error) { return g.TryAcquireFor(patterns.Request{}) },
		} {
			if _, err := f(); !errors.Is(err, patterns.ErrPolicy) {
				t.Errorf("%s: %v", name, err)
			}
		}
		reply, err := actors.Ask[actors.Rejected](t.Context(), guards.System(), g.PID(), actors.Acquire{})
		if err != nil || !errors.Is(reply.Err, patterns.ErrPolicy) || !errors.Is(reply.Err, patterns.ErrRejected) {
			t.Errorf("%+v, %v", reply, err)
		}
		if err := g.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); err == nil {
			t.Error("it can be opened")
		}
	})
}

func TestTheRegistryKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawn(t, guards, "t", Config{})
		same, err := GetOrSpawn(guards, "t", Config{PerAttempt: 30 * time.Second})
		if err != nil || same != g {
			t.Errorf("%v", err)
		}
		if _, err := GetOrSpawn(guards, "t", second); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("%v", err)
		}
		if found, ok := Get(guards, "t"); !ok || found != g || g.Pattern() != "timeout" {
			t.Error("it is not found")
		}
		for name, each := range All(guards) {
			if name != "t" || each != g {
				t.Errorf("%s", name)
			}
		}
		_ = patterns.Run(t.Context(), g, func(context.Context) error { return nil })
		for _, v := range guards.All() {
			if s, ok := v.(Snapshot); !ok || s.Calls != 1 || s.Limit != 30*time.Second {
				t.Errorf("%+v is a %v", v, reflect.TypeOf(v))
			}
		}
	})
}

func TestItsRefusalsLookAsToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := Spawn(actorstest.NewRegistry(t), "t", alone, actors.WithRejection(patterns.Rejection{Replace: func(error) error { return errOwn }}))
		if err != nil {
			t.Fatal(err)
		}
		abandon(t, g, func() {})
		abandon(t, g, func() {})
		time.Sleep(time.Hour)
		if err := g.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := patterns.Run(t.Context(), g, func(context.Context) error { return nil }); !errors.Is(err, errOwn) || !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
	})
}

// adaptive follows calls closely.
var adaptive = Config{PerAttempt: time.Second, Quantile: 0.9, Factor: 2, Min: 10 * time.Millisecond, Max: 4 * time.Second, MinSamples: 64, Window: 10 * time.Second}

// roughly allows for what a quantile is off by.
func roughly(d, want time.Duration) bool { return d > want*95/100 && d < want*105/100 }

func TestTheLimitFollowsTheCallsWithBatchesThatAreAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what is pooled")
	}
	for _, away := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			c := adaptive
			c.Abandon = away
			g := spawn(t, guards, "t", c)
			calls := func(n int, d time.Duration) {
				for range n {
					if err := patterns.Run(t.Context(), g, func(ctx context.Context) error { return sleep(ctx, d) }); err != nil && !errors.Is(err, ErrTimeout) {
						t.Error(err)
					}
				}
				synctest.Wait()
			}
			calls(63, 20*time.Millisecond)
			if s := snapshot(t, g); s.Limit != time.Second {
				t.Errorf("too soon: %v", s.Limit)
			}
			calls(100, 20*time.Millisecond)
			if s := snapshot(t, g); !roughly(s.Limit, 40*time.Millisecond) {
				t.Errorf("it is %v", s.Limit)
			}
			// What took too long must not make the limit fall: it rises until they are in time.
			calls(300, 200*time.Millisecond)
			if s := snapshot(t, g); s.Limit <= 200*time.Millisecond || s.TimedOut == 0 || s.TimedOut > 150 {
				t.Errorf("it is %v, %d timed out", s.Limit, s.TimedOut)
			}
			time.Sleep(time.Minute)
			if s := snapshot(t, g); s.Limit != time.Second {
				t.Errorf("it does not forget: %v", s.Limit)
			}
			if err := g.Reset(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFewCallsAreToldWithinASecondOrTwoThoughABatchIsAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what is pooled")
	}
	synctest.Test(t, func(t *testing.T) {
		c := adaptive
		c.MinSamples = 2
		g := spawn(t, actorstest.NewRegistry(t), "t", c)
		for range 8 {
			_ = patterns.Run(t.Context(), g, func(ctx context.Context) error { return sleep(ctx, 500*time.Millisecond) })
		}
		if s := snapshot(t, g); !roughly(s.Limit, time.Second) || s.Limit == time.Second {
			t.Errorf("it is %v", s.Limit)
		}
	})
}
