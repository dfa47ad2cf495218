package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// door is a guard that notes what it is told.
type door struct {
	refusal  error
	terms    *patterns.Terms
	outcomes []patterns.Outcome
	released int
	asked    []patterns.Request
}

func (d *door) Name() string           { return "door" }
func (d *door) Terms() *patterns.Terms { return d.terms }

func (d *door) Acquire(ctx context.Context) (patterns.Permit, error) {
	return d.AcquireFor(ctx, patterns.Request{})
}

func (d *door) AcquireFor(_ context.Context, r patterns.Request) (patterns.Permit, error) {
	d.asked = append(d.asked, r)
	if d.refusal != nil {
		return patterns.Permit{}, d.refusal
	}
	return patterns.NewPermit(d, uint64(len(d.asked)), 0), nil
}

func (d *door) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	d.outcomes = append(d.outcomes, o)
	return true
}

func (d *door) Release(uint64) { d.released++ }

var errBank = errors.New("bank")

type teapotError struct{ code int }

func (e *teapotError) Error() string { return fmt.Sprint("teapot ", e.code) }

func TestDoReportsHowTheFunctionEnded(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	outrun, end := context.WithCancelCause(t.Context())
	end(patterns.ErrOutrun)
	judged := func(rules ...patterns.Rule) *patterns.Terms {
		return &patterns.Terms{Judge: patterns.NewJudge(rules...)}
	}
	odd := patterns.JudgeResult(func(v any) patterns.Outcome { return patterns.Outcome(v.(int) % 2) })
	tests := []struct {
		name  string
		ctx   context.Context
		terms *patterns.Terms
		value int
		err   error
		want  patterns.Outcome
	}{
		{"no error is a success", t.Context(), nil, 7, nil, patterns.Success},
		{"an error is a failure", t.Context(), nil, 0, errBank, patterns.Failure},
		{"an inner refusal is ignored", t.Context(), nil, 0, fmt.Errorf("inner: %w", patterns.ErrRejected), patterns.Ignored},
		{"the caller's own cancellation is ignored", cancelled, nil, 0, context.Canceled, patterns.Ignored},
		{"somebody else's cancellation is a failure", t.Context(), nil, 0, context.Canceled, patterns.Failure},
		{"a failure after the caller cancelled is a failure", cancelled, nil, 0, errBank, patterns.Failure},
		{"a deadline that passed is a failure", late, nil, 0, context.DeadlineExceeded, patterns.Failure},
		{"an attempt that was outrun teaches nothing, whatever it says", outrun, nil, 0, errBank, patterns.Ignored},
		{"nor does it with a judge", outrun, judged(patterns.FailOn(errBank)), 0, errBank, patterns.Ignored},
		{"one that succeeded all the same is a success", outrun, nil, 7, nil, patterns.Success},
		{"a judge without rules judges as without a judge", t.Context(), judged(nil), 0, errBank, patterns.Failure},
		{"FailOn counts what it names", t.Context(), judged(patterns.FailOn(errBank)), 0, fmt.Errorf("%w", errBank), patterns.Failure},
		{"FailOn ignores the rest", t.Context(), judged(patterns.FailOn(errBank)), 0, errors.New("else"), patterns.Ignored},
		{"FailAs counts its type", t.Context(), judged(patterns.FailAs[*teapotError]()), 0, fmt.Errorf("%w", &teapotError{418}), patterns.Failure},
		{"IgnoreOn goes before FailOn", t.Context(), judged(patterns.FailOn(errBank), patterns.IgnoreOn(errBank)), 0, errBank, patterns.Ignored},
		{"IgnoreAs ignores its type", t.Context(), judged(patterns.IgnoreAs[*teapotError]()), 0, &teapotError{418}, patterns.Ignored},
		{
			"a predicate goes before FailOn", t.Context(),
			judged(patterns.FailOn(errBank), patterns.JudgeError(func(error) patterns.Outcome { return patterns.Dropped })),
			0, errBank, patterns.Dropped,
		},
		{"a result can be a failure", t.Context(), judged(odd), 1, nil, patterns.Failure},
		{"a result can be a success", t.Context(), judged(odd), 2, nil, patterns.Success},
		{"a result is not looked at when there is an error", t.Context(), judged(odd), 2, errBank, patterns.Failure},
		{
			"a panicking predicate is a failure", t.Context(),
			judged(patterns.JudgeError(func(error) patterns.Outcome { panic("predicate") })), 0, errBank, patterns.Failure,
		},
		{"a panicking result rule is a failure", t.Context(), judged(patterns.JudgeResult(func(any) patterns.Outcome { panic("result") })), 3, nil, patterns.Failure},
		{"an outcome that is none is a failure", t.Context(), judged(patterns.JudgeResult(func(any) patterns.Outcome { return 99 })), 3, nil, patterns.Failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &door{terms: tt.terms}
			v, err := patterns.Do(tt.ctx, d, func(context.Context) (int, error) { return tt.value, tt.err })
			if v != tt.value || err != tt.err { //nolint:errorlint // unchanged, not only matching
				t.Errorf("the caller got %d, %v; want %d, %v", v, err, tt.value, tt.err)
			}
			if len(d.outcomes) != 1 || d.outcomes[0] != tt.want {
				t.Errorf("reported %v, want %v", d.outcomes, tt.want)
			}
		})
	}
}

func TestDoDoesNotRunWhatIsRefused(t *testing.T) {
	d := &door{refusal: patterns.ErrRejected}
	_, err := patterns.Do(t.Context(), d, func(context.Context) (int, error) { t.Error("it ran"); return 0, nil })
	if !errors.Is(err, patterns.ErrRejected) || len(d.outcomes) != 0 {
		t.Errorf("error %v, reported %v", err, d.outcomes)
	}
}

func TestAPanicIsAFailureAndGoesOn(t *testing.T) {
	d := new(door)
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = patterns.Run(t.Context(), d, func(context.Context) error { panic("boom") })
	}()
	if len(d.outcomes) != 1 || d.outcomes[0] != patterns.Failure {
		t.Errorf("reported %v", d.outcomes)
	}
}

func TestGoexitIsAFailure(t *testing.T) {
	d := new(door)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = patterns.Run(context.Background(), d, func(context.Context) error { runtime.Goexit(); return nil })
	}()
	<-done
	if len(d.outcomes) != 1 || d.outcomes[0] != patterns.Failure {
		t.Errorf("reported %v", d.outcomes)
	}
}

func TestTheTimeoutOfTheGuardReachesTheFunction(t *testing.T) {
	d := &door{terms: &patterns.Terms{Timeout: time.Nanosecond}}
	err := patterns.Run(t.Context(), d, func(ctx context.Context) error {
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, patterns.ErrCallTimeout) {
			t.Errorf("cause %v", cause)
		}
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) || d.outcomes[0] != patterns.Failure {
		t.Errorf("error %v, reported %v", err, d.outcomes)
	}
}

func TestWrapKeepsTheType(t *testing.T) {
	d := new(door)
	double := patterns.Wrap(d, func(_ context.Context, n int) (string, error) { return fmt.Sprint(2 * n), nil })
	if s, err := double(t.Context(), 21); s != "42" || err != nil || len(d.outcomes) != 1 {
		t.Errorf("got %q, %v; reported %v", s, err, d.outcomes)
	}
}

func TestNothingToCallOrToAskIsAnError(t *testing.T) {
	d := new(door)
	_, noFunc := patterns.Do[int](t.Context(), d, nil)
	_, noGuard := patterns.Do(t.Context(), nil, func(context.Context) (int, error) { return 0, nil })
	_, wrapped := patterns.Wrap[int, int](d, nil)(t.Context(), 1)
	for what, got := range map[string]error{"Do": noFunc, "Run": patterns.Run(t.Context(), d, nil), "Wrap": wrapped} {
		if !errors.Is(got, patterns.ErrNilFunc) {
			t.Errorf("%s of a nil function: %v", what, got)
		}
	}
	if !errors.Is(noGuard, patterns.ErrNilGuard) {
		t.Errorf("a nil guard: %v", noGuard)
	}
	if len(d.asked) != 0 {
		t.Error("the guard was asked")
	}
}

func TestAPermitEndsOnce(t *testing.T) {
	tests := []struct {
		name     string
		use      func(p *patterns.Permit) bool
		counted  bool
		reports  int
		released int
	}{
		{"by a report", func(p *patterns.Permit) bool { return p.Report(patterns.Success) }, true, 1, 0},
		{"by the first report", func(p *patterns.Permit) bool { p.Report(patterns.Success); return p.Report(patterns.Failure) }, false, 1, 0},
		{"a release after a report does nothing", func(p *patterns.Permit) bool { p.Report(patterns.Success); p.Release(); return true }, true, 1, 0},
		{"a report after a release does nothing", func(p *patterns.Permit) bool { p.Release(); p.Release(); return p.Report(patterns.Success) }, false, 0, 1},
		{"the zero Permit is spent", func(p *patterns.Permit) bool { *p = patterns.Permit{}; p.Release(); return p.Report(patterns.Success) }, false, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := new(door)
			p, err := d.Acquire(t.Context())
			if err != nil || p.ID() != 1 {
				t.Fatalf("permit %d, %v", p.ID(), err)
			}
			if got := tt.use(&p); got != tt.counted || len(d.outcomes) != tt.reports || d.released != tt.released {
				t.Errorf("counted %v, reports %v, releases %d", got, d.outcomes, d.released)
			}
		})
	}
}

func TestDoForAsksForWhatItIsTold(t *testing.T) {
	d := new(door)
	r := patterns.Request{Key: "tenant", Weight: 3, Priority: patterns.High, Spend: true}
	v, err := patterns.DoFor(t.Context(), d, r, func(context.Context) (int, error) { return 7, nil })
	if v != 7 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
	r.Spend = false // there is a permit to report
	if len(d.asked) != 1 || d.asked[0] != r || len(d.outcomes) != 1 || d.outcomes[0] != patterns.Success {
		t.Errorf("asked %+v, reported %v", d.asked, d.outcomes)
	}
	_, noFunc := patterns.DoFor[int](t.Context(), d, r, nil)
	_, noGuard := patterns.DoFor(t.Context(), nil, r, func(context.Context) (int, error) { return 0, nil })
	if !errors.Is(noFunc, patterns.ErrNilFunc) || !errors.Is(noGuard, patterns.ErrNilGuard) {
		t.Errorf("errors %v, %v", noFunc, noGuard)
	}
}
