package timeout

import (
	"context"
	"errors"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/apart"
	"github.com/bulwark-go/bulwark/patterns/internal/lazycontext"
)

// apart makes a call on a goroutine of its own, and leaves it there once the time is over.
func (t *Timeout) apart(ctx context.Context, call patterns.Call, p *plan) error {
	w := &work{Attempt: apart.Attempt{Fork: call.Fork()}, claim: make(chan struct{}, 1), done: make(chan struct{})}
	begin(ctx, &w.Context, p)
	go t.run(w)
	select {
	case <-w.done:
	case <-w.Done():
		if t.abandon(w) {
			how, err := t.missed(ctx, w, p)
			t.ends.Add(how)
			return err
		}
		<-w.done
	}
	call.Adopt(w.Fork)
	return t.rejoin(ctx, call, w, p)
}

// work is a call on a goroutine of its own.
type work struct {
	lazycontext.Context
	stray
	apart.Attempt
	claim chan struct{} // whoever puts something in decides whether the caller waits
	done  chan struct{} // closed if it does, once the Attempt has ended
}

// run makes the call.
func (t *Timeout) run(w *work) {
	defer func() {
		select {
		case w.claim <- struct{}{}:
			close(w.done)
		default: // left behind, because its context ended
			t.forget(left{who: &w.stray, panic: w.Panic()})
		}
	}()
	w.Make(&w.Context)
}

// abandon reports whether the caller may go. If not, the function has ended, or there is no
// room for one more, or nobody to say so: what is not counted is not bounded.
func (t *Timeout) abandon(w *work) bool {
	room, err := t.Consult(context.Background(), leave{&w.stray})
	if err == nil && room == true {
		select {
		case w.claim <- struct{}{}:
			return true
		default: // it has ended meanwhile
		}
	}
	if errors.Is(err, actors.ErrFailed) || room == true {
		t.forget(left{who: &w.stray, never: true})
	}
	return false
}

// forget tells the actor that a function that was left behind, or may have been, has ended.
// A turn that fails may have heard of it or not, so it is told again, which changes nothing.
func (t *Timeout) forget(q left) {
	for {
		if _, err := t.Consult(context.Background(), q); !errors.Is(err, actors.ErrFailed) {
			return
		}
	}
}

// missed is judge for a call that was abandoned.
func (t *Timeout) missed(ctx context.Context, w *work, p *plan) (end, error) {
	if !w.Expired() {
		return cancelled, ctx.Err()
	}
	late := p.late
	late.Abandoned = true
	return timedOut, t.exceeded(&w.Context, p, &late)
}

// rejoin ends a call on the caller's goroutine as it ended on its own.
func (t *Timeout) rejoin(ctx context.Context, call patterns.Call, w *work, p *plan) error {
	how, err := succeeded, w.Attempt.Err
	switch {
	case w.Unwound():
		how = failed
	case err != nil:
		how, err = t.judge(ctx, call, &w.Context, p, err)
	case p.follows:
		t.sample(p.took(&w.Context))
	}
	w.End()
	t.ends.Add(how)
	w.Unwind()
	return err
}
