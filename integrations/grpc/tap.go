package grpcguard

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/bulwark-go/bulwark/patterns"
)

// Tap refuses calls before anything is made of them: no goroutine, no message is decoded. It
// is both a tap of gRPC, where calls are refused, and a stats.Handler, which learns how those
// that were let through ended; Options has both. A server can have but one tap.
//
// A tap holds its connection up. So it never waits in a guard's queue, and an answer that takes
// longer than 50 ms, because the guard is being restarted, is a refusal.
type Tap struct{ e *entrance }

const (
	// patience is how long a tap waits for an answer.
	patience = 50 * time.Millisecond
	// grace is how long after its context's end a call may begin that was let through: gRPC
	// begins every call, but for one whose time is up in the very moment after the tap.
	grace = time.Second
	// pause is what may pass between two steps of gRPC that follow each other.
	pause = 20 * time.Millisecond
)

// NewTap returns a Tap for a guard that grants permits: one for each call, unary or a stream,
// until its handler has returned. A Tap cannot Recover. The error names every fault; it is a
// *PolicyError if the guard decides around calls.
func NewTap(g patterns.Guard, opts ...ServerOption) (*Tap, error) {
	e, err := ofServer(g, opts)
	if err != nil {
		return nil, err
	}
	if e.recover != nil {
		return nil, &patterns.ConfigError{Pattern: pattern, Field: "Recover", Value: "for a tap", Problem: "it is not there when handlers run: give it to UnaryServer"}
	}
	if err := permits(g); err != nil {
		return nil, err
	}
	return &Tap{e}, nil
}

// Options are what a grpc.Server needs for the Tap to work. Interceptors are among them, which
// see what guards inside have refused: that is neither good nor bad, and what they said to
// handlers clients are not told.
func (t *Tap) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.InTapHandle(t.Handle), grpc.StatsHandler(t),
		grpc.ChainUnaryInterceptor(t.unary), grpc.ChainStreamInterceptor(t.stream),
	}
}

// Handle implements tap.ServerInHandle.
func (t *Tap) Handle(ctx context.Context, info *tap.Info) (context.Context, error) {
	if t.e.excludes(info.FullMethodName) || !wellFormed(info.FullMethodName) {
		return ctx, nil
	}
	c := Call{Method: info.FullMethodName, Server: true}
	ctx, q, err := t.e.ask(ctx, c)
	if err != nil {
		return ctx, t.e.newError(err)
	}
	g, err := t.e.guards.of(ctx, c)
	if err == nil {
		err = permits(g)
	}
	if err != nil {
		return ctx, t.e.newError(err)
	}
	q.NoWait = true
	permit, err := promptly(ctx, g, &q)
	if err != nil {
		return ctx, t.e.newError(err)
	}
	h := &tapped{terms: g.Terms(), permit: permit}
	ctx = context.WithValue(ctx, tapKey{t}, h)
	h.ctx = ctx
	h.unwatch = context.AfterFunc(ctx, h.left)
	return ctx, nil
}

// wellFormed reports whether gRPC looks for a method of that name at all.
func wellFormed(method string) bool {
	return strings.HasPrefix(method, "/") && strings.LastIndex(method, "/") > 0
}

// promptly asks a guard that may be away.
func promptly(ctx context.Context, g patterns.Guard, q *patterns.Request) (patterns.Permit, error) {
	soon, cancel := context.WithTimeoutCause(ctx, patience, errAway)
	defer cancel()
	p, err := acquire(soon, g, q)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(soon), errAway) && errors.Is(err, context.DeadlineExceeded) {
		err = errAway
	}
	return p, err
}

// tapKey is that of a Tap's permit in a context.
type tapKey struct{ t *Tap }

// tapped is a call that was let through.
type tapped struct {
	ctx     context.Context
	terms   *patterns.Terms
	permit  patterns.Permit // of whoever makes the stage over
	unwatch func() bool
	stage   atomic.Int32

	streams  atomic.Bool // the client sends several messages
	received atomic.Bool // a message was decoded
	refused  atomic.Bool // by a guard inside
}

// The stages of a call.
const (
	waiting int32 = iota // for its goroutine
	arrived              // there, and looked up
	begun                // its handler, which will end
	over
)

// left is told that the call's context has ended, which it also does after all went well. A
// call that has begun will end. Any other may be about to begin, since gRPC looks at contexts
// no more; only if it does not has it to give its permit back.
func (h *tapped) left() {
	switch h.stage.Load() {
	case waiting:
		time.AfterFunc(grace, func() { h.release(waiting) })
	case arrived:
		h.leaving()
	}
}

// leaving gives the permit back of a call that has arrived and does not begin.
func (h *tapped) leaving() { time.AfterFunc(pause, func() { h.release(arrived) }) }

func (h *tapped) release(from int32) bool {
	if !h.stage.CompareAndSwap(from, over) {
		return false
	}
	h.permit.Release()
	return true
}

// of returns the call of a context.
func (t *Tap) of(ctx context.Context) *tapped {
	h, _ := ctx.Value(tapKey{t}).(*tapped)
	return h
}

// TagRPC implements stats.Handler.
func (t *Tap) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	h := t.of(ctx)
	if h != nil && h.stage.CompareAndSwap(waiting, arrived) && ctx.Err() != nil {
		h.leaving() // left has been here
	}
	return ctx
}

// HandleRPC implements stats.Handler.
func (t *Tap) HandleRPC(ctx context.Context, s stats.RPCStats) {
	h := t.of(ctx)
	if h == nil {
		return
	}
	switch s := s.(type) {
	case *stats.Begin:
		h.streams.Store(s.IsClientStream)
		h.stage.CompareAndSwap(arrived, begun)
	case *stats.OutTrailer:
		h.release(arrived) // its method is unknown
	case *stats.InPayload:
		h.received.Store(true)
	case *stats.End:
		if h.stage.CompareAndSwap(begun, over) {
			h.unwatch()
			h.permit.Report(t.judge(h, s.Error))
		}
	}
}

func (t *Tap) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	t.note(ctx, err)
	return resp, t.e.told(setTrailer(ctx), err)
}

func (t *Tap) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	err := handler(srv, ss)
	t.note(ss.Context(), err)
	return t.e.told(ss.SetTrailer, err)
}

// note remembers that a guard inside has refused.
func (t *Tap) note(ctx context.Context, err error) {
	if !errors.Is(err, patterns.ErrRejected) {
		return
	}
	if h := t.of(ctx); h != nil {
		h.refused.Store(true)
	}
}

// judge says what a call means that ended with err. By now its context has always ended, so
// who left is told by the code only. What could not be decoded is the client's fault,
// whatever the code is.
func (t *Tap) judge(h *tapped, err error) patterns.Outcome {
	if err != nil {
		undecoded := !h.streams.Load() && !h.received.Load()
		if undecoded || h.refused.Load() || status.Code(err) == codes.Canceled {
			return patterns.Ignored
		}
	}
	return t.e.judge(context.WithoutCancel(h.ctx), h.terms, nil, err)
}

// TagConn implements stats.Handler.
func (*Tap) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (*Tap) HandleConn(context.Context, stats.ConnStats) {}
