package patterns

import (
	"context"
	"errors"
	"slices"
)

// Classify is the default judgement of a call that returned err under ctx: nil is
// Success; the caller's own cancellation, the refusal of an inner guard and the error of
// an attempt that was outrun are Ignored; everything else is Failure. A deadline that passed is a Failure: the
// dependency was too slow.
func Classify(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, ErrRejected):
		return Ignored
	case errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled), outrun(ctx):
		return Ignored
	}
	return Failure
}

// outrun reports whether the attempt was cancelled because another one was faster. What it
// then returned, in whatever words, says nothing about what it called.
func outrun(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrOutrun)
}

// Judge decides the Outcome of a call from its error and its result. Its rules
// run on the caller's goroutine, in the order result, ignore, predicate, fail. A
// rule that panics makes the call a Failure, and the caller still gets its own
// result and error. The error of an attempt that was outrun is Ignored, whatever the
// rules. A nil Judge judges as Classify. A Judge is immutable.
type Judge struct {
	result    func(any) Outcome
	ignore    []func(error) bool
	predicate func(error) Outcome
	fail      []func(error) bool
}

// A Rule configures a Judge.
type Rule func(*Judge)

// NewJudge returns a Judge with the given rules.
func NewJudge(rules ...Rule) *Judge {
	j := new(Judge)
	for _, r := range rules {
		if r != nil {
			r(j)
		}
	}
	return j
}

// FailOn counts as Failure the errors that match one of targets with errors.Is,
// and Ignores every other error.
func FailOn(targets ...error) Rule {
	targets = slices.Clone(targets)
	return func(j *Judge) { j.fail = append(j.fail, isAny(targets)) }
}

// FailAs is FailOn for errors that errors.As finds to be an E.
func FailAs[E error]() Rule { return func(j *Judge) { j.fail = append(j.fail, isA[E]) } }

// IgnoreOn ignores the errors that match one of targets with errors.Is.
func IgnoreOn(targets ...error) Rule {
	targets = slices.Clone(targets)
	return func(j *Judge) { j.ignore = append(j.ignore, isAny(targets)) }
}

// IgnoreAs is IgnoreOn for errors that errors.As finds to be an E.
func IgnoreAs[E error]() Rule { return func(j *Judge) { j.ignore = append(j.ignore, isA[E]) } }

// JudgeError sets the predicate that judges every non-nil error no IgnoreOn rule
// matched; FailOn rules are then not looked at.
func JudgeError(f func(error) Outcome) Rule { return func(j *Judge) { j.predicate = f } }

// JudgeResult sets the function that judges the result of every call that
// returned no error. The result is boxed in an interface, which may allocate.
func JudgeResult(f func(result any) Outcome) Rule { return func(j *Judge) { j.result = f } }

func isAny(targets []error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// looks reports whether there is a rule about results.
func (j *Judge) looks() bool { return j != nil && j.result != nil }

// judge is a function and not a method with a type parameter, which Go lacks.
func judge[T any](ctx context.Context, j *Judge, v T, err error) (o Outcome) {
	if j == nil {
		return Classify(ctx, err)
	}
	defer func() {
		if recover() != nil || !o.Valid() {
			o = Failure
		}
	}()
	if err == nil {
		if j.result == nil {
			return Success
		}
		return j.result(v)
	}
	return j.judgeError(ctx, err)
}

func (j *Judge) judgeError(ctx context.Context, err error) Outcome {
	matches := func(rule func(error) bool) bool { return rule(err) }
	switch {
	case outrun(ctx):
		return Ignored
	case slices.ContainsFunc(j.ignore, matches):
		return Ignored
	case j.predicate != nil:
		return j.predicate(err)
	case len(j.fail) == 0:
		return Classify(ctx, err)
	case slices.ContainsFunc(j.fail, matches):
		return Failure
	}
	return Ignored
}
