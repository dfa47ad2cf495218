package fallback

import (
	"context"
	"errors"
	"fmt"
	"runtime"
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
	errOwn   = errors.New("the function's own")
	errOther = errors.New("another")
	errThird = errors.New("a third")
)

func spawn[T any](t testing.TB, guards *actors.Registry, c Config[T], opts ...actors.Option) *Fallback[T] {
	t.Helper()
	f, err := Spawn(guards, "f", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func snapshot[T any](t testing.TB, f *Fallback[T]) Snapshot {
	t.Helper()
	s, ok := f.Snapshot(t.Context())
	if !ok {
		t.Error("no snapshot")
	}
	return s
}

// gives is a call that returns v and err.
func gives[T any](v T, err error) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return v, err }
}

// fails is a step that fails with err.
func fails(err error) Step[int] {
	return Func(func(context.Context, error) (int, error) { return 0, err })
}

// same is stricter than errors.Is.
func same(a, b error) bool { return any(a) == any(b) }

func TestACallThatSucceedsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{Steps: seven})
		if v, err := patterns.Do(t.Context(), f, gives(1, nil)); v != 1 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if s := snapshot(t, f); s.Totals != (Totals{Calls: 1, Succeeded: 1}) || s.FellBack() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhatCallersGet(t *testing.T) {
	rejected := fmt.Errorf("%w: no", patterns.ErrRejected)
	of := func(err error) Step[int] {
		return Func(func(_ context.Context, got error) (int, error) {
			if !same(got, err) {
				return 0, fmt.Errorf("the step was told of %w", got)
			}
			return 9, nil
		})
	}
	for _, tt := range []struct {
		name  string
		steps []Step[int]
		keep  bool
		judge []patterns.Rule
		fn    func(context.Context) (int, error)
		want  int
		errs  []error // that the error matches, all of them; nil: there is none
		end   func(*Totals)
	}{
		{"a value", []Step[int]{Value(7)}, false, nil, gives(0, errOwn), 7, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"what a function makes of the error", []Step[int]{of(errOwn)}, false, nil, gives(0, errOwn), 9, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"the second if the first fails, which is told of the call's error", []Step[int]{fails(errOther), of(errOwn), Value(7)}, false, nil, gives(0, errOwn), 9, nil, func(t *Totals) { t.ByStep[1] = 1 }},
		{"both errors if the only one fails", []Step[int]{fails(errOther)}, false, nil, gives(0, errOwn), 0, []error{ErrFallback, errOwn, errOther}, func(t *Totals) { t.Exhausted = 1 }},
		{"all errors if all fail", []Step[int]{fails(errOther), fails(errThird)}, false, nil, gives(0, errOwn), 0, []error{ErrFallback, errOwn, errOther, errThird}, func(t *Totals) { t.Exhausted = 1 }},
		{"a panic as an error", []Step[int]{Func(func(context.Context, error) (int, error) { panic(errOther) })}, false, nil, gives(0, errOwn), 0, []error{ErrFallback, errOwn, errOther}, func(t *Totals) { t.Exhausted = 1 }},
		{"the next after a panic", []Step[int]{Value(1).When(func(error) bool { panic("no") }), Value(7)}, false, nil, gives(0, errOwn), 7, nil, func(t *Totals) { t.ByStep[1] = 1 }},
		{"the step that is for the error", []Step[int]{Value(1).On(errOther), Value(2).On(errThird, errOwn), Value(3)}, false, nil, gives(0, errOwn), 2, nil, func(t *Totals) { t.ByStep[1] = 1 }},
		{"the step whose predicate is", []Step[int]{Value(1).When(func(err error) bool { return same(err, errOther) }), Value(2).When(func(err error) bool { return same(err, errOwn) })}, false, nil, gives(0, errOwn), 2, nil, func(t *Totals) { t.ByStep[1] = 1 }},
		{"either of both", []Step[int]{Value(2).On(errOwn).When(func(error) bool { return false })}, false, nil, gives(0, errOwn), 2, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"the error, if no step is for it", []Step[int]{Value(1).On(errOther)}, false, nil, gives(5, errOwn), 5, []error{errOwn}, func(t *Totals) { t.Passed = 1 }},
		{"the error that the judge ignores", []Step[int]{Value(1)}, false, []patterns.Rule{patterns.IgnoreOn(errOwn)}, gives(0, errOwn), 0, []error{errOwn}, func(t *Totals) { t.Passed = 1 }},
		{"a fallback for what the judge calls dropped", []Step[int]{Value(1)}, false, []patterns.Rule{patterns.JudgeError(func(error) patterns.Outcome { return patterns.Dropped })}, gives(0, errOwn), 1, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"the error that the judge calls a success", []Step[int]{Value(1)}, false, []patterns.Rule{patterns.JudgeError(func(error) patterns.Outcome { return patterns.Success })}, gives(0, errOwn), 0, []error{errOwn}, func(t *Totals) { t.Passed = 1 }},
		{"a fallback for a bad result", []Step[int]{of(ErrBadResult)}, false, []patterns.Rule{patterns.JudgeResult(func(any) patterns.Outcome { return patterns.Failure })}, gives(4, nil), 9, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"the bad result, if no step is for it", []Step[int]{Value(1).On(errOther)}, false, []patterns.Rule{patterns.JudgeResult(func(any) patterns.Outcome { return patterns.Failure })}, gives(4, nil), 4, nil, func(t *Totals) { t.Passed = 1 }},
		{"a fallback for a refusal", []Step[int]{of(rejected)}, false, nil, gives(0, rejected), 9, nil, func(t *Totals) { t.ByStep[0] = 1 }},
		{"the refusal, if told to keep it", []Step[int]{Value(1)}, true, nil, gives(0, rejected), 0, []error{patterns.ErrRejected}, func(t *Totals) { t.Passed = 1 }},
		{"a fallback for a deadline inside", []Step[int]{Value(1)}, false, nil, gives(0, context.DeadlineExceeded), 1, nil, func(t *Totals) { t.ByStep[0] = 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var opts []actors.Option
				if tt.judge != nil {
					opts = append(opts, actors.WithJudge(tt.judge...))
				}
				f := spawn(t, actorstest.NewRegistry(t), Config[int]{Steps: Chain(tt.steps...), KeepRejections: tt.keep}, opts...)
				v, err := patterns.Do(t.Context(), f, tt.fn)
				if v != tt.want || (err == nil) != (len(tt.errs) == 0) {
					t.Errorf("%d, %v", v, err)
				}
				for _, want := range tt.errs {
					if !errors.Is(err, want) {
						t.Errorf("error %v is no %v", err, want)
					}
				}
				want := Totals{Calls: 1}
				tt.end(&want)
				if s := snapshot(t, f); s.Totals != want {
					t.Errorf("%+v", s.Totals)
				}
			})
		})
	}
}

func TestAnErrorOfBothSaysBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := spawn(t, guards, Config[int]{Steps: Chain(fails(errOther), fails(errThird))})
		_, err := patterns.Do(t.Context(), f, gives(0, errOwn))
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Name != "f" || !same(e.Original, errOwn) || !errors.Is(e.Fallback, errOther) || !errors.Is(e.Fallback, errThird) {
			t.Errorf("%+v", err)
		}
		actorstest.WantEvents(t, guards, WasExhausted)
	})
}

func TestNothingIsGivenToWhoCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{LastGood: time.Hour, Steps: Chain(Func(func(context.Context, error) (int, error) { calls++; return 7, nil }))})
		if _, err := patterns.Do(t.Context(), f, gives(1, nil)); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		v, err := patterns.Do(ctx, f, func(context.Context) (int, error) { cancel(); return 0, errOwn })
		if v != 0 || !same(err, errOwn) {
			t.Errorf("%d, %v", v, err)
		}
		v, err = patterns.Do(ctx, f, gives(3, nil))
		if v != 0 || !same(err, context.Canceled) || calls != 0 {
			t.Errorf("%d, %v, %d calls", v, err, calls)
		}
		if s := snapshot(t, f); s.Totals != (Totals{Calls: 3, Succeeded: 1, HungUp: 2}) {
			t.Errorf("%+v", s.Totals)
		}
	})
}

func TestWhoCancelsInAStepGetsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{Steps: Chain(
			Func(func(context.Context, error) (int, error) { cancel(); return 0, errOther }), Value(7))})
		v, err := patterns.Do(ctx, f, gives(0, errOwn))
		if v != 0 || !errors.Is(err, errOwn) || !errors.Is(err, errOther) {
			t.Errorf("%d, %v", v, err)
		}
	})
}

func TestWhoseTimeIsOverIsGivenSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{LastGood: time.Hour})
		if _, err := patterns.Do(t.Context(), f, gives(8, nil)); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		v, err := patterns.Do(ctx, f, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		if v != 8 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}

func TestThePanicOfTheFunctionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{Steps: seven})
		func() {
			defer func() {
				if r := recover(); r != "mine" {
					t.Errorf("recovered %v", r)
				}
			}()
			_, _ = patterns.Do(t.Context(), f, func(context.Context) (int, error) { panic("mine") })
			t.Error("it went on")
		}()
		for _, steps := range []*Steps[int]{seven, Chain(Func(func(context.Context, error) (int, error) { runtime.Goexit(); return 0, nil }))} {
			if err := f.Reconfigure(t.Context(), Config[int]{Steps: steps}); err != nil {
				t.Fatal(err)
			}
			done := make(chan bool, 1)
			go func() {
				went := false
				defer func() { done <- went }()
				fn := gives(0, errOwn)
				if steps == seven {
					fn = func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }
				}
				_, _ = patterns.Do(context.Background(), f, fn)
				went = true
			}()
			if <-done {
				t.Error("an exit was stopped")
			}
		}
		if s := snapshot(t, f); s.Totals != (Totals{Calls: 3, Passed: 3}) {
			t.Errorf("%+v", s.Totals)
		}
	})
}

func TestARefusalByAGuardInsideIsFallenBackOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := spawn(t, guards, Config[int]{Steps: seven})
		rooms, err := bulkhead.Spawn(guards, "rooms", bulkhead.Config{MaxConcurrent: 1})
		if err != nil {
			t.Fatal(err)
		}
		p, err := pipeline.New("p", f, rooms)
		if err != nil {
			t.Fatal(err)
		}
		events := actorstest.Record(t, guards, actors.Only[FellBack]())
		v, err := patterns.Do(t.Context(), p, func(ctx context.Context) (int, error) {
			inner, err := patterns.Do(ctx, p, gives(1, nil))
			return 10 + inner, err
		})
		if v != 17 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		events.Want(t, actorstest.Is(func(e FellBack) bool {
			return e.By == "value" && e.Count == 1 && errors.Is(e.Err, bulkhead.ErrFull)
		}))
		if warnings := pipeline.Lint(p); len(warnings) != 0 {
			t.Errorf("%v", warnings)
		}
	})
}

func TestTheLastGoodValueOfAKeyIsGivenWhileItIsYoung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := spawn(t, guards, Config[string]{LastGood: time.Minute, StaleFor: time.Hour, Steps: Chain(
			Func(func(context.Context, error) (string, error) { return "", errOther }))})
		call := func(key, v string, err error) (string, error) {
			return patterns.DoFor(t.Context(), f, patterns.Request{Key: key}, gives(v, err))
		}
		for _, key := range []string{"a", ""} {
			if _, err := call(key, "of "+key, nil); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if v, err := call("a", "", errOwn); v != "of a" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := call("b", "", errOwn); v != "" || !errors.Is(err, errOwn) || !errors.Is(err, errOther) {
			t.Errorf("%q, %v", v, err)
		}
		time.Sleep(58 * time.Second) // "a" is a minute old, after all Steps failed
		for key, want := range map[string]string{"a": "of a", "": "of "} {
			if v, err := call(key, "", errOwn); v != want || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
		s := snapshot(t, f)
		if s.LastGood != 2 || s.LastStale != 1 || s.Exhausted != 1 || s.Succeeded != 2 || s.Kept != 2 || s.Oldest != time.Minute || s.FellBack() != 3 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Hour)
		if _, err := call("a", "", errOwn); !errors.Is(err, errOther) {
			t.Error(err)
		}
		if s := snapshot(t, f); s.Kept != 0 || s.Oldest != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWithNothingButLastGoodTheErrorStaysAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{LastGood: time.Minute})
		if _, err := patterns.Do(t.Context(), f, gives(0, errOwn)); !same(err, errOwn) {
			t.Error(err)
		}
		if _, err := patterns.Do(t.Context(), f, gives(3, nil)); err != nil {
			t.Error(err)
		}
		if err := f.Reset(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := patterns.Do(t.Context(), f, gives(0, errOwn)); !same(err, errOwn) {
			t.Error(err)
		}
		if err := f.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); err == nil {
			t.Error("it can be opened")
		}
	})
}

func TestABadResultIsNoGoodValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := patterns.JudgeResult(func(v any) patterns.Outcome {
			if v == 0 {
				return patterns.Failure
			}
			return patterns.Success
		})
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{LastGood: time.Minute}, actors.WithJudge(bad))
		for _, tt := range []struct{ returns, want int }{{0, 0}, {3, 3}, {0, 3}, {0, 3}} {
			if v, err := patterns.Do(t.Context(), f, gives(tt.returns, nil)); v != tt.want || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		}
	})
}

func TestACallOfAnotherTypeIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{LastGood: time.Minute, Steps: seven})
		if v, err := patterns.Do(t.Context(), f, gives("fine", nil)); v != "fine" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		_, err := patterns.Do(t.Context(), f, gives("", errOwn))
		if _, ok := errors.AsType[*patterns.ResultError](err); !ok || !errors.Is(err, errOwn) {
			t.Error(err)
		}
		if s := snapshot(t, f); s.Kept != 0 {
			t.Error("it was kept")
		}
	})
}

func TestValuesMayBeNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[error]{LastGood: time.Minute, Steps: Chain(Value(errThird))})
		for _, want := range []error{nil, errOther} {
			if _, err := patterns.Do(t.Context(), f, gives(want, nil)); err != nil {
				t.Error(err)
			}
			if v, err := patterns.Do(t.Context(), f, gives(errOwn, errOwn)); !same(v, want) || err != nil {
				t.Errorf("%v, %v", v, err)
			}
		}
	})
}

func TestARestartKeepsTheLastGoodValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := spawn(t, guards, Config[int]{LastGood: time.Minute, Steps: seven})
		if _, err := patterns.Do(t.Context(), f, gives(3, nil)); err != nil {
			t.Error(err)
		}
		actorstest.Crash(t, f, actorstest.At(actors.Consult{}))
		if v, err := patterns.Do(t.Context(), f, gives(0, errOwn)); v != 7 || err != nil { // whose question failed
			t.Errorf("%d, %v", v, err)
		}
		if v, err := patterns.Do(t.Context(), f, gives(0, errOwn)); v != 3 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if s := snapshot(t, f); s.Restarts != 1 || s.Kept != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWithoutItsActorItGoesOnOrRefuses(t *testing.T) {
	for _, policy := range []patterns.FailPolicy{patterns.FailOpen, patterns.FailClosed} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1, Period: time.Minute}))
				f := spawn(t, guards, Config[int]{LastGood: time.Minute, Steps: seven, OnFailure: policy})
				if _, err := patterns.Do(t.Context(), f, gives(3, nil)); err != nil {
					t.Error(err)
				}
				actorstest.Crash(t, f, actorstest.At(actors.Consult{}), actorstest.Times(9))
				for range 5 {
					_ = f.Tell(fell{})
					synctest.Wait()
				}
				v, err := patterns.Do(t.Context(), f, gives(0, errOwn))
				if policy == patterns.FailClosed {
					if !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, patterns.ErrRejected) {
						t.Errorf("error %v", err)
					}
				} else if v != 7 || err != nil || f.Unguarded() != 1 {
					t.Errorf("%d, %v", v, err)
				}
				if err := f.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestThereAreNoPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := spawn(t, actorstest.NewRegistry(t), Config[int]{Steps: seven})
		for name, ask := range map[string]func() (patterns.Permit, error){
			"Acquire":       func() (patterns.Permit, error) { return f.Acquire(t.Context()) },
			"AcquireFor":    func() (patterns.Permit, error) { return f.AcquireFor(t.Context(), patterns.Request{}) },
			"TryAcquire":    f.TryAcquire,
			"TryAcquireFor": func() (patterns.Permit, error) { return f.TryAcquireFor(patterns.Request{}) },
		} {
			if _, err := ask(); !errors.Is(err, patterns.ErrPolicy) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestTheRegistryKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := spawn(t, guards, Config[int]{LastGood: time.Minute, Steps: seven})
		same, err := GetOrSpawn(guards, "f", Config[int]{LastGood: time.Minute, MaxKeys: 1024, Steps: seven})
		if err != nil || same != f {
			t.Errorf("%v", err)
		}
		if _, err := GetOrSpawn(guards, "f", Config[int]{LastGood: time.Minute, Steps: Chain(Value(7))}); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("%v", err)
		}
		if _, err := GetOrSpawn(guards, "f", Config[string]{LastGood: time.Minute}); !errors.Is(err, actors.ErrConflict) {
			t.Errorf("%v", err)
		}
		if found, ok := Get[int](guards, "f"); !ok || found != f || f.Pattern() != "fallback" {
			t.Error("it is not found")
		}
		if _, ok := Get[string](guards, "f"); ok {
			t.Error("one of another type is")
		}
		for name, each := range All[int](guards) {
			if name != "f" || each != f {
				t.Errorf("%s", name)
			}
		}
		if err := f.Reconfigure(t.Context(), Config[int]{OnFailure: patterns.FailClosed}); err == nil {
			t.Error("it took a bad one")
		}
		if err := f.Reconfigure(t.Context(), Config[int]{Steps: Chain(Value(8).Named("eight"))}); err != nil {
			t.Error(err)
		}
		if v, _ := patterns.Do(t.Context(), f, gives(0, errOwn)); v != 8 {
			t.Errorf("%d", v)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e ConfigChanged) bool { return e.Steps == "eight" && e.LastGood == 0 }), actorstest.Is(func(e FellBack) bool { return e.By == "eight" }))
	})
}
