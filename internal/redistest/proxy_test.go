package redistest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

var servers redistest.Servers

func TestMain(m *testing.M) { servers.Main(m) }

func impatient(t *testing.T, addr string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: addr, Protocol: 2, MaxRetries: -1, DialTimeout: 200 * time.Millisecond,
		ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func TestAWireIsBentAndMended(t *testing.T) {
	server := redistest.Start(t)
	straight := redistest.Client(t, server.URL())
	wire := redistest.NewProxy(t, server.Addr())
	for _, tt := range []struct {
		name    string
		wire    redistest.Wire
		arrives bool // what is asked
		answers bool
	}{
		{"a whole one passes everything", redistest.Whole, true, true},
		{"one that is cut passes nothing", redistest.Cut, false, false},
		{"a black hole passes nothing", redistest.Swallowing, false, false},
		{"a half-open one loses the answers only", redistest.HalfOpen, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			straight.Del(ctx, "k")
			rdb := impatient(t, wire.Addr())
			if err := rdb.Ping(ctx).Err(); err != nil {
				t.Fatalf("a whole wire: %v", err)
			}
			wire.Set(tt.wire)
			defer wire.Set(redistest.Whole)
			// Redis is asked on the connection that there is: a new one begins with a handshake.
			err := rdb.Set(ctx, "k", "v", 0).Err()
			if (err == nil) != tt.answers {
				t.Errorf("the answer was lost: want %v, got %v", !tt.answers, err)
			}
			if n := straight.Exists(ctx, "k").Val(); (n == 1) != tt.arrives {
				t.Errorf("the request arrived: want %v, got %v", tt.arrives, n == 1)
			}
			wire.Set(redistest.Whole)
			if err := impatient(t, wire.Addr()).Ping(ctx).Err(); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

func TestAWireTakesItsTime(t *testing.T) {
	wire := redistest.NewProxy(t, redistest.Start(t).Addr())
	wire.Delay(20 * time.Millisecond)
	rdb := redistest.Client(t, wire.URL())
	rdb.Ping(t.Context())
	before := time.Now()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < 40*time.Millisecond {
		t.Errorf("there and back takes 40ms at least, got %v", took)
	}
}

func TestTestsShareServers(t *testing.T) {
	url, cluster := servers.Single(t), servers.Cluster(t)
	if servers.Single(t) != url || servers.Cluster(t) != cluster {
		t.Error("each is started once")
	}
	if err := servers.Client(t).Ping(context.Background()).Err(); err != nil {
		t.Error(err)
	}
}
