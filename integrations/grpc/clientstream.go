package grpcguard

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"

	"github.com/bulwark-go/bulwark/patterns"
)

// open is a grpc.StreamClientInterceptor.
func (e *entrance) open(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx = e.carry(ctx)
	if e.excludes(method) {
		return streamer(ctx, desc, cc, method, opts...)
	}
	c := callOf(method, cc)
	_, q, err := e.ask(ctx, c)
	if err != nil {
		return nil, e.newError(err)
	}
	g, err := e.guards.of(ctx, c)
	if err == nil {
		err = permits(g)
	}
	if err != nil {
		return nil, e.newError(err)
	}
	permit, err := acquire(ctx, g, &q)
	if err != nil {
		return nil, e.newError(err)
	}
	s := &clientStream{e: e, ctx: ctx, terms: g.Terms(), permit: permit, receives: desc.ServerStreams}
	opened := false
	defer func() {
		if !opened { // it panicked, or ended its goroutine
			s.settle(patterns.Failure)
		}
	}()
	s.ClientStream, err = streamer(ctx, desc, cc, method, append(opts[:len(opts):len(opts)], grpc.OnFinish(s.end))...)
	opened = true
	if err != nil {
		s.end(err)
		return nil, err
	}
	s.watch()
	return s, nil
}

// clientStream is a stream that holds a permit. gRPC says when it has ended, whoever ended it:
// the server, the connection, the context, or the caller who made a mistake. An interceptor
// further in may not pass that on; so what the caller sees of an end counts too, and so does
// the end of its context.
type clientStream struct {
	grpc.ClientStream
	e        *entrance
	ctx      context.Context
	terms    *patterns.Terms
	receives bool // the server may send several messages
	unwatch  func() bool

	mu     sync.Mutex
	over   bool
	permit patterns.Permit
}

// watch ends the stream with its context.
func (s *clientStream) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.unwatch = context.AfterFunc(s.ctx, func() { s.end(s.ctx.Err()) })
	}
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	switch {
	case err != nil:
		s.end(err)
	case !s.receives:
		s.end(nil)
	}
	return err
}

// SendMsg implements grpc.ClientStream. An io.EOF says that RecvMsg knows more.
func (s *clientStream) SendMsg(m any) error {
	err := s.ClientStream.SendMsg(m)
	if err != nil && !errors.Is(err, io.EOF) {
		s.end(err)
	}
	return err
}

// end is told that the stream has ended with err: nil or io.EOF if well.
func (s *clientStream) end(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if !s.hasEnded() {
		s.settle(s.e.judge(s.ctx, s.terms, nil, err))
	}
}

func (s *clientStream) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// settle gives the permit back, the first time.
func (s *clientStream) settle(o patterns.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	if s.unwatch != nil {
		s.unwatch()
	}
	s.permit.Report(o)
}
