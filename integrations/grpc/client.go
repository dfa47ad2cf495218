package grpcguard

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// UnaryClient puts a client's unary calls behind a guard: any pattern, a pipeline of several,
// or one for each method or target (see Per). It panics if there is no guard, or an option is
// wrong; NewUnaryClient does not.
func UnaryClient(g patterns.Guard, opts ...ClientOption) grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(must(NewUnaryClient(g, opts...)))
}

// StreamClient puts a client's streams behind a guard that grants permits, one for each stream
// until it ends, in whatever way. It panics if there is none, it decides around calls, or an
// option is wrong; NewStreamClient does not.
func StreamClient(g patterns.Guard, opts ...ClientOption) grpc.DialOption {
	return grpc.WithChainStreamInterceptor(must(NewStreamClient(g, opts...)))
}

// NewUnaryClient returns the interceptor of UnaryClient. The error names every fault.
func NewUnaryClient(g patterns.Guard, opts ...ClientOption) (grpc.UnaryClientInterceptor, error) {
	e, err := ofClient(g, opts)
	if err != nil {
		return nil, err
	}
	return e.invoke, nil
}

// NewStreamClient returns the interceptor of StreamClient. The error names every fault; it is
// a *PolicyError if the guard decides around calls.
func NewStreamClient(g patterns.Guard, opts ...ClientOption) (grpc.StreamClientInterceptor, error) {
	e, err := ofClient(g, opts)
	if err != nil {
		return nil, err
	}
	if err := permits(g); err != nil {
		return nil, err
	}
	return e.open, nil
}

func callOf(method string, cc *grpc.ClientConn) Call {
	c := Call{Method: method}
	if cc != nil {
		c.Target = cc.Target()
	}
	return c
}

// invoke is a grpc.UnaryClientInterceptor.
func (e *entrance) invoke(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx = e.carry(ctx)
	if e.excludes(method) {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	c := callOf(method, cc)
	_, q, err := e.ask(ctx, c)
	if err != nil {
		return e.newError(err)
	}
	g, err := e.guards.of(ctx, c)
	if err != nil {
		return e.newError(err)
	}
	terms := g.Terms()
	if terms != nil && terms.Policy != nil {
		return e.around(ctx, g, q, c, reply, opts, func(ctx context.Context, reply any, opts []grpc.CallOption) error {
			return invoker(ctx, method, req, reply, cc, opts...)
		})
	}
	permit, err := acquire(ctx, g, &q)
	if err != nil {
		return e.newError(err)
	}
	h := hold{e: e, ctx: ctx, terms: terms, permit: permit}
	defer h.end()
	if terms != nil && terms.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, terms.Timeout, patterns.ErrCallTimeout)
		defer cancel()
	}
	err = invoker(ctx, method, req, reply, cc, opts...)
	h.returned(reply, err)
	return err
}

// around has the guard's policies make a call. Each attempt has a reply of its own, and what
// the caller wants to know besides.
func (e *entrance) around(
	ctx context.Context, g patterns.Guard, q patterns.Request, call Call, reply any, opts []grpc.CallOption,
	invoke func(ctx context.Context, reply any, opts []grpc.CallOption) error,
) error {
	c := &course{entrance: e, call: call}
	c.once = func(ctx context.Context, a *attempt) (any, error) {
		own := another(reply)
		return own, invoke(ctx, own, a.options(opts))
	}
	v, err := patterns.DoFor(ctx, g, q, c.try)
	a, v, err := c.settle(v, err)
	if a != nil {
		a.tell(opts)
	}
	if v != nil && (err == nil || a == nil) {
		if wrong := fill(reply, v); wrong != nil && err == nil {
			err = wrong
		}
	}
	if err == nil && v == nil {
		err = errNothing
	}
	if err == nil {
		return nil
	}
	if s := statusIn(err); s != nil && !errors.Is(err, timeout.ErrTimeout) {
		if _, direct := err.(hasStatus); direct {
			return err
		}
		return &retold{err, s}
	}
	return e.newError(err)
}

// hasStatus is an error of gRPC.
type hasStatus interface{ GRPCStatus() *status.Status }

func statusIn(err error) *status.Status {
	if e, ok := errors.AsType[interface {
		error
		hasStatus
	}](err); ok {
		return e.GRPCStatus()
	}
	return nil
}

// retold is a server's error with what a policy has to say of it. Should a handler return it,
// its own client gets the server's words only.
type retold struct {
	error
	status *status.Status
}

func (e *retold) Unwrap() error              { return e.error }
func (e *retold) GRPCStatus() *status.Status { return e.status }

// options returns opts, with the attempt's own places in place of the caller's: an attempt may
// go on when the caller has those back. Trailers are always of interest.
func (a *attempt) options(opts []grpc.CallOption) []grpc.CallOption {
	opts = slices.Clone(opts)
	for i, o := range opts {
		switch o.(type) {
		case grpc.HeaderCallOption:
			opts[i] = grpc.Header(&a.header)
		case grpc.TrailerCallOption:
			opts[i] = grpc.EmptyCallOption{}
		case grpc.PeerCallOption:
			opts[i] = grpc.Peer(&a.peer)
		}
	}
	return append(opts, grpc.Trailer(&a.trailer))
}

// tell fills the caller's places.
func (a *attempt) tell(opts []grpc.CallOption) {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			put(o.HeaderAddr, a.header)
		case grpc.TrailerCallOption:
			put(o.TrailerAddr, a.trailer)
		case grpc.PeerCallOption:
			if o.PeerAddr != nil {
				*o.PeerAddr = a.peer
			}
		}
	}
}

func put(at *metadata.MD, md metadata.MD) {
	if at != nil {
		*at = md
	}
}
