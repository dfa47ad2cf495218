package backpressure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// DefaultParallel is how many items of a stage are under way at once unless told otherwise.
const DefaultParallel = 16

// ErrGoexit is the error of an item whose function called runtime.Goexit.
var ErrGoexit = errors.New("backpressure: function called runtime.Goexit")

// PanicError is what a stage panics with in its consumer when its source or its function
// panicked.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("panic in a stage: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A StageOption configures Map and MapChan.
type StageOption func(*stage)

type stage struct {
	parallel  int
	unordered bool
}

// Parallel sets how many items may be under way at once, those included that are done and
// wait for the consumer. The default is 16; less than 1 means 1, more than 65,536 means that.
func Parallel(n int) StageOption { return func(s *stage) { s.parallel = min(max(1, n), 1<<16) } }

// Unordered yields results as they come instead of in the order of their items, so that a
// slow item does not hold back those behind it.
func Unordered() StageOption { return func(s *stage) { s.unordered = true } }

// Map applies fn to every item of in, several at once, each under a permit of g, and yields
// the results in the order of the items. The source is not read faster than g lets it: at
// most one item is taken that has no permit yet.
//
// An item that g refuses yields its error, as does one that fn failed for; what to do about
// it is up to the consumer. If g has stopped, or ctx ends, nothing more is taken, and what is
// under way is yielded; ctx's error comes last. When the consumer breaks off, fn's context
// ends. In any case Map returns when all calls of fn have: it leaves no goroutine behind.
//
// in runs on a goroutine of its own, and must not block for ever: for channels there is
// MapChan. If in or fn panics, Map panics in its consumer with a *PanicError.
func Map[In, Out any](ctx context.Context, in iter.Seq[In], g patterns.Guard, fn func(context.Context, In) (Out, error), opts ...StageOption) iter.Seq2[Out, error] {
	return mapped(ctx, func(_ context.Context, yield func(In) bool) { in(yield) }, g, fn, opts)
}

// MapChan is Map for the items of a channel, until it is closed.
func MapChan[In, Out any](ctx context.Context, in <-chan In, g patterns.Guard, fn func(context.Context, In) (Out, error), opts ...StageOption) iter.Seq2[Out, error] {
	return mapped(ctx, func(ctx context.Context, yield func(In) bool) {
		for {
			select {
			case item, ok := <-in:
				if !ok || !yield(item) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}, g, fn, opts)
}

// result is what became of one item.
type result[Out any] struct {
	value    Out
	err      error
	panicked *PanicError
}

// flow is one run of a stage.
type flow[In, Out any] struct {
	ctx   context.Context
	guard patterns.Guard
	fn    func(context.Context, In) (Out, error)

	room    chan struct{}         // one token for each item under way
	ordered chan chan result[Out] // the items' results, in order; nil if unordered
	results chan result[Out]      // as they come, if unordered; otherwise only of the source
	workers sync.WaitGroup
}

func mapped[In, Out any](ctx context.Context, feed func(context.Context, func(In) bool), g patterns.Guard, fn func(context.Context, In) (Out, error), opts []StageOption) iter.Seq2[Out, error] {
	s := stage{parallel: DefaultParallel}
	for _, o := range opts {
		if o != nil {
			o(&s)
		}
	}
	return func(yield func(Out, error) bool) {
		var none Out
		switch {
		case fn == nil:
			yield(none, patterns.ErrNilFunc)
			return
		case g == nil:
			yield(none, patterns.ErrNilGuard)
			return
		}
		inner, cancel := context.WithCancel(ctx)
		f := &flow[In, Out]{ctx: inner, guard: g, fn: fn, room: make(chan struct{}, s.parallel)}
		f.results = make(chan result[Out], s.parallel+1) // and the source's own panic
		if !s.unordered {
			f.ordered = make(chan chan result[Out], s.parallel+1)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			f.run(feed)
		}()
		defer func() {
			cancel()
			<-ended
		}()
		if f.consume(yield) && ctx.Err() != nil {
			yield(none, ctx.Err())
		}
	}
}

// run takes items from the source and starts a worker for each, until all are done.
func (f *flow[In, Out]) run(feed func(context.Context, func(In) bool)) {
	defer close(f.results)
	if f.ordered != nil {
		defer close(f.ordered)
	}
	defer f.workers.Wait()
	var r result[Out]
	defer func() {
		if r.panicked != nil || r.err != nil {
			f.deliver(f.place(), r)
		}
	}()
	r.attempt(func() { feed(f.ctx, f.start) })
}

// attempt runs do, and notes how it ended if it did not return.
func (r *result[Out]) attempt(do func()) {
	done := false
	defer func() {
		if done {
			return
		}
		if v := recover(); v != nil {
			r.panicked = &PanicError{Value: v, Stack: debug.Stack()}
		} else {
			r.err = ErrGoexit
		}
	}()
	do()
	done = true
}

// start starts a worker for item, when there is room and a permit for it. It reports
// whether to go on with the next.
func (f *flow[In, Out]) start(item In) bool {
	select {
	case f.room <- struct{}{}:
	case <-f.ctx.Done():
		return false
	}
	permit, err := f.guard.Acquire(f.ctx)
	switch {
	case f.ctx.Err() != nil: // perhaps while the permit was on its way
		permit.Release()
		return false
	case err != nil:
		f.deliver(f.place(), result[Out]{err: err})
		return !errors.Is(err, actors.ErrStopped)
	}
	place := f.place()
	f.workers.Go(func() {
		var r result[Out]
		defer func() { f.deliver(place, r) }()
		r.attempt(func() {
			r.value, r.err = patterns.Do(f.ctx, held{f.guard, permit}, func(ctx context.Context) (Out, error) { return f.fn(ctx, item) })
		})
	})
	return true
}

// place returns where the next item's result goes. There is room for it.
func (f *flow[In, Out]) place() chan result[Out] {
	if f.ordered == nil {
		return f.results
	}
	place := make(chan result[Out], 1)
	f.ordered <- place
	return place
}

func (f *flow[In, Out]) deliver(place chan result[Out], r result[Out]) { place <- r }

// consume yields results until there are no more, or yield has enough, and reports
// which: false means that yield must not be called again.
func (f *flow[In, Out]) consume(yield func(Out, error) bool) bool {
	if f.ordered == nil {
		for r := range f.results {
			if !f.take(r, yield) {
				return false
			}
		}
		return true
	}
	for place := range f.ordered {
		if !f.take(<-place, yield) {
			return false
		}
	}
	return true
}

func (f *flow[In, Out]) take(r result[Out], yield func(Out, error) bool) bool {
	select {
	case <-f.room:
	default: // the source's own panic took none
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return yield(r.value, r.err)
}

// held is a guard whose permit is there already, so that Do applies its Terms.
type held struct {
	patterns.Guard
	permit patterns.Permit
}

func (h held) Acquire(context.Context) (patterns.Permit, error) { return h.permit, nil }
