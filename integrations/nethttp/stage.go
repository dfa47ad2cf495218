package nethttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// holds reports whether a guard counts what runs, and so a response that is still being read.
func holds(g patterns.Guard) bool {
	switch g.(type) {
	case *bulkhead.Bulkhead, *loadshedder.Shedder, *backpressure.Valve:
		return true
	}
	return false
}

// line is a guard as requests go through it.
type line struct {
	guard   patterns.Guard
	around  patterns.Guard // the same, with stages in place of all that grants permits
	leaves  []patterns.Guard
	permits bool // it grants permits, and judges as all do
}

// ErrHostsInside is the error of a guard that has a PerHost in it: it is only for a whole one.
var ErrHostsInside = errors.New("nethttp: PerHost inside of another guard")

func newLine(g patterns.Guard) (*line, error) {
	if g == nil {
		return nil, fmt.Errorf("nethttp: %w", patterns.ErrNilGuard)
	}
	l := &line{guard: g, permits: g.Terms() == nil}
	var err error
	l.around, err = l.staged(g)
	return l, err
}

// staged returns g with stages in it.
func (l *line) staged(g patterns.Guard) (patterns.Guard, error) {
	p, several := g.(*pipeline.Pipeline)
	if !several {
		if _, wrong := g.(*Hosts); wrong {
			return nil, ErrHostsInside
		}
		l.leaves = append(l.leaves, g)
		terms := g.Terms()
		if terms != nil && terms.Policy != nil {
			return g, nil
		}
		s := &stage{Guard: g, inner: terms}
		s.outer.Policy = s
		return s, nil
	}
	parts := p.Guards()
	for i, part := range parts {
		var err error
		if parts[i], err = l.staged(part); err != nil {
			return nil, err
		}
	}
	return pipeline.New(p.Name(), parts...)
}

// stage is a guard that grants permits, as a policy: so it sees the response, and can hold the
// permit as long as that lasts.
type stage struct {
	patterns.Guard
	inner *patterns.Terms
	outer patterns.Terms
}

// Terms implements patterns.Guard.
func (s *stage) Terms() *patterns.Terms { return &s.outer }

// Around implements patterns.Policy.
func (s *stage) Around(ctx context.Context, call patterns.Call) error {
	permit, err := acquire(ctx, s.Guard, call.Request())
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		switch {
		case returned:
		case call.Began(): // it unwinds
			permit.Report(patterns.Failure)
		default:
			permit.Release()
		}
	}()
	callCtx := ctx
	if s.inner != nil && s.inner.Timeout > 0 {
		var cancel context.CancelFunc
		callCtx, cancel = context.WithTimeoutCause(ctx, s.inner.Timeout, patterns.ErrCallTimeout)
		defer cancel()
	}
	err = call.Try(callCtx)
	returned = true
	if err != nil && !call.Began() { // nobody called
		permit.Release()
		return err
	}
	outcome := s.judge(ctx, call, err)
	response, _ := call.Result().(*http.Response)
	if b := bodyOf(response); b != nil && b.keep(s.Guard) {
		b.hold(permit, outcome)
		return err
	}
	permit.Report(outcome)
	return err
}

func (s *stage) judge(ctx context.Context, call patterns.Call, err error) patterns.Outcome {
	if s.inner == nil || s.inner.Judge == nil {
		return outcomeOfError(ctx, err)
	}
	return patterns.JudgeCall(ctx, s.inner.Judge, call, err)
}
