package redislimiter_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math"
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
	var disturbing sync.WaitGroup
	disturbing.Go(func() { disturb(ctx) })
	defer disturbing.Wait()
	return hammerUntil(ctx, time.Now(), limiters)
}

// hammerUntil is hammer until ctx ends, with times since began.
func hammerUntil(ctx context.Context, began time.Time, limiters []func(context.Context) bool) []admission {
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

// ownClient is of a server whose scripts may be flushed.
func ownClient(t *testing.T) *redis.Client {
	t.Helper()
	return redistest.Client(t, servers.Own(t))
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
			key, admin := rand.Text(), ownClient(t)
			var limiters []func(context.Context) bool
			for range clients {
				limiters = append(limiters, l.open(t, ownClient(t), key))
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
			l, prefix, admin := law{a, ratelimiter.Rate{Count: count, Per: 366 * 24 * time.Hour}}, rand.Text(), ownClient(t)
			var limiters []func(context.Context) bool
			for range clients {
				limiters = append(limiters, l.open(t, ownClient(t), prefix))
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

// takeover is a way in which a replica takes over from its master.
type takeover struct {
	name string
	do   func(ctx context.Context, pair *redistest.Sentinel) error
	// mend has two of them again.
	mend func(ctx context.Context, pair *redistest.Sentinel) error
}

func takeovers() []takeover {
	return []takeover{
		{
			name: "by command",
			do:   func(ctx context.Context, pair *redistest.Sentinel) error { return pair.Failover(ctx) },
			mend: func(ctx context.Context, pair *redistest.Sentinel) error { return pair.Rejoin(ctx) },
		},
		{
			name: "as the master was killed",
			do:   func(ctx context.Context, pair *redistest.Sentinel) error { return pair.KillMaster(ctx) },
			mend: func(ctx context.Context, pair *redistest.Sentinel) error {
				dead, err := pair.Replica(ctx)
				if err == nil {
					err = dead.Restart()
				}
				if err == nil {
					err = pair.Rejoin(ctx)
				}
				return err
			},
		},
	}
}

// once is what may pass once more for a takeover: all that a key may hold.
func (l law) once() int {
	if l.Algorithm == ratelimiter.SlidingLog {
		return int(l.Count)
	}
	return int(l.Burst)
}

// least is what passes at least in stretches in which somebody always asked, and Redis was
// there. The first begins with nothing used.
func (l law) least(stretches ...time.Duration) int {
	n := float64(l.once())
	for _, d := range stretches {
		if l.Algorithm == ratelimiter.SlidingLog {
			d = d.Truncate(l.Per)
		}
		n += float64(l.Count) * float64(d) / float64(l.Per)
	}
	return int(n * 0.99)
}

// after is when the first one was admitted that asked after d.
func after(all []admission, d time.Duration) time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, x := range all {
		if x.asked >= d {
			first = min(first, x.answered)
		}
	}
	return first
}

// What a replica has not heard of when it takes over is lost. That may be the whole of a
// key: a burst, or a window of a log, may then pass once more. But for the time in which
// there is no master nothing less passes than otherwise.
func TestWhenAReplicaTakesOverABurstMayPassOnceMore(t *testing.T) {
	for _, how := range takeovers() {
		t.Run(how.name, func(t *testing.T) { takeOver(t, how) })
	}
}

// gently is a quarter of a law: what a machine that is busy can do in time, so that what is
// missing is the limiter's fault.
func (l law) gently() law {
	l.Count, l.Burst = l.Count/4, l.Burst/4
	return l
}

// takeOver has both laws hammered on while a replica takes over.
func takeOver(t *testing.T, how takeover) {
	pair := redistest.StartSentinel(t)
	limiters := map[string][]func(context.Context) bool{}
	for range clients {
		client := ofSentinel(pair.Addr())
		t.Cleanup(func() { _ = client.Close() })
		for name, l := range laws() {
			limiters[name] = append(limiters[name], l.gently().open(t, client, name))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began, got := time.Now(), map[string][]admission{}
	var mu sync.Mutex
	var both sync.WaitGroup
	for name := range limiters {
		both.Go(func() {
			all := hammerUntil(ctx, began, limiters[name])
			mu.Lock()
			defer mu.Unlock()
			got[name] = all
		})
	}
	stop := flushing(t, pair)
	pause(ctx, window+window/2)
	lost := time.Since(began)
	err := how.do(ctx, pair)
	taken := time.Since(began)
	pause(ctx, 3*window+window/2)
	lasts := time.Since(began)
	cancel()
	both.Wait()
	stop()
	must(t, err)
	for name, l := range laws() {
		l = l.gently()
		l.bounds(t, got[name], l.once())
		first, _ := span(got[name])
		back := after(got[name], taken)
		least := l.least(lost-first, lasts-back)
		t.Logf("%s: lost after %v, taken over after %v, back after %v: %d of at least %d", name, lost, taken, back, len(got[name]), least)
		if back > taken+time.Second+l.Per {
			t.Errorf("%s: the replica had taken over after %v, and somebody passed after %v", name, taken, back)
		}
		if len(got[name]) < least {
			t.Errorf("%s: at least %d pass, but for the time from %v to %v: got %d", name, least, lost, back, len(got[name]))
		}
	}
}

// flushing has scripts flushed on both of a pair, until stop.
func flushing(t *testing.T, pair *redistest.Sentinel) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for _, s := range pair.Servers() {
		rdb := client(t, s.Addr())
		both.Go(func() { every(ctx, 20*time.Millisecond, func() { rdb.ScriptFlush(ctx) }) })
	}
	return func() {
		cancel()
		both.Wait()
	}
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
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
	return func(ctx context.Context) bool { return passes(ctx, limiter) }
}

// passes asks for the one key. Without Redis there is nothing to wait for, and whoever asked
// again at once would take the processor from those who bring it back.
func passes(ctx context.Context, l *redislimiter.Limiter) bool {
	err := l.Wait(context.Background(), "hot")
	if errors.Is(err, redislimiter.ErrOutage) {
		pause(ctx, time.Millisecond)
	}
	return err == nil
}
