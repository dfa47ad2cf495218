package hedge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

var refusal = &actors.Refusal{Name: "inner", Reason: actors.ErrOverloaded}

// What becomes of a call, by how its attempts go: a Delay is a second.
func TestTheFirstAnswerIsTheCalls(t *testing.T) {
	failing := func(c Config) Config { c.ReplaceFailed = true; return c }
	two, three := after(sec, 1), after(sec, 2)
	several := errors.New("several")
	for _, tt := range []struct {
		name  string
		cfg   Config
		ends  []end
		value int
		err   error // several is an *Error
		takes time.Duration
		began []time.Duration
		want  Totals
	}{
		{
			"answered before the delay", two,
			[]end{{takes: sec - 1}},
			1, nil, sec - 1,
			[]time.Duration{0},
			Totals{FirstWon: 1},
		},
		{
			"another is faster", two,
			[]end{{takes: time.Hour}, {takes: ms}},
			2, nil, sec + ms,
			[]time.Duration{0, sec},
			Totals{ExtraWon: 1, Extra: 1, Lost: 1},
		},
		{
			"the first is faster after all", two,
			[]end{{takes: sec + ms}, {takes: time.Hour}},
			1, nil, sec + ms,
			[]time.Duration{0, sec},
			Totals{FirstWon: 1, Extra: 1, Lost: 1},
		},
		{
			"a third is", three,
			[]end{{takes: time.Hour}, {takes: time.Hour}, {takes: ms}},
			3, nil, 2*sec + ms,
			[]time.Duration{0, sec, 2 * sec},
			Totals{ExtraWon: 1, Extra: 2, Lost: 2},
		},
		{
			"no more than may be", two,
			[]end{{takes: time.Minute}, {takes: time.Hour}},
			1, nil, time.Minute,
			[]time.Duration{0, sec},
			Totals{FirstWon: 1, Extra: 1, Lost: 1},
		},
		{
			"one that does not listen is left behind", two,
			[]end{{takes: time.Hour, deaf: true}, {takes: ms}},
			2, nil, sec + ms,
			[]time.Duration{0, sec},
			Totals{ExtraWon: 1, Extra: 1, Lost: 1, Losers: 1},
		},
		{
			"the only one that runs fails", two,
			[]end{{takes: ms, err: errDown}},
			1, errDown, ms,
			[]time.Duration{0},
			Totals{Failed: 1},
		},
		{
			"and is replaced", failing(two),
			[]end{{takes: ms, err: errDown}, {takes: ms}},
			2, nil, 2 * ms,
			[]time.Duration{0, ms},
			Totals{ExtraWon: 1, Extra: 1},
		},
		{
			"as often as may be", failing(three),
			[]end{{err: errDown}, {err: errBusy}, {takes: ms, err: errDown}},
			3, several, ms,
			[]time.Duration{0, 0, 0},
			Totals{Failed: 1, Extra: 2},
		},
		{
			"the first fails while another runs", two,
			[]end{{takes: 2 * sec, err: errDown}, {takes: 2 * sec}},
			2, nil, 3 * sec,
			[]time.Duration{0, sec},
			Totals{ExtraWon: 1, Extra: 1},
		},
		{
			"another fails while the first runs, and one more is made after the delay", three,
			[]end{{takes: time.Minute}, {takes: ms, err: errDown}, {takes: ms}},
			3, nil, 2*sec + ms,
			[]time.Duration{0, sec, 2 * sec},
			Totals{ExtraWon: 1, Extra: 2, Lost: 1},
		},
		{
			"or at once", failing(three),
			[]end{{takes: time.Minute}, {takes: ms, err: errDown}, {takes: ms}},
			3, nil, sec + 2*ms,
			[]time.Duration{0, sec, sec + ms},
			Totals{ExtraWon: 1, Extra: 2, Lost: 1},
		},
		{
			"all fail", two,
			[]end{{takes: 2 * sec, err: errDown}, {takes: ms, err: errBusy}},
			1, several, 2 * sec,
			[]time.Duration{0, sec},
			Totals{Failed: 1, Extra: 1},
		},
		{
			"an error that the Judge ignores is an answer", failing(two),
			[]end{{takes: ms, err: errNone}},
			1, errNone, ms,
			[]time.Duration{0},
			Totals{FirstWon: 1},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := spawn(t, actorstest.NewRegistry(t), "h", tt.cfg, actors.WithJudge(patterns.IgnoreOn(errNone)))
				s := ending(tt.ends...)
				defer s.all.Wait()
				v, err := patterns.Do(t.Context(), h, s.run)
				took := time.Since(s.start)
				synctest.Wait()
				if tt.err == several { //nolint:errorlint // it stands for some
					if e, ok := errors.AsType[*Error](err); !ok || e.Attempts != len(tt.ends) || !errors.Is(err, ErrFailed) || !errors.Is(err, errDown) || !errors.Is(err, errBusy) {
						t.Errorf("%v", err)
					}
				} else if !same(err, tt.err) {
					t.Errorf("%v, want %v", err, tt.err)
				}
				tt.want.Calls, tt.want.Attempts = 1, 1+tt.want.Extra
				if v != tt.value || took != tt.takes || !slices.Equal(s.began, tt.began) {
					t.Errorf("%d after %v, attempts at %v", v, took, s.began)
				}
				if got := snapshot(t, h).Totals; got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				for _, cause := range s.causes {
					if !same(cause, patterns.ErrOutrun) {
						t.Errorf("cancelled because of %v", cause)
					}
				}
			})
		})
	}
}

func TestAFailureThatIsFinalIsNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := spawn(t, actorstest.NewRegistry(t), "h", with(after(sec, 2), func(c *Config) { c.ReplaceFailed = true }))
		final := fmt.Errorf("%w: %w", errDown, patterns.ErrFinal)
		s := ending(end{takes: ms, err: final})
		if _, err := patterns.Do(t.Context(), h, s.run); !same(err, final) || len(s.began) != 1 {
			t.Errorf("%v after %d attempts", err, len(s.began))
		}
	})
}

func TestAnErrorOfSeveralReadsWell(t *testing.T) {
	e := &Error{Name: "h", Attempts: 3, Failures: []error{errDown, errBusy}}
	if want := "hedge \"h\": 2 of 3 attempts failed: down\nbusy"; e.Error() != want {
		t.Error(e)
	}
}

func TestAResultThatIsAFailureIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		judge := actors.WithJudge(patterns.JudgeResult(func(v any) patterns.Outcome {
			if v.(int) < 3 {
				return patterns.Failure
			}
			return patterns.Success
		}))
		guards := actorstest.NewRegistry(t)
		for _, tt := range []struct {
			extra, value int
			bad          bool
		}{{2, 3, false}, {1, 2, true}} {
			h := spawn(t, guards, fmt.Sprint(tt.extra), with(after(sec, tt.extra), func(c *Config) { c.ReplaceFailed = true }), judge)
			v, err := patterns.Do(t.Context(), h, ending().run)
			if v != tt.value || errors.Is(err, ErrBadResult) != tt.bad || (err != nil) != tt.bad {
				t.Errorf("%d, %v", v, err)
			}
		}
		// The only attempt's is passed on, as without a hedge.
		h := spawn(t, guards, "h", after(sec, 1), judge)
		if v, err := patterns.Do(t.Context(), h, ending().run); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}

func TestARefusedAttemptEndsNoCallThatAnotherIsOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses []bool // by attempt
		ends    []end
		value   int
		err     error
		want    Totals
	}{
		{"the first is, at once", []bool{true}, nil, 0, refusal, Totals{Refused: 1}},
		{"another is", []bool{false, true}, []end{{takes: sec + ms}}, 1, nil, Totals{FirstWon: 1, Extra: 1}},
		{"another is, and the first fails", []bool{false, true}, []end{{takes: sec + ms, err: errDown}}, 1, errDown, Totals{Failed: 1, Extra: 1}},
		{"a third is made", []bool{false, true, false}, []end{{takes: time.Hour}, {takes: ms}}, 2, nil, Totals{ExtraWon: 1, Extra: 2, Lost: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				outside := new(witness)
				inside := &witness{f: func() error {
					if n++; n <= len(tt.refuses) && tt.refuses[n-1] {
						return refusal
					}
					return nil
				}}
				h := spawn(t, actorstest.NewRegistry(t), "h", with(after(sec, 2), func(c *Config) { c.ReplaceFailed = errors.Is(tt.err, refusal) }))
				p, err := pipeline.New("", outside, h, inside)
				if err != nil {
					t.Fatal(err)
				}
				v, err := patterns.Do(t.Context(), p, ending(tt.ends...).run)
				synctest.Wait()
				if v != tt.value || !same(err, tt.err) {
					t.Errorf("%d, %v", v, err)
				}
				got := snapshot(t, h).Totals
				tt.want.Calls, tt.want.Attempts = 1, 1+tt.want.Extra
				if got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				if inside.held != 0 || outside.held != 0 || (outside.told["released"] == 1) != errors.Is(tt.err, refusal) {
					t.Errorf("inside %+v, outside %+v", inside.told, outside.told)
				}
			})
		})
	}
}

func TestThePermitsOfLosersAreGivenBackAndCountForNothing(t *testing.T) {
	for name, says := range map[string]error{"it says so": nil, "it has words of its own": errDown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := spawn(t, actorstest.NewRegistry(t), "h", after(sec, 2))
				outside, inside := new(witness), new(witness)
				p, err := pipeline.New("", outside, h, inside)
				if err != nil {
					t.Fatal(err)
				}
				s := ending(end{takes: time.Hour}, end{takes: time.Hour}, end{takes: ms})
				v, err := patterns.Do(t.Context(), p, func(ctx context.Context) (int, error) {
					v, err := s.run(ctx)
					if err != nil && says != nil {
						err = says
					}
					return v, err
				})
				if v != 3 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				synctest.Wait()
				if inside.held != 0 || inside.told["ignored"] != 2 || inside.told["success"] != 1 {
					t.Errorf("inside %v, held %d", inside.told, inside.held)
				}
				if outside.held != 0 || outside.told["success"] != 1 {
					t.Errorf("outside %v, held %d", outside.told, outside.held)
				}
			})
		})
	}
}

func TestACallerThatLeavesTakesAllWithIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		leave func(ctx context.Context) (context.Context, context.CancelFunc)
		ends  []end
		err   error
	}{
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(5*sec/2, cancel)
			return ctx, cancel
		}, []end{{takes: time.Hour}, {takes: time.Hour}, {takes: time.Hour, deaf: true}}, context.Canceled},
		{"out of time", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*sec/2)
		}, []end{{takes: time.Hour}, {takes: time.Hour, deaf: true}, {takes: time.Hour}}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := spawn(t, actorstest.NewRegistry(t), "h", with(after(sec, 3), func(c *Config) { c.ReplaceFailed = true }))
				s := ending(tt.ends...)
				ctx, cancel := tt.leave(t.Context())
				defer cancel()
				if _, err := patterns.Do(ctx, h, s.run); !errors.Is(err, tt.err) || time.Since(s.start) != 5*sec/2 {
					t.Errorf("%v after %v", err, time.Since(s.start))
				}
				synctest.Wait()
				got := snapshot(t, h).Totals
				if got.HungUp != 1 || got.Calls != 1 || got.Extra != 2 || got.Losers != 1 || len(s.causes) != 2 {
					t.Errorf("%+v; %v", got, s.causes)
				}
				s.all.Wait()
				synctest.Wait()
				if got := snapshot(t, h).Losers; got != 0 {
					t.Errorf("%d still run", got)
				}
				if _, err := patterns.Do(ctx, h, s.run); !errors.Is(err, tt.err) || len(s.began) != 3 {
					t.Errorf("%v, and one that left before gets %d attempts", err, len(s.began))
				}
			})
		})
	}
}

func TestAPanicAndAnExitReachTheCaller(t *testing.T) {
	for _, what := range []any{"boom", "exit"} {
		for name, ends := range map[string][]end{
			"the first":   {{takes: ms, unwinds: what}},
			"another one": {{takes: time.Hour}, {takes: ms, unwinds: what}},
		} {
			t.Run(fmt.Sprintf("%v of %s", what, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := spawn(t, actorstest.NewRegistry(t), "h", after(sec, 1))
					outside := new(witness)
					p, err := pipeline.New("", outside, h)
					if err != nil {
						t.Fatal(err)
					}
					if got := unwinds(func() { _, _ = patterns.Do(t.Context(), p, ending(ends...).run) }); got != what {
						t.Errorf("the caller ended with %v", got)
					}
					synctest.Wait()
					if got := snapshot(t, h).Totals; got.Panicked != 1 || got.Losers != 0 || outside.told["failure"] != 1 {
						t.Errorf("%+v; outside %v", got, outside.told)
					}
				})
			})
		}
	}
}

func TestThePanicOfALoserIsToldAndReachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		h := spawn(t, guards, "h", after(sec, 1))
		s := ending(end{takes: time.Minute, deaf: true, unwinds: "boom"}, end{takes: ms})
		if v, err := patterns.Do(t.Context(), h, s.run); v != 2 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		s.all.Wait()
		actorstest.WantEvents(t, guards, actorstest.Is(func(e Hedged) bool { return e.Count == 1 && e.Won == 1 }),
			actorstest.Is(func(e LoserPanicked) bool { return e.Panic == "boom" && e.Count == 1 }))
		if got := snapshot(t, h).Losers; got != 0 {
			t.Errorf("%d still run", got)
		}
	})
}

func TestASpentBudgetSuppressesAndEndsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		ends  []end
		value int
		err   error
		want  Totals
	}{
		"the first is answered": {[]end{{takes: time.Minute}}, 1, nil, Totals{FirstWon: 1, Suppressed: 2}},
		"it fails":              {[]end{{takes: ms, err: errDown}}, 1, errDown, Totals{Failed: 1, Suppressed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				b := budget(t, guards, nothing)
				h := spawn(t, guards, "h", with(after(sec, 2), func(c *Config) { c.Budget, c.ReplaceFailed = b, true }))
				s := ending(tt.ends...)
				v, err := patterns.Do(t.Context(), h, s.run)
				if v != tt.value || !same(err, tt.err) || len(s.began) != 1 {
					t.Errorf("%d, %v, %d attempts", v, err, len(s.began))
				}
				tt.want.Calls, tt.want.Attempts = 1, 1
				if got := snapshot(t, h).Totals; got != tt.want {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				if got, _ := b.Snapshot(t.Context()); got.Calls != 1 || got.Suppressed != tt.want.Suppressed {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// A retry and a hedge that share a budget make no more than it allows together.
func TestABudgetIsSharedWithRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b := budget(t, guards, retry.BudgetConfig{Ratio: 0.5, MinPerSecond: retry.None, Window: time.Hour})
		h := spawn(t, guards, "h", with(after(ms, 1), func(c *Config) { c.Budget = b }))
		again, err := retry.Spawn(guards, "again", retry.Config{Backoff: retry.Constant(0), Budget: b, Attempts: 2})
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			_, _ = patterns.Do(t.Context(), again, ending(end{err: errDown}).run)
			_, _ = patterns.Do(t.Context(), h, ending(end{takes: sec}).run)
			_, _ = patterns.Do(t.Context(), h, ending(end{takes: sec}).run)
			_, _ = patterns.Do(t.Context(), again, ending(end{err: errDown}).run)
		}
		synctest.Wait()
		hedges, retries := snapshot(t, h).Extra, uint64(0)
		if s, ok := again.Snapshot(t.Context()); ok {
			retries = s.Retries
		}
		if got, _ := b.Snapshot(t.Context()); got.Calls != 100 || got.Extras != hedges+retries || got.Extras != 50 || hedges == 0 || retries == 0 {
			t.Errorf("%d hedges, %d retries, %+v", hedges, retries, got)
		}
	})
}

func TestNoMoreAreMadeWhereTooManyLosersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		h := spawn(t, guards, "h", with(after(sec, 1), func(c *Config) { c.MaxLosers = 2 }))
		for range 2 {
			_, _ = patterns.Do(t.Context(), h, ending(end{takes: time.Hour, deaf: true}).run)
		}
		s := ending(end{takes: time.Minute})
		if v, err := patterns.Do(t.Context(), h, s.run); v != 1 || err != nil || len(s.began) != 1 {
			t.Errorf("%d, %v, %d attempts", v, err, len(s.began))
		}
		if got := snapshot(t, h); got.Losers != 2 || got.Crowded != 1 || got.Extra != 2 {
			t.Errorf("%+v", got)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e Crowded) bool { return e.Losers == 2 && e.Count == 1 }))
		time.Sleep(time.Hour)
		synctest.Wait()
		if v, err := patterns.Do(t.Context(), h, ending(end{takes: time.Minute}).run); v != 2 || err != nil {
			t.Errorf("%d, %v once there is room", v, err)
		}
	})
}

func TestTheDelayFollowsTheCallsWithBatchesThatAreAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what is pooled")
	}
	synctest.Test(t, func(t *testing.T) {
		h := spawn(t, actorstest.NewRegistry(t), "h", Config{Delay: sec, Quantile: 0.9, MinSamples: 64})
		call := func(d time.Duration) {
			if _, err := patterns.Do(t.Context(), h, ending(end{takes: d}).run); err != nil {
				t.Error(err)
			}
		}
		for i := range 128 {
			call(time.Duration(1+i%10) * 10 * ms)
		}
		learned := snapshot(t, h).Delay
		if learned < 80*ms || learned > 105*ms {
			t.Errorf("nine of ten take 90 ms, the delay is %v", learned)
		}
		before := time.Now()
		call(time.Minute) // the second attempt is answered at once
		if took := time.Since(before); took != learned {
			t.Errorf("another was made after %v, not %v", took, learned)
		}
		c := Config{Delay: sec, Quantile: 0.5, MinSamples: 64}
		if err := h.Reconfigure(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := snapshot(t, h).Delay; got < 40*ms || got > 65*ms {
			t.Errorf("with another quantile of what was learned the delay is %v", got)
		}
		if err := h.Reset(t.Context()); err != nil || snapshot(t, h).Delay != sec {
			t.Errorf("%v, and after a reset it is %v", err, snapshot(t, h).Delay)
		}
	})
}

// If the first attempts that are outrun were left out, the delay would fall by its own doing.
func TestTheDelayDoesNotDigItselfWithBatchesThatAreAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what is pooled")
	}
	synctest.Test(t, func(t *testing.T) {
		h := spawn(t, actorstest.NewRegistry(t), "h", Config{Delay: sec, Quantile: 0.9, MinSamples: 64})
		for i := range 2000 {
			if _, err := patterns.Do(t.Context(), h, ending(end{takes: time.Duration(1+i*7%100) * ms}).run); err != nil {
				t.Fatal(err)
			}
		}
		s := snapshot(t, h)
		if s.Delay < 80*ms || s.Delay > 105*ms || s.Ratio() < 0.05 || s.Ratio() > 0.15 {
			t.Errorf("it is %v, with %v hedges a call", s.Delay, s.Ratio())
		}
	})
}

func TestItGivesNoPermits(t *testing.T) {
	h := spawn(t, actorstest.NewRegistry(t), "h", Config{})
	_, a := h.Acquire(t.Context())
	_, b := h.AcquireFor(t.Context(), patterns.Request{})
	_, c := h.TryAcquire()
	_, d := h.TryAcquireFor(patterns.Request{})
	for _, err := range []error{a, b, c, d} {
		if !errors.Is(err, patterns.ErrPolicy) {
			t.Error(err)
		}
	}
	if err := h.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); err == nil {
		t.Error("it can be forced open")
	}
}

func TestItIsFoundByItsName(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	h := spawn(t, guards, "h", after(sec, 1))
	if got, ok := Get(guards, "h"); !ok || got != h {
		t.Error("not by Get")
	}
	if got, err := GetOrSpawn(guards, "h", Config{}); err != nil || got != h {
		t.Errorf("not by its Config with all defaults spelled out: %v", err)
	}
	if _, err := GetOrSpawn(guards, "h", after(ms, 1)); !errors.Is(err, actors.ErrConflict) {
		t.Error(err)
	}
	for name, got := range All(guards) {
		if name != "h" || got != h {
			t.Error("not by All")
		}
	}
}

func TestAStoppedHedgeRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := spawn(t, actorstest.NewRegistry(t), "h", after(sec, 1), actors.WithRejection(patterns.Rejection{
			Replace: func(error) error { return errBusy },
		}))
		if err := h.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := ending()
		_, err := patterns.Do(t.Context(), h, s.run)
		if !errors.Is(err, actors.ErrStopped) || !errors.Is(err, patterns.ErrRejected) || !errors.Is(err, errBusy) || len(s.began) != 0 {
			t.Errorf("%v, %d attempts", err, len(s.began))
		}
		if got := snapshot(t, h); got.Name != "h" {
			t.Errorf("%+v", got)
		}
	})
}
