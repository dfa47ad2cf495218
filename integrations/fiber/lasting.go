package fiberguard

import (
	"context"

	"github.com/gofiber/fiber/v3"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// A response that streams, or a connection that was hijacked, goes on when its handlers have
// returned, and so when policies are done with them.

// lasts reports whether the answer goes on when its handlers have returned.
func lasts(c fiber.Ctx) bool { return c.Response().IsBodyStream() || c.RequestCtx().Hijacked() }

// lasting returns g with permits that are held as long as the answer of their course lasts.
func lasting(g patterns.Guard) (patterns.Guard, error) {
	p, several := g.(*pipeline.Pipeline)
	if !several {
		if terms := g.Terms(); terms != nil && terms.Policy != nil {
			return g, nil
		}
		return holder{g}, nil
	}
	parts := p.Guards()
	for i, part := range parts {
		var err error
		if parts[i], err = lasting(part); err != nil {
			return nil, err
		}
	}
	return pipeline.New(p.Name(), parts...)
}

// holder is a guard that grants permits of a course.
type holder struct{ patterns.Guard }

// Acquire implements patterns.Guard.
func (h holder) Acquire(ctx context.Context) (patterns.Permit, error) {
	return h.AcquireFor(ctx, patterns.Request{})
}

// AcquireFor implements patterns.Guard.
func (h holder) AcquireFor(ctx context.Context, q patterns.Request) (patterns.Permit, error) {
	permit, err := h.Guard.AcquireFor(ctx, q)
	x, ok := ctx.Value(courseKey{}).(*course)
	if err != nil || !ok {
		return permit, err
	}
	return patterns.NewPermit(&held{permit, x}, 0, 0), nil
}

// held is a permit of a course.
type held struct {
	permit patterns.Permit
	course *course
}

// Settle implements patterns.Settler.
func (h *held) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	return h.course.keep(h.permit, o) || h.permit.Report(o)
}

// Release implements patterns.Settler.
func (h *held) Release(uint64) { h.permit.Release() }

// courseKey is that of a course in the contexts of its calls.
type courseKey struct{}

// keep holds a permit on until the answer has been sent, if that takes longer than handlers do.
func (x *course) keep(permit patterns.Permit, o patterns.Outcome) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || !x.lasts {
		return false
	}
	x.kept = append(x.kept, holding{permit, o})
	return true
}

// Close implements io.Closer: the request has ended, or its handlers' answer is not sent.
func (x *course) Close() error {
	x.mu.Lock()
	kept := x.kept
	x.kept = nil
	x.mu.Unlock()
	for i := range kept {
		_ = kept[i].Close() // which never fails
	}
	return nil
}
