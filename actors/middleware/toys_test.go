package middleware_test

import (
	"context"

	"github.com/bulwark-go/bulwark/patterns"
)

// recording is a guard that grants everything, and keeps what it was asked.
type recording struct{ asked []patterns.Request }

func (*recording) Name() string           { return "recording" }
func (*recording) Terms() *patterns.Terms { return nil }

func (g *recording) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{})
}

func (g *recording) AcquireFor(_ context.Context, r patterns.Request) (patterns.Permit, error) {
	g.asked = append(g.asked, r)
	return patterns.Permit{}, nil
}

// stuck is a guard that answers nobody.
type stuck struct{ patterns.Guard }

func (stuck) AcquireFor(ctx context.Context, _ patterns.Request) (patterns.Permit, error) {
	<-ctx.Done()
	return patterns.Permit{}, ctx.Err()
}

// bomb is a guard that refuses, and then panics.
type bomb struct{ lit bool }

func (*bomb) Name() string           { return "bomb" }
func (*bomb) Terms() *patterns.Terms { return nil }

func (g *bomb) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{})
}

func (g *bomb) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	if g.lit {
		panic("boom")
	}
	g.lit = true
	return patterns.Permit{}, patterns.ErrRejected
}
