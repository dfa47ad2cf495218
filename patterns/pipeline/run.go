package pipeline

import (
	"context"
	"errors"

	"github.com/bulwark-go/bulwark/patterns"
)

// run is one call on its way through a pipeline. It is pooled, and so is all that it needs
// on the way.
type run struct {
	pipeline *Pipeline
	call     patterns.Call
	frames   []frame // by stage: the call as that stage's policy sees it
	began    bool    // the function was called, since the latest attempt of the policy around
	away     bool    // a policy made the attempt elsewhere and left it there: nobody here knows if it began
}

// frame is the patterns.Call of the policy at a stage: an attempt of it goes through all
// stages inside.
type frame struct {
	*run
	inside int  // the next stage
	began  bool // of the latest attempt
}

func newRun(p *Pipeline) *run {
	r := &run{pipeline: p, frames: make([]frame, len(p.stages))}
	for i := range r.frames {
		r.frames[i] = frame{run: r, inside: i + 1}
	}
	return r
}

// Around implements patterns.Policy.
func (p *Pipeline) Around(ctx context.Context, call patterns.Call) error {
	r := p.runs.Get().(*run)
	r.call, r.began, r.away = call, false, false
	err := r.from(ctx, 0)
	r.call = nil // a run that unwinds is left to the garbage collector
	p.runs.Put(r)
	return err
}

// from goes on at a stage.
func (r *run) from(ctx context.Context, i int) error {
	if i == len(r.frames) {
		return r.through(ctx)
	}
	if policy := r.pipeline.stages[i].policy; policy != nil {
		return policy.Around(ctx, &r.frames[i])
	}
	return r.guarded(ctx, i)
}

// through goes to what is inside of all stages. That it was called is known even if it
// unwinds.
func (r *run) through(ctx context.Context) error {
	defer func() { r.began = r.began || r.call.Began() }()
	return r.call.Try(ctx)
}

// guarded goes on inside a guard that is asked for a permit.
func (r *run) guarded(ctx context.Context, i int) (err error) {
	s := &r.pipeline.stages[i]
	permit, err := s.acquire(ctx, r.call.Request())
	if err != nil {
		return err
	}
	outcome := unknown
	defer func() {
		switch {
		case outcome != unknown:
			permit.Report(outcome)
		case r.began: // it unwinds
			permit.Report(patterns.Failure)
		default:
			permit.Release()
		}
	}()
	callCtx := ctx
	if s.terms != nil && s.terms.Timeout > 0 {
		var cancel context.CancelFunc
		callCtx, cancel = context.WithTimeoutCause(ctx, s.terms.Timeout, patterns.ErrCallTimeout)
		defer cancel()
	}
	err = r.from(callCtx, i+1)
	switch {
	case !r.began && err != nil && (!r.away || errors.Is(err, patterns.ErrRejected)):
		// nobody called: an inner guard refused, or the caller left it
	case s.terms == nil:
		outcome = patterns.Classify(ctx, err)
	default:
		outcome = patterns.JudgeCall(ctx, s.terms.Judge, r.call, err)
	}
	return err
}

// unknown is no Outcome.
const unknown = patterns.Outcome(255)

// acquire asks for q; nil is a blank one.
func (s *stage) acquire(ctx context.Context, q *patterns.Request) (patterns.Permit, error) {
	if q == nil || *q == (patterns.Request{}) {
		return s.guard.Acquire(ctx)
	}
	return s.guard.AcquireFor(ctx, *q)
}

// Request implements patterns.Call.
func (f *frame) Request() *patterns.Request { return f.call.Request() }

// Try implements patterns.Call.
func (f *frame) Try(ctx context.Context) error {
	before := f.run.began
	f.run.began = false
	defer func() { f.began, f.run.began = f.run.began, f.run.began || before }()
	return f.from(ctx, f.inside)
}

// Began implements patterns.Call.
func (f *frame) Began() bool { return f.began }

// Result implements patterns.Call.
func (f *frame) Result() any { return f.call.Result() }

// Give implements patterns.Call.
func (f *frame) Give(v any) error { return f.call.Give(v) }

// Fork implements patterns.Call.
func (f *frame) Fork() patterns.Call {
	r := newRun(f.pipeline)
	r.call = f.call.Fork()
	f.run.away = true
	return &r.frames[f.inside-1]
}

// Adopt implements patterns.Call.
func (f *frame) Adopt(fork patterns.Call) {
	other := fork.(*frame)
	f.call.Adopt(other.call)
	f.began, f.run.began = other.began, f.run.began || other.run.began
	f.run.away = other.run.away
}
