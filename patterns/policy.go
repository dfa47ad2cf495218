package patterns

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// ErrPolicy is returned by Acquire of a guard that decides around whole calls: it has no
// permit to give, and works with Do, DoFor, Run and Wrap only.
var ErrPolicy = errors.New("a policy grants no permits: use patterns.Do")

// Policy is the part of a guard that decides around a call rather than before it: whether
// it is made again, how long it may take, what its caller gets instead. A guard whose Terms
// have one is handed the whole call by Do, and is not asked for a permit.
type Policy interface {
	// Around makes the attempts that it sees fit to, and returns the error that the caller
	// gets; without one, call has the result. It runs on the caller's goroutine.
	Around(ctx context.Context, call Call) error
}

// Optimist is a Policy that has next to nothing to do with a call that succeeds at once. Do
// makes the first attempt of such calls itself, and makes a Call of one only when it failed.
// All of it runs on the caller's goroutine.
type Optimist interface {
	Policy
	// Begin is told of a call that is about to be made. What it returns is for GoOn; false
	// means that the whole call has to go through Around.
	Begin(ctx context.Context) (began time.Time, ok bool)
	// Passed is told of one whose first attempt returned no error.
	Passed()
	// GoOn is handed one whose first attempt returned err, and does what Around would.
	GoOn(ctx context.Context, began time.Time, call Call, err error) error
	// Unwound is told of one that panicked or ended its goroutine.
	Unwound()
}

// Call is a guarded function, together with room for its result. It is used by one
// goroutine at a time; attempts that run side by side are made of Forks. Policies, not
// users, see Calls.
type Call interface {
	// Request is what guards below are asked for.
	Request() *Request
	// Try makes one attempt and keeps its result. The error is the function's, or that of
	// whatever stands between.
	Try(ctx context.Context) error
	// Began reports whether the latest Try called the function: an attempt that was refused
	// on the way did not.
	Began() bool
	// Result returns the result, boxed.
	Result() any
	// Give makes v the result, as if the function had returned it. The error is a
	// *ResultError if v is not of the function's type.
	Give(v any) error
	// Fork returns a Call of the same function with a result of its own.
	Fork() Call
	// Adopt makes the result of a Fork the Call's own. The Fork must not be used after it.
	Adopt(fork Call)
}

// ResultError says that a policy had a result to give that is not of the type that the
// guarded function returns.
type ResultError struct {
	Got  any
	Want string // the type
}

func (e *ResultError) Error() string {
	return fmt.Sprintf("patterns: a %T was to take the place of a %s", e.Got, e.Want)
}

// JudgeCall returns the Outcome of an attempt of call that returned err, as judge sees it;
// a nil judge judges as Classify.
func JudgeCall(ctx context.Context, judge *Judge, call Call, err error) (o Outcome) {
	if judge == nil {
		return Classify(ctx, err)
	}
	defer func() {
		if recover() != nil || !o.Valid() {
			o = Failure
		}
	}()
	switch {
	case err != nil:
		return judge.judgeError(ctx, err)
	case judge.result == nil:
		return Success
	}
	return judge.result(call.Result())
}

// guarded is the Call of Do.
type guarded[T any] struct {
	fn      func(context.Context) (T, error)
	request Request
	result  T
	began   bool
}

func around[T any](ctx context.Context, p Policy, r Request, fn func(context.Context) (T, error)) (T, error) {
	if o, ok := p.(Optimist); ok {
		if began, ok := o.Begin(ctx); ok {
			return begun(ctx, o, began, r, fn)
		}
	}
	c := &guarded[T]{fn: fn, request: r}
	err := p.Around(ctx, c)
	return c.result, err
}

// begun makes the first attempt.
func begun[T any](ctx context.Context, o Optimist, began time.Time, r Request, fn func(context.Context) (T, error)) (v T, err error) {
	ended := false
	defer func() {
		if !ended {
			o.Unwound()
		}
	}()
	if v, err = fn(ctx); err == nil {
		ended = true
		o.Passed()
		return v, nil
	}
	c := &guarded[T]{fn: fn, request: r, result: v, began: true}
	err = o.GoOn(ctx, began, c, err)
	ended = true
	return c.result, err
}

func (c *guarded[T]) Request() *Request { return &c.request }

func (c *guarded[T]) Try(ctx context.Context) (err error) {
	c.began = true
	c.result, err = c.fn(ctx)
	return err
}

func (c *guarded[T]) Began() bool { return c.began }

func (c *guarded[T]) Result() any { return c.result }

func (c *guarded[T]) Give(v any) error {
	result, ok := v.(T)
	if !ok && v != nil {
		return &ResultError{Got: v, Want: reflect.TypeFor[T]().String()}
	}
	c.result = result // nil is the zero value
	return nil
}

func (c *guarded[T]) Fork() Call { return &guarded[T]{fn: c.fn, request: c.request} }

func (c *guarded[T]) Adopt(fork Call) {
	f := fork.(*guarded[T])
	c.result, c.began = f.result, f.began
}
