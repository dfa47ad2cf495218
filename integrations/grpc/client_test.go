package grpcguard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bulwark-go/bulwark/actors"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// script answers each call by the next of its functions, the last one for ever.
type script struct {
	calls atomic.Int32
	steps []func(context.Context) error
}

func (s *script) service() *service {
	return &service{unary: func(ctx context.Context, r *echo.SimpleRequest) (*echo.SimpleResponse, error) {
		n := int(s.calls.Add(1))
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-call", fmt.Sprint(n)))
		if err := s.steps[min(n, len(s.steps))-1](ctx); err != nil {
			return nil, err
		}
		return &echo.SimpleResponse{Username: fmt.Sprint("call ", n), Payload: r.GetPayload()}, nil
	}}
}

func ends(err error) func(context.Context) error { return func(context.Context) error { return err } }

func pushes(value string) func(context.Context) error {
	return func(ctx context.Context) error {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", value))
		return status.Error(codes.Unavailable, "pushed back")
	}
}

func retryInfo(d time.Duration) func(context.Context) error {
	s, _ := status.New(codes.ResourceExhausted, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
	return ends(s.Err())
}

func newRetry(t *testing.T, guards *actors.Registry, c retry.Config) *retry.Retry {
	t.Helper()
	r, err := retry.Spawn(guards, "again", c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inOrder(t *testing.T, guards ...patterns.Guard) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.New("", guards...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var everything = grpcguard.Idempotent("/...")

func TestOnlyIdempotentMethodsAreMadeAgain(t *testing.T) {
	down := ends(status.Error(codes.Unavailable, "down"))
	for _, tt := range []struct {
		name  string
		opts  []grpcguard.ClientOption
		steps []func(context.Context) error
		calls int32
		code  codes.Code
	}{
		{"not by default", nil, []func(context.Context) error{down, ends(nil)}, 1, codes.Unavailable},
		{"if named", []grpcguard.ClientOption{grpcguard.Idempotent(unaryMethod)}, []func(context.Context) error{down, ends(nil)}, 2, codes.OK},
		{"if all are", []grpcguard.ClientOption{everything}, []func(context.Context) error{down, down, ends(nil)}, 3, codes.OK},
		{"not another", []grpcguard.ClientOption{grpcguard.Idempotent("/grpc.testing.Other/...")}, []func(context.Context) error{down}, 1, codes.Unavailable},
		{"as often as told", []grpcguard.ClientOption{everything}, []func(context.Context) error{down}, 4, codes.Unavailable},
		{"what the caller got wrong is not", []grpcguard.ClientOption{everything}, []func(context.Context) error{ends(status.Error(codes.NotFound, "")), ends(nil)}, 1, codes.NotFound},
		{"nor what is not there", []grpcguard.ClientOption{everything}, []func(context.Context) error{ends(status.Error(codes.Unimplemented, "")), ends(nil)}, 1, codes.Unimplemented},
		{"nor what was aborted", []grpcguard.ClientOption{everything}, []func(context.Context) error{ends(status.Error(codes.Aborted, "")), ends(nil)}, 1, codes.Aborted},
		{"unless somebody says so", []grpcguard.ClientOption{everything, grpcguard.Outcomes(map[codes.Code]patterns.Outcome{codes.Aborted: patterns.Failure})}, []func(context.Context) error{ends(status.Error(codes.Aborted, "")), ends(nil)}, 2, codes.OK},
		{"nor if the server does not want it", []grpcguard.ClientOption{everything}, []func(context.Context) error{pushes("-1"), ends(nil)}, 1, codes.Unavailable},
		{"or says nothing that can be read", []grpcguard.ClientOption{everything}, []func(context.Context) error{pushes("soon"), ends(nil)}, 1, codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			guards := registry(t)
			b := newBreaker(t, guards)
			p := inOrder(t, newRetry(t, guards, retry.Config{Attempts: 4, Backoff: retry.Constant(0)}), b)
			script := &script{steps: tt.steps}
			s := serve(t, script.service())
			got, err := client(t, s, grpcguard.UnaryClient(p, tt.opts...)).UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantCode(t, err, tt.code)
			if n := script.calls.Load(); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			if want := fmt.Sprint("call ", tt.calls); tt.code == codes.OK && got.GetUsername() != want {
				t.Errorf("got %v, want %s", got, want)
			}
			if errors.Is(err, patterns.ErrRejected) {
				t.Errorf("%v was not refused", err)
			}
			if c := settled(t, b); c.Reported != uint64(tt.calls) {
				t.Errorf("the breaker inside counts %+v", c)
			}
		})
	}
}

func TestAServerSaysHowLongToWait(t *testing.T) {
	for name, tt := range map[string]struct {
		step func(context.Context) error
		want time.Duration
	}{
		"by RetryInfo":    {retryInfo(60 * time.Millisecond), 60 * time.Millisecond},
		"by its trailer":  {pushes("60"), 60 * time.Millisecond},
		"not at all":      {ends(status.Error(codes.Unavailable, "")), 0},
		"before now, hm":  {retryInfo(-time.Hour), 0},
		"at once, please": {pushes("0"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			guards := registry(t)
			r := newRetry(t, guards, retry.Config{Backoff: retry.Constant(0)})
			script := &script{steps: []func(context.Context) error{tt.step, ends(nil)}}
			c := client(t, serve(t, script.service()), grpcguard.UnaryClient(r, everything))
			if _, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
			s, ok := r.Snapshot(t.Context())
			if !ok || s.Waited < tt.want || tt.want == 0 && s.Waited != 0 {
				t.Errorf("waited %v, want %v", s.Waited, tt.want)
			}
		})
	}
}

func TestACallHasOneAnswerWhateverHappened(t *testing.T) {
	guards := registry(t)
	script := &script{steps: []func(context.Context) error{ends(status.Error(codes.Unavailable, "down")), ends(nil)}}
	c := client(t, serve(t, script.service()), grpcguard.UnaryClient(newRetry(t, guards, retry.Config{Backoff: retry.Constant(0)}), everything))
	var header, trailer metadata.MD
	var from peer.Peer
	got, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{Payload: &echo.Payload{Body: []byte("body")}},
		grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from))
	if err != nil || got.GetUsername() != "call 2" || string(got.GetPayload().GetBody()) != "body" {
		t.Errorf("got %v, %v", got, err)
	}
	if fmt.Sprint(header.Get("x-call")) != "[2]" || from.Addr == nil {
		t.Errorf("header %v, peer %v", header, from)
	}
}

func TestTheLastErrorComesWithItsTrailer(t *testing.T) {
	guards := registry(t)
	script := &script{steps: []func(context.Context) error{pushes("0"), pushes("1")}}
	c := client(t, serve(t, script.service()), grpcguard.UnaryClient(newRetry(t, guards, retry.Config{Attempts: 2, Backoff: retry.Constant(0)}), everything))
	var trailer metadata.MD
	_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{}, grpc.Trailer(&trailer))
	if e, ok := errors.AsType[*retry.ExhaustedError](err); !ok || e.Attempts != 2 {
		t.Errorf("error %v", err)
	}
	if s := status.Convert(err); s.Code() != codes.Unavailable || s.Message() != "pushed back" {
		t.Errorf("status %v: it is the server's", s)
	}
	if fmt.Sprint(trailer.Get("grpc-retry-pushback-ms")) != "[1]" {
		t.Errorf("trailer %v", trailer)
	}
}

func TestAClientsOwnRefusalIsAStatusAndSaysWho(t *testing.T) {
	guards := registry(t)
	b := newBreaker(t, guards)
	if err := b.ForceOpen(t.Context(), time.Minute, "test"); err != nil {
		t.Fatal(err)
	}
	s := serve(t, answers(nil))
	for name, g := range map[string]patterns.Guard{"alone": b, "behind policies": inOrder(t, newRetry(t, guards, retry.Config{}), b)} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, s, grpcguard.UnaryClient(g)).UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantRefusal(t, err, codes.Unavailable, "UNAVAILABLE", true)
			open, ok := errors.AsType[*circuitbreaker.OpenError](err)
			if wait, known := patterns.RetryAfter(err); !ok || open.Name != b.Name() || !errors.Is(err, patterns.ErrRejected) || !known || wait <= 0 {
				t.Errorf("error %v", err)
			}
			if strings.Contains(status.Convert(err).Message(), "secret") {
				t.Errorf("%v would tell others", status.Convert(err))
			}
		})
	}
}

func TestATimeoutIsTheDeadlineOfTheCall(t *testing.T) {
	for name, again := range map[string]bool{"alone": false, "inside of a retry": true} {
		for _, abandon := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", abandon ", abandon), func(t *testing.T) {
				guards := registry(t)
				limit, err := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: 200 * time.Millisecond, Abandon: abandon})
				if err != nil {
					t.Fatal(err)
				}
				var g patterns.Guard = limit
				if again {
					g = inOrder(t, newRetry(t, guards, retry.Config{Backoff: retry.Constant(0)}), limit)
				}
				s, called, _ := blocks()
				cc := dial(t, serve(t, s), grpcguard.UnaryClient(g))
				connect(t, cc) // which may take longer
				_, err = echo.NewTestServiceClient(cc).UnaryCall(t.Context(), &echo.SimpleRequest{})
				wantCode(t, err, codes.DeadlineExceeded)
				if next(t, called); len(called) != 0 {
					t.Errorf("%d more calls", len(called))
				}
			})
		}
	}
}

func TestABreakersOwnTimeoutIsADeadlineToo(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			b, err := circuitbreaker.Spawn(registry(t), "b", circuitbreaker.Config{CallTimeout: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			s, _, _ := blocks()
			var of []grpc.ServerOption
			var with []grpc.DialOption
			if side == "server" {
				of = append(of, grpcguard.UnaryServer(b))
			} else {
				with = append(with, grpcguard.UnaryClient(b))
			}
			r := serve(t, s, of...)
			_, err = client(t, r, with...).UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantCode(t, err, codes.DeadlineExceeded)
			r.close()
			if c := settled(t, breaker{b}); c.Dropped != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAHedgeMakesIdempotentCallsTwiceAndOthersOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  []grpcguard.ClientOption
		first time.Duration // what the first call takes, unless it is cancelled
		want  string
	}{"idempotent": {[]grpcguard.ClientOption{everything}, hung, "call 2"}, "not": {nil, 200 * time.Millisecond, "call 1"}} {
		t.Run(name, func(t *testing.T) {
			guards := registry(t)
			h, err := hedge.Spawn(guards, "twice", hedge.Config{Delay: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			slow := func(ctx context.Context) error {
				timer := time.NewTimer(tt.first)
				defer timer.Stop()
				select {
				case <-timer.C:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			script := &script{steps: []func(context.Context) error{slow, ends(nil)}}
			s := serve(t, script.service())
			got, err := client(t, s, grpcguard.UnaryClient(h, tt.opts...)).UnaryCall(t.Context(), &echo.SimpleRequest{})
			if err != nil || got.GetUsername() != tt.want {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestAFallbackGivesAResponseOnBothSides(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		for name, tt := range map[string]struct {
			value any
			err   error
			want  string
			code  codes.Code
		}{
			"in place of a failure":             {&echo.SimpleResponse{Username: "instead"}, status.Error(codes.Internal, "x"), "instead", codes.OK},
			"not of what the caller got wrong":  {&echo.SimpleResponse{Username: "instead"}, status.Error(codes.NotFound, "x"), "", codes.NotFound},
			"nor of what is right":              {&echo.SimpleResponse{Username: "instead"}, nil, "ok", codes.OK},
			"but not of another type":           {&echo.Empty{}, status.Error(codes.Internal, "x"), "", codes.Internal},
			"and nothing is not given":          {(*echo.SimpleResponse)(nil), status.Error(codes.Internal, "x"), "", codes.Internal},
			"and neither is nothing of no type": {nil, status.Error(codes.Internal, "x"), "", codes.Internal},
		} {
			t.Run(side+" "+name, func(t *testing.T) {
				if side == "server" && (name == "but not of another type" || name == "and nothing is not given") {
					return // what a server sends it has checked itself
				}
				f, err := fallback.Spawn(registry(t), "rates", fallback.Config[any]{Steps: fallback.Chain(fallback.Value(tt.value))})
				if err != nil {
					t.Fatal(err)
				}
				var of []grpc.ServerOption
				var with []grpc.DialOption
				if side == "server" {
					of = append(of, grpcguard.UnaryServer(f))
				} else {
					with = append(with, grpcguard.UnaryClient(f))
				}
				got, err := client(t, serve(t, answers(tt.err), of...), with...).UnaryCall(t.Context(), &echo.SimpleRequest{})
				wantCode(t, err, tt.code)
				if got.GetUsername() != tt.want {
					t.Errorf("got %v, want %q", got, tt.want)
				}
			})
		}
	}
}

func TestAServersRetryTellsTheHandlersWordsOnly(t *testing.T) {
	script := &script{steps: []func(context.Context) error{ends(status.Error(codes.Unavailable, "one")), ends(status.Error(codes.Internal, "two"))}}
	r := newRetry(t, registry(t), retry.Config{Attempts: 2, Backoff: retry.Constant(0)})
	s := serve(t, script.service(), grpcguard.UnaryServer(r, everything))
	_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
	if got := status.Convert(err); got.Code() != codes.Internal || got.Message() != "two" {
		t.Errorf("got %v", got)
	}
}

func TestEachMethodAndTargetHasABreakerOfItsOwn(t *testing.T) {
	guards := registry(t)
	per, err := grpcguard.PerTarget(func(target string) (patterns.Guard, error) {
		return circuitbreaker.GetOrSpawn(guards, "bank "+target, circuitbreaker.Config{ConsecutiveFailures: 1, OpenFor: time.Hour})
	})
	if err != nil {
		t.Fatal(err)
	}
	bad, good := serve(t, answers(status.Error(codes.Internal, ""))), serve(t, answers(nil))
	option := grpcguard.UnaryClient(per)
	a, b := client(t, bad, option), client(t, good, option)
	for i, want := range []codes.Code{codes.Internal, codes.Unavailable} {
		_, err := a.UnaryCall(t.Context(), &echo.SimpleRequest{})
		if status.Code(err) != want || errors.Is(err, circuitbreaker.ErrOpen) != (i == 1) {
			t.Errorf("call %d: %v, %v", i, err, errors.Unwrap(err))
		}
		if _, err := b.UnaryCall(t.Context(), &echo.SimpleRequest{}); err != nil {
			t.Error(err)
		}
	}
	if _, err := per.Acquire(t.Context()); !errors.Is(err, grpcguard.ErrSeveral) {
		t.Error(err)
	}
	if _, err := per.AcquireFor(t.Context(), patterns.Request{}); !errors.Is(err, grpcguard.ErrSeveral) {
		t.Error(err)
	}
	none, err := grpcguard.PerMethod(func(string) (patterns.Guard, error) { return nil, errors.New("secret") })
	if err != nil {
		t.Fatal(err)
	}
	_, err = client(t, good, grpcguard.UnaryClient(none)).UnaryCall(t.Context(), &echo.SimpleRequest{})
	wantRefusal(t, err, codes.Internal, "FAILED", false)
	if _, err := grpcguard.Per(nil, nil); err == nil {
		t.Error("guards per nothing")
	}
}

func TestACallThatWaitsForReadyWaits(t *testing.T) {
	b := newBreaker(t, registry(t))
	s := serve(t, answers(nil))
	s.close()
	c := client(t, s, grpcguard.UnaryClient(b))
	_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
	wantCode(t, err, codes.Unavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.UnaryCall(ctx, &echo.SimpleRequest{}, grpc.WaitForReady(true))
	wantCode(t, err, codes.DeadlineExceeded)
	if c := settled(t, b); c.Dropped != 2 {
		t.Errorf("%+v", c)
	}
}

func TestAServerThatDiesMidCallIsAFailureAndNoPermitIsLost(t *testing.T) {
	guards := registry(t)
	inClient, inServer := newBreaker(t, guards), newRoom(t, guards, bulkhead.Config{MaxConcurrent: 100})
	s, called, _ := blocks()
	r := serve(t, s, grpcguard.UnaryServer(inServer))
	c := client(t, r, grpcguard.UnaryClient(inClient))
	const n = 20
	done := make(chan error, n)
	for range n {
		go func() {
			_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
			done <- err
		}()
	}
	for range n {
		next(t, called)
	}
	r.close()
	for range n {
		wantCode(t, next(t, done), codes.Unavailable)
	}
	if c := settled(t, inClient); c.Dropped != n {
		t.Errorf("client %+v", c)
	}
	if c := settled(t, inServer); c.Ignored != n { // its clients' connections have ended
		t.Errorf("server %+v", c)
	}
}
