package redislimiter_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/redistest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// patience is the timeout of limiters whose callers are timed: so long that twice as long
// cannot be mistaken for it on a machine that is busy.
const patience = 800 * time.Millisecond

// watch is a look at how late this machine is, while callers are timed.
type watch struct {
	latest, longest atomic.Int64
	stop            func()
}

func newWatch(t *testing.T) *watch {
	w := &watch{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		const step = 5 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for before := time.Now(); ctx.Err() == nil; {
			<-tick.C
			now := time.Now()
			w.latest.Store(max(w.latest.Load(), int64(now.Sub(before)-step)))
			before = now
		}
	})
	w.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(w.stop)
	return w
}

// time notes how long f takes.
func (w *watch) time(f func()) {
	began := time.Now()
	f()
	for took := int64(time.Since(began)); ; {
		longest := w.longest.Load()
		if took <= longest || w.longest.CompareAndSwap(longest, took) {
			return
		}
	}
}

// within checks that nothing took longer than most, but for what the machine was late.
func (w *watch) within(t *testing.T, what string, most time.Duration) {
	t.Helper()
	longest, late := time.Duration(w.longest.Swap(0)), time.Duration(w.latest.Load())
	t.Logf("%s: %v, of %v, on a machine that is %v late", what, longest, most, late)
	if longest > most+100*time.Millisecond+3*late {
		t.Errorf("%s: at most %v and a bit, got %v", what, most, longest)
	}
}

// hang is a way in which Redis does not answer.
type hang struct {
	name     string
	failures int // in a row, for which it is given up, unless the time that they took is enough
	hang     func(t *testing.T, s *redistest.Server, wire *redistest.Proxy)
}

func hangs() []hang {
	set := func(w redistest.Wire) func(*testing.T, *redistest.Server, *redistest.Proxy) {
		return func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Set(w) }
	}
	return []hang{
		{"it is stopped", 1000, func(t *testing.T, s *redistest.Server, _ *redistest.Proxy) { must(t, s.Pause()) }},
		{"a black hole", 1000, set(redistest.Swallowing)},
		{"a half-open connection", 1000, set(redistest.HalfOpen)},
		{"a wire that is too long", 1000, func(_ *testing.T, _ *redistest.Server, wire *redistest.Proxy) { wire.Delay(3 * patience) }},
		{"a cut", 1, set(redistest.Cut)},
	}
}

// A Redis that hangs is told from one that is slow by the timeout alone.
func TestNobodyIsHeldByARedisThatHangs(t *testing.T) {
	for _, h := range hangs() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			wire := redistest.NewProxy(t, s.Addr())
			l, events := spawn(t, redislimiter.Config{
				Rate: ratelimiter.MustParse("1000/minute"), Client: client(t, wire.Addr()), Timeout: patience,
				OnOutage: redislimiter.FailClosed, Failures: h.failures, RetryEvery: 20 * time.Millisecond, MaxBatch: 8, // fewer than ask
			})
			must(t, l.Wait(t.Context(), "k"))
			h.hang(t, s, wire)
			w := newWatch(t)
			askAllTheTime(t, l, w)
			w.within(t, "who asked was held", patience)

			told[redislimiter.OutageBegan](t, events)
			for range 50 {
				w.time(func() {
					if err := l.Wait(t.Context(), "k"); !errors.Is(err, redislimiter.ErrOutage) {
						t.Errorf("want an outage, got %v", err)
					}
				})
			}
			w.within(t, "once it is given up", 0)

			must(t, s.Resume())
			wire.Delay(0)
			wire.Set(redistest.Whole)
			until(t, "an answer", func() bool { return l.Wait(t.Context(), "k") == nil })
			told[redislimiter.OutageEnded](t, events)
		})
	}
}

// askAllTheTime has callers come for as long as a call may take, one after the other and
// many at once: some go with a call, and some queue behind one.
func askAllTheTime(t *testing.T, l *redislimiter.Limiter, w *watch) {
	t.Helper()
	var all sync.WaitGroup
	ask := func() {
		w.time(func() {
			if err := l.Wait(t.Context(), "k"); !errors.Is(err, redislimiter.ErrOutage) {
				t.Errorf("want an outage, got %v", err)
			}
		})
	}
	tick := time.NewTicker(patience / 64)
	defer tick.Stop()
	for i := range 64 {
		all.Go(ask)
		if i%16 == 0 {
			for range 16 {
				all.Go(ask)
			}
		}
		<-tick.C
	}
	all.Wait()
}

// Whoever has less time than the limiter leaves in time, from the call and from the queue.
func TestACallerWithLittleTimeIsNotHeldByARedisThatHangs(t *testing.T) {
	const little = 50 * time.Millisecond
	for _, policy := range []redislimiter.Outage{redislimiter.FailOpen, redislimiter.FailClosed, redislimiter.Local} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			l, _ := spawn(t, redislimiter.Config{
				Rate: ratelimiter.MustParse("1000/minute"), Client: client(t, s.Addr()), Timeout: time.Minute, OnOutage: policy,
			})
			must(t, l.Wait(t.Context(), "k"))
			must(t, s.Pause())
			w := newWatch(t)
			for range 3 { // the first call is out for all this time
				var all sync.WaitGroup
				for i := range 32 {
					all.Go(func() {
						w.time(func() {
							ctx, cancel := context.WithTimeout(t.Context(), little)
							defer cancel()
							err := l.Wait(ctx, fmt.Sprint("k", i%4))
							if i%2 == 0 {
								_, err = l.Take(ctx, "k", 1)
							}
							if !errors.Is(err, context.DeadlineExceeded) {
								t.Errorf("its context ended: got %v", err)
							}
						})
					})
				}
				all.Wait()
			}
			w.within(t, "who had little time was held", little)
			must(t, s.Resume())
			until(t, "an answer", func() bool { return l.Allow("k") })
			until(t, "all is given back that was taken for those who left", func() bool {
				a, err := l.Peek(t.Context(), "k0")
				must(t, err)
				return a.Remaining == 1000
			})
		})
	}
}

// Whoever asks, queues, or holds a lease when the limiter is stopped is answered, and
// stopping takes no longer than a caller may be held.
func TestStoppingIsNotHeldByARedisThatHangs(t *testing.T) {
	for _, h := range hangs() {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			wire := redistest.NewProxy(t, s.Addr())
			guards, l := spawnToStop(t, redislimiter.Config{
				Rate: ratelimiter.MustParse("100000/minute"), Client: client(t, wire.Addr()), Timeout: patience,
				OnOutage: redislimiter.FailClosed, LeaseFor: time.Minute,
			})
			until(t, "a lease", func() bool {
				must(t, l.Wait(t.Context(), "leased"))
				snapshot, _ := l.Snapshot(t.Context())
				return snapshot.Held > 0
			})
			h.hang(t, s, wire)
			w := newWatch(t)
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					w.time(func() {
						if err := l.Wait(t.Context(), fmt.Sprint("k", i)); err != nil && !errors.Is(err, patterns.ErrRejected) {
							t.Errorf("a refusal is one: got %v", err)
						}
					})
				})
			}
			until(t, "a call under way", func() bool {
				snapshot, ok := l.Snapshot(t.Context())
				return !ok || snapshot.OnTheWay > 0 || snapshot.Failed > 0
			})
			w.time(func() { must(t, guards.Shutdown(t.Context())) })
			all.Wait()
			w.within(t, "stopping, and whoever asked meanwhile, took", patience)
		})
	}
}
