package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// eventsOf returns those of a type, in order.
func eventsOf[E patterns.Event](rec *actorstest.Recorder) (found []E) {
	for _, e := range rec.Events() {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

func TestEveryRetryAndEveryEndIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		r := spawnBank(t, guards, every(100*ms, 3))
		rec := actorstest.Record(t, guards)
		long := errors.New(strings.Repeat("x", 2*maxText))
		_, _ = patterns.Do(t.Context(), r, endings(errDown, errBusy, long).run)
		rec.Want(t, actorstest.Is[Retried](), actorstest.Is[Retried](), WasExhausted)
		retried, ended := eventsOf[Retried](rec), eventsOf[Exhausted](rec)
		if e := retried[1]; e.Attempt != 2 || e.Wait != 100*ms || e.Err != "busy" || e.Source() != "bank" || e.Level() != slog.LevelDebug || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
		if e := ended[0]; e.Cause != CauseAttempts || e.Calls != 1 || e.Attempts != 3 || e.Elapsed != 200*ms || len(e.Err) != maxText || e.Level() != slog.LevelWarn {
			t.Errorf("%+v", e)
		}
		if s := snapshotOf(t, r); len(s.LastError) != maxText || s.LastErrorAt.IsZero() || s.Config.Attempts != 3 {
			t.Errorf("%+v", s)
		}
		if err := r.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		if s := snapshotOf(t, r); s.LastError != "" || !s.LastErrorAt.IsZero() || s.Calls != 1 {
			t.Errorf("after Reset: %+v", s)
		}
		if err := r.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); err == nil {
			t.Error("a retry can be forced open")
		}
	})
}

func TestEndsOfOneKindAreAnnouncedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		r := spawnBank(t, guards, every(0, 2))
		rec := actorstest.Record(t, guards)
		for range 35 { // in 3.5 s
			_, _ = patterns.Do(t.Context(), r, endings(errDown, errDown).run)
			time.Sleep(100 * ms)
		}
		time.Sleep(time.Minute)
		rec.Want(t, WasExhausted)
		all, calls := eventsOf[Exhausted](rec), 0
		for _, e := range all {
			calls += e.Calls
		}
		if len(all) != 5 || calls != 35 || all[0].Calls != 1 {
			t.Errorf("%d calls in %+v", calls, all)
		}
	})
}

func TestAChangeHoldsForCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		r := spawnBank(t, guards, every(sec, 3))
		rec := actorstest.Record(t, guards)
		s := endings(errDown, errDown, errDown, errDown, errDown)
		time.AfterFunc(1500*ms, func() {
			if err := r.Reconfigure(t.Context(), every(time.Minute, 4)); err != nil {
				t.Error(err)
			}
		})
		_, err := patterns.Do(t.Context(), r, s.run)
		exhaustedBy(t, err, CauseAttempts, 4, errDown)
		s.want(t, 0, sec, 2*sec, 2*sec+time.Minute)
		rec.Want(t, actorstest.Is(func(e ConfigChanged) bool { return e.From.Attempts == 3 && e.To.Attempts == 4 }))
		// By message too, as when a file is reloaded.
		if _, err := actors.Ask[actors.Ack](t.Context(), r.System(), r.PID(), actors.Reconfigure{Config: every(sec, 1)}); err != nil {
			t.Fatal(err)
		}
		s = endings(errDown)
		_, _ = patterns.Do(t.Context(), r, s.run)
		s.want(t, 0)
		for _, bad := range []Config{{Attempts: -1}, {OnFailure: patterns.FailClosed}} {
			if err := r.Reconfigure(t.Context(), bad); len(configtest.Faulty(err)) != 1 {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func TestAStoppedRetryRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, every(sec, 3))
		if _, err := patterns.Do(t.Context(), r, endings(errDown).run); err != nil {
			t.Error(err)
		}
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := endings()
		if _, err := patterns.Do(t.Context(), r, s.run); !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("got %v", err)
		}
		s.want(t)
		if s := snapshotOf(t, r); s.Later != 1 || s.Calls != 1 { // as of then
			t.Errorf("%+v", s)
		}
	})
}

func TestWhenTheActorHasFailedForGoodThePolicyDecides(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Hour}))
				r := spawnBank(t, guards, with(every(sec, 3), func(c *Config) { c.OnFailure = policy }))
				actorstest.Crash(t, r, actorstest.At(actors.Consult{}), actorstest.Times(9))
				for range 3 {
					_, _ = patterns.Do(t.Context(), r, endings(errDown).run)
				}
				actorstest.WantEvents(t, guards, actorstest.Is(func(e actors.GaveUp) bool { return e.Policy == policy }))
				s := endings(errDown)
				_, err := patterns.Do(t.Context(), r, s.run)
				if policy == patterns.FailClosed {
					if !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) || len(s.began) != 0 {
						t.Errorf("after %d: %v", len(s.began), err)
					}
				} else if err != nil || len(s.began) != 2 {
					t.Errorf("after %d: %v", len(s.began), err)
				}
			})
		})
	}
}

func TestARestartLosesNoNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		r := spawnBank(t, guards, every(sec, 2))
		for i := range 10 {
			if i == 5 {
				actorstest.Crash(t, r, actorstest.At(actors.Consult{}))
			}
			_, _ = patterns.Do(t.Context(), r, endings().run)
			_, _ = patterns.Do(t.Context(), r, endings(errDown).run)
			_, _ = patterns.Do(t.Context(), r, endings(errDown, errBusy).run)
		}
		synctest.Wait()
		s := snapshotOf(t, r)
		want := Snapshot{
			Name: "bank", Calls: 30, FirstTime: 10, Later: 10, Exhausted: Exhaustion{Attempts: 10}, Retries: 20, Waited: 20 * sec,
			LastError: "busy", LastErrorAt: s.LastErrorAt, Config: every(sec, 2).withDefaults(), Counts: patterns.Counts{Restarts: 1},
		}
		if s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
	})
}

// lot is how one of many calls is made and ends.
type lot struct {
	ends             []string
	leaves, deadline time.Duration // 0: never
	refused          bool          // its second attempt
}

var lots = []string{"good", "down", "taken", "panics", "exits", "slow"}

func (l lot) call(r patterns.Guard) (outcome string) {
	ctx := context.Background()
	if l.leaves > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		time.AfterFunc(l.leaves, cancel)
	}
	if l.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.deadline)
		defer cancel()
	}
	var ends []any
	for _, e := range l.ends {
		ends = append(ends, map[string]any{
			"good": 1, "down": errDown, "taken": errTaken, "panics": func() { panic("no") }, "exits": exits, "slow": 30 * ms,
		}[e])
	}
	s := endings(ends...)
	var err error
	if unwinds(func() { _, err = patterns.Do(ctx, r, s.run) }) != nil {
		return "panicked"
	}
	if e, ok := errors.AsType[*ExhaustedError](err); ok {
		return string(e.Cause)
	}
	switch {
	case err == nil && len(s.began) == 1:
		return "first"
	case err == nil:
		return "later"
	}
	return "passed"
}

// Every call that was made is counted once, by how it ended for its caller, whatever happens
// to the actor meanwhile.
func TestEveryCallIsCountedOnceByHowItEnded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dur := func(label string) time.Duration {
			return time.Duration(rapid.IntRange(0, 40).Draw(rt, label)) * 3 * ms
		}
		cfg := Config{
			Attempts: rapid.IntRange(2, 4).Draw(rt, "attempts"), Backoff: Exponential(10*ms, 50*ms),
			MaxElapsed: rapid.SampledFrom([]time.Duration{0, 60 * ms}).Draw(rt, "elapsed"), RetryRejected: rapid.Bool().Draw(rt, "rejected"),
		}
		budgeted := rapid.Bool().Draw(rt, "budgeted")
		crash := rapid.SampledFrom([]any{nil, actors.Consult{}, actors.Inspect{}, actors.Reconfigure{}}).Draw(rt, "crash")
		at := dur("changed")
		var all []lot
		for range rapid.IntRange(1, 20).Draw(rt, "calls") {
			l := lot{leaves: dur("leaves"), deadline: dur("deadline"), refused: rapid.Bool().Draw(rt, "refused")}
			for range rapid.IntRange(1, 4).Draw(rt, "attempts made") {
				l.ends = append(l.ends, rapid.SampledFrom(lots).Draw(rt, "end"))
			}
			all = append(all, l)
		}
		var problem error
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			if budgeted {
				b, err := SpawnBudget(guards, "budget", BudgetConfig{MinPerSecond: 1, Window: sec})
				if err != nil {
					t.Fatal(err)
				}
				cfg.Budget = b
			}
			r := spawnBank(t, guards, cfg, actors.WithJudge(patterns.IgnoreOn(errTaken)))
			if crash != nil {
				actorstest.Crash(t, r, actorstest.At(crash))
			}
			got := make([]string, len(all))
			var wg sync.WaitGroup
			for i, l := range all {
				wg.Go(func() {
					n := 0
					both, err := pipeline.New("", r, &fence{func() error {
						if n++; n == 2 && l.refused {
							return &actors.Refusal{Name: "fence", Reason: actors.ErrOverloaded}
						}
						return nil
					}})
					if err != nil {
						t.Error(err)
					}
					got[i] = l.call(both)
				})
			}
			time.Sleep(at)
			_ = r.Reconfigure(t.Context(), with(cfg, func(c *Config) { c.Attempts = 3 }))
			wg.Wait()
			time.Sleep(time.Minute)
			s, ok := r.Snapshot(t.Context())
			if !ok {
				s = snapshotOf(t, r) // it panicked at that
			}
			problem = s.compare(got)
			if b := cfg.Budget; b != nil {
				if bs, _ := b.Snapshot(t.Context()); bs.Calls != uint64(len(all)) || bs.Extras < s.Retries || bs.Suppressed < s.Exhausted.Budget {
					problem = fmt.Errorf("%+v with %+v", bs, s)
				}
			}
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// compare returns how s differs from what the callers saw.
func (s Snapshot) compare(got []string) error {
	count := func(outcome string) (n uint64) {
		for _, g := range got {
			if g == outcome {
				n++
			}
		}
		return n
	}
	e := s.Exhausted
	for outcome, n := range map[string]uint64{
		"first": s.FirstTime, "later": s.Later, "passed": s.Passed, "panicked": s.Panicked,
		string(CauseAttempts): e.Attempts, string(CauseElapsed): e.Elapsed, string(CauseDeadline): e.Deadline,
		string(CauseCancelled): e.Cancelled, string(CauseBudget): e.Budget, string(CauseRefused): e.Refused, string(CauseStopped): e.Stopped,
	} {
		if count(outcome) != n {
			return fmt.Errorf("%d calls ended as %s, of %v; %+v", count(outcome), outcome, got, s)
		}
	}
	if s.Calls != uint64(len(got)) {
		return fmt.Errorf("%d calls of %d", s.Calls, len(got))
	}
	return nil
}

func TestAnErrorThatPanicsIsToldAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, every(sec, 2))
		_, err := patterns.Do(t.Context(), r, endings(rude{}, rude{}).run)
		e, ok := errors.AsType[*ExhaustedError](err)
		if !ok || e.Attempts != 2 || snapshotOf(t, r).LastError != "retry.rude, which panics" {
			t.Errorf("%#v, %+v", e, snapshotOf(t, r))
		}
	})
}

type rude struct{}

func (rude) Error() string { panic("no") }

func TestCausesHaveNumbersOfTheirOwn(t *testing.T) {
	all := []Cause{CauseAttempts, CauseElapsed, CauseDeadline, CauseCancelled, CauseBudget, CauseRefused, CauseStopped}
	var numbers []int
	for _, c := range all {
		numbers = append(numbers, c.index())
		if c.words() == "" {
			t.Errorf("%s says nothing", c)
		}
	}
	if !slices.Equal(numbers, []int{0, 1, 2, 3, 4, 5, 6}) || len(all) != causes {
		t.Errorf("numbers %v", numbers)
	}
}
