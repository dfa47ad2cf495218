package grpcguard_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/bulwark-go/bulwark/actors"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

func TestARefusalSaysWhyAndWhenToComeAgainAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		guard  func(t *testing.T, guards *actors.Registry) patterns.Guard
		code   codes.Code
		reason string
		again  bool
		known  bool // when
	}{
		{"a limiter", func(t *testing.T, guards *actors.Registry) patterns.Guard {
			l := newLimiter(t, guards, "1/minute")
			l.Allow("")
			return l
		}, codes.ResourceExhausted, "RATE_LIMITED", true, true},
		{"a bulkhead", func(t *testing.T, guards *actors.Registry) patterns.Guard {
			r := newRoom(t, guards, bulkhead.Config{MaxConcurrent: 1})
			p, _ := r.TryAcquire()
			t.Cleanup(p.Release)
			return r
		}, codes.Unavailable, "OVERLOADED", true, false},
		{"a breaker", func(t *testing.T, guards *actors.Registry) patterns.Guard {
			b := newBreaker(t, guards)
			if err := b.ForceOpen(t.Context(), time.Minute, "test"); err != nil {
				t.Fatal(err)
			}
			return b
		}, codes.Unavailable, "UNAVAILABLE", true, true},
		{"one that was stopped", func(t *testing.T, guards *actors.Registry) patterns.Guard {
			b := newBreaker(t, guards)
			if err := b.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			return b
		}, codes.Unavailable, "UNAVAILABLE", true, false},
		{"what can never be granted", func(t *testing.T, guards *actors.Registry) patterns.Guard {
			return heavy{newRoom(t, guards, bulkhead.Config{MaxConcurrent: 1})}
		}, codes.InvalidArgument, "INVALID", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.guard(t, registry(t))
			s := serve(t, answers(nil), grpcguard.UnaryServer(g))
			var trailer metadata.MD
			_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{}, grpc.Trailer(&trailer))
			wantRefusal(t, err, tt.code, tt.reason, tt.again)
			if strings.Contains(fmt.Sprint(status.Convert(err).Proto()), "secret") {
				t.Errorf("%v has inner text", status.Convert(err).Proto())
			}
			if pushed := len(trailer.Get("grpc-retry-pushback-ms")) == 1; pushed != tt.known {
				t.Errorf("trailer %v, want a time: %v", trailer, tt.known)
			}
		})
	}
}

// heavy asks for more than there is.
type heavy struct{ patterns.Guard }

func (h heavy) Acquire(ctx context.Context) (patterns.Permit, error) {
	return h.AcquireFor(ctx, patterns.Request{Weight: 100})
}

func TestWhatTheHandlerReturnsReachesItsClientAsItIs(t *testing.T) {
	own := status.New(codes.ResourceExhausted, "the handler's own")
	s := serve(t, answers(own.Err()), grpcguard.UnaryServer(newRoom(t, registry(t), bulkhead.Config{})))
	_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
	if got := status.Convert(err); got.Code() != own.Code() || got.Message() != own.Message() || len(got.Details()) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestWhatCodesMeanToAGuard(t *testing.T) {
	const success, failure, dropped, ignored = patterns.Success, patterns.Failure, patterns.Dropped, patterns.Ignored
	for code, want := range map[codes.Code]patterns.Outcome{
		codes.OK: success, codes.Canceled: ignored, codes.Unknown: failure, codes.InvalidArgument: success,
		codes.DeadlineExceeded: dropped, codes.NotFound: success, codes.AlreadyExists: success, codes.PermissionDenied: success,
		codes.ResourceExhausted: dropped, codes.FailedPrecondition: success, codes.Aborted: success, codes.OutOfRange: success,
		codes.Unimplemented: ignored, codes.Internal: failure, codes.Unavailable: dropped, codes.DataLoss: failure,
		codes.Unauthenticated: success, codes.Code(77): failure,
	} {
		t.Run(code.String(), func(t *testing.T) {
			guards := registry(t)
			server, theirs := newBreaker(t, guards), newRoom(t, guards, bulkhead.Config{})
			tapped := newLimiter(t, guards, "1000/second")
			tap, err := grpcguard.NewTap(tapped)
			if err != nil {
				t.Fatal(err)
			}
			s := serve(t, answers(status.Error(code, "x")), append(tap.Options(), grpcguard.UnaryServer(server))...)
			_, err = client(t, s, grpcguard.UnaryClient(theirs)).UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantCode(t, err, code)
			s.close()
			for _, g := range []counted{server, theirs, tapped} {
				if c := settled(t, g); outcome(c) != want || c.Reported != 1 {
					t.Errorf("%s counted %+v, want %v", g.Name(), c, want)
				}
			}
		})
	}
}

// outcome is the one that is in the books.
func outcome(c patterns.Counts) patterns.Outcome {
	switch {
	case c.Failure > 0:
		return patterns.Failure
	case c.Dropped > 0:
		return patterns.Dropped
	case c.Ignored > 0:
		return patterns.Ignored
	}
	return patterns.Success
}

func TestUsersMayJudgeCodesThemselves(t *testing.T) {
	errOwn := errors.New("own")
	for _, tt := range []struct {
		name  string
		opts  []grpcguard.ServerOption
		rules []patterns.Rule
		err   error
		want  patterns.Outcome
	}{
		{"another table", []grpcguard.ServerOption{grpcguard.Outcomes(map[codes.Code]patterns.Outcome{codes.NotFound: patterns.Failure})}, nil, status.Error(codes.NotFound, ""), patterns.Failure},
		{"a judge of errors", nil, []patterns.Rule{patterns.IgnoreOn(errOwn)}, errOwn, patterns.Ignored},
		{"a judge that looks at answers", nil, []patterns.Rule{patterns.JudgeResult(func(v any) patterns.Outcome {
			if a, ok := v.(*grpcguard.Answer); ok && a.Code() == codes.NotFound {
				return patterns.Failure
			}
			return patterns.Success
		})}, status.Error(codes.NotFound, ""), patterns.Failure},
		{"a judge that looks at responses", nil, []patterns.Rule{patterns.JudgeResult(func(v any) patterns.Outcome {
			if r, ok := v.(*echo.SimpleResponse); ok && r.GetUsername() == "ok" {
				return patterns.Dropped
			}
			return patterns.Success
		})}, nil, patterns.Dropped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opts []actors.Option
			if tt.rules != nil {
				opts = append(opts, actors.WithJudge(tt.rules...))
			}
			b := newBreaker(t, registry(t), opts...)
			s := serve(t, answers(tt.err), grpcguard.UnaryServer(b, tt.opts...))
			_, _ = client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
			s.close()
			if c := settled(t, b); outcome(c) != tt.want {
				t.Errorf("counted %+v, want %v", c, tt.want)
			}
		})
	}
}

func TestARefusalOfAGuardInsideIsNotTheClientsFaultAndTellsItNothing(t *testing.T) {
	for _, how := range []string{"interceptor", "excluded", "tap"} {
		t.Run(how, func(t *testing.T) {
			guards := registry(t)
			inner, outer := newLimiter(t, guards, "1/minute"), newBreaker(t, guards)
			inner.Allow("")
			refused := func(ctx context.Context) error {
				return fmt.Errorf("secret: %w", patterns.Run(ctx, inner, func(context.Context) error { return nil }))
			}
			var opts []grpcguard.ServerOption
			if how == "excluded" {
				opts = append(opts, grpcguard.Exclude("/grpc.testing.TestService/..."))
			}
			of := []grpc.ServerOption{grpcguard.UnaryServer(outer, opts...), grpcguard.StreamServer(outer, opts...)}
			if how == "tap" {
				of = newTap(t, outer).Options()
			}
			s := serve(t, &service{
				unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
					return nil, refused(ctx)
				},
				duplex: func(ss serverStream) error { return refused(ss.Context()) },
			}, of...)
			c := client(t, s)
			_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantRefusal(t, err, codes.Unavailable, "UNAVAILABLE", true)
			stream, inStream := c.FullDuplexCall(t.Context())
			if inStream == nil {
				_, inStream = stream.Recv()
			}
			wantRefusal(t, inStream, codes.Unavailable, "UNAVAILABLE", true)
			if strings.Contains(fmt.Sprint(err, inStream), "secret") {
				t.Errorf("%v, %v have inner text", err, inStream)
			}
			s.close()
			if c := settled(t, outer); how != "excluded" && c.Ignored != 2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAPanicIsAFailureAndGoesOn(t *testing.T) {
	b := newBreaker(t, registry(t))
	var seen any
	outside := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (_ any, err error) {
		defer func() {
			seen = recover()
			err = status.Error(codes.Internal, "recovered outside")
		}()
		return h(ctx, req)
	})
	s := serve(t, &service{unary: func(context.Context, *echo.SimpleRequest) (*echo.SimpleResponse, error) { panic("boom") }}, outside, grpcguard.UnaryServer(b))
	_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
	s.close()
	if seen != "boom" || status.Convert(err).Message() != "recovered outside" {
		t.Errorf("recovered %v, client got %v", seen, err)
	}
	if c := settled(t, b); c.Failure != 1 {
		t.Errorf("%+v", c)
	}
}

func TestAPanicIsAnErrorIfToldSoAndAFailureAllTheSame(t *testing.T) {
	theirs := func(_ context.Context, c grpcguard.Call, _ any) error { return status.Error(codes.NotFound, c.Method) }
	for name, tt := range map[string]struct {
		f        func(context.Context, grpcguard.Call, any) error
		excluded []string
		code     codes.Code
		failures uint64
	}{
		"in our words": {nil, nil, codes.Internal, 2},
		"in theirs":    {theirs, nil, codes.NotFound, 2},
		"excluded":     {theirs, []string{"/grpc.testing.TestService/..."}, codes.NotFound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, registry(t))
			s := serve(t, &service{
				unary: func(context.Context, *echo.SimpleRequest) (*echo.SimpleResponse, error) { panic("secret") },
				duplex: func(grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]) error {
					panic("secret")
				},
			}, grpcguard.UnaryServer(b, grpcguard.Recover(tt.f), grpcguard.Exclude(tt.excluded...)),
				grpcguard.StreamServer(b, grpcguard.Recover(tt.f), grpcguard.Exclude(tt.excluded...)))
			c := client(t, s)
			_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
			wantCode(t, err, tt.code)
			stream, err := c.FullDuplexCall(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			wantCode(t, err, tt.code)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v has inner text", err)
			}
			s.close()
			if c := settled(t, b); c.Failure != tt.failures {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestHealthIsAskedForWithoutAGuardUnlessSomebodySaysOtherwise(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []grpcguard.ServerOption
		code codes.Code
	}{
		"by default":       {nil, codes.OK},
		"nothing excluded": {[]grpcguard.ServerOption{grpcguard.Exclude()}, codes.Unavailable},
		"exactly":          {[]grpcguard.ServerOption{grpcguard.Exclude("/grpc.health.v1.Health/Check")}, codes.OK},
		"by a pattern":     {[]grpcguard.ServerOption{grpcguard.Exclude("/*.Health/*")}, codes.OK},
		"another":          {[]grpcguard.ServerOption{grpcguard.Exclude("/grpc.health.v1.Health/Watch", "/grpc.health/...")}, codes.Unavailable},
	} {
		for _, how := range []string{"interceptor", "tap"} {
			t.Run(name+" by an "+how, func(t *testing.T) {
				b := newBreaker(t, registry(t))
				if err := b.ForceOpen(t.Context(), 0, "test"); err != nil {
					t.Fatal(err)
				}
				opts := []grpc.ServerOption{grpcguard.UnaryServer(b, tt.opts...)}
				if how == "tap" {
					tap, err := grpcguard.NewTap(b, tt.opts...)
					if err != nil {
						t.Fatal(err)
					}
					opts = tap.Options()
				}
				s := grpc.NewServer(opts...)
				healthpb.RegisterHealthServer(s, health.NewServer())
				r := start(t, s)
				_, err := healthpb.NewHealthClient(dial(t, r)).Check(t.Context(), &healthpb.HealthCheckRequest{})
				wantCode(t, err, tt.code)
			})
		}
	}
}

func start(t *testing.T, s *grpc.Server) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &running{s, l.Addr().String(), make(chan struct{})}
	go func() {
		defer close(r.done)
		_ = s.Serve(l)
	}()
	t.Cleanup(r.close)
	return r
}

// asked is a guard that remembers what it was asked for, and lets everything pass.
type asked struct{ requests chan patterns.Request }

func ask() asked { return asked{make(chan patterns.Request, 100)} }

func (asked) Name() string           { return "asked" }
func (asked) Terms() *patterns.Terms { return nil }
func (g asked) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{})
}

func (g asked) AcquireFor(_ context.Context, r patterns.Request) (p patterns.Permit, err error) {
	g.requests <- r
	return p, nil
}

func TestAPriorityIsTakenOnlyIfToldToAndWithinItsCap(t *testing.T) {
	local := []grpcguard.Cap{{From: []string{"127.0.0.0/8"}, Most: patterns.Critical}}
	elsewhere := []grpcguard.Cap{{From: []string{"10.0.0.0/8"}, Most: patterns.Critical}}
	for _, tt := range []struct {
		name string
		how  grpcguard.Priorities
		says string
		want patterns.Priority
	}{
		{"nobody reads it", grpcguard.Priorities{}, "critical", patterns.Normal},
		{"no more than normal", grpcguard.Priorities{Header: "X-Priority"}, "critical", patterns.Normal},
		{"less is for everybody", grpcguard.Priorities{Header: "x-priority"}, "low", patterns.Low},
		{"as much as its cap", grpcguard.Priorities{Header: "x-priority", Most: patterns.High}, "critical", patterns.High},
		{"who is trusted claims more", grpcguard.Priorities{Header: "x-priority", Caps: local}, "critical", patterns.Critical},
		{"who is not does not", grpcguard.Priorities{Header: "x-priority", Caps: elsewhere}, "critical", patterns.Normal},
		{"nonsense is not said", grpcguard.Priorities{Header: "x-priority", Default: patterns.Low}, "very", patterns.Low},
	} {
		for _, how := range []string{"unary", "stream", "tap"} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				registry(t)
				g, inside := ask(), make(chan patterns.Priority, 1)
				tell := func(ctx context.Context) {
					p, _ := grpcguard.PriorityOf(ctx)
					inside <- p
				}
				opts := []grpc.ServerOption{grpcguard.UnaryServer(g, grpcguard.Priority(tt.how)), grpcguard.StreamServer(g, grpcguard.Priority(tt.how))}
				if how == "tap" {
					tap, err := grpcguard.NewTap(g, grpcguard.Priority(tt.how))
					if err != nil {
						t.Fatal(err)
					}
					opts = tap.Options()
				}
				s := serve(t, &service{
					unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
						tell(ctx)
						return &echo.SimpleResponse{}, nil
					},
					duplex: func(ss grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]) error {
						tell(ss.Context())
						return nil
					},
				}, opts...)
				c := client(t, s)
				ctx := metadata.AppendToOutgoingContext(t.Context(), "x-priority", tt.says)
				if how == "stream" {
					stream, err := c.FullDuplexCall(ctx)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = stream.Recv()
				} else if _, err := c.UnaryCall(ctx, &echo.SimpleRequest{}); err != nil {
					t.Fatal(err)
				}
				if got := next(t, g.requests).Priority; got != tt.want {
					t.Errorf("the guard was asked for %v, want %v", got, tt.want)
				}
				if got := next(t, inside); got != tt.want {
					t.Errorf("the handler sees %v, want %v", got, tt.want)
				}
			})
		}
	}
}

func TestAClientSendsThePriorityOfItsContext(t *testing.T) {
	registry(t)
	came := make(chan []string, 1)
	s := serve(t, &service{unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
		came <- metadata.ValueFromIncomingContext(ctx, "x-priority")
		return &echo.SimpleResponse{}, nil
	}})
	high := grpcguard.WithPriority(t.Context(), patterns.High)
	for name, tt := range map[string]struct {
		ctx  context.Context
		opts []grpcguard.ClientOption
		want string
	}{
		"if it has one":              {high, nil, "[high]"},
		"not if it has none":         {t.Context(), nil, "[]"},
		"not if told so":             {high, []grpcguard.ClientOption{grpcguard.SendPriority("")}, "[]"},
		"also of unguarded methods":  {high, []grpcguard.ClientOption{grpcguard.Exclude("/grpc.testing.TestService/...")}, "[high]"},
		"not over what is there":     {metadata.AppendToOutgoingContext(high, "x-priority", "low"), nil, "[low]"},
		"by another name nobody got": {high, []grpcguard.ClientOption{grpcguard.SendPriority("X-Other")}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			g := ask()
			if _, err := client(t, s, grpcguard.UnaryClient(g, tt.opts...)).UnaryCall(tt.ctx, &echo.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(next(t, came)); got != tt.want {
				t.Errorf("sent %s, want %s", got, tt.want)
			}
		})
	}
}

type subject struct{}

func TestKeysSayWhoseCallItIs(t *testing.T) {
	registry(t)
	for name, tt := range map[string]struct {
		opts []grpcguard.ServerOption
		want string
	}{
		"by client":              {[]grpcguard.ServerOption{grpcguard.PerClient()}, "127.0.0.1"},
		"nobody is believed":     {[]grpcguard.ServerOption{grpcguard.PerClient()}, "127.0.0.1"},
		"by what a proxy says":   {[]grpcguard.ServerOption{grpcguard.PerClient(), grpcguard.TrustProxies(grpcguard.Proxies{Trusted: []string{"127.0.0.1"}})}, "192.0.2.7"},
		"by metadata":            {[]grpcguard.ServerOption{grpcguard.Key(grpcguard.ByMetadata("X-Tenant"))}, "acme"},
		"by method":              {[]grpcguard.ServerOption{grpcguard.Key(grpcguard.ByMethod())}, unaryMethod},
		"by value":               {[]grpcguard.ServerOption{grpcguard.Key(grpcguard.ByValue(subject{}))}, "alice"},
		"by several":             {[]grpcguard.ServerOption{grpcguard.PerClient(), grpcguard.Key(grpcguard.ByMetadata("x-tenant"))}, "127.0.0.1|acme"},
		"a server has no target": {[]grpcguard.ServerOption{grpcguard.Key(grpcguard.ByTarget())}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := ask()
			signed := grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				return h(context.WithValue(ctx, subject{}, "alice"), req)
			})
			s := serve(t, answers(nil), signed, grpcguard.UnaryServer(g, append(tt.opts, grpcguard.Weight(func(context.Context, grpcguard.Call) int { return 3 }))...))
			ctx := metadata.AppendToOutgoingContext(t.Context(), "x-tenant", "acme", "x-forwarded-for", "198.51.100.1, 192.0.2.7")
			if _, err := client(t, s).UnaryCall(ctx, &echo.SimpleRequest{}); err != nil {
				t.Fatal(err)
			}
			if q := next(t, g.requests); q.Key != tt.want || q.Weight != 3 {
				t.Errorf("asked for %+v, want key %q", q, tt.want)
			}
		})
	}
}

func TestACallWhoseDeadlineIsTooNearIsNotBegun(t *testing.T) {
	for _, how := range []string{"interceptor", "tap"} {
		t.Run(how, func(t *testing.T) {
			b := newBreaker(t, registry(t))
			opts := []grpc.ServerOption{grpcguard.UnaryServer(b, grpcguard.NeedTime(time.Hour))}
			if how == "tap" {
				tap, err := grpcguard.NewTap(b, grpcguard.NeedTime(time.Hour))
				if err != nil {
					t.Fatal(err)
				}
				opts = tap.Options()
			}
			s := serve(t, answers(nil), opts...)
			c := client(t, s)
			near, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := c.UnaryCall(near, &echo.SimpleRequest{})
			wantRefusal(t, err, codes.DeadlineExceeded, "TIMEOUT", false)
			far, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
			defer cancel()
			for _, ctx := range []context.Context{far, t.Context()} {
				if _, err := c.UnaryCall(ctx, &echo.SimpleRequest{}); err != nil {
					t.Error(err)
				}
			}
			s.close()
			if c := settled(t, b); c.Asked != 2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAClientThatLeavesIsNobodysFailure(t *testing.T) {
	b := newBreaker(t, registry(t))
	s, called, _ := blocks()
	r := serve(t, s, grpcguard.UnaryServer(b))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := client(t, r)
	go func() {
		_, err := c.UnaryCall(ctx, &echo.SimpleRequest{})
		done <- err
	}()
	next(t, called)
	cancel()
	wantCode(t, next(t, done), codes.Canceled)
	r.close()
	if c := settled(t, b); c.Ignored != 1 || c.Reported != 1 {
		t.Errorf("%+v", c)
	}
}
