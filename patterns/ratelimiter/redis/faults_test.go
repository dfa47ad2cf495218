package redislimiter_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

const (
	// timeout is how long limiters of these tests wait for Redis, and slack how much longer a
	// caller may have to wait for its turn on a processor of a machine that is busy.
	timeout = 200 * time.Millisecond
	slack   = 2 * time.Second
)

// spawn starts a limiter in a registry of its own, and returns what it tells.
func spawn(t *testing.T, c redislimiter.Config) (*redislimiter.Limiter, <-chan actors.Event) {
	t.Helper()
	guards := actorstest.NewRegistry(t, actors.WithoutEventLog())
	events, _ := guards.Subscribe(actors.Buffer(1024))
	l, err := redislimiter.Spawn(guards, "shared", c)
	must(t, err)
	return l, events
}

// told waits for an event of type E.
func told[E actors.Event](t *testing.T, events <-chan actors.Event) E {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		select {
		case e := <-events:
			if e, ok := e.(E); ok {
				return e
			}
		case <-ctx.Done():
			var none E
			t.Fatalf("no %T is told of", none)
			return none
		}
	}
}

// client returns one with the settings that the limiter's own have.
func client(t *testing.T, addr string, more ...func(*redis.Options)) *redis.Client {
	t.Helper()
	o := &redis.Options{
		Addr: addr, MaxRetries: -1, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout,
		DialerRetries: 1, ContextTimeoutEnabled: true,
	}
	for _, f := range more {
		f(o)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// three a minute, of which two instances may use one each without Redis.
func threeAMinute() ratelimiter.Rate { return ratelimiter.Rate{Count: 3, Per: time.Minute} }

func TestEveryPolicyAnswersWhateverAilsRedis(t *testing.T) {
	for _, policy := range []redislimiter.Outage{redislimiter.FailOpen, redislimiter.FailClosed, redislimiter.Local} {
		for _, a := range ailments() {
			t.Run(fmt.Sprintf("%v/%s", policy, a.name), func(t *testing.T) {
				t.Parallel()
				suffer(t, policy, a)
			})
		}
	}
}

func suffer(t *testing.T, policy redislimiter.Outage, a ailment) {
	s := redistest.Start(t, a.args...)
	admin := client(t, s.Addr())
	must(t, admin.Do(t.Context(), "ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all").Err())
	var options []func(*redis.Options)
	if a.options != nil {
		options = append(options, a.options)
	}
	l, events := spawn(t, redislimiter.Config{
		Rate: threeAMinute(), Client: client(t, s.Addr(), options...), Timeout: timeout, OnOutage: policy, Instances: 2,
		Failures: 1, RetryEvery: 20 * time.Millisecond,
	})
	for range 2 {
		must(t, take(t, l))
	}
	heal := a.ail(t, s, admin)

	passed := 0
	for range 3 {
		err := take(t, l)
		if err == nil {
			passed++
		} else if !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("a refusal is one: got %v", err)
		}
	}
	snapshot, ok := l.Snapshot(t.Context())
	if !ok {
		t.Fatal("the limiter tells nothing")
	}
	if a.ours {
		told[redislimiter.StoreRefused](t, events)
		if passed != 0 || snapshot.Outages != 0 {
			t.Errorf("what is configured wrongly lets nobody pass, and is no outage: %d passed, %+v", passed, snapshot)
		}
	} else {
		if want := map[redislimiter.Outage]int{redislimiter.FailOpen: 3, redislimiter.Local: 1}[policy]; passed != want {
			t.Errorf("%d of 3 pass, got %d", want, passed)
		}
		if e := told[redislimiter.OutageBegan](t, events); e.Policy != policy || e.Err == nil {
			t.Errorf("it is told with its policy and cause: got %+v", e)
		}
		if snapshot.Outages != 1 || snapshot.PassedWithout != uint64(passed) || snapshot.RefusedWithout != uint64(3-passed) {
			t.Errorf("it is counted: got %+v", snapshot)
		}
	}
	heal()
	if !a.ours {
		told[redislimiter.OutageEnded](t, events)
	}

	// No burst comes with it: what passed before and meanwhile is used up.
	left := 0
	until(t, "a refusal by the rate", func() bool {
		err := take(t, l)
		if err == nil {
			left++
		}
		return errors.Is(err, ratelimiter.ErrLimited)
	})
	used := passed
	if !a.forgets {
		used += 2
	}
	if most := max(0, 3-used); left > most {
		t.Errorf("%d are used up, %d pass after all", used, left)
	}
}

// take takes one, and checks that nobody is held for longer than the timeout.
func take(t *testing.T, l *redislimiter.Limiter) error {
	t.Helper()
	began := time.Now()
	err := l.Wait(context.Background(), "k")
	if took := time.Since(began); took > timeout+slack {
		t.Errorf("the caller was held for %v", took)
	}
	return err
}

// A Redis that hangs is told from one that is slow by the timeout alone.
func TestNobodyIsHeldByARedisThatHangs(t *testing.T) {
	for _, tt := range []struct {
		name string
		hang func(t *testing.T, s *redistest.Server, wire *redistest.Proxy)
	}{
		{"it is stopped", func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) { must(t, s.Pause()) }},
		{"a black hole", func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Set(redistest.Swallowing) }},
		{"a half-open connection", func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Set(redistest.HalfOpen) }},
		{"a wire that is too long", func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Delay(10 * timeout) }},
		{"a cut", func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Set(redistest.Cut) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			wire := redistest.NewProxy(t, s.Addr())
			l, _ := spawn(t, redislimiter.Config{
				Rate: ratelimiter.MustParse("1000/minute"), Client: client(t, wire.Addr()), Timeout: timeout,
				OnOutage: redislimiter.FailClosed, Failures: 1000, RetryEvery: 20 * time.Millisecond,
			})
			must(t, take(t, l))
			tt.hang(t, s, wire)
			const callers = 64
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					if err := take(t, l); !errors.Is(err, redislimiter.ErrOutage) {
						t.Errorf("want an outage, got %v", err)
					}
				})
			}
			all.Go(func() { // who has less time leaves earlier
				ctx, cancel := context.WithTimeout(context.Background(), timeout/10)
				defer cancel()
				if err := l.Wait(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, redislimiter.ErrOutage) {
					t.Errorf("its context ended: got %v", err)
				}
			})
			all.Wait()
			must(t, s.Resume())
			wire.Delay(0)
			wire.Set(redistest.Whole)
			until(t, "an answer", func() bool { return take(t, l) == nil })
		})
	}
}

func TestFlushedScriptsAreNoOutage(t *testing.T) {
	admin := servers.Client(t)
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.MustParse("1/hour burst 200"), URL: servers.Single(t), Prefix: rand.Text(), Timeout: 10 * time.Second,
		OnOutage: redislimiter.FailClosed, Failures: 1,
	})
	for i := range 200 {
		must(t, admin.ScriptFlush(t.Context()).Err())
		if err := take(t, l); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if err := take(t, l); !errors.Is(err, ratelimiter.ErrLimited) {
		t.Errorf("200 were taken: got %v", err)
	}
}

func TestASlotThatMovesLosesAndGivesNothing(t *testing.T) {
	cluster, name := servers.Cluster(t), rand.Text()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.MustParse("1/hour burst 300"), Client: c, Prefix: name, Timeout: 10 * time.Second,
		OnOutage: redislimiter.FailClosed, Failures: 1,
	})
	must(t, take(t, l))
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
		if err := take(t, l); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if err := take(t, l); !errors.Is(err, ratelimiter.ErrLimited) {
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

func TestAKeyThatIsNotOursRefusesItsOwnRequestsOnly(t *testing.T) {
	admin, name := servers.Client(t), rand.Text()
	l, events := spawn(t, redislimiter.Config{
		Rate: threeAMinute(), URL: servers.Single(t), Prefix: name, Timeout: 10 * time.Second, OnOutage: redislimiter.FailOpen, Failures: 1,
	})
	must(t, take(t, l))
	keys, err := admin.Keys(t.Context(), name+"*").Result()
	must(t, err)
	for _, key := range keys {
		must(t, admin.Del(t.Context(), key).Err())
		must(t, admin.LPush(t.Context(), key, "somebody else's").Err())
	}
	if err := take(t, l); !errors.Is(err, redislimiter.ErrStore) || !errors.Is(err, patterns.ErrRejected) {
		t.Errorf("no policy lets it pass: got %v", err)
	}
	told[redislimiter.StoreRefused](t, events)
	if answer, err := l.Take(t.Context(), "another", 1); err != nil || !answer.Allowed {
		t.Errorf("another key: got %+v, %v", answer, err)
	}
	must(t, admin.Del(t.Context(), keys...).Err())
	must(t, take(t, l))
}

// Redis may evict what it likes when it is full. A key that is gone is a full bucket.
func TestAKeyThatWasEvictedIsAFullBucket(t *testing.T) {
	admin, name := servers.Client(t), rand.Text()
	l, _ := spawn(t, redislimiter.Config{Rate: threeAMinute(), URL: servers.Single(t), Prefix: name, Timeout: 10 * time.Second})
	for range 2 {
		for range 3 {
			must(t, take(t, l))
		}
		if err := take(t, l); !errors.Is(err, ratelimiter.ErrLimited) {
			t.Fatalf("three were taken: got %v", err)
		}
		keys, err := admin.Keys(t.Context(), name+"*").Result()
		must(t, err)
		must(t, admin.Del(t.Context(), keys...).Err())
	}
}
