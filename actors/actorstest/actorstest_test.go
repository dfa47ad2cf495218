package actorstest_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func payments(t *testing.T, guards *actors.Registry) *circuitbreaker.Breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(guards, "payments", circuitbreaker.Config{ConsecutiveFailures: 3, OpenFor: time.Minute, Probes: 1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func charge(t *testing.T, b *circuitbreaker.Breaker, o patterns.Outcome) error {
	t.Helper()
	p, err := b.Acquire(t.Context())
	p.Report(o)
	return err
}

// This is how a test of yours may look: an outage, a minute later the end of it, and
// in between a bug in the guard itself.
func TestAnOutageThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := payments(t, guards)
		for range 3 {
			if err := charge(t, b, patterns.Failure); err != nil {
				t.Fatal(err)
			}
		}
		actorstest.WantEvents(t, guards, circuitbreaker.Opened)

		actorstest.Crash(t, b, actorstest.At(actors.Operate{}))
		if err := b.Reset(t.Context()); !errors.Is(err, actors.ErrFailed) {
			t.Errorf("error %v", err)
		}
		if err := charge(t, b, patterns.Success); !errors.Is(err, circuitbreaker.ErrOpen) {
			t.Errorf("error %v", err)
		}

		time.Sleep(time.Minute)
		if err := charge(t, b, patterns.Success); err != nil {
			t.Fatal(err)
		}
		actorstest.WantEvents(t, guards, actorstest.Is[actors.Restarted](), circuitbreaker.Probing, circuitbreaker.ClosedAgain)
	})
}

func TestTheSameOutsideOfABubble(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := payments(t, guards)
	events := actorstest.Record(t, guards, actors.Only[circuitbreaker.StateChanged]())
	actorstest.Crash(t, b, actorstest.AfterDeciding(actors.Report{}), actorstest.Times(2))
	for range 3 {
		if err := charge(t, b, patterns.Failure); err != nil {
			t.Fatal(err)
		}
	}
	actorstest.WantEvents(t, guards, actorstest.Is[actors.Restarted](), actorstest.Is(func(e actors.Restarted) bool { return e.Restarts == 2 }))
	events.Want(t, circuitbreaker.Opened)
	if got := events.Events(); len(got) != 1 {
		t.Errorf("%d events", len(got))
	}
}

func TestWaitingForEventsLetsTimePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := payments(t, guards)
		if err := b.ForceOpen(t.Context(), 10*time.Minute, "maintenance"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		actorstest.WantEvents(t, guards, circuitbreaker.ClosedAgain)
		if waited := time.Since(start); waited != 10*time.Minute {
			t.Errorf("waited %v", waited)
		}
		actorstest.WantEvents(t, guards)
	})
}

// failing is a test that fails without failing the one it is part of.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}
func (f *failing) Fatal(args ...any) {
	f.said = fmt.Sprint(args...)
	runtime.Goexit()
}
func (f *failing) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// complaint returns what f fails its test with.
func complaint(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	fail := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(fail)
	}()
	<-done
	return fail.said
}

func TestAComplaintSaysWhatCameInstead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := payments(t, guards)
		said := complaint(t, func(t testing.TB) { actorstest.WantEvents(t, guards, circuitbreaker.Opened) })
		if !strings.Contains(said, "event 1 of 1, circuitbreaker.Opened") || !strings.HasSuffix(said, "nothing") {
			t.Error(said)
		}
		for range 3 {
			_ = charge(t, b, patterns.Failure)
		}
		if err := b.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		said = complaint(t, func(t testing.TB) {
			actorstest.WantEvents(t, guards, circuitbreaker.Opened, circuitbreaker.Probing)
		})
		for _, want := range []string{
			"event 2 of 2, circuitbreaker.Probing", "circuitbreaker.StateChanged", "to=open", "<- circuitbreaker.Opened", "cause=reset",
		} {
			if !strings.Contains(said, want) {
				t.Errorf("%q is not in\n%s", want, said)
			}
		}
	})
}

func TestMisuseIsSaid(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := payments(t, guards)
	for want, f := range map[string]func(testing.TB){
		"does not say where": func(t testing.TB) { actorstest.Crash(t, b) },
		"registry that NewRegistry made": func(t testing.TB) {
			other, err := actors.NewRegistry(actorstest.NewSystem(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = other.Shutdown(t.Context()) })
			actorstest.WantEvents(t, other, circuitbreaker.Opened)
		},
		"registry": func(t testing.TB) { actorstest.NewRegistryIn(t, guards.System()) },
	} {
		if said := complaint(t, f); !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if said := complaint(t, func(t testing.TB) { actorstest.Crash(t, b, actorstest.AtTick()) }); !strings.Contains(said, `"payments" cannot be crashed`) {
		t.Error(said)
	}
}

func TestARegistryLeavesNothingBehindInASystemOfYours(t *testing.T) {
	system := actorstest.NewSystem(t)
	for range 3 {
		t.Run("one after the other", func(t *testing.T) {
			guards := actorstest.NewRegistryIn(t, system)
			b := payments(t, guards)
			if err := b.ForceOpen(t.Context(), 0, ""); err != nil {
				t.Fatal(err)
			}
			actorstest.WantEvents(t, guards, actorstest.Is[circuitbreaker.StateChanged]())
		})
	}
}
