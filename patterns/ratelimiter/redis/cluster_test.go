package redislimiter_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// clustered returns a client of a Cluster with the settings that the limiter's own have.
func clustered(t *testing.T, c *redistest.Cluster) *redis.ClusterClient {
	t.Helper()
	rdb := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(), MaxRetries: -1, DialTimeout: unhurried, ReadTimeout: unhurried, WriteTimeout: unhurried, PoolTimeout: unhurried,
		DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// incomplete is a Cluster that loses a master which has no replica: the others serve nobody
// then, and it is not the one that is asked.
func incomplete(t *testing.T) patient {
	c := redistest.StartCluster(t, 3)
	for _, s := range c.Nodes() {
		must(t, client(t, s.Addr()).ConfigSet(t.Context(), "cluster-node-timeout", "200").Err())
	}
	return patient{client: clustered(t, c), ail: func() func() {
		ctx := t.Context()
		slot, err := c.Slot(ctx, "k")
		must(t, err)
		owner, err := c.Owner(ctx, slot)
		must(t, err)
		lost, asked := c.Nodes()[(owner+1)%3], client(t, c.Nodes()[owner].Addr())
		must(t, lost.Kill())
		until(t, "a cluster that is down", func() bool { return !errors.Is(asked.Get(ctx, "{k}x").Err(), redis.Nil) })
		return func() { must(t, lost.Restart()) }
	}}
}

func TestASlotThatMovesLosesAndGivesNothing(t *testing.T) {
	cluster, name := servers.Cluster(t), rand.Text()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.MustParse("1/hour burst 300"), Client: c, Prefix: name, Timeout: unhurried,
		OnOutage: redislimiter.FailClosed, Failures: 1,
	})
	must(t, l.Wait(t.Context(), "k"))
	slot := slotOf(t, c, name)
	moved := make(chan error, 1)
	go func() {
		for range 3 {
			from, err := cluster.Owner(context.Background(), slot)
			if err == nil {
				err = cluster.Move(context.Background(), slot, (from+1)%3)
			}
			if err != nil {
				moved <- err
				return
			}
		}
		moved <- nil
	}()
	for i := range 299 {
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if err := l.Wait(t.Context(), "k"); !errors.Is(err, ratelimiter.ErrLimited) {
		t.Errorf("300 were taken: got %v", err)
	}
	must(t, <-moved)
}

// slotOf returns the slot of the one key with a prefix.
func slotOf(t *testing.T, c *redis.ClusterClient, prefix string) (slot int) {
	t.Helper()
	var mu sync.Mutex
	must(t, c.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		keys, err := node.Keys(ctx, prefix+"*").Result()
		for _, key := range keys {
			n, err := node.ClusterKeySlot(ctx, key).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			slot = int(n)
			mu.Unlock()
		}
		return err
	}))
	return slot
}

// While a slot is on its way, a call of which one key is gone already and another is not is
// answered with TRYAGAIN, and one for a key that is gone with ASK.
func TestKeysOfASlotThatIsOnItsWayAreCountedExactly(t *testing.T) {
	const count = 100
	cluster, prefix := servers.Cluster(t), rand.Text()
	c, ctx := clustered(t, cluster), t.Context()
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.Rate{Count: count, Per: time.Hour}, Client: c, Prefix: prefix, Timeout: unhurried, OnOutage: redislimiter.FailClosed, Failures: 1,
	})
	keys := append(neighbours(t, c), "elsewhere")
	for _, key := range keys[:2] {
		must(t, l.Wait(ctx, key))
	}
	slot, err := cluster.Slot(ctx, keys[0])
	must(t, err)
	from, err := cluster.Owner(ctx, slot)
	must(t, err)
	to := (from + 1) % 3
	must(t, cluster.Migrating(ctx, slot, to))
	must(t, cluster.Carry(ctx, prefix+":1:bucket:{"+keys[0]+"}", from, to))

	passed := make([]atomic.Int64, len(keys)) // the third key is nowhere yet
	var all sync.WaitGroup
	for i, key := range keys {
		for range 8 {
			all.Go(func() {
				for range count / 4 {
					switch err := l.Wait(ctx, key); {
					case err == nil:
						passed[i].Add(1)
					case !errors.Is(err, ratelimiter.ErrLimited):
						t.Errorf("key %d: %v", i, err)
						return
					}
				}
			})
		}
	}
	all.Wait()
	for i, want := range []int64{count - 1, count - 1, count, count} {
		if got := passed[i].Load(); got != want {
			t.Errorf("key %d: %d pass, got %d", i, want, got)
		}
	}
	if s, _ := l.Snapshot(ctx); s.Outages != 0 || s.Failed != 0 {
		t.Errorf("a slot that moves is no outage: %+v", s)
	}
	must(t, cluster.Move(ctx, slot, to))
	for i, key := range keys {
		if err := l.Wait(ctx, key); !errors.Is(err, ratelimiter.ErrLimited) {
			t.Errorf("key %d, after the move: got %v", i, err)
		}
	}
}

// neighbours returns three keys of users that have one slot.
func neighbours(t *testing.T, c *redis.ClusterClient) []string {
	t.Helper()
	bySlot := map[int64][]string{}
	for {
		pipe, keys := c.Pipeline(), make([]string, 1000)
		slots := make([]*redis.IntCmd, len(keys))
		for i := range keys {
			keys[i] = rand.Text()
			slots[i] = pipe.ClusterKeySlot(t.Context(), keys[i])
		}
		_, err := pipe.Exec(t.Context())
		must(t, err)
		for i, key := range keys {
			slot := slots[i].Val()
			if bySlot[slot] = append(bySlot[slot], key); len(bySlot[slot]) == 3 {
				return bySlot[slot]
			}
		}
	}
}

// A Cluster that serves what it can: keys of a node that is gone have the policy, and those of
// others are counted on.
func TestANodeThatIsGoneConcernsItsOwnKeys(t *testing.T) {
	t.Parallel()
	cluster, ctx := redistest.StartCluster(t, 3), t.Context()
	for _, s := range cluster.Nodes() {
		must(t, client(t, s.Addr()).ConfigSet(ctx, "cluster-require-full-coverage", "no").Err())
	}
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.MustParse("10/h"), Client: clustered(t, cluster), Prefix: rand.Text(), Timeout: unhurried,
		OnOutage: redislimiter.FailClosed, RetryEvery: 20 * time.Millisecond,
	})
	keys := map[int]string{} // by node
	for len(keys) < 3 {
		key := rand.Text()
		slot, err := cluster.Slot(ctx, key)
		must(t, err)
		owner, err := cluster.Owner(ctx, slot)
		must(t, err)
		keys[owner] = key
	}
	for _, key := range keys {
		must(t, l.Wait(ctx, key))
	}
	must(t, cluster.Nodes()[0].Kill())
	for i := range 9 {
		if err := l.Wait(ctx, keys[0]); !errors.Is(err, redislimiter.ErrOutage) {
			t.Errorf("a key whose node is gone: got %v", err)
		}
		for _, live := range []int{1, 2} {
			if err := l.Wait(ctx, keys[live]); err != nil {
				t.Errorf("after %d, a key whose node lives: %v", i+1, err)
			}
		}
	}
	for _, live := range []int{1, 2} {
		if err := l.Wait(ctx, keys[live]); !errors.Is(err, ratelimiter.ErrLimited) {
			t.Errorf("ten were taken: got %v", err)
		}
	}
	if s, _ := l.Snapshot(ctx); s.Outages != 0 || s.RefusedWithout != 9 {
		t.Errorf("it is counted: %+v", s)
	}
	must(t, cluster.Nodes()[0].Restart())
	until(t, "the node is asked again", func() bool { return l.Wait(ctx, keys[0]) == nil })
}
