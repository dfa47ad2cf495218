package grpcguard_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hung is how long a test may wait for what must come.
const hung = 30 * time.Second

const (
	unaryMethod  = "/grpc.testing.TestService/UnaryCall"
	duplexMethod = "/grpc.testing.TestService/FullDuplexCall"
)

// registry is for the guards of one test, after which nothing is left running.
func registry(t testing.TB) *actors.Registry {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	return actorstest.NewRegistry(t)
}

// service is a server whose methods tests choose.
type service struct {
	echo.UnimplementedTestServiceServer
	unary    func(context.Context, *echo.SimpleRequest) (*echo.SimpleResponse, error)
	duplex   func(grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]) error
	upload   func(grpc.ClientStreamingServer[echo.StreamingInputCallRequest, echo.StreamingInputCallResponse]) error
	download func(*echo.StreamingOutputCallRequest, grpc.ServerStreamingServer[echo.StreamingOutputCallResponse]) error
}

func (s *service) UnaryCall(ctx context.Context, r *echo.SimpleRequest) (*echo.SimpleResponse, error) {
	return s.unary(ctx, r)
}

func (s *service) FullDuplexCall(ss grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]) error {
	return s.duplex(ss)
}

func (s *service) StreamingInputCall(ss grpc.ClientStreamingServer[echo.StreamingInputCallRequest, echo.StreamingInputCallResponse]) error {
	return s.upload(ss)
}

func (s *service) StreamingOutputCall(r *echo.StreamingOutputCallRequest, ss grpc.ServerStreamingServer[echo.StreamingOutputCallResponse]) error {
	return s.download(r, ss)
}

// running is a server on a real socket.
type running struct {
	*grpc.Server
	addr string
	done chan struct{}
}

// serve runs a server. Closing it waits for all calls.
func serve(t testing.TB, s *service, opts ...grpc.ServerOption) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{grpc.NewServer(append(opts, grpc.WaitForHandlers(true))...), l.Addr().String(), make(chan struct{})}
	echo.RegisterTestServiceServer(r, s)
	go func() {
		defer close(r.done)
		_ = r.Serve(l)
	}()
	t.Cleanup(r.close)
	return r
}

// close ends all calls, waits for their handlers, and returns when nothing runs any more.
func (r *running) close() {
	r.Stop()
	<-r.done
}

func dial(t testing.TB, r *running, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient("passthrough:///"+r.addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// connect returns when the connection is there.
func connect(t testing.TB, cc *grpc.ClientConn) {
	t.Helper()
	cc.Connect()
	for at := cc.GetState(); at != connectivity.Ready; at = cc.GetState() {
		if !cc.WaitForStateChange(t.Context(), at) {
			t.Fatal(at)
		}
	}
}

func client(t testing.TB, r *running, opts ...grpc.DialOption) echo.TestServiceClient {
	t.Helper()
	return echo.NewTestServiceClient(dial(t, r, opts...))
}

// answers is a unary method that returns err.
func answers(err error) *service {
	return &service{unary: func(context.Context, *echo.SimpleRequest) (*echo.SimpleResponse, error) {
		if err != nil {
			return nil, err
		}
		return &echo.SimpleResponse{Username: "ok"}, nil
	}}
}

// blocks is a unary method that tells when it was called, and returns when it is let go or its
// context ends.
func blocks() (s *service, called <-chan struct{}, letGo func()) {
	in, out := make(chan struct{}, 1000), make(chan struct{})
	s = &service{unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
		in <- struct{}{}
		select {
		case <-out:
			return &echo.SimpleResponse{}, nil
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}}
	return s, in, sync.OnceFunc(func() { close(out) })
}

// wantRefusal checks what a guard told a client.
func wantRefusal(t testing.TB, err error, code codes.Code, reason string, again bool) *errdetails.RetryInfo {
	t.Helper()
	s, ok := status.FromError(err)
	if !ok || s.Code() != code {
		t.Fatalf("got %v, want %v", err, code)
	}
	var info *errdetails.ErrorInfo
	var retry *errdetails.RetryInfo
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.RetryInfo:
			retry = d
		}
	}
	if info.GetReason() != reason || info.GetDomain() != "bulwark" || (retry != nil) != again {
		t.Errorf("got %v with %v and %v, want reason %s", err, info, retry, reason)
	}
	if retry != nil && retry.GetRetryDelay().AsDuration() <= 0 {
		t.Errorf("retry after %v", retry.GetRetryDelay().AsDuration())
	}
	return retry
}

func wantCode(t testing.TB, err error, code codes.Code) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want %v", err, code)
	}
}

// counted is a guard whose books can be read.
type counted interface {
	patterns.Guard
	counts(ctx context.Context) patterns.Counts
}

type room struct{ *bulkhead.Bulkhead }

func (r room) counts(ctx context.Context) patterns.Counts {
	s, _ := r.Snapshot(ctx)
	return s.Counts
}

type breaker struct{ *circuitbreaker.Breaker }

func (b breaker) counts(ctx context.Context) patterns.Counts {
	s, _ := b.Snapshot(ctx)
	return s.Counts
}

type limiter struct{ *ratelimiter.Limiter }

func (l limiter) counts(ctx context.Context) patterns.Counts {
	s, _ := l.Snapshot(ctx)
	return s.Counts
}

func newRoom(t testing.TB, guards *actors.Registry, c bulkhead.Config, opts ...actors.Option) room {
	t.Helper()
	b, err := bulkhead.Spawn(guards, "secret-room", c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return room{b}
}

// newBreaker is one that never opens by itself.
func newBreaker(t testing.TB, guards *actors.Registry, opts ...actors.Option) breaker {
	t.Helper()
	b, err := circuitbreaker.Spawn(guards, "secret-breaker", circuitbreaker.Config{ConsecutiveFailures: 1_000_000}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return breaker{b}
}

func newLimiter(t testing.TB, guards *actors.Registry, rate string, opts ...actors.Option) limiter {
	t.Helper()
	l, err := ratelimiter.Spawn(guards, "secret-limiter", ratelimiter.Config{Rate: ratelimiter.MustParse(rate)}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return limiter{l}
}

// settled returns a guard's books when everything has ended. No permit may be missing.
func settled(t testing.TB, g counted) patterns.Counts {
	t.Helper()
	c := g.counts(context.WithoutCancel(t.Context()))
	if !c.Balanced() || c.InFlight != 0 || c.Waiting != 0 || c.Repeated != 0 {
		t.Errorf("%s: permits are missing: %+v", g.Name(), c)
	}
	return c
}

// next waits for what must come.
func next[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(hung):
		t.Fatal("nothing came")
	}
	return v
}
