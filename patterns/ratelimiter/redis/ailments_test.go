package redislimiter_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// ailment is what may befall a Redis that has been asked before.
type ailment struct {
	name string
	// classes are what the fault that is told of may be of.
	classes []store.Class
	admit   func(t *testing.T) patient
	// forgets says that what was taken before is forgotten when it is healed.
	forgets bool
	// ours says that Redis lives, and refuses for what was configured: no policy lets anybody pass.
	ours bool
	// timeout is the limiters'; 0 where nothing depends on it.
	timeout time.Duration
}

// patient is a Redis that is well, for now. Limiters ask it by the URL if there is one.
type patient struct {
	client redis.UniversalClient
	url    string
	ail    func() (heal func())
}

// alone is a server, and what befalls it.
func alone(ail func(t *testing.T, s *redistest.Server, admin *redis.Client) (heal func()), args ...string) func(*testing.T) patient {
	return func(t *testing.T) patient {
		s := redistest.Start(t, args...)
		admin := client(t, s.Addr())
		return patient{client: client(t, s.Addr()), ail: func() func() { return ail(t, s, admin) }}
	}
}

// byName is a server that limiters ask as a user of its, and what befalls that user.
func byName(ail func(t *testing.T, admin *redis.Client) (heal func())) func(*testing.T) patient {
	return func(t *testing.T) patient {
		s := redistest.Start(t)
		admin := client(t, s.Addr())
		must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all").Err())
		return patient{url: "redis://limited:secret@" + s.Addr(), ail: func() func() {
			heal := ail(t, admin)
			must(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err()) // who is in stays in
			return heal
		}}
	}
}

// set is a server of which something is set that ails it, and set back.
func set(name, ails, well string, args ...string) func(*testing.T) patient {
	return alone(func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		must(t, admin.ConfigSet(t.Context(), name, ails).Err())
		return func() { must(t, admin.ConfigSet(t.Context(), name, well).Err()) }
	}, args...)
}

// user is one whose rights or password are changed, and changed back.
func user(ails, well string) func(*testing.T) patient {
	return byName(func(t *testing.T, admin *redis.Client) func() {
		become := func(how string) {
			words := []any{"ACL", "SETUSER", "limited"}
			for _, w := range strings.Fields(how) {
				words = append(words, w)
			}
			must(t, admin.Do(t.Context(), words...).Err())
		}
		become(ails)
		return func() { become(well) }
	})
}

func ailments() []ailment {
	return []ailment{
		{
			name: "a server that is gone", classes: []store.Class{store.Unreachable, store.Broken}, forgets: true,
			admit: alone(func(t *testing.T, s *redistest.Server, _ *redis.Client) func() {
				must(t, s.Kill())
				return func() { must(t, s.Restart()) }
			}),
		},
		{
			name: "a server that hangs", classes: []store.Class{store.TimedOut}, timeout: timeout,
			admit: alone(func(t *testing.T, s *redistest.Server, _ *redis.Client) func() {
				must(t, s.Pause())
				return func() { must(t, s.Resume()) }
			}),
		},
		{
			name: "READONLY: a replica, after a failover that the client has not heard of", classes: []store.Class{store.ReadOnly},
			admit: alone(orphaned),
		},
		{
			name: "MASTERDOWN: a replica that has lost its master", classes: []store.Class{store.MasterDown},
			admit: alone(orphaned, "--replica-serve-stale-data", "no"),
		},
		{
			name: "OOM: a server that is full", classes: []store.Class{store.OutOfMemory},
			admit: set("maxmemory", "1", "0", "--maxmemory-policy", "noeviction"),
		},
		{
			name: "LOADING: a server that reads its data set", classes: []store.Class{store.Loading},
			admit: alone(reads, "--loading-process-events-interval-bytes", "1024"),
		},
		{
			name: "BUSY: a server that another script keeps busy", classes: []store.Class{store.ScriptBusy},
			admit: alone(keptBusy, "--lua-time-limit", "1"),
		},
		{
			name: "NOREPLICAS: a server with too few replicas", classes: []store.Class{store.Misconfigured},
			admit: set("min-replicas-to-write", "1", "0"),
		},
		{
			name: "MISCONF: a server that cannot save its data set", classes: []store.Class{store.Misconfigured},
			admit: alone(unsaved),
		},
		{
			// It hangs up as it says so, and whoever writes to it meanwhile may not come to read.
			name: "a server that has too many clients", classes: []store.Class{store.TooManyClients, store.Broken},
			admit: alone(crowded),
		},
		{
			name: "CLUSTERDOWN: a cluster one master of which is gone", classes: []store.Class{store.ClusterDown},
			admit: incomplete,
		},
		{
			name: "NOPERM: a user who may not", classes: []store.Class{store.NoPermission}, ours: true,
			admit: user("-evalsha -eval", "+evalsha +eval"),
		},
		{
			name: "NOPERM: a user who may not touch such keys", classes: []store.Class{store.NoPermission}, ours: true,
			admit: user("resetkeys ~others:*", "~*"),
		},
		{
			name: "WRONGPASS: a password that was changed", classes: []store.Class{store.NoAuth}, ours: true,
			admit: user("resetpass >other", "resetpass >secret"),
		},
		{
			name: "WRONGPASS: a user who was switched off", classes: []store.Class{store.NoAuth}, ours: true,
			admit: user("off", "on"),
		},
		{
			name: "NOAUTH: a password that nobody has told us of", classes: []store.Class{store.NoAuth}, ours: true,
			admit: alone(func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
				must(t, admin.ConfigSet(t.Context(), "requirepass", "secret").Err())
				must(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
				return func() { must(t, admin.ConfigSet(t.Context(), "requirepass", "").Err()) }
			}),
		},
	}
}

// orphaned follows a master that is not there.
func orphaned(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
	must(t, admin.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	return func() { must(t, admin.ReplicaOf(t.Context(), "NO", "ONE").Err()) }
}

// reads takes half a second to read its data set.
func reads(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
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
}

// keptBusy runs a script that does not end.
func keptBusy(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
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
}

// unsaved has no directory any more to save its data set in, and takes no writes since.
func unsaved(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
	ctx := t.Context()
	must(t, os.RemoveAll(admin.ConfigGet(ctx, "dir").Val()["dir"]))
	must(t, admin.ConfigSet(ctx, "save", "3600 1000000").Err())
	must(t, admin.BgSave(ctx).Err())
	until(t, "a save that fails", func() bool {
		return strings.Contains(admin.Info(ctx, "persistence").Val(), "rdb_last_bgsave_status:err")
	})
	return func() { must(t, admin.ConfigSet(ctx, "stop-writes-on-bgsave-error", "no").Err()) }
}

// crowded takes no client more, and has lost those that it had.
func crowded(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
	ctx := t.Context()
	must(t, admin.ConfigSet(ctx, "maxclients", "1").Err())
	must(t, admin.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err())
	until(t, "a server that is full", func() bool {
		one := client(t, s.Addr())
		return one.Ping(ctx).Err() != nil
	})
	return func() { must(t, admin.ConfigSet(ctx, "maxclients", "1000").Err()) }
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
