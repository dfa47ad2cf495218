package redislimiter_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

const (
	clients = 8
	each    = 64 // goroutines of a client
)

// hammering is how long everybody asks. It ends in the middle of a window of the log.
func hammering() time.Duration {
	if os.Getenv("BULWARK_SOAK") != "" {
		return 30*time.Second + window/2
	}
	return 2*time.Second + window/2
}

const window = 500 * time.Millisecond

// admission is a request that was let through: some time between the two, since the start.
type admission struct{ asked, answered time.Duration }

// hammer has every limiter asked by many goroutines for d, and returns what was admitted,
// by when it was asked for. disturb is called meanwhile, until its context ends.
func hammer(t *testing.T, limiters []func(context.Context) bool, d time.Duration, disturb func(context.Context)) []admission {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	admitted := make([][]admission, len(limiters)*each)
	var all sync.WaitGroup
	for i := range admitted {
		ask := limiters[i%len(limiters)]
		all.Go(func() {
			for ctx.Err() == nil {
				asked := time.Since(began)
				if ask(ctx) {
					admitted[i] = append(admitted[i], admission{asked, time.Since(began)})
				}
			}
		})
	}
	if disturb != nil {
		all.Go(func() { disturb(ctx) })
	}
	all.Wait()
	together := slices.Concat(admitted...)
	slices.SortFunc(together, func(a, b admission) int { return cmp.Compare(a.asked, b.asked) })
	return together
}

// within returns how many were asked for after a and answered before b: those were decided
// in between.
func within(all []admission, a, b time.Duration) (n int) {
	for _, x := range all {
		if x.asked >= a && x.answered <= b {
			n++
		}
	}
	return n
}

// law is what the hammering is measured against.
type law struct {
	ratelimiter.Algorithm
	ratelimiter.Rate
}

// most is what a stretch of d allows.
func (l law) most(d time.Duration) int {
	if l.Algorithm == ratelimiter.SlidingLog {
		return int(l.Count) * (1 + int(d/l.Per))
	}
	return int(l.Burst + l.Count*int64(d)/int64(l.Per))
}

// bounds checks that no stretch has more than is allowed, and spared besides.
func (l law) bounds(t *testing.T, all []admission, spared int) {
	t.Helper()
	_, last := span(all)
	step := max(window/50, last/500)
	for a := time.Duration(0); a < last; a += step {
		for _, b := range []time.Duration{a + step, a + l.Per - 1, a + 2*l.Per - 1, last} {
			if got, most := within(all, a, b), l.most(b-a)+spared; got > most {
				t.Errorf("from %v to %v: at most %d, got %d", a, b, most, got)
			}
		}
	}
}

// span is when the first and the last answer came.
func span(all []admission) (first, last time.Duration) {
	for i, x := range all {
		if i == 0 {
			first = x.answered
		}
		first, last = min(first, x.answered), max(last, x.answered)
	}
	return first, last
}

func laws() map[string]law {
	return map[string]law{
		"a token bucket": {ratelimiter.TokenBucket, ratelimiter.Rate{Count: 1000, Per: time.Second, Burst: 200}},
		"a sliding log":  {ratelimiter.SlidingLog, ratelimiter.Rate{Count: 500, Per: window}},
	}
}

func TestNoMoreAndHardlyLessIsAdmittedThanAllowed(t *testing.T) {
	for name, l := range laws() {
		t.Run(name+", while scripts are flushed", func(t *testing.T) {
			key, admin := rand.Text(), servers.Client(t)
			var limiters []func(context.Context) bool
			for range clients {
				limiters = append(limiters, l.open(t, servers.Client(t), key))
			}
			d := hammering()
			got := hammer(t, limiters, d, func(ctx context.Context) {
				every(ctx, 20*time.Millisecond, func() { admin.ScriptFlush(ctx) })
			})
			l.bounds(t, got, 0)
			first, _ := span(got) // from then on there were always some who asked
			if allowed := l.most(d - first); len(got) < allowed*99/100 {
				t.Errorf("%d are allowed in %v, and at least 99 %% of them pass: got %d", allowed, d-first, len(got))
			}
		})
	}
}

// Where nothing comes back there is no time to be exact about: it is the same to the permit.
func TestWhatDoesNotComeBackIsAdmittedToTheLastPermit(t *testing.T) {
	const count = 3000
	for _, a := range []ratelimiter.Algorithm{ratelimiter.TokenBucket, ratelimiter.SlidingLog} {
		t.Run(a.String(), func(t *testing.T) {
			l, prefix, admin := law{a, ratelimiter.Rate{Count: count, Per: 366 * 24 * time.Hour}}, rand.Text(), servers.Client(t)
			var limiters []func(context.Context) bool
			for range clients {
				limiters = append(limiters, l.open(t, servers.Client(t), prefix))
			}
			got := hammer(t, limiters, 1500*time.Millisecond, func(ctx context.Context) {
				every(ctx, 5*time.Millisecond, func() { admin.ScriptFlush(ctx) })
			})
			if len(got) != count {
				t.Errorf("%d of %d were admitted", len(got), count)
			}
		})
	}
}

// What a replica has not heard of when it takes over is lost. That may be the whole of a
// key: a burst, or a window of a log, may then pass once more.
func TestWhenAReplicaTakesOverABurstMayPassOnceMore(t *testing.T) {
	for name, l := range laws() {
		t.Run(name, func(t *testing.T) {
			pair, key := redistest.StartSentinel(t), rand.Text()
			var limiters []func(context.Context) bool
			for range clients {
				client := redis.NewFailoverClient(&redis.FailoverOptions{
					MasterName: redistest.MasterName, SentinelAddrs: []string{pair.Addr()},
					DialTimeout: 200 * time.Millisecond, ReadTimeout: 200 * time.Millisecond,
				})
				t.Cleanup(func() { _ = client.Close() })
				limiters = append(limiters, l.open(t, client, key))
			}
			var taken time.Duration
			began := time.Now()
			got := hammer(t, limiters, time.Second+hammering(), func(ctx context.Context) {
				if err := pair.Failover(ctx); err != nil {
					t.Error(err)
				}
				taken = time.Since(began)
			})
			once := int(l.Burst)
			if l.Algorithm == ratelimiter.SlidingLog {
				once = int(l.Count)
			}
			l.bounds(t, got, once)
			if _, last := span(got); last < taken+window/2 {
				t.Errorf("the replica had taken over after %v, and the last one passed after %v", taken, last)
			}
		})
	}
}

// every calls f again and again until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// open returns what asks a limiter of its own.
func (l law) open(t *testing.T, client redis.UniversalClient, prefix string) func(context.Context) bool {
	t.Helper()
	limiter, _ := spawn(t, redislimiter.Config{
		Rate: l.Rate, Algorithm: l.Algorithm, Client: client, Prefix: prefix, OnOutage: redislimiter.FailClosed,
		Timeout: 10 * time.Second, RetryEvery: 10 * time.Millisecond,
	})
	if !limiter.Allow("to connect") {
		t.Fatal("Redis does not answer")
	}
	return func(context.Context) bool { return limiter.Allow("hot") }
}
