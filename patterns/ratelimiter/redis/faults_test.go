package redislimiter_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

const (
	// timeout is how long limiters of these tests wait for a Redis that hangs.
	timeout = 200 * time.Millisecond
	// unhurried is how long they, and all clients, wait for one that does not, on a machine
	// that may be busy; and how much later than it should a caller may have its answer there.
	unhurried = 5 * time.Second
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

// spawnToStop is spawn in a registry that the test stops.
func spawnToStop(t *testing.T, c redislimiter.Config) (*actors.Registry, *redislimiter.Limiter) {
	t.Helper()
	guards, err := actors.NewRegistry(actor.NewActorSystem(), actors.WithoutEventLog())
	must(t, err)
	l, err := redislimiter.Spawn(guards, "shared", c)
	must(t, err)
	return guards, l
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
		Addr: addr, MaxRetries: -1, DialTimeout: unhurried, ReadTimeout: unhurried, WriteTimeout: unhurried, PoolTimeout: unhurried,
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
	for _, a := range ailments() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			suffer(t, a)
		})
	}
}

// sufferer is a limiter with one of the policies.
type sufferer struct {
	*redislimiter.Limiter
	policy redislimiter.Outage
	events <-chan actors.Event
	passed int // without Redis
}

// suffer has limiters of every policy ask a Redis before, while and after it ails.
func suffer(t *testing.T, a ailment) {
	p := a.admit(t)
	var limiters []*sufferer
	for _, policy := range []redislimiter.Outage{redislimiter.FailOpen, redislimiter.FailClosed, redislimiter.Local} {
		l, events := spawn(t, redislimiter.Config{
			Rate: threeAMinute(), Client: p.client, URL: p.url, Prefix: rand.Text(), Timeout: cmp.Or(a.timeout, unhurried),
			OnOutage: policy, Instances: 2, Failures: 1, RetryEvery: 20 * time.Millisecond,
		})
		for range 2 {
			must(t, l.Wait(t.Context(), "k"))
		}
		limiters = append(limiters, &sufferer{Limiter: l, policy: policy, events: events})
	}
	heal := p.ail()
	for _, l := range limiters {
		if a.ours {
			l.refusesForWhatIsConfigured(t, a)
		} else {
			l.answersByItsPolicy(t, a)
		}
	}
	heal()
	for _, l := range limiters {
		l.returnsWithoutABurst(t, a)
	}
}

// asks asks three times, and returns what is told then.
func (l *sufferer) asks(t *testing.T) redislimiter.Snapshot {
	t.Helper()
	for range 3 {
		err := l.Wait(t.Context(), "k")
		if err == nil {
			l.passed++
		} else if !errors.Is(err, patterns.ErrRejected) {
			t.Errorf("%v: a refusal is one: got %v", l.policy, err)
		}
	}
	snapshot, ok := l.Snapshot(t.Context())
	if !ok {
		t.Fatal("the limiter tells nothing")
	}
	return snapshot
}

func (l *sufferer) answersByItsPolicy(t *testing.T, a ailment) {
	t.Helper()
	s := l.asks(t)
	if want := map[redislimiter.Outage]int{redislimiter.FailOpen: 3, redislimiter.Local: 1}[l.policy]; l.passed != want {
		t.Errorf("%v: %d of 3 pass, got %d", l.policy, want, l.passed)
	}
	e := told[redislimiter.OutageBegan](t, l.events)
	if e.Policy != l.policy {
		t.Errorf("%v: it is told with its policy: got %v", l.policy, e.Policy)
	}
	a.causes(t, e.Err)
	if s.Outages != 1 || !s.Down || s.Misfits != 0 || s.PassedWithout != uint64(l.passed) || s.RefusedWithout != uint64(3-l.passed) {
		t.Errorf("%v: it is counted: got %+v", l.policy, s)
	}
}

func (l *sufferer) refusesForWhatIsConfigured(t *testing.T, a ailment) {
	t.Helper()
	s := l.asks(t)
	a.causes(t, told[redislimiter.StoreRefused](t, l.events).Err)
	if l.passed != 0 || s.Misfits != 3 || s.Outages != 0 || s.Down {
		t.Errorf("%v: what is configured wrongly lets nobody pass, and is no outage: %d passed, %+v", l.policy, l.passed, s)
	}
}

// causes checks that an event names what ails Redis.
func (a ailment) causes(t *testing.T, err error) {
	t.Helper()
	class := store.Unknown
	if fault, ok := errors.AsType[*store.Fault](err); ok {
		class = fault.Class
	} else if errors.Is(err, context.DeadlineExceeded) { // the call was given up before the client did
		class = store.TimedOut
	}
	if !slices.Contains(a.classes, class) {
		t.Errorf("the event says why, %v: got %v", a.classes, err)
	}
}

// returnsWithoutABurst waits until Redis is asked again: what passed before and meanwhile
// is used up then.
func (l *sufferer) returnsWithoutABurst(t *testing.T, a ailment) {
	t.Helper()
	if !a.ours {
		told[redislimiter.OutageEnded](t, l.events)
	}
	left := 0
	until(t, "a refusal by the rate", func() bool {
		err := l.Wait(t.Context(), "k")
		if err == nil {
			left++
		}
		return errors.Is(err, ratelimiter.ErrLimited)
	})
	used := l.passed
	if !a.forgets {
		used += 2
	}
	if most := max(0, 3-used); left > most || a.ours && left != most {
		t.Errorf("%v: %d are used up, %d pass after all", l.policy, used, left)
	}
}

func TestFlushedScriptsAreNoOutage(t *testing.T) {
	admin := ownClient(t)
	l, _ := spawn(t, redislimiter.Config{
		Rate: ratelimiter.MustParse("1/hour burst 200"), URL: servers.Own(t), Prefix: rand.Text(), Timeout: unhurried,
		OnOutage: redislimiter.FailClosed, Failures: 1,
	})
	for i := range 200 {
		must(t, admin.ScriptFlush(t.Context()).Err())
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
	}
	if err := l.Wait(t.Context(), "k"); !errors.Is(err, ratelimiter.ErrLimited) {
		t.Errorf("200 were taken: got %v", err)
	}
}

func TestAKeyThatIsNotOursRefusesItsOwnRequestsOnly(t *testing.T) {
	for _, a := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
		for what, write := range map[string]func(ctx context.Context, admin *redis.Client, key string) error{
			"a list": func(ctx context.Context, admin *redis.Client, key string) error {
				return admin.LPush(ctx, key, "x").Err()
			},
			"a string": func(ctx context.Context, admin *redis.Client, key string) error {
				return admin.Set(ctx, key, "somebody else's, as long as one of ours: 44.", 0).Err()
			},
			"a sorted set": func(ctx context.Context, admin *redis.Client, key string) error {
				return admin.ZAdd(ctx, key, redis.Z{Score: 1, Member: "twelve bytes"}).Err()
			},
			"a stream": func(ctx context.Context, admin *redis.Client, key string) error {
				return admin.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []string{"a", "b"}}).Err()
			},
		} {
			t.Run(a.String()+"/"+what, func(t *testing.T) { foreign(t, a, write) })
		}
	}
}

func foreign(t *testing.T, a ratelimiter.Algorithm, write func(ctx context.Context, admin *redis.Client, key string) error) {
	admin, name := servers.Client(t), rand.Text()
	l, events := spawn(t, redislimiter.Config{
		Rate: threeAMinute(), Algorithm: a, URL: servers.Single(t), Prefix: name, Timeout: unhurried, OnOutage: redislimiter.FailOpen, Failures: 1,
	})
	must(t, l.Wait(t.Context(), "k"))
	keys, err := admin.Keys(t.Context(), name+"*").Result()
	must(t, err)
	for _, key := range keys {
		must(t, admin.Del(t.Context(), key).Err())
		must(t, write(t.Context(), admin, key))
	}
	if err := l.Wait(t.Context(), "k"); !errors.Is(err, redislimiter.ErrStore) || !errors.Is(err, patterns.ErrRejected) {
		t.Errorf("no policy lets it pass: got %v", err)
	}
	if e := told[redislimiter.StoreRefused](t, events); e.Requests != 1 || !strings.Contains(e.Err.Error(), name) {
		t.Errorf("it is told which key: got %+v", e)
	}
	if answer, err := l.Take(t.Context(), "another", 1); err != nil || !answer.Allowed {
		t.Errorf("another key: got %+v, %v", answer, err)
	}
	if s, _ := l.Snapshot(t.Context()); s.Misfits != 1 || s.Outages != 0 || s.PassedWithout != 0 {
		t.Errorf("it is counted, and is no outage: %+v", s)
	}
	must(t, admin.Del(t.Context(), keys...).Err())
	must(t, l.Wait(t.Context(), "k"))
}

// A Redis that is full evicts what it likes. A key that is gone is a full bucket, and no
// outage.
func TestAKeyThatWasEvictedIsAFullBucket(t *testing.T) {
	for _, eviction := range []string{"allkeys-lru", "volatile-ttl"} {
		for _, a := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
			t.Run(eviction+"/"+a.String(), func(t *testing.T) {
				t.Parallel()
				s, ctx := redistest.Start(t, "--maxmemory-policy", eviction), t.Context()
				admin := client(t, s.Addr())
				l, _ := spawn(t, redislimiter.Config{
					Rate: ratelimiter.MustParse("3/h"), Algorithm: a, Client: admin, Prefix: "ours", Timeout: unhurried, OnOutage: redislimiter.FailClosed,
				})
				for range 2 {
					for range 3 {
						must(t, l.Wait(ctx, "k"))
					}
					if err := l.Wait(ctx, "k"); !errors.Is(err, ratelimiter.ErrLimited) {
						t.Fatalf("three were taken: got %v", err)
					}
					must(t, admin.ConfigSet(ctx, "maxmemory", "1").Err())
					until(t, "an eviction", func() bool {
						admin.Set(ctx, "other", "x", 0) // which evicts, and may itself find no room
						return len(admin.Keys(ctx, "ours*").Val()) == 0
					})
					must(t, admin.ConfigSet(ctx, "maxmemory", "0").Err())
				}
				if snapshot, _ := l.Snapshot(ctx); snapshot.Failed != 0 || snapshot.Outages != 0 {
					t.Errorf("it is no outage: %+v", snapshot)
				}
			})
		}
	}
}
