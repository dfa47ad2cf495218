package patterns

import "context"

// Do runs fn if g permits it, and reports how it ended. fn's result and error
// reach the caller unchanged; an error that matches ErrRejected means fn never
// ran. A panic or runtime.Goexit in fn counts as Failure, gives the permit back,
// and goes on unwinding the caller.
func Do[T any](ctx context.Context, g Guard, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		return v, ErrNilFunc
	}
	if g == nil {
		return v, ErrNilGuard
	}
	terms := g.Terms()
	if terms != nil && terms.Policy != nil {
		return around(ctx, terms.Policy, Request{}, fn)
	}
	permit, err := g.Acquire(ctx)
	if err != nil {
		return v, err
	}
	return attempt(ctx, terms, permit, fn)
}

// DoFor is Do for a Request with a key, weight or priority. Spend is ignored: the permit
// is reported.
func DoFor[T any](ctx context.Context, g Guard, r Request, fn func(context.Context) (T, error)) (v T, err error) {
	if fn == nil {
		return v, ErrNilFunc
	}
	if g == nil {
		return v, ErrNilGuard
	}
	r.Spend = false
	terms := g.Terms()
	if terms != nil && terms.Policy != nil {
		return around(ctx, terms.Policy, r, fn)
	}
	permit, err := g.AcquireFor(ctx, r)
	if err != nil {
		return v, err
	}
	return attempt(ctx, terms, permit, fn)
}

// attempt makes the attempt that permit is for.
func attempt[T any](ctx context.Context, terms *Terms, permit Permit, fn func(context.Context) (T, error)) (v T, err error) {
	outcome := Failure
	defer func() { permit.Report(outcome) }()
	if terms == nil {
		v, err = fn(ctx)
		outcome = Classify(ctx, err)
		return v, err
	}
	callCtx := ctx
	if terms.Timeout > 0 {
		var cancel context.CancelFunc
		callCtx, cancel = context.WithTimeoutCause(ctx, terms.Timeout, ErrCallTimeout)
		defer cancel()
	}
	v, err = fn(callCtx)
	if err == nil && !terms.Judge.looks() {
		outcome = Success
	} else {
		outcome = judge(ctx, terms.Judge, v, err)
	}
	return v, err
}

// Run is Do for a function without a result.
func Run(ctx context.Context, g Guard, fn func(context.Context) error) error {
	if fn == nil {
		return ErrNilFunc
	}
	_, err := Do(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Wrap returns fn guarded by g, with fn's own type.
func Wrap[A, R any](g Guard, fn func(context.Context, A) (R, error)) func(context.Context, A) (R, error) {
	if fn == nil {
		return func(context.Context, A) (r R, err error) { return r, ErrNilFunc }
	}
	return func(ctx context.Context, a A) (R, error) {
		return Do(ctx, g, func(ctx context.Context) (R, error) { return fn(ctx, a) })
	}
}
