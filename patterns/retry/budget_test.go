package retry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func spawnBudget(t testing.TB, guards *actors.Registry, c BudgetConfig) *Budget {
	t.Helper()
	b, err := SpawnBudget(guards, "budget", c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *Budget) state(t testing.TB) BudgetSnapshot {
	t.Helper()
	s, ok := b.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	return s
}

// allowed is how many of n are.
func (b *Budget) allowed(t testing.TB, n int) (yes int) {
	for range n {
		if b.Allow(t.Context()) {
			yes++
		}
	}
	return yes
}

func TestABudgetAllowsAShareOfTheCallsAndAMinimum(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   BudgetConfig
		calls int
		want  int
	}{
		{"the defaults", BudgetConfig{}, 1000, 200 + 100},
		{"nobody called", BudgetConfig{}, 0, 100},
		{"the share only", BudgetConfig{MinPerSecond: None}, 1000, 200},
		{"the minimum only", BudgetConfig{Ratio: None, MinPerSecond: 1}, 1000, 10},
		{"nothing", BudgetConfig{Ratio: None, MinPerSecond: None}, 1000, 0},
		{"as many as calls", BudgetConfig{Ratio: 1, MinPerSecond: None}, 500, 500},
		{"a window of its own", BudgetConfig{Ratio: None, MinPerSecond: 2, Window: time.Minute}, 0, 120},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := spawnBudget(t, actorstest.NewRegistry(t), tt.cfg)
				for range tt.calls {
					b.Count()
				}
				if got := b.allowed(t, 600); got != tt.want {
					t.Errorf("%d allowed, want %d", got, tt.want)
				}
				s := b.state(t)
				if s.Calls != uint64(tt.calls) || s.Extras != uint64(tt.want) || s.Suppressed != uint64(600-tt.want) || s.Left != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What was earned in hours of peace must not be there when an outage begins.
func TestCallsOfLongAgoAllowNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{MinPerSecond: None})
		for range 1000 { // ten a second
			b.Count()
			time.Sleep(100 * ms)
		}
		if got := b.allowed(t, 1000); got < 18 || got > 20 { // a fifth of the last ten seconds'
			t.Errorf("%d allowed of 1000 calls in 100s", got)
		}
		for range 1000 {
			b.Count()
		}
		time.Sleep(11 * sec)
		if got := b.allowed(t, 1000); got != 0 {
			t.Errorf("%d allowed, of calls that were made 11s ago", got)
		}
	})
}

func TestABurstCountsFromWhenItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{MinPerSecond: None})
		time.Sleep(time.Minute)
		for range 1000 {
			b.Count()
		}
		time.Sleep(11 * sec)
		if got := b.allowed(t, 1000); got != 0 {
			t.Errorf("%d allowed, of calls that were made 11s ago", got)
		}
	})
}

// While the actor was away it heard of no calls. They are taken to have come evenly.
func TestCallsHeardOfLateAreThoseOfTheWholeTime(t *testing.T) {
	now := patterns.Instant(time.Minute)
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{sec, 200}, {10 * sec, 200}, {20 * sec, 100}, {100 * sec, 20}} {
		m := NewBudgetMachine(BudgetParams{Name: "b", Now: now, Config: BudgetConfig{MinPerSecond: None}})
		m.Counted(now.Add(tt.after), 1000)
		m.Counted(now.Add(tt.after), 1000) // twice is once
		m.Counted(now.Add(tt.after), 10)   // and late is nothing
		got := 0
		for m.Consult(now.Add(tt.after), allow{}).Answer == true {
			got++
		}
		if got != tt.want {
			t.Errorf("%d allowed of 1000 calls in %v, want %d", got, tt.after, tt.want)
		}
	}
}

func TestABudgetIsSharedAndARetryThatFindsItSpentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBudget(t, guards, BudgetConfig{Ratio: 0.5, MinPerSecond: None})
		rec := actorstest.Record(t, guards)
		var all [2]*Retry
		for i := range all {
			var err error
			if all[i], err = Spawn(guards, fmt.Sprint("bank", i), with(every(ms, 9), func(c *Config) { c.Budget = b })); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			for _, r := range all {
				if _, err := patterns.Do(t.Context(), r, endings().run); err != nil {
					t.Error(err)
				}
			}
		}
		s := endings(errDown, errDown, errDown, errDown, errDown, errDown, errDown)
		_, err := patterns.Do(t.Context(), all[0], s.run)
		e, ok := errors.AsType[*ExhaustedError](err)
		if !ok || e.Cause != CauseBudget || !errors.Is(err, errDown) || len(s.began) != 6 { // eleven calls, of which half
			t.Errorf("after %d: %v", len(s.began), err)
		}
		s = endings(errDown)
		if _, err := patterns.Do(t.Context(), all[1], s.run); err != nil || len(s.began) != 2 { // its own call earned one more
			t.Errorf("after %d: %v", len(s.began), err)
		}
		s = endings(errDown)
		if _, err := patterns.Do(t.Context(), all[1], s.run); err == nil || len(s.began) != 1 {
			t.Errorf("after %d: %v", len(s.began), err)
		}
		if s := b.state(t); s.Calls != 13 || s.Extras != 6 || s.Suppressed != 2 {
			t.Errorf("%+v", s)
		}
		rec.Want(t, WasBudgetExhausted, WasExhausted)
	})
}

func TestASpentBudgetIsAnnouncedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBudget(t, guards, BudgetConfig{Ratio: None, MinPerSecond: None})
		rec := actorstest.Record(t, guards)
		for range 25 {
			b.allowed(t, 4)
			time.Sleep(100 * ms)
		}
		time.Sleep(time.Minute)
		rec.Want(t, WasBudgetExhausted)
		all, n := eventsOf[BudgetExhausted](rec), 0
		for _, e := range all {
			n += e.Suppressed
		}
		if len(all) != 4 || n != 100 || all[0].Suppressed != 1 || all[3].Total != 100 {
			t.Errorf("%d in %+v", n, all)
		}
	})
}

// In no ten slots of a window are there more retries than the share of the calls there, and
// the minimum.
func TestABudgetIsNeverOverdrawn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := BudgetConfig{
			Ratio:        rapid.SampledFrom([]float64{None, 0.1, 0.2, 1}).Draw(rt, "ratio"),
			MinPerSecond: rapid.SampledFrom([]int{None, 1, 3}).Draw(rt, "minimum"),
			Window:       time.Duration(rapid.IntRange(1, 5).Draw(rt, "window")) * sec,
		}
		type step struct{ wait, calls, asks int }
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{rapid.IntRange(0, 900).Draw(t, "wait"), rapid.IntRange(0, 30).Draw(t, "calls"), rapid.IntRange(0, 10).Draw(t, "asks")}
		}), 1, 15).Draw(rt, "steps")
		crash := rapid.SampledFrom([]any{nil, actors.Consult{}}).Draw(rt, "crash")
		var problem string
		synctest.Test(t, func(t *testing.T) {
			b := spawnBudget(t, actorstest.NewRegistry(t), cfg)
			if crash != nil {
				actorstest.Crash(t, b, actorstest.At(crash))
			}
			type tick struct {
				at           time.Duration
				calls, extra int
			}
			var history []tick
			start, calls, extras := time.Now(), 0, 0
			for _, s := range steps {
				time.Sleep(time.Duration(s.wait) * ms)
				for range s.calls {
					b.Count()
				}
				now := tick{time.Since(start), s.calls, b.allowed(t, s.asks)}
				calls, extras = calls+now.calls, extras+now.extra
				history = append(history, now)
				slot := func(at time.Duration) int { return int(at / (cfg.Window / 10)) }
				earned, spent := 0, 0
				for _, h := range history {
					if slot(h.at) >= slot(now.at)-10 { // who counted is heard of within a slot
						earned += h.calls
					}
					if slot(h.at) > slot(now.at)-10 {
						spent += h.extra
					}
				}
				most := int(max(0, cfg.Ratio)*float64(earned)+1e-9) + max(0, cfg.MinPerSecond)*int(cfg.Window/sec)
				if now.extra > 0 && spent > most {
					problem = fmt.Sprintf("%d at %v, of %d at most: %+v", spent, now.at, most, history)
				}
			}
			if s := b.state(t); s.Calls != uint64(calls) || s.Extras < uint64(extras) {
				problem = fmt.Sprintf("%+v after %d and %d", s, calls, extras)
			}
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func TestABudgetsRestartForgetsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{MinPerSecond: None})
		for range 100 {
			b.Count()
		}
		if got := b.allowed(t, 5); got != 5 {
			t.Fatalf("%d allowed", got)
		}
		actorstest.Crash(t, b, actorstest.At(actors.Consult{}))
		if b.Allow(t.Context()) {
			t.Error("allowed by a turn that panicked")
		}
		if got := b.allowed(t, 100); got != 15 { // waits for the restart
			t.Errorf("%d allowed, want 15", got)
		}
		if s := b.state(t); s.Calls != 100 || s.Extras != 20 || s.Restarts != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestABudgetThatIsGoneAllowsWhatItsPolicySays(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Hour}))
			b := spawnBudget(t, guards, BudgetConfig{Ratio: None, MinPerSecond: None, OnFailure: policy})
			actorstest.Crash(t, b, actorstest.At(actors.Consult{}), actorstest.Times(9))
			b.allowed(t, 3)
			synctest.Wait()
			if got, want := b.Allow(t.Context()), policy == patterns.FailOpen; got != want {
				t.Errorf("%v: allowed %v", policy, got)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			b := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{OnFailure: policy})
			if err := b.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if b.Allow(t.Context()) {
				t.Error("allowed by a budget that was stopped")
			}
		})
	}
}

func TestWhoHasLeftIsAllowedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := spawnBudget(t, actorstest.NewRegistry(t), BudgetConfig{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if b.Allow(ctx) || b.state(t).Extras != 0 {
			t.Error("allowed")
		}
	})
}

func TestABudgetIsChangedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBudget(t, guards, BudgetConfig{MinPerSecond: None})
		for range 100 {
			b.Count()
		}
		if err := b.Reconfigure(t.Context(), BudgetConfig{MinPerSecond: None, Ratio: 0.5, Window: 20 * sec}); err != nil {
			t.Fatal(err)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e BudgetChanged) bool { return e.From.Ratio == 0.2 && e.To.Ratio == 0.5 }))
		if got := b.allowed(t, 100); got != 50 {
			t.Errorf("%d allowed, want 50", got)
		}
		if err := b.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			b.Count()
		}
		if got := b.allowed(t, 100); got != 5 {
			t.Errorf("%d allowed after Reset, want 5", got)
		}
		if s := b.state(t); s.Calls != 110 || s.Extras != 55 || s.Suppressed != 145 {
			t.Errorf("%+v", s)
		}
		if b.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}) == nil {
			t.Error("a budget can be forced open")
		}
		if err := b.Reconfigure(t.Context(), BudgetConfig{Ratio: 2, OnFailure: patterns.FailClosed}); len(configtest.Faulty(err)) != 2 {
			t.Error(err)
		}
	})
}

func TestABudgetIsFoundByItsNameAndGivesNoPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := spawnBudget(t, guards, BudgetConfig{})
		same, err := GetOrSpawnBudget(guards, "budget", BudgetConfig{Ratio: 0.2})
		found, ok := GetBudget(guards, "budget")
		if err != nil || same != b || !ok || found != b || b.Pattern() != "retrybudget" {
			t.Errorf("%v, %v, %v", same, found, err)
		}
		_, first := b.Acquire(t.Context())
		_, second := b.AcquireFor(t.Context(), patterns.Request{})
		_, third := b.TryAcquire()
		_, fourth := b.TryAcquireFor(patterns.Request{})
		for _, err := range []error{first, second, third, fourth} {
			if !errors.Is(err, ErrBudget) {
				t.Error(err)
			}
		}
	})
}
