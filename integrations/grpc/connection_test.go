package grpcguard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// guardings are the two ways in which a server's streams are guarded.
func guardings(t testing.TB, g patterns.Guard) map[string][]grpc.ServerOption {
	t.Helper()
	return map[string][]grpc.ServerOption{"interceptor": {grpcguard.StreamServer(g)}, "tap": newTap(t, g).Options()}
}

func TestAConnectionThatIsTooOldTakesItsStreamsAndTheirPermitsAlong(t *testing.T) {
	for _, how := range []string{"interceptor", "tap"} {
		t.Run(how, func(t *testing.T) {
			guards := registry(t)
			r := newRoom(t, guards, bulkhead.Config{MaxConcurrent: 1})
			theirs, err := bulkhead.Spawn(guards, "theirs", bulkhead.Config{MaxConcurrent: 1})
			if err != nil {
				t.Fatal(err)
			}
			s := serve(t, &service{duplex: func(ss serverStream) error {
				<-ss.Context().Done()
				return ss.Context().Err()
			}}, append(guardings(t, r)[how], grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 50 * time.Millisecond, MaxConnectionAgeGrace: 50 * time.Millisecond}))...)
			stream, err := client(t, s, grpcguard.StreamClient(theirs)).FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv() // nobody sends, and nobody leaves
			wantCode(t, err, codes.Unavailable)
			s.close()
			if c := settled(t, r); c.Ignored != 1 || c.Reported != 1 {
				t.Errorf("server: %+v", c)
			}
			if c := settled(t, room{theirs}); c.Dropped != 1 || c.Reported != 1 {
				t.Errorf("client: %+v", c)
			}
		})
	}
}

func TestAStreamThatOutlivesGoAwayKeepsItsPermit(t *testing.T) {
	for _, how := range []string{"interceptor", "tap"} {
		t.Run(how, func(t *testing.T) {
			r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1})
			s := serve(t, &service{duplex: echoes}, guardings(t, r)[how]...)
			cc := dial(t, s)
			stream, err := echo.NewTestServiceClient(cc).FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			turn(t, stream)
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				s.GracefulStop()
			}()
			cc.WaitForStateChange(t.Context(), connectivity.Ready)
			for range 5 {
				turn(t, stream)
			}
			if c := r.counts(t.Context()); c.InFlight != 1 {
				t.Errorf("while it runs: %+v", c)
			}
			_ = stream.CloseSend()
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			next(t, stopped)
			if c := settled(t, r); c.Success != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// A client whose machine is gone says nothing. The server finds out by its keepalive.
func TestAClientThatIsGoneWithoutAWordFreesItsPermit(t *testing.T) {
	for _, how := range []string{"interceptor", "tap"} {
		t.Run(how, func(t *testing.T) {
			r, called := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan struct{})
			left := make(chan struct{})
			s := serve(t, &service{duplex: func(ss serverStream) error {
				close(called)
				defer close(left)
				return echoes(ss)
			}}, append(guardings(t, r)[how], grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Second, Timeout: 50 * time.Millisecond}))...)
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
				t.Fatal(err)
			}
			f := http2.NewFramer(c, c)
			if err := errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headers(duplexMethod), EndHeaders: true})); err != nil {
				t.Fatal(err)
			}
			next(t, called)
			next(t, left) // no ping was answered
			s.close()
			if c := settled(t, r); c.Ignored != 1 || c.Reported != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAPanicInAStreamIsAFailureAndFreesItsPermit(t *testing.T) {
	outside := grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "recovered outside")
			}
		}()
		return h(srv, ss)
	})
	for _, how := range []string{"interceptor", "tap"} {
		t.Run(how, func(t *testing.T) {
			r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1})
			s := serve(t, &service{duplex: func(ss serverStream) error {
				_, _ = ss.Recv()
				panic("boom")
			}}, append([]grpc.ServerOption{outside}, guardings(t, r)[how]...)...)
			c := client(t, s)
			for range 3 { // so the one permit is back each time
				stream, err := c.FullDuplexCall(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_ = stream.CloseSend()
				if _, err := stream.Recv(); status.Convert(err).Message() != "recovered outside" {
					t.Error(err)
				}
			}
			s.close()
			if c := settled(t, r); c.Failure != 3 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// Streams are excluded as calls are: health's Watch by default, and whatever is named, such as
// reflection.
func TestStreamsAreExcludedByTheirMethod(t *testing.T) {
	watch := func(cc *grpc.ClientConn, method string) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
		if err != nil {
			return err
		}
		if err := errors.Join(stream.SendMsg(&healthpb.HealthCheckRequest{}), stream.CloseSend()); err != nil {
			return err
		}
		return stream.RecvMsg(&healthpb.HealthCheckResponse{})
	}
	const method = "/grpc.health.v1.Health/Watch"
	for name, tt := range map[string]struct {
		opts []grpcguard.ServerOption
		want codes.Code
	}{
		"by default":        {nil, codes.OK},
		"not if nothing is": {[]grpcguard.ServerOption{grpcguard.Exclude()}, codes.Unavailable},
		"nor if others are": {[]grpcguard.ServerOption{grpcguard.Exclude("/grpc.reflection.v1.ServerReflection/...")}, codes.Unavailable},
		"if named":          {[]grpcguard.ServerOption{grpcguard.Exclude(method)}, codes.OK},
	} {
		for _, how := range []string{"interceptor", "tap", "client"} {
			t.Run(name+", "+how, func(t *testing.T) {
				b := newBreaker(t, registry(t))
				if err := b.ForceOpen(t.Context(), 0, "test"); err != nil {
					t.Fatal(err)
				}
				var of []grpc.ServerOption
				var with []grpc.DialOption
				switch how {
				case "interceptor":
					of = []grpc.ServerOption{grpcguard.StreamServer(b, tt.opts...)}
				case "tap":
					of = newTap(t, b, tt.opts...).Options()
				default:
					var opts []grpcguard.ClientOption
					for _, o := range tt.opts {
						opts = append(opts, o.(grpcguard.ClientOption))
					}
					with = []grpc.DialOption{grpcguard.StreamClient(b, opts...)}
				}
				s := grpc.NewServer(append(of, grpc.WaitForHandlers(true))...)
				h := health.NewServer()
				healthpb.RegisterHealthServer(s, h)
				r := start(t, s)
				wantCode(t, watch(dial(t, r, with...), method), tt.want)
			})
		}
	}
}
