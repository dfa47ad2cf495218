package redislimiter_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

// ailment is what may befall a Redis that has been asked before.
type ailment struct {
	name    string
	args    []string             // of the server
	options func(*redis.Options) // of the client
	// ail has it befall s, and returns what heals it.
	ail func(t *testing.T, s *redistest.Server, admin *redis.Client) (heal func())
	// forgets says that what was taken before is forgotten when it is healed.
	forgets bool
	// ours says that Redis lives, and refuses for what was configured: no policy lets anybody pass.
	ours bool
}

func ailments() []ailment {
	return []ailment{
		{
			name: "a server that is gone",
			ail: func(t *testing.T, s *redistest.Server, _ *redis.Client) func() {
				must(t, s.Kill())
				return func() { must(t, s.Restart()) }
			},
			forgets: true,
		},
		{
			name: "a server that hangs",
			ail: func(t *testing.T, s *redistest.Server, _ *redis.Client) func() {
				must(t, s.Pause())
				return func() { must(t, s.Resume()) }
			},
		},
		{
			name: "a replica, after a failover that the client has not heard of",
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err()) // where nobody is
				return func() { must(t, admin.ReplicaOf(t.Context(), "NO", "ONE").Err()) }
			},
		},
		{
			name: "a replica that has lost its master", args: []string{"--replica-serve-stale-data", "no"},
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
				return func() { must(t, admin.ReplicaOf(t.Context(), "NO", "ONE").Err()) }
			},
		},
		{
			name: "a server that is full", args: []string{"--maxmemory-policy", "noeviction"},
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
				return func() { must(t, admin.ConfigSet(t.Context(), "maxmemory", "0").Err()) }
			},
		},
		{
			name: "a server that reads its data set", args: []string{"--loading-process-events-interval-bytes", "1024"},
			ail: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
				for i := range 100 {
					must(t, admin.Set(t.Context(), fmt.Sprint("ballast", i), rand.Text()+strings.Repeat("x", 2000)+rand.Text(), 0).Err())
				}
				must(t, admin.ConfigSet(t.Context(), "rdbcompression", "no").Err())
				must(t, admin.ConfigSet(t.Context(), "key-load-delay", "5000").Err()) // µs
				reloaded := make(chan error, 1)
				go func() {
					slow := redis.NewClient(&redis.Options{Addr: s.Addr(), ReadTimeout: 20 * time.Second})
					reloaded <- slow.Do(context.Background(), "DEBUG", "RELOAD").Err()
					_ = slow.Close()
				}()
				until(t, "loading", func() bool { return strings.HasPrefix(fmt.Sprint(admin.Ping(t.Context()).Err()), "LOADING") })
				return func() { must(t, <-reloaded) }
			},
		},
		{
			name: "a server that another script keeps busy", args: []string{"--lua-time-limit", "1"},
			ail: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
				ended := make(chan error, 1)
				go func() {
					c := redis.NewClient(&redis.Options{Addr: s.Addr(), ReadTimeout: 20 * time.Second})
					ended <- c.Eval(context.Background(), "while true do end", nil).Err()
					_ = c.Close()
				}()
				until(t, "busy", func() bool { return strings.HasPrefix(fmt.Sprint(admin.Ping(t.Context()).Err()), "BUSY") })
				return func() {
					must(t, admin.ScriptKill(t.Context()).Err())
					if err := <-ended; err == nil {
						t.Error("the script ended by itself")
					}
				}
			},
		},
		{
			name: "a server with too few replicas",
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
				return func() { must(t, admin.ConfigSet(t.Context(), "min-replicas-to-write", "0").Err()) }
			},
		},
		{
			name: "a user who may not", options: func(o *redis.Options) { o.Username, o.Password = "limited", "secret" },
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "-evalsha", "-eval").Err())
				return func() { must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "+evalsha", "+eval").Err()) }
			},
			ours: true,
		},
		{
			name: "a password that was changed", options: func(o *redis.Options) { o.Username, o.Password = "limited", "secret" },
			ail: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "resetpass", ">other").Err())
				must(t, admin.ClientKillByFilter(t.Context(), "USER", "limited").Err())
				return func() { must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "resetpass", ">secret").Err()) }
			},
			ours: true,
		},
	}
}

// until waits for what another process does in its own time.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
