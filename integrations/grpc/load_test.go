package grpcguard_test

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	echo "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// Many clients ask for more than there is, some leave early. Each call is served, refused or
// cancelled, with the code that was promised; no more run than may; all permits come back.
func TestUnderOverloadThereAreThePromisedCodesAndNothingElse(t *testing.T) {
	const most, clients = 4, 24
	calls := 20
	if os.Getenv("BULWARK_SOAK") == "1" {
		calls = 4000
	}
	for _, how := range []string{"unary", "stream", "tap"} {
		t.Run(how, func(t *testing.T) {
			r := newRoom(t, registry(t), bulkhead.Config{MaxConcurrent: most, MaxWaiting: 2 * most, MaxWait: 20 * time.Millisecond})
			var running, worst, handled atomic.Int32
			work := func(ctx context.Context) error {
				n := running.Add(1)
				defer running.Add(-1)
				for old := worst.Load(); n > old && !worst.CompareAndSwap(old, n); old = worst.Load() {
				}
				handled.Add(1)
				timer := time.NewTimer(time.Millisecond)
				defer timer.Stop()
				select {
				case <-timer.C:
					return nil
				case <-ctx.Done():
					return status.FromContextError(ctx.Err()).Err()
				}
			}
			s := &service{
				unary: func(ctx context.Context, _ *echo.SimpleRequest) (*echo.SimpleResponse, error) {
					return &echo.SimpleResponse{}, work(ctx)
				},
				duplex: func(ss serverStream) error {
					if err := work(ss.Context()); err != nil {
						return err
					}
					return echoes(ss)
				},
			}
			opts := []grpc.ServerOption{grpcguard.UnaryServer(r), grpcguard.StreamServer(r)}
			if how == "tap" {
				opts = newTap(t, r).Options()
			}
			server := serve(t, s, opts...)
			var mu sync.Mutex
			got := make(map[codes.Code]int)
			var wg sync.WaitGroup
			for i := range clients {
				c := client(t, server)
				random := rand.New(rand.NewPCG(uint64(i), 1))
				wg.Go(func() {
					for range calls {
						ctx, cancel := context.WithCancel(t.Context())
						if random.IntN(8) == 0 {
							time.AfterFunc(time.Duration(random.IntN(3000))*time.Microsecond, cancel)
						}
						err := call(ctx, c, how)
						cancel()
						mu.Lock()
						got[status.Code(err)]++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			server.close()
			c, total := settled(t, r), 0
			for code, n := range got {
				total += n
				if code != codes.OK && code != codes.Unavailable && code != codes.Canceled {
					t.Errorf("%d ended with %v", n, code)
				}
			}
			if total != clients*calls || got[codes.OK] == 0 || got[codes.Unavailable] == 0 {
				t.Errorf("of %d: %v", clients*calls, got)
			}
			if worst.Load() > most {
				t.Errorf("%d ran at once", worst.Load())
			}
			// A client that left may not have been heard of by the server at all, or have been served.
			if c.Success < uint64(got[codes.OK]) || c.Rejected < uint64(got[codes.Unavailable]) || c.Asked > uint64(total) || c.Failure+c.Dropped > 0 {
				t.Errorf("%+v, but clients got %v", c, got)
			}
			if how != "tap" && c.Granted != uint64(handled.Load()) {
				t.Errorf("%d calls were handled, with %d permits", handled.Load(), c.Granted)
			}
			t.Logf("%v, at most %d at once: %+v", got, worst.Load(), c)
		})
	}
}

func call(ctx context.Context, c echo.TestServiceClient, how string) error {
	if how == "unary" {
		_, err := c.UnaryCall(ctx, &echo.SimpleRequest{})
		return err
	}
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := s.Send(&echo.StreamingOutputCallRequest{}); err == nil {
		_ = s.CloseSend()
	}
	for {
		if _, err := s.Recv(); err != nil {
			if code := status.Code(err); code != codes.Unknown {
				return err
			}
			return nil // io.EOF
		}
	}
}
