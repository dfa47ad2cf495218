package retry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

func TestAttemptsBeginWhenTheBackoffSays(t *testing.T) {
	third := func(n int, _ float64) time.Duration { return time.Duration(n) * 3 * sec }
	for _, tt := range []struct {
		name string
		b    Backoff
		want []time.Duration
	}{
		{"constant", Constant(sec), []time.Duration{0, sec, 2 * sec, 3 * sec, 4 * sec}},
		{"none", Constant(0), []time.Duration{0, 0, 0, 0, 0}},
		{"linear", Linear(sec, time.Hour), []time.Duration{0, sec, 3 * sec, 6 * sec, 10 * sec}},
		{"linear up to its end", Linear(sec, 2*sec), []time.Duration{0, sec, 3 * sec, 5 * sec, 7 * sec}},
		{"exponential", Exponential(sec, time.Hour).Exact(), []time.Duration{0, sec, 3 * sec, 7 * sec, 15 * sec}},
		{"by another factor", Exponential(sec, time.Hour).By(3).Exact(), []time.Duration{0, sec, 4 * sec, 13 * sec, 40 * sec}},
		{"exponential up to its end", Exponential(sec, 3*sec).Exact(), []time.Duration{0, sec, 3 * sec, 6 * sec, 9 * sec}},
		{"custom", Custom("third", time.Hour, third), []time.Duration{0, 3 * sec, 9 * sec, 18 * sec, 30 * sec}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bank(t, Config{Attempts: 5, Backoff: tt.b})
				s := endings(errDown, errDown, errDown, errDown, errDown)
				_, err := patterns.Do(t.Context(), r, s.run)
				e := exhaustedBy(t, err, CauseAttempts, 5, errDown)
				s.want(t, tt.want...)
				if last := tt.want[4]; e.Elapsed != last || snapshotOf(t, r).Waited != last {
					t.Errorf("elapsed %v, waited %v, want %v", e.Elapsed, snapshotOf(t, r).Waited, last)
				}
			})
		})
	}
}

func TestJitteredWaitsKeepWithinTheirBounds(t *testing.T) {
	for _, tt := range []struct {
		name      string
		b         Backoff
		low, high func(n int) time.Duration // of the n-th wait, from 0
	}{
		{"full", Exponential(sec, 10*sec), func(int) time.Duration { return 0 }, func(n int) time.Duration { return min(sec<<n, 10*sec) }},
		{"equal", Exponential(sec, 10*sec).EqualJitter(), func(n int) time.Duration { return min(sec<<n, 10*sec) / 2 }, func(n int) time.Duration { return min(sec<<n, 10*sec) }},
		{"around", Constant(sec).Around(0.25), func(int) time.Duration { return 750 * ms }, func(int) time.Duration { return 1250 * ms }},
		{"decorrelated", Decorrelated(sec, 10*sec), func(int) time.Duration { return sec }, func(int) time.Duration { return 10 * sec }},
		{"smooth", Smooth(sec, 10*sec), func(int) time.Duration { return 0 }, func(int) time.Duration { return 10 * sec }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bank(t, Config{Attempts: 8, Backoff: tt.b})
				first := map[time.Duration]bool{}
				for range 30 {
					s := endings(errDown, errDown, errDown, errDown, errDown, errDown, errDown)
					if _, err := patterns.Do(t.Context(), r, s.run); err != nil {
						t.Fatal(err)
					}
					for i := range 7 {
						if d := s.began[i+1] - s.began[i]; d < tt.low(i) || d > tt.high(i) {
							t.Errorf("wait %d is %v, not in [%v, %v]", i, d, tt.low(i), tt.high(i))
						}
					}
					first[s.began[1]] = true
				}
				if len(first) < 10 {
					t.Errorf("%d different waits of 30", len(first))
				}
			})
		})
	}
}

// what is retried and what the caller gets, by how the attempts end.
func TestWhatIsRetriedAndWhatTheCallerGets(t *testing.T) {
	odd := actors.WithJudge(patterns.JudgeResult(func(v any) patterns.Outcome {
		if v.(int)%2 == 1 {
			return patterns.Failure
		}
		return patterns.Success
	}))
	for _, tt := range []struct {
		name     string
		opt      actors.Option
		ends     []any
		attempts int
		cause    Cause // "" if it is no ExhaustedError
		result   int
		want     error
	}{
		{"success at once", nil, nil, 1, "", 1, nil},
		{"success at last", nil, []any{errDown, errBusy}, 3, "", 3, nil},
		{"failure at last", nil, []any{errDown, errDown, errBusy}, 3, CauseAttempts, 0, errBusy},
		{"an error not to be retried", actors.WithJudge(patterns.FailOn(errBusy)), []any{errDown}, 1, "", 0, errDown},
		{"one to be retried, and then one not", actors.WithJudge(patterns.FailOn(errBusy)), []any{errBusy, errDown}, 2, "", 0, errDown},
		{"an error that is ignored", actors.WithJudge(patterns.IgnoreOn(errTaken)), []any{errTaken}, 1, "", 0, errTaken},
		{"an error by predicate", actors.WithJudge(patterns.JudgeError(func(err error) patterns.Outcome {
			if errors.Is(err, errBusy) {
				return patterns.Dropped
			}
			return patterns.Ignored
		})), []any{errBusy, errDown}, 2, "", 0, errDown},
		{"an error that is a success", actors.WithJudge(patterns.JudgeError(func(error) patterns.Outcome { return patterns.Success })), []any{errDown}, 1, "", 0, errDown},
		{"a good result", odd, []any{2}, 1, "", 2, nil},
		{"a bad result", odd, []any{1, 3, 4}, 3, "", 4, nil},
		{"no good result", odd, []any{1, 3, 5}, 3, CauseAttempts, 5, ErrBadResult},
		{"a bad result, then an error", odd, []any{1, errDown, errBusy}, 3, CauseAttempts, 0, errBusy},
		{"a Judge that panics", actors.WithJudge(patterns.JudgeResult(func(any) patterns.Outcome { panic("no") })), []any{7, 7, 7}, 3, CauseAttempts, 7, ErrBadResult},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bank(t, every(sec, 3), tt.opt)
				s := endings(tt.ends...)
				v, err := patterns.Do(t.Context(), r, s.run)
				if v != tt.result || len(s.began) != tt.attempts {
					t.Errorf("result %d after %d, want %d after %d", v, len(s.began), tt.result, tt.attempts)
				}
				if tt.cause != "" {
					exhaustedBy(t, err, tt.cause, tt.attempts, tt.want)
				} else if err != tt.want { //nolint:errorlint // unchanged
					t.Errorf("error %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestWithOneAttemptTheErrorIsTheFunctionsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, every(sec, 1))
		if _, err := patterns.Do(t.Context(), r, endings(errDown).run); err != errDown { //nolint:errorlint // unchanged
			t.Errorf("error %v", err)
		}
		if s := snapshotOf(t, r); s.Exhausted.Attempts != 1 || s.LastError != "down" {
			t.Errorf("%+v", s)
		}
	})
}

func TestNoWaitBeginsThatWouldNotEndInTime(t *testing.T) {
	for _, tt := range []struct {
		name              string
		elapsed, deadline time.Duration
		ends              []any
		want              []time.Duration
		cause             Cause
		after             time.Duration // that it is said
	}{
		{"the deadline fits one wait", 0, 1500 * ms, []any{errDown, errDown}, []time.Duration{0, sec}, CauseDeadline, sec},
		{"a wait that ends with the deadline does not fit", 0, 2 * sec, []any{errDown, errDown}, []time.Duration{0, sec}, CauseDeadline, sec},
		{"one that ends just before does", 0, 2*sec + 1, []any{errDown, errDown, errDown}, []time.Duration{0, sec, 2 * sec}, CauseDeadline, 2 * sec},
		{"the deadline passes in the function", 0, sec, []any{time.Hour}, []time.Duration{0}, CauseDeadline, sec},
		{"the time of all fits one wait", 1500 * ms, 0, []any{errDown, errDown}, []time.Duration{0, sec}, CauseElapsed, sec},
		{"a wait that ends with it does not fit", 2 * sec, 0, []any{errDown, errDown}, []time.Duration{0, sec}, CauseElapsed, sec},
		{"and the attempts count", 1500 * ms, 0, []any{work(600 * ms), errDown}, []time.Duration{0}, CauseElapsed, 600 * ms},
		{"the time of all is over", sec, 0, []any{work(time.Minute)}, []time.Duration{0}, CauseElapsed, time.Minute},
		{"the sooner one decides", 1500 * ms, 2500 * ms, []any{errDown, errDown}, []time.Duration{0, sec}, CauseElapsed, sec},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Whatever ends without an error is a failure here.
				r := bank(t, with(every(sec, 9), func(c *Config) { c.MaxElapsed = tt.elapsed }),
					actors.WithJudge(patterns.JudgeResult(func(any) patterns.Outcome { return patterns.Failure })))
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				s := endings(tt.ends...)
				_, err := patterns.Do(ctx, r, s.run)
				e, ok := errors.AsType[*ExhaustedError](err)
				if !ok || e.Cause != tt.cause || time.Since(s.start) != tt.after || e.Attempts != len(tt.want) {
					t.Errorf("after %v: %v", time.Since(s.start), err)
				}
				if tt.elapsed > 0 && e.Elapsed != tt.after {
					t.Errorf("elapsed %v, want %v", e.Elapsed, tt.after)
				}
				if passed := ctx.Err(); passed != nil && !errors.Is(err, passed) {
					t.Errorf("%v does not match %v", err, passed)
				}
				s.want(t, tt.want...)
			})
		})
	}
}

func TestACallerThatLeavesDuringAWaitIsAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, every(time.Hour, 3))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(sec, cancel)
		s := endings(errDown)
		_, err := patterns.Do(ctx, r, s.run)
		e := exhaustedBy(t, err, CauseCancelled, 1, errDown)
		if time.Since(s.start) != sec || e.Elapsed != sec || !errors.Is(err, context.Canceled) || patterns.Classify(ctx, err) != patterns.Ignored {
			t.Errorf("after %v: %v", time.Since(s.start), err)
		}
		if s := snapshotOf(t, r); s.Exhausted != (Exhaustion{Cancelled: 1}) || s.Waited != sec {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheCallersOwnCancellationIsNeverRetried(t *testing.T) {
	always := actors.WithJudge(patterns.JudgeError(func(error) patterns.Outcome { return patterns.Failure }))
	for name, opt := range map[string]actors.Option{"by default": nil, "whatever the Judge says": always} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bank(t, every(sec, 3), opt)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(sec, cancel)
				s := endings(time.Hour)
				if _, err := patterns.Do(ctx, r, s.run); err != context.Canceled { //nolint:errorlint // unchanged
					t.Errorf("error %v", err)
				}
				// The function's own error, from one whose caller has left, is not retried either.
				_, err := patterns.Do(ctx, r, endings(errDown).run)
				exhaustedBy(t, err, CauseCancelled, 1, errDown)
				// Somebody else's cancellation is.
				s = endings(context.Canceled)
				if _, err := patterns.Do(t.Context(), r, s.run); err != nil {
					t.Error(err)
				}
				s.want(t, 0, sec)
				if s := snapshotOf(t, r); s.Passed != 1 || s.Later != 1 || s.Exhausted != (Exhaustion{Cancelled: 1}) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestWhatAnInnerGuardRefusedIsRetriedOnlyIfToldTo(t *testing.T) {
	refusal := &actors.Refusal{Name: "inner", Reason: actors.ErrOverloaded}
	never := &actors.Refusal{Name: "inner", Reason: patterns.ErrInvalidRequest}
	for _, tt := range []struct {
		name     string
		again    bool
		refuses  []error // by attempt; nil lets it through
		ends     []any
		attempts int // of the guard
		cause    Cause
		last     error
		rejected bool // the error matches ErrRejected
	}{
		{"not by default", false, []error{refusal}, nil, 1, "", refusal, true},
		{"nor after an attempt that was made", false, []error{nil, refusal}, []any{errDown}, 2, CauseRefused, errDown, false},
		{"if told to", true, []error{refusal, refusal}, nil, 3, "", nil, false},
		{"to the end", true, []error{refusal, refusal, refusal}, nil, 3, CauseAttempts, refusal, true},
		{"after an attempt that was made", true, []error{nil, refusal, refusal}, []any{errDown}, 3, CauseAttempts, errDown, false},
		{"what can never be granted is not", true, []error{never}, nil, 1, "", never, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bank(t, with(every(sec, 3), func(c *Config) { c.RetryRejected = tt.again }))
				asked := 0
				g := &fence{func() (err error) {
					if asked < len(tt.refuses) {
						err = tt.refuses[asked]
					}
					asked++
					return err
				}}
				both, err := pipeline.New("", r, g)
				if err != nil {
					t.Fatal(err)
				}
				_, err = patterns.Do(t.Context(), both, endings(tt.ends...).run)
				if asked != tt.attempts || errors.Is(err, patterns.ErrRejected) != tt.rejected {
					t.Errorf("after %d: %v", asked, err)
				}
				if tt.cause != "" {
					e := exhaustedBy(t, err, tt.cause, tt.attempts, tt.last)
					if !tt.rejected && !errors.Is(e.By, refusal) || strings.Count(err.Error(), refusal.Error()) != 1 {
						t.Errorf("%v, by %v", err, e.By)
					}
				} else if err != tt.last { //nolint:errorlint // unchanged
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func TestAFinalErrorIsPassedOnAndIsStillAFailureToGuardsInside(t *testing.T) {
	final := fmt.Errorf("charged, perhaps: %w", patterns.ErrFinal)
	for name, ends := range map[string][]any{"at once": {final}, "later": {errDown, final}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := bank(t, every(sec, 5)), endings(ends...)
				var judged []patterns.Outcome
				_, err := patterns.Do(t.Context(), r, func(ctx context.Context) (int, error) {
					n, err := s.run(ctx)
					judged = append(judged, patterns.Classify(ctx, err))
					return n, err
				})
				if err != final { //nolint:errorlint // unchanged
					t.Errorf("error %v", err)
				}
				if len(judged) != len(ends) || slices.Contains(judged, patterns.Ignored) {
					t.Errorf("judged %v", judged)
				}
				if s := snapshotOf(t, r); s.Passed != 1 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestARefusalFromWithinTheFunctionIsNoFailureUnlessToldTo(t *testing.T) {
	refusal := &actors.Refusal{Name: "other", Reason: actors.ErrOverloaded}
	for again, want := range map[bool]int{false: 1, true: 2} {
		synctest.Test(t, func(t *testing.T) {
			s := endings(refusal)
			_, _ = patterns.Do(t.Context(), bank(t, with(every(sec, 3), func(c *Config) { c.RetryRejected = again })), s.run)
			if len(s.began) != want {
				t.Errorf("%d attempts, want %d", len(s.began), want)
			}
		})
	}
}

func TestAnErrorThatKnowsWhenToComeBackIsListenedTo(t *testing.T) {
	for _, tt := range []struct {
		name      string
		change    func(*Config)
		hint      hint
		low, high time.Duration
	}{
		{"longer than the backoff", func(*Config) {}, hint(10 * sec), 10 * sec, 11 * sec},
		{"shorter", func(*Config) {}, hint(ms), sec, sec},
		{"at once", func(*Config) {}, hint(0), sec, sec},
		{"in the past", func(*Config) {}, hint(-time.Hour), sec, sec},
		{"too long", func(*Config) {}, hint(time.Hour), 30 * sec, 33 * sec},
		{"too long for this one", func(c *Config) { c.MaxRetryAfter = 5 * sec }, hint(time.Hour), 5 * sec, 5500 * ms},
		{"ignored", func(c *Config) { c.IgnoreRetryAfter = true }, hint(10 * sec), sec, sec},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := endings(tt.hint)
				_, err := patterns.Do(t.Context(), bank(t, with(every(sec, 3), tt.change)), s.run)
				if err != nil || len(s.began) != 2 || s.began[1] < tt.low || s.began[1] > tt.high {
					t.Errorf("attempts at %v, want one in [%v, %v]; %v", s.began, tt.low, tt.high, err)
				}
			})
		})
	}
}

func TestSomeErrorsHaveTheirOwnRules(t *testing.T) {
	o := NewOverrides(
		For(Override{Attempts: 5, Backoff: Linear(sec, time.Hour)}, errBusy),
		For(Override{Attempts: 1}, errTaken),
		ForType[hint](Override{Backoff: Constant(7 * sec)}),
	)
	for _, tt := range []struct {
		name  string
		ends  []any
		want  []time.Duration
		cause Cause
	}{
		{"what has none", []any{errDown, errDown, errDown}, []time.Duration{0, ms, 2 * ms}, CauseAttempts},
		{"more attempts, other waits", []any{errBusy, errBusy, errBusy, errBusy, errBusy}, []time.Duration{0, sec, 3 * sec, 6 * sec, 10 * sec}, CauseAttempts},
		{"none", []any{errTaken}, []time.Duration{0}, ""},
		{"by type", []any{hint(0)}, []time.Duration{0, 7 * sec}, ""},
		{"each grows by itself", []any{errBusy, errDown, errBusy}, []time.Duration{0, sec, sec + ms, 3*sec + ms}, ""},
		{"all attempts count", []any{errDown, errDown, errBusy, errDown}, []time.Duration{0, ms, 2 * ms, sec + 2*ms}, CauseAttempts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := endings(tt.ends...)
				_, err := patterns.Do(t.Context(), bank(t, with(every(ms, 3), func(c *Config) { c.Overrides = o })), s.run)
				s.want(t, tt.want...)
				if tt.cause != "" {
					exhaustedBy(t, err, tt.cause, len(tt.want), tt.ends[len(tt.ends)-1].(error))
				}
			})
		})
	}
}

func TestUnwindingReachesTheCallerAndIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, every(sec, 3))
		for _, tt := range []struct {
			name string
			ends []any
			want any
		}{
			{"a panic at once", []any{func() { panic("no") }}, "no"},
			{"a panic later", []any{errDown, func() { panic("late") }}, "late"},
			{"Goexit", []any{exits}, "exit"},
			{"Goexit later", []any{errDown, errDown, exits}, "exit"},
		} {
			s := endings(tt.ends...)
			if got := unwinds(func() { _, _ = patterns.Do(t.Context(), r, s.run) }); got != tt.want || len(s.began) != len(tt.ends) {
				t.Errorf("%s: %v after %d", tt.name, got, len(s.began))
			}
		}
		if s := snapshotOf(t, r); s.Panicked != 4 || s.Calls != 4 || s.Retries != 3 || s.Attempts() != 7 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARetryGivesNoPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bank(t, Config{})
		_, first := r.Acquire(t.Context())
		_, second := r.AcquireFor(t.Context(), patterns.Request{})
		_, third := r.TryAcquire()
		_, fourth := r.TryAcquireFor(patterns.Request{})
		if all := []error{first, second, third, fourth}; slices.ContainsFunc(all, func(err error) bool { return err != patterns.ErrPolicy }) { //nolint:errorlint // itself
			t.Error(all)
		}
		answer, err := actors.Ask[actors.Rejected](t.Context(), r.System(), r.PID(), actors.Acquire{})
		if err != nil || !errors.Is(answer.Err, patterns.ErrPolicy) {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

func TestARetryIsFoundByItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		r := spawnBank(t, guards, Config{})
		same, err := GetOrSpawn(guards, "bank", Config{Attempts: 3, MaxRetryAfter: 30 * sec})
		found, ok := Get(guards, "bank")
		if err != nil || same != r || !ok || found != r || r.Name() != "bank" || r.Pattern() != "retry" {
			t.Errorf("%v, %v, %v", same, found, err)
		}
		if _, err := GetOrSpawn(guards, "bank", every(sec, 2)); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("another Config: %v", err)
		}
		if _, err := Spawn(guards, "other", Config{Attempts: -1, MaxElapsed: -1}); len(configtest.Faulty(err)) != 2 {
			t.Errorf("an invalid one: %v", err)
		}
		for name, g := range All(guards) {
			if name != "bank" || g != r {
				t.Errorf("%q", name)
			}
		}
	})
}
