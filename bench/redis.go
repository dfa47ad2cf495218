package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/internal/redisserver"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// frequent is more than anybody gets through to Redis, and slow enough that each permit
// moves the clock of those who count in fractions of a second.
var frequent = quota{count: 1e7, per: time.Second, burst: 1e7}

// redisCallers is how many ask at the same time.
const redisCallers = 256

// redisKeys is how many keys they ask for where it is not one.
const redisKeys = 1000

// theRedis is the server that all subjects ask: the one at BULWARK_REDIS_URL, or one that
// is started for the run.
type theRedis struct{ url string }

// start implements family.needs.
func (r *theRedis) start() (stop func() error, err error) {
	if r.url = os.Getenv("BULWARK_REDIS_URL"); r.url != "" {
		return func() error { return nil }, nil
	}
	server, err := redisserver.Start()
	if err != nil {
		return nil, err
	}
	r.url = server.URL()
	return server.Stop, nil
}

// dial returns a client with the settings of go-redis, and keys that nobody has had. It
// keeps to the deadlines of contexts, as one that Config.URL stands for does.
func (r *theRedis) dial() (client *redis.Client, prefix string, err error) {
	options, err := redis.ParseURL(r.url)
	if err != nil {
		return nil, "", err
	}
	options.ContextTimeoutEnabled = true
	return redis.NewClient(options), "bench-" + rand.Text(), nil
}

// redisLimiter makes takers whose state is in Redis.
type redisLimiter struct {
	name string
	open func(client *redis.Client, prefix string, q quota) (keyTaker, error)
}

func redisFamily() family {
	const hot, many, alone, lease = "redis/hotkey", "redis/keys", "redis/alone", "redis/lease"
	r := &theRedis{}
	shared := []redisLimiter{{"bulwark", openShared(0)}, {"redis_rate", openRedisRate}, {"throttled", openThrottledRedis}}
	leased := []redisLimiter{{"bulwark", openShared(leaseFor)}, {"local", openLocal}}
	faster := func(c string, times float64, rival string) budget {
		return budget{
			of: point{c, "bulwark", redisCallers}, metric: opsPerS, is: atLeast, limit: times,
			to: point{c, rival, redisCallers}, compare: ratio,
		}
	}
	return family{
		needs: r.start,
		cases: []benchCase{
			{
				name: hot, baseline: "redis_rate", how: tight{}, goroutines: []int{redisCallers}, subjects: r.subjects(shared, frequent, hotKey),
				about: "A limiter that is shared through Redis has more to give than anybody takes. All callers ask for the same key.",
			},
			{
				name: many, baseline: "redis_rate", how: tight{}, goroutines: []int{redisCallers},
				subjects: r.subjects(shared, frequent, manyKeys(makeKeys(redisKeys))),
				about:    "As " + hot + ", but each caller asks for 1,000 keys in an order of its own.",
			},
			{
				name: alone, baseline: "redis_rate", how: tight{}, goroutines: []int{1}, subjects: r.subjects(shared, frequent, hotKey),
				about: "As " + hot + ", by one caller: the time of a call is what it waits.",
			},
			{
				name: lease, baseline: "local", how: tight{}, goroutines: []int{1, redisCallers}, subjects: r.subjects(leased, plenty, hotKey),
				about: "As " + hot + ", with leases: most calls find their permit in memory. local is our limiter that is not shared.",
			},
		},
		budgets: []budget{
			faster(hot, 15, "redis_rate"), faster(hot, 15, "throttled"),
			faster(many, 5, "redis_rate"), faster(many, 5, "throttled"),
			atMostTimes(alone, 1, "bulwark", 1.15, "redis_rate"),
			atMostTimes(lease, 1, "bulwark", 3, "local"),
			atMostTimes(lease, redisCallers, "bulwark", 3, "local"),
		},
		figures: []figure{{
			file: "redis.svg", title: "Shared through Redis: 256 callers",
			panels: []panel{
				{
					title: "thousand checks/s, one key (more is better)", c: hot, metric: opsPerS, unit: 1e3,
					subjects: []string{"bulwark", "redis_rate", "throttled"}, groups: []int{redisCallers},
				},
				{
					title: "thousand checks/s, 1,000 keys (more is better)", c: many, metric: opsPerS, unit: 1e3,
					subjects: []string{"bulwark", "redis_rate", "throttled"}, groups: []int{redisCallers},
				},
			},
		}},
	}
}

func (r *theRedis) subjects(limiters []redisLimiter, q quota, use func(keyTaker) *instance) []subject {
	var subjects []subject
	for _, l := range limiters {
		subjects = append(subjects, subject{l.name, func(settings) (*instance, error) {
			client, prefix, err := r.dial()
			if err != nil {
				return nil, err
			}
			t, err := l.open(client, prefix, q)
			if err != nil {
				return nil, errors.Join(err, client.Close())
			}
			in := use(t)
			in.stop = func() {
				t.stop()
				_ = client.Close() // nothing is measured any more
			}
			return in, nil
		}})
	}
	return subjects
}

func hotKey(t keyTaker) *instance {
	return &instance{op: func() bool { return t.allow("customer") }}
}

func manyKeys(keys keyset) func(keyTaker) *instance {
	return func(t keyTaker) *instance {
		return &instance{each: func() func() bool {
			next := keys.walk()
			return func() bool { return t.allow(next()) }
		}}
	}
}

// leaseFor is how long permits are held that were taken in advance.
const leaseFor = 200 * time.Millisecond

func openShared(leaseFor time.Duration) func(*redis.Client, string, quota) (keyTaker, error) {
	return func(client *redis.Client, prefix string, q quota) (keyTaker, error) {
		l, stop, err := spawned(func(r *actors.Registry) (*redislimiter.Limiter, error) {
			return redislimiter.Spawn(r, "l", redislimiter.Config{
				Rate: q.rate(), Client: client, Prefix: prefix, LeaseFor: leaseFor, OnOutage: redislimiter.FailClosed, Timeout: time.Minute,
			})
		})
		return keyTaker{allow: l.Allow, stop: stop}, err
	}
}

func openLocal(_ *redis.Client, _ string, q quota) (keyTaker, error) { return openKeyed(q, redisKeys) }

func openRedisRate(client *redis.Client, prefix string, q quota) (keyTaker, error) {
	l := redis_rate.NewLimiter(client)
	limit := redis_rate.Limit{Rate: int(q.count), Burst: int(q.burst), Period: q.per}
	ctx := context.Background()
	return keyTaker{stop: func() {}, allow: func(key string) bool {
		got, err := l.Allow(ctx, prefix+key, limit)
		return err == nil && got.Allowed == 1
	}}, nil
}

func openThrottledRedis(client *redis.Client, prefix string, q quota) (keyTaker, error) {
	store, err := goredisstore.NewCtx(client, prefix)
	if err != nil {
		return keyTaker{}, err
	}
	l, err := throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate: throttled.PerDuration(int(q.count), q.per), MaxBurst: int(q.burst),
	})
	if err != nil {
		return keyTaker{}, fmt.Errorf("throttled: %w", err)
	}
	l.SetMaxCASAttemptsLimit(100_000) // with the usual 10 a hot key fails
	ctx := context.Background()
	return keyTaker{stop: func() {}, allow: func(key string) bool {
		limited, _, err := l.RateLimitCtx(ctx, key, 1)
		return err == nil && !limited
	}}, nil
}
