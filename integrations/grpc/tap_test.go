package grpcguard_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/tap"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

func newTap(t testing.TB, g patterns.Guard, opts ...grpcguard.ServerOption) *grpcguard.Tap {
	t.Helper()
	tap, err := grpcguard.NewTap(g, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tap
}

func TestATapRefusesBeforeAnythingIsDecoded(t *testing.T) {
	r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 100})
	s, called, letGo := blocks()
	server := serve(t, s, newTap(t, r).Options()...)
	c := client(t, server)
	done := make(chan error, 1)
	go func() {
		_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
		done <- err
	}()
	next(t, called)
	_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{}) // though there is a queue
	wantRefusal(t, err, codes.Unavailable, "OVERLOADED", true)
	letGo()
	if err := next(t, done); err != nil {
		t.Error(err)
	}
	server.close()
	if c := settled(t, r); c.Success != 1 || c.Rejected != 1 {
		t.Errorf("%+v", c)
	}
}

func TestATapGivesThePermitBackOfMethodsThatAreNotThere(t *testing.T) {
	r := observed{newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan patterns.Outcome, 10)}
	s := serve(t, answers(nil), newTap(t, &waitless{r}).Options()...)
	cc := dial(t, s)
	for _, method := range []string{"/grpc.testing.TestService/Nothing", "/nobody/Nothing"} {
		wantCode(t, cc.Invoke(t.Context(), method, &echo.Empty{}, &echo.Empty{}), codes.Unimplemented)
		next(t, r.back)
	}
	wantCode(t, cc.Invoke(t.Context(), "malformed", &echo.Empty{}, &echo.Empty{}), codes.Unimplemented)
	s.close()
	settled(t, r)
	if len(r.back) != 0 {
		t.Error("a malformed method had a permit")
	}
}

// waitless hands requests that do not wait to an observed guard, which knows no others.
type waitless struct{ observed }

func (w *waitless) AcquireFor(ctx context.Context, _ patterns.Request) (patterns.Permit, error) {
	return w.Acquire(ctx)
}

func TestWhatCannotBeDecodedIsNotTheServersFailure(t *testing.T) {
	b := newBreaker(t, registry(t))
	s := serve(t, answers(nil), newTap(t, b).Options()...)
	cc := dial(t, s, grpc.WithDefaultCallOptions(grpc.ForceCodec(nonsense{})))
	wantCode(t, cc.Invoke(t.Context(), unaryMethod, &echo.Empty{}, &echo.Empty{}), codes.Internal)
	s.close()
	if c := settled(t, b); c.Ignored != 1 {
		t.Errorf("%+v", c)
	}
}

// nonsense encodes everything as what is no message.
type nonsense struct{}

func (nonsense) Marshal(any) ([]byte, error) { return []byte{0xff, 0xff, 0xff}, nil }
func (nonsense) Unmarshal([]byte, any) error { return nil }
func (nonsense) Name() string                { return "proto" }

func TestATapDoesNotWaitForAGuardThatIsAway(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	registry(t)
	s := serve(t, answers(nil), newTap(t, away{never}).Options()...)
	_, err := client(t, s).UnaryCall(t.Context(), &echo.SimpleRequest{})
	wantRefusal(t, err, codes.Unavailable, "OVERLOADED", true)
}

// away is a guard that does not answer.
type away struct{ never chan struct{} }

func (away) Name() string           { return "away" }
func (away) Terms() *patterns.Terms { return nil }
func (g away) Acquire(ctx context.Context) (patterns.Permit, error) {
	return g.AcquireFor(ctx, patterns.Request{})
}

func (g away) AcquireFor(ctx context.Context, _ patterns.Request) (p patterns.Permit, err error) {
	select {
	case <-ctx.Done():
		return p, ctx.Err()
	case <-g.never:
		return p, nil
	}
}

// A call whose deadline passes between the tap and its goroutine never begins.
func TestAPermitOfACallThatNeverBeginsComesBack(t *testing.T) {
	r := observed{newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 1}), make(chan patterns.Outcome, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := newTap(t, &waitless{r}).Handle(ctx, &tap.Info{FullMethodName: unaryMethod}); err != nil {
		t.Fatal(err)
	}
	cancel()
	next(t, r.back)
	settled(t, r)
}

// A client may open streams and reset them at once. Each call that was let through holds its
// permit until its handler has returned even so.
func TestRapidResetsHoldNoMoreHandlersThanPermits(t *testing.T) {
	const most, rounds = 4, 300
	r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: most})
	gate := make(chan struct{})
	var mu sync.Mutex
	running, worst := 0, 0
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		running += n
		worst = max(worst, running)
	}
	s := serve(t, &service{duplex: func(ss serverStream) error {
		count(1)
		defer count(-1)
		<-gate // whatever its context says
		return ss.Context().Err()
	}}, newTap(t, r).Options()...)

	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(hung)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(rounds) {
		id := 2*i + 1
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: headers(duplexMethod), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		if err := f.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.WritePing(false, [8]byte{1}); err != nil {
		t.Fatal(err)
	}
	for { // all has been read when the answer is there
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := frame.(*http2.PingFrame); ok && p.IsAck() && binary.BigEndian.Uint64(p.Data[:])>>56 == 1 {
			break
		}
	}
	close(gate)
	_ = c.Close()
	s.close()
	mu.Lock()
	defer mu.Unlock()
	if worst > most {
		t.Errorf("%d handlers ran at once, with %d permits", worst, most)
	}
	if c := settled(t, r); c.Asked > rounds || c.Granted == 0 {
		t.Errorf("%+v", c)
	}
}

func headers(method string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	return b.Bytes()
}

func TestATapOutlastsARestartOfItsGuard(t *testing.T) {
	r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: 10})
	s := serve(t, answers(nil), newTap(t, r).Options()...)
	c := client(t, s)
	actorstest.Crash(t, r.Bulkhead, actorstest.At(actors.Acquire{}))
	_, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{})
	wantRefusal(t, err, codes.Unavailable, "UNAVAILABLE", true)
	for range 5 {
		if _, err := c.UnaryCall(t.Context(), &echo.SimpleRequest{}); err != nil {
			t.Error(err)
		}
	}
	s.close()
	if c := settled(t, r); c.Success != 5 {
		t.Errorf("%+v", c)
	}
}
