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

	"github.com/bulwark-go/bulwark/internal/redisserver"
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

// dial returns a client with the settings of go-redis, and keys that nobody has had.
func (r *theRedis) dial() (client *redis.Client, prefix string, err error) {
	options, err := redis.ParseURL(r.url)
	if err != nil {
		return nil, "", err
	}
	return redis.NewClient(options), "bench-" + rand.Text(), nil
}

// redisLimiter makes takers whose state is in Redis. Each takes keys apart itself.
type redisLimiter struct {
	name string
	open func(client *redis.Client, prefix string, q quota) (keyTaker, error)
}

func redisLimiters() []redisLimiter {
	return []redisLimiter{
		{"redis_rate", openRedisRate},
		{"throttled", openThrottledRedis},
	}
}

func redisFamily() family {
	const hot, many, alone = "redis/hotkey", "redis/keys", "redis/alone"
	r := &theRedis{}
	return family{
		needs: r.start,
		cases: []benchCase{
			{
				name: hot, baseline: "redis_rate", how: tight{}, goroutines: []int{redisCallers}, subjects: r.subjects(hotKey),
				about: "A limiter that is shared through Redis has more to give than anybody takes. All callers ask for the same key.",
			},
			{
				name: many, baseline: "redis_rate", how: tight{}, goroutines: []int{redisCallers}, subjects: r.subjects(manyKeys(makeKeys(redisKeys))),
				about: "As " + hot + ", but each caller asks for 1,000 keys in an order of its own.",
			},
			{
				name: alone, baseline: "redis_rate", how: tight{}, goroutines: []int{1}, subjects: r.subjects(hotKey),
				about: "As " + hot + ", by one caller: the time of a call is what it waits.",
			},
		},
	}
}

func (r *theRedis) subjects(use func(keyTaker) *instance) []subject {
	var subjects []subject
	for _, l := range redisLimiters() {
		subjects = append(subjects, subject{l.name, func(settings) (*instance, error) {
			client, prefix, err := r.dial()
			if err != nil {
				return nil, err
			}
			t, err := l.open(client, prefix, frequent)
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
