package redislimiter_test

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// The clock of a server is not ours to set. What is set is what the server has kept: that it
// was written by a clock which was ahead is that the clock is put back now, as when a replica
// takes over whose own is right; and that it was behind is that the clock jumps ahead.
func TestAClockThatStepsHoldsNobodyAndGivesNoBurst(t *testing.T) {
	rate := ratelimiter.MustParse("2/s")
	for _, tt := range []struct {
		name    string
		ahead   time.Duration // what the clock was before
		regains bool          // the limit is whole at once
	}{
		{"put back a little", 300 * time.Millisecond, false},
		{"put back by an hour", time.Hour, false},
		{"put back by ten years", 10 * 365 * 24 * time.Hour, false},
		{"put ahead by an hour", -time.Hour, true},
	} {
		for _, a := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
			t.Run(tt.name+"/"+a.String(), func(t *testing.T) {
				t.Parallel()
				admin, prefix := servers.Client(t), rand.Text()
				l, _ := spawn(t, redislimiter.Config{
					Rate: rate, Algorithm: a, URL: servers.Single(t), Prefix: prefix, Timeout: unhurried, OnOutage: redislimiter.FailClosed,
				})
				taken, err := l.TakeUpTo(t.Context(), "k", 2)
				if err != nil || taken.N != 2 {
					t.Fatalf("two at first: %+v, %v", taken, err)
				}
				rewrite(t, admin, prefix, a, tt.ahead)

				passed, began := 0, time.Now()
				for time.Since(began) < rate.Per/4 {
					if err := l.Wait(t.Context(), "k"); err == nil {
						passed++
					} else if limited, ok := errors.AsType[*ratelimiter.LimitError](err); !ok || limited.RetryAfter() > rate.Per+tt.ahead%time.Hour {
						t.Fatalf("it is refused, and not for long: got %v, %v", err, limited.RetryAfter())
					}
				}
				most := int(time.Since(began) / (rate.Per / 2)) // on a machine that is late
				if tt.regains {
					most += 2
				}
				if passed > most {
					t.Errorf("at once %d pass, got %d", most, passed)
				}
				until(t, "a permit, though nobody sets the clock again", func() bool { return l.Allow("k") })
			})
		}
	}
}

// rewrite has what is kept of the one key of a prefix say that the clock was ahead.
func rewrite(t *testing.T, admin *redis.Client, prefix string, a ratelimiter.Algorithm, ahead time.Duration) {
	t.Helper()
	ctx := t.Context()
	keys, err := admin.Keys(ctx, prefix+"*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("one key: got %q, %v", keys, err)
	}
	by := float64(ahead.Microseconds())
	if a == ratelimiter.TokenBucket { // see bucket.lua: when it expires, and when it is full
		v, err := admin.Get(ctx, keys[0]).Bytes()
		must(t, err)
		binary.LittleEndian.PutUint32(v, uint32(int64(binary.LittleEndian.Uint32(v))+int64(ahead/time.Second)))
		full := math.Float64frombits(binary.LittleEndian.Uint64(v[4:]))
		binary.LittleEndian.PutUint64(v[4:], math.Float64bits(full+by))
		must(t, admin.Set(ctx, keys[0], v, redis.KeepTTL).Err())
		return
	}
	old, err := admin.ZRangeWithScores(ctx, keys[0], 0, -1).Result() // see log.lua: the time, twice, and a number
	must(t, err)
	for _, z := range old {
		member := []byte(z.Member.(string))
		binary.BigEndian.PutUint64(member, math.Float64bits(z.Score+by))
		must(t, admin.ZAdd(ctx, keys[0], redis.Z{Score: z.Score + by, Member: member}).Err())
		must(t, admin.ZRem(ctx, keys[0], z.Member).Err())
	}
}

// In a bubble it is the year 2000, and time stands still; Redis has its own clock.
func TestTheClockOfTheCallerDecidesNothing(t *testing.T) {
	url, prefix := servers.Single(t), rand.Text()
	open := func(t *testing.T) *redislimiter.Limiter {
		l, err := redislimiter.Spawn(actorstest.NewRegistry(t), "shared", redislimiter.Config{
			Rate: ratelimiter.MustParse("3/h"), URL: url, Prefix: prefix, Timeout: unhurried, OnOutage: redislimiter.FailClosed,
		})
		must(t, err)
		return l
	}
	l := open(t)
	must(t, l.WaitN(t.Context(), "ann", 2))
	synctest.Test(t, func(t *testing.T) {
		then := open(t)
		must(t, then.Wait(t.Context(), "ann"))
		limited, ok := errors.AsType[*ratelimiter.LimitError](then.Wait(t.Context(), "ann"))
		if !ok {
			t.Fatal("a fourth one passes")
		}
		if wait := limited.RetryAfter(); time.Now().Year() != 2000 || wait <= 0 || wait > time.Hour/3 {
			t.Errorf("in %d it is told to come again in %v", time.Now().Year(), wait)
		}
	})
	if err := l.Wait(t.Context(), "ann"); !errors.Is(err, ratelimiter.ErrLimited) {
		t.Errorf("three were taken: got %v", err)
	}
}
