package exchange

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/internal/attempts"
	"github.com/bulwark-go/bulwark/actors/internal/errands"
	"github.com/bulwark-go/bulwark/actors/internal/instance"
	"github.com/bulwark-go/bulwark/patterns"
)

// exchange is one of them. Until its end is told it belongs to its goroutine, but for the
// fields of the broker.
type exchange struct {
	x        *Exchanger
	id       ID
	guard    patterns.Guard
	request  patterns.Request
	to       *actor.PID
	message  any
	asker    *actor.PID
	instance actor.Actor
	future   *actor.PID // who gets the answer, if not the asker
	began    time.Time

	ctx     context.Context //nolint:containedctx // of this one exchange
	cancel  context.CancelCauseFunc
	release context.CancelFunc

	// The broker's.
	home     *asker // nil once nobody waits for the answer
	attempts int
	twin     *exchange // another one of the same ID
}

// reenter has the answer go to a function.
func (e *exchange) reenter(c actor.Context, then func(Answered)) {
	future := actor.NewFuture(e.x.system, -1)
	e.future = future.PID()
	c.ReenterAfter(future, func(reply any, _ error) {
		if a, ok := reply.(Answered); ok && instance.Same(c.Actor(), e.instance) {
			then(a)
		}
	})
}

// run is the exchange's goroutine.
func (e *exchange) run() {
	var end ended
	returned := false
	defer func() {
		if !returned { // a panic, or runtime.Goexit, in foreign code
			end = ended{err: &PanicError{ID: e.id, Value: recover(), Stack: debug.Stack()}}
		}
		end.of, end.err = e, e.verdict(end.err)
		e.cancel(nil)
		e.release()
		e.x.tell(end)
	}()
	end.reply, end.err = patterns.DoFor(e.ctx, e.guard, e.request, e.attempt)
	returned = true
}

// verdict is what the asker is told of err, which may be foreign code.
func (e *exchange) verdict(err error) (told error) {
	defer func() {
		if recover() != nil {
			told = err
		}
	}()
	over := e.ctx.Err()
	if err == nil || over == nil || !errors.Is(err, over) {
		return err
	}
	return &EndedError{ID: e.id, Cause: context.Cause(e.ctx), Err: err}
}

// attempt is the guarded function. Its context is one of the exchange's, unless the guard
// has others.
func (e *exchange) attempt(ctx context.Context) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := &try{of: e, came: make(chan came, 1)}
	t.by, _ = e.ctx.Deadline()
	if by, ok := ctx.Deadline(); ok && by.Before(t.by) {
		t.by = by
	}
	t.left = time.Until(t.by)
	e.x.tell(t)
	var err error
	select {
	case c := <-t.came:
		return t.verdict(c)
	case <-ctx.Done():
		err = ctx.Err()
	case <-e.ctx.Done():
		err = e.ctx.Err()
	}
	e.x.tell(dropped{try: t})
	return nil, err
}

// try is one attempt. It is a message to the broker, which fills in the rest.
type try struct {
	urgent
	of   *exchange
	by   time.Time
	left time.Duration
	came chan came

	errand errands.Errand
	number int
}

// came is what came of an attempt.
type came struct {
	reply any
	end   errands.End
}

func (t *try) verdict(c came) (any, error) {
	reason := ErrTerminated
	switch c.end {
	case errands.Replied:
		return attempts.Verdict(c.reply)
	case errands.DeadLetter:
		reason = ErrDeadLetter
	}
	return nil, &AttemptError{ID: t.of.id, Number: t.number, To: t.of.to, Reason: reason}
}
