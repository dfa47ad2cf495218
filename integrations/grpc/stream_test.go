package grpcguard_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

type (
	serverStream = grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]
	clientStream = grpc.BidiStreamingClient[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]
)

// echoes sends one message for each that it receives, and ends as the client does.
func echoes(ss serverStream) error {
	for {
		switch _, err := ss.Recv(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := ss.Send(&echo.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// turn sends a message and receives one.
func turn(t testing.TB, s clientStream) {
	t.Helper()
	if err := s.Send(&echo.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
}

func TestAStreamHoldsItsPermitAsLongAsItRuns(t *testing.T) {
	for _, side := range []string{"server", "client", "tap"} {
		t.Run(side, func(t *testing.T) {
			r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1})
			var of []grpc.ServerOption
			var with []grpc.DialOption
			switch side {
			case "server":
				of = []grpc.ServerOption{grpcguard.StreamServer(r)}
			case "client":
				with = []grpc.DialOption{grpcguard.StreamClient(r)}
			default:
				tap, err := grpcguard.NewTap(r)
				if err != nil {
					t.Fatal(err)
				}
				of = tap.Options()
			}
			s := serve(t, &service{duplex: echoes}, of...)
			c := client(t, s, with...)
			first, err := c.FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				turn(t, first)
			}
			if c := r.counts(t.Context()); c.InFlight != 1 || c.Granted != 1 {
				t.Errorf("while it runs: %+v", c)
			}
			second, err := c.FullDuplexCall(t.Context())
			if err == nil {
				_, err = second.Recv()
			}
			wantRefusal(t, err, codes.Unavailable, "OVERLOADED", true)
			if err := first.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := first.Recv(); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			s.close()
			if c := settled(t, r); c.Success != 1 || c.Rejected != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAClientThatGoesAwayMidStreamIsIgnoredAndFreesItsPermit(t *testing.T) {
	for name, leave := range map[string]func(cancel func(), cc *grpc.ClientConn){
		"by its context":    func(cancel func(), _ *grpc.ClientConn) { cancel() },
		"by its connection": func(_ func(), cc *grpc.ClientConn) { _ = cc.Close() },
	} {
		for _, side := range []string{"interceptor", "tap"} {
			t.Run(name+", "+side, func(t *testing.T) {
				r, left := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan struct{}, 1)
				opts := []grpc.ServerOption{grpcguard.StreamServer(r)}
				if side == "tap" {
					tap, err := grpcguard.NewTap(r)
					if err != nil {
						t.Fatal(err)
					}
					opts = tap.Options()
				}
				s := serve(t, &service{duplex: func(ss serverStream) error {
					defer close(left)
					return echoes(ss)
				}}, opts...)
				cc := dial(t, s)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream, err := echo.NewTestServiceClient(cc).FullDuplexCall(ctx)
				if err != nil {
					t.Fatal(err)
				}
				turn(t, stream)
				leave(cancel, cc)
				next(t, left)
				s.close()
				if c := settled(t, r); c.Ignored != 1 || c.Reported != 1 {
					t.Errorf("%+v", c)
				}
			})
		}
	}
}

// observed is a client's guard, and who waits for its permits to come back.
type observed struct {
	room
	back chan patterns.Outcome
}

type settler struct {
	inner patterns.Permit
	back  chan patterns.Outcome
}

func (s *settler) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	ok := s.inner.Report(o)
	s.back <- o
	return ok
}

func (s *settler) Release(uint64) {
	s.inner.Release()
	s.back <- patterns.Ignored
}

func (o observed) Acquire(ctx context.Context) (patterns.Permit, error) {
	p, err := o.room.Acquire(ctx)
	if err != nil {
		return p, err
	}
	return patterns.NewPermit(&settler{p, o.back}, 1, 0), nil
}

func TestAClientsStreamFreesItsPermitInWhateverWayItEnds(t *testing.T) {
	fails := func(code codes.Code) func(serverStream) error {
		return func(ss serverStream) error {
			_, _ = ss.Recv()
			return status.Error(code, "x")
		}
	}
	waits := func(ss serverStream) error {
		<-ss.Context().Done()
		return ss.Context().Err()
	}
	drain := func(s clientStream) {
		for {
			if _, err := s.Recv(); err != nil {
				return
			}
		}
	}
	type scene struct {
		clientStream
		cancel func()
		cc     *grpc.ClientConn
		server *running
	}
	for _, tt := range []struct {
		name   string
		server func(serverStream) error
		end    func(s scene)
		within time.Duration // its deadline
		want   patterns.Outcome
	}{
		{"all was received", echoes, func(s scene) { _ = s.CloseSend(); drain(s.clientStream) }, 0, patterns.Success},
		{"the server fails", fails(codes.Internal), func(s scene) { _ = s.CloseSend(); drain(s.clientStream) }, 0, patterns.Failure},
		{"the server is overloaded", fails(codes.ResourceExhausted), func(s scene) { _ = s.CloseSend(); drain(s.clientStream) }, 0, patterns.Dropped},
		{"the client was wrong", fails(codes.NotFound), func(s scene) { _ = s.CloseSend(); drain(s.clientStream) }, 0, patterns.Success},
		{"the client drops it and cancels", waits, func(s scene) { s.cancel() }, 0, patterns.Ignored},
		{"its deadline passes, and nobody looks", waits, func(scene) {}, 20 * time.Millisecond, patterns.Dropped},
		{"the connection is closed", waits, func(s scene) { _ = s.cc.Close() }, 0, patterns.Ignored},
		{"the server dies, and somebody receives", waits, func(s scene) { go s.server.Stop(); drain(s.clientStream) }, 0, patterns.Dropped},
		{"it sends what cannot be sent", waits, func(s scene) { _ = s.SendMsg("no message") }, 0, patterns.Failure},
		{"it sends what is too large, and nobody looks", waits, func(s scene) {
			_ = s.Send(&echo.StreamingOutputCallRequest{Payload: &echo.Payload{Body: make([]byte, 2048)}})
		}, 0, patterns.Dropped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := observed{newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan patterns.Outcome, 10)}
			s := serve(t, &service{duplex: tt.server})
			cc := dial(t, s, grpcguard.StreamClient(g), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1024)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.within > 0 {
				ctx, cancel = context.WithTimeout(ctx, tt.within)
				defer cancel()
			}
			stream, err := echo.NewTestServiceClient(cc).FullDuplexCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			tt.end(scene{stream, cancel, cc, s})
			if got := next(t, g.back); got != tt.want {
				t.Errorf("counted %v, want %v", got, tt.want)
			}
			cancel()
			s.close()
			if c := settled(t, g); c.Reported != 1 || len(g.back) != 0 {
				t.Errorf("%+v, and %d more", c, len(g.back))
			}
		})
	}
}

func TestStreamsOfOneDirectionEndWithTheirLastMessage(t *testing.T) {
	g := observed{newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan patterns.Outcome, 10)}
	s := serve(t, &service{
		upload: func(ss grpc.ClientStreamingServer[echo.StreamingInputCallRequest, echo.StreamingInputCallResponse]) error {
			for {
				if _, err := ss.Recv(); err != nil {
					return ss.SendAndClose(&echo.StreamingInputCallResponse{})
				}
			}
		},
		download: func(_ *echo.StreamingOutputCallRequest, ss grpc.ServerStreamingServer[echo.StreamingOutputCallResponse]) error {
			return ss.Send(&echo.StreamingOutputCallResponse{})
		},
	})
	c := client(t, s, grpcguard.StreamClient(g))
	up, err := c.StreamingInputCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.CloseAndRecv(); err != nil || next(t, g.back) != patterns.Success {
		t.Error(err)
	}
	down, err := c.StreamingOutputCall(t.Context(), &echo.StreamingOutputCallRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = down.Recv()
	}
	if got := next(t, g.back); got != patterns.Success || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", got, err)
	}
	s.close()
	settled(t, g)
}

func TestAStreamThatCannotBeOpenedFreesItsPermit(t *testing.T) {
	errNo := status.Error(codes.Unavailable, "no")
	for name, inner := range map[string]grpc.StreamClientInterceptor{
		"an error": func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, errNo
		},
		"a panic": func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
			panic(errNo)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1})
			s := serve(t, &service{duplex: echoes})
			c := client(t, s, grpcguard.StreamClient(r), grpc.WithChainStreamInterceptor(inner))
			func() {
				defer func() { _ = recover() }()
				_, err := c.FullDuplexCall(t.Context())
				wantCode(t, err, codes.Unavailable)
			}()
			if c := settled(t, r); c.Failure+c.Dropped != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// deaf is an inner interceptor that passes no options on, so that gRPC tells nobody.
func deaf(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(ctx, desc, cc, method)
}

func TestAStreamEndsEvenIfAnInterceptorInsideHidesIt(t *testing.T) {
	for name, end := range map[string]func(s clientStream, cancel func()){
		"received to its end": func(s clientStream, _ func()) { _ = s.CloseSend(); _, _ = s.Recv() },
		"cancelled":           func(_ clientStream, cancel func()) { cancel() },
		"sent nonsense":       func(s clientStream, _ func()) { _ = s.SendMsg("no message") },
	} {
		t.Run(name, func(t *testing.T) {
			g := observed{newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan patterns.Outcome, 10)}
			s := serve(t, &service{duplex: echoes})
			c := client(t, s, grpcguard.StreamClient(g), grpc.WithChainStreamInterceptor(deaf))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := c.FullDuplexCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			end(stream, cancel)
			next(t, g.back)
			cancel()
			s.close()
			settled(t, g)
		})
	}
}

func TestAPolicyForStreamsOrATapIsAMistake(t *testing.T) {
	again, err := retry.Spawn(registry(t), "again", retry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"server": func() error { _, err := grpcguard.NewStreamServer(again); return err },
		"client": func() error { _, err := grpcguard.NewStreamClient(again); return err },
		"tap":    func() error { _, err := grpcguard.NewTap(again); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := f()
			if e, ok := errors.AsType[*grpcguard.PolicyError](err); !ok || e.Guard != "again" || !errors.Is(err, patterns.ErrPolicy) {
				t.Errorf("error %v", err)
			}
		})
	}
	several, err := grpcguard.PerMethod(func(string) (patterns.Guard, error) { return again, nil })
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, &service{duplex: echoes})
	_, err = client(t, s, grpcguard.StreamClient(several)).FullDuplexCall(t.Context())
	if !errors.Is(err, patterns.ErrPolicy) || status.Code(err) != codes.Internal {
		t.Errorf("one of several: %v", err)
	}
}
