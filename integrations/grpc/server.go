package grpcguard

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/bulwark-go/bulwark/patterns"
)

// UnaryServer puts a server's unary methods behind a guard: any pattern, or a pipeline of
// several. It panics if there is no guard, or an option is wrong; NewUnaryServer does not.
func UnaryServer(g patterns.Guard, opts ...ServerOption) grpc.ServerOption {
	return grpc.ChainUnaryInterceptor(must(NewUnaryServer(g, opts...)))
}

// StreamServer puts a server's streams behind a guard that grants permits, one for each stream
// as long as its handler runs. It panics if there is none, it decides around calls, or an
// option is wrong; NewStreamServer does not.
func StreamServer(g patterns.Guard, opts ...ServerOption) grpc.ServerOption {
	return grpc.ChainStreamInterceptor(must(NewStreamServer(g, opts...)))
}

// NewUnaryServer returns the interceptor of UnaryServer. The error names every fault.
func NewUnaryServer(g patterns.Guard, opts ...ServerOption) (grpc.UnaryServerInterceptor, error) {
	e, err := ofServer(g, opts)
	if err != nil {
		return nil, err
	}
	return e.unary, nil
}

// NewStreamServer returns the interceptor of StreamServer. The error names every fault; it is
// a *PolicyError if the guard decides around calls.
func NewStreamServer(g patterns.Guard, opts ...ServerOption) (grpc.StreamServerInterceptor, error) {
	e, err := ofServer(g, opts)
	if err != nil {
		return nil, err
	}
	if err := permits(g); err != nil {
		return nil, err
	}
	return e.stream, nil
}

// permits returns an error if g grants none.
func permits(g patterns.Guard) error {
	if terms := g.Terms(); terms != nil && terms.Policy != nil {
		return &PolicyError{Guard: g.Name()}
	}
	return nil
}

// unary is a grpc.UnaryServerInterceptor.
func (e *entrance) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	c := Call{Method: info.FullMethod, Server: true}
	if e.recover != nil {
		handler = e.recovering(c, handler)
	}
	if e.excludes(info.FullMethod) {
		return e.translate(ctx, req, info, handler)
	}
	ctx, q, err := e.ask(ctx, c)
	if err != nil {
		return nil, e.refuse(setTrailer(ctx), err)
	}
	g, err := e.guards.of(ctx, c)
	if err != nil {
		return nil, e.refuse(setTrailer(ctx), err)
	}
	terms := g.Terms()
	if terms != nil && terms.Policy != nil {
		return e.handle(ctx, g, q, c, req, handler)
	}
	permit, err := acquire(ctx, g, &q)
	if err != nil {
		return nil, e.refuse(setTrailer(ctx), err)
	}
	h := hold{e: e, ctx: ctx, terms: terms, permit: permit}
	defer h.end()
	if terms != nil && terms.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, terms.Timeout, patterns.ErrCallTimeout)
		defer cancel()
	}
	resp, err = handler(ctx, req)
	h.returned(resp, err)
	return resp, e.told(setTrailer(ctx), err)
}

// stream is a grpc.StreamServerInterceptor.
func (e *entrance) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := Call{Method: info.FullMethod, Server: true}
	if e.recover != nil {
		handler = e.recoveringStream(c, handler)
	}
	if e.excludes(info.FullMethod) {
		return e.translateStream(srv, ss, info, handler)
	}
	before := ss.Context()
	ctx, q, err := e.ask(before, c)
	if err != nil {
		return e.refuse(ss.SetTrailer, err)
	}
	g, err := e.guards.of(ctx, c)
	if err == nil {
		err = permits(g)
	}
	if err != nil {
		return e.refuse(ss.SetTrailer, err)
	}
	permit, err := acquire(ctx, g, &q)
	if err != nil {
		return e.refuse(ss.SetTrailer, err)
	}
	h := hold{e: e, ctx: ctx, terms: g.Terms(), permit: permit}
	defer h.end()
	inner := ss
	if ctx != before {
		inner = &serverStream{ServerStream: ss, ctx: ctx}
	}
	err = handler(srv, inner)
	h.returned(nil, err)
	return e.told(ss.SetTrailer, err)
}

// serverStream is a stream with another context.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }

// hold is a permit that a handler holds.
type hold struct {
	e       *entrance
	ctx     context.Context
	terms   *patterns.Terms
	permit  patterns.Permit
	outcome patterns.Outcome
	over    bool // the handler has returned, and neither panicked nor ended its goroutine
}

func (h *hold) returned(resp any, err error) {
	h.outcome, h.over = h.e.judge(h.ctx, h.terms, resp, err), true
}

func (h *hold) end() {
	switch {
	case h.over:
	case errors.Is(h.ctx.Err(), context.Canceled):
		h.outcome = patterns.Ignored
	default:
		h.outcome = patterns.Failure
	}
	h.permit.Report(h.outcome)
}

// setTrailer sets the trailer of the call of ctx.
func setTrailer(ctx context.Context) func(metadata.MD) {
	return func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) } // without it the client waits as it likes
}

// refuse returns what the client gets for an error of a guard.
func (e *entrance) refuse(set func(metadata.MD), err error) error {
	told := e.newError(err)
	if told.Known {
		set(pushback(told.Wait))
	}
	return told
}

// told returns what the client gets for an error of the handler: the error as it is, unless a
// guard has refused what the handler wanted. That is nothing that this client asked too much
// for, and how it reads is none of its business.
func (e *entrance) told(set func(metadata.MD), err error) error {
	if p, ok := err.(*panicked); ok { //nolint:errorlint // it is what recovering returns
		return p.error
	}
	if err == nil || !errors.Is(err, patterns.ErrRejected) {
		return err
	}
	if ours, ok := err.(*Error); ok && ours.server { //nolint:errorlint // one that a handler has wrapped is not as it was
		return err
	}
	told := e.newError(err)
	switch told.Kind {
	case RateLimited, Overloaded:
		told.Kind = Unavailable
	case Invalid:
		told.Kind = Failed
	}
	told.Code = codeOfKind(told.Kind)
	if told.Known {
		set(pushback(told.Wait))
	}
	return told
}

// panicked is what became of a panic.
type panicked struct{ error }

func (p *panicked) Unwrap() error { return p.error }

// translate is a grpc.UnaryServerInterceptor that asks no guard. What others have refused the
// handler is nobody's business there either.
func (e *entrance) translate(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	return resp, e.told(setTrailer(ctx), err)
}

func (e *entrance) translateStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return e.told(ss.SetTrailer, handler(srv, ss))
}

// recovering makes errors of the handler's panics. The error is a failure to the guard,
// whatever its code.
func (e *entrance) recovering(c Call, handler grpc.UnaryHandler) grpc.UnaryHandler {
	return func(ctx context.Context, req any) (resp any, err error) {
		returned := false
		defer func() {
			if returned {
				return
			}
			if p := recover(); p != nil {
				if err = e.recover(ctx, c, p); err == nil {
					err = internal(ctx, c, p)
				}
				resp, err = nil, &panicked{err}
			}
		}()
		resp, err = handler(ctx, req)
		returned = true
		return resp, err
	}
}

func (e *entrance) recoveringStream(c Call, handler grpc.StreamHandler) grpc.StreamHandler {
	return func(srv any, ss grpc.ServerStream) error {
		_, err := e.recovering(c, func(context.Context, any) (any, error) { return nil, handler(srv, ss) })(ss.Context(), nil)
		return err
	}
}
