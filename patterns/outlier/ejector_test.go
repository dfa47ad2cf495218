package outlier

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

var errDown = errors.New("down")

// calls makes n calls, of which those to members in down fail, and counts them by member.
func calls(t testing.TB, g patterns.Guard, n int, down ...string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		_, err := patterns.Do(t.Context(), g, func(ctx context.Context) (int, error) {
			name, ok := MemberOf(ctx)
			if !ok {
				t.Error("the function does not know whom to call")
			}
			got[name]++
			if slices.Contains(down, name) {
				return 0, errDown
			}
			return 0, nil
		})
		if err != nil && !errors.Is(err, errDown) {
			t.Error(err)
		}
	}
	return got
}

func TestAMemberThatFailsGetsNoCallsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		e := spawn(t, guards, Config{Members: List("a", "b", "c"), Consecutive: 3, EjectFor: 10 * sec})
		if got := calls(t, e, 30, "b"); got["b"] != 3 || got["a"]+got["c"] != 27 {
			t.Errorf("%v", got)
		}
		if s := snapshot(t, e); s.Ejected != 1 || s.Members[1] != (Member{Name: "b", Ejected: true, Remaining: 10 * sec, Ejections: 1, Calls: 3, Failures: 3}) {
			t.Errorf("%+v", s)
		}
		time.Sleep(10 * sec)
		if got := calls(t, e, 30); got["b"] != 10 {
			t.Errorf("%v", got)
		}
		actorstest.WantEvents(t, guards, HasEjected, HasReturned)
	})
}

func TestWhoUnwindsHasFailedAndWhoLeavesSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a"), Consecutive: 100})
		do := func(ctx context.Context, fn func(context.Context) (int, error)) {
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() { _ = recover() }()
				_, _ = patterns.Do(ctx, e, fn)
			})
			wg.Wait()
		}
		do(t.Context(), func(context.Context) (int, error) { panic("no") })
		do(t.Context(), func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		ctx, cancel := context.WithCancel(t.Context())
		do(ctx, func(ctx context.Context) (int, error) { cancel(); return 0, ctx.Err() })
		do(ctx, func(context.Context) (int, error) { t.Error("it was called"); return 0, nil })
		if _, err := e.Choose(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if b := snapshot(t, e).Members[0]; b.Calls != 2 || b.Failures != 2 || b.InFlight != 0 {
			t.Errorf("%+v", b)
		}
	})
}

func TestAJudgeSaysWhatAFailureIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a", "b"), Consecutive: 1},
			actors.WithJudge(patterns.IgnoreOn(errDown)))
		calls(t, e, 10, "a", "b")
		if s := snapshot(t, e); s.Ejected != 0 || s.Members[0].Calls != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARefusalInsideSaysNothingOfTheMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		all := patterns.JudgeError(func(error) patterns.Outcome { return patterns.Failure })
		e := spawn(t, guards, Config{Members: List("a", "b"), Consecutive: 1}, actors.WithJudge(all))
		row, err := pipeline.New("row", e, refuser{})
		if err != nil {
			t.Fatal(err)
		}
		for range 9 {
			if _, err := patterns.Do(t.Context(), row, func(context.Context) (int, error) { return 0, nil }); !errors.Is(err, patterns.ErrRejected) {
				t.Error(err)
			}
		}
		if s := snapshot(t, e); s.Ejected != 0 || s.Members[0].Calls != 0 || s.Members[0].InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

type refuser struct{}

func (refuser) Name() string           { return "refuser" }
func (refuser) Terms() *patterns.Terms { return nil }
func (refuser) Acquire(context.Context) (p patterns.Permit, err error) {
	return p, patterns.ErrRejected
}

func (r refuser) AcquireFor(ctx context.Context, _ patterns.Request) (patterns.Permit, error) {
	return r.Acquire(ctx)
}

func TestWithinASpreadEachCallGoesSomewhereElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		e := spawn(t, guards, Config{Members: List("a", "b", "c")})
		for range 10 {
			ctx := Spread(t.Context())
			var got []string
			for range 3 {
				c, err := e.Choose(Spread(ctx)) // is the same
				if err != nil {
					t.Fatal(err)
				}
				c.Release()
				got = append(got, c.Member())
				choose(t, e).Release() // others come between, so that its turn is always the same one's
				choose(t, e).Release()
			}
			if slices.Sort(got); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("%v", got)
			}
			if _, err := e.Choose(ctx); err != nil {
				t.Errorf("there is nobody else: %v", err)
			}
			choose(t, e)
			choose(t, e)
		}
	})
}

func TestAnEndCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a")})
		c := choose(t, e)
		if b := snapshot(t, e).Members[0]; b.InFlight != 1 {
			t.Errorf("%+v", b)
		}
		c.Report(patterns.Success)
		c.Report(patterns.Failure)
		c.Release()
		if b := snapshot(t, e).Members[0]; b.InFlight != 0 || b.Calls != 1 || b.Failures != 0 {
			t.Errorf("%+v", b)
		}
	})
}

func TestSeveralGoroutinesChooseAndAllIsCounted(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	e := spawn(t, guards, Config{Members: List("a", "b", "c", "d"), Consecutive: 3, EjectFor: ms, MaxEjectFor: 2 * ms})
	var wg sync.WaitGroup
	const each = 500
	for i := range 8 {
		wg.Go(func() {
			for j := range each {
				c, err := e.Choose(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				c.Report([]patterns.Outcome{patterns.Success, patterns.Failure}[(i*j/7)%2])
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			c := Config{Members: List("a", "b", "c", "d"), Consecutive: 1 + i%3, EjectFor: ms, MaxEjectFor: 2 * ms}
			if err := e.Reconfigure(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	total := uint64(0)
	for _, b := range snapshot(t, e).Members {
		if total += b.Calls; b.InFlight != 0 {
			t.Errorf("%+v", b)
		}
	}
	if total != 8*each {
		t.Errorf("%d calls, want %d", total, 8*each)
	}
}

func TestMembersMayChangeWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a", "b"), Consecutive: 1, MaxEjected: 1})
		calls(t, e, 2, "a")
		old := choose(t, e) // b
		if err := e.Reconfigure(t.Context(), Config{Members: List("a", "c"), Consecutive: 1, MaxEjected: 1}); err != nil {
			t.Fatal(err)
		}
		if got := calls(t, e, 10); got["c"] != 10 {
			t.Errorf("%v", got)
		}
		old.Report(patterns.Failure)
		if s := snapshot(t, e); s.Ejected != 1 || s.Members[1].InFlight != 0 || s.Members[1].Failures != 0 {
			t.Errorf("%+v", s)
		}
		err := e.Reconfigure(t.Context(), Config{})
		if fault, ok := errors.AsType[*patterns.ConfigError](err); !ok || fault.Field != "Members" {
			t.Error(err)
		}
		if err := e.Reconfigure(t.Context(), Config{Members: List("a"), OnFailure: patterns.FailClosed}); err == nil {
			t.Error("OnFailure can be changed")
		}
	})
}

func TestARestartKeepsWhoIsEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		e := spawn(t, guards, Config{Members: List("a", "b", "c"), Consecutive: 2})
		calls(t, e, 9, "b")
		before := snapshot(t, e)
		actorstest.Crash(t, e, actorstest.At(actors.Consult{}))
		if got := calls(t, e, 30); got["b"] != 0 || got["a"]+got["c"] != 30 {
			t.Errorf("%v while it restarts", got)
		}
		synctest.Wait()
		after := snapshot(t, e)
		if after.Restarts != 1 || after.Members[1] != before.Members[1] || after.Members[0].InFlight != 0 {
			t.Errorf("%+v, then %+v", before, after)
		}
		time.Sleep(30 * sec)
		if got := calls(t, e, 30); got["b"] != 10 {
			t.Errorf("%v", got)
		}
	})
}

func TestAnEjectorWithoutAnActorGoesOnOrRefuses(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Minute}))
				e := spawn(t, guards, Config{Members: List("a", "b"), Consecutive: 1, OnFailure: policy})
				calls(t, e, 2, "a")
				actorstest.Crash(t, e, actorstest.At(actors.Consult{}), actorstest.Times(3))
				for range 3 {
					_, _ = e.Consult(t.Context(), ended{})
				}
				synctest.Wait()
				if policy == patterns.FailClosed {
					if _, err := e.Choose(t.Context()); !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) {
						t.Error(err)
					}
					return
				}
				if got := calls(t, e, 10); got["b"] != 10 {
					t.Errorf("%v", got)
				}
				time.Sleep(30 * sec) // nobody is there to bring it back, and it is back
				if got := calls(t, e, 10); got["a"] != 5 {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

func TestAfterStopNobodyIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a")})
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Choose(t.Context()); !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
			t.Error(err)
		}
	})
}

func TestAnEjectorGivesNoPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := spawn(t, actorstest.NewRegistry(t), Config{Members: List("a")})
		_, err1 := e.Acquire(t.Context())
		_, err2 := e.AcquireFor(t.Context(), patterns.Request{})
		_, err3 := e.TryAcquire()
		_, err4 := e.TryAcquireFor(patterns.Request{})
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, patterns.ErrPolicy) {
				t.Error(err)
			}
		}
	})
}

func TestEjectorsHaveNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		e := spawn(t, guards, Config{Members: List("a")})
		same, err := GetOrSpawn(guards, "e", Config{Members: List("a"), Consecutive: 5})
		if err != nil || same != e {
			t.Errorf("%v, %v", same, err)
		}
		if _, err := GetOrSpawn(guards, "e", Config{Members: List("b")}); !errors.Is(err, actors.ErrConflict) {
			t.Error(err)
		}
		if got, ok := Get(guards, "e"); !ok || got != e {
			t.Error("it is not found")
		}
		for name, got := range All(guards) {
			if name != "e" || got != e {
				t.Errorf("%s is %v", name, got)
			}
		}
	})
}

func TestWhatIsSaidReadsWell(t *testing.T) {
	at := time.Unix(0, 0).UTC()
	for _, tt := range []struct {
		got, want string
	}{
		{Ejected{"e", "a", SuccessRate, sec, 1, 3, at}.LogValue().String(), "[event=ejected guard=e member=a reason=success-rate for=1s ejected=1 members=3 at=1970-01-01 00:00:00 +0000 UTC]"},
		{Returned{"e", "a", 0, at}.LogValue().String(), "[event=returned guard=e member=a ejected=0 at=1970-01-01 00:00:00 +0000 UTC]"},
		{Spared{"e", "a", 1, 7, at}.LogValue().String(), "[event=spared guard=e member=a ejected=1 count=7 at=1970-01-01 00:00:00 +0000 UTC]"},
		{fmt.Sprint(Consecutive, Reason(9), Reason(9).Valid()), "consecutive-failures reason(9) false"},
	} {
		if tt.got != tt.want {
			t.Errorf("got  %s\nwant %s", tt.got, tt.want)
		}
	}
}
