package adaptive

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

func spawnLimiter(t testing.TB, guards *actors.Registry, c Config) *Limiter {
	t.Helper()
	return handletest.Must(Spawn(guards, "search", c))(t)
}

func refusedFor(err error, c Cause) bool {
	e, ok := errors.AsType[*LimitError](err)
	return ok && e.Cause == c && e.Name == "search" && errors.Is(err, ErrLimit) && errors.Is(err, patterns.ErrRejected)
}

// queue has callers with those requests wait one after the other, and returns a function
// that ends permits until all were served, and says in which order.
//
//bulwark:bubble
func queue(t testing.TB, l *Limiter, requests ...patterns.Request) (serve func(held patterns.Permit) (served []int)) {
	next := make(chan patterns.Permit, 1)
	var order []int
	for i, r := range requests {
		go func() {
			p, err := l.AcquireFor(t.Context(), r)
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
			order = append(order, i)
			next <- p
		}()
		synctest.Wait()
		time.Sleep(time.Millisecond)
	}
	return func(held patterns.Permit) []int {
		for range requests {
			held.Report(patterns.Success)
			held = <-next
		}
		held.Report(patterns.Success)
		return order
	}
}

func TestCallersAreServedInTheOrderOfTheQueue(t *testing.T) {
	plain := make([]patterns.Request, 4)
	ranked := []patterns.Request{{Priority: patterns.Low}, {}, {Priority: patterns.Critical}, {}, {Priority: patterns.Critical}}
	keyed := []patterns.Request{{Key: "a"}, {Key: "a"}, {Key: "a"}, {Key: "b"}, {Key: "c"}}
	for _, tt := range []struct {
		name     string
		change   func(*Config)
		requests []patterns.Request
		want     []int
	}{
		{"fifo", func(*Config) {}, plain, []int{0, 1, 2, 3}},
		{"lifo", func(c *Config) { c.Queue = LIFO }, plain, []int{3, 2, 1, 0}},
		{"adaptive lifo, before an Interval is over", func(c *Config) { c.Queue = AdaptiveLIFO }, plain, []int{0, 1, 2, 3}},
		{"adaptive lifo, from its second turn on", func(c *Config) { c.Queue, c.Target, c.Interval = AdaptiveLIFO, 1, 2*ms }, plain, []int{0, 3, 2, 1}},
		{"codel", func(c *Config) { c.Queue = CoDel }, plain, []int{0, 1, 2, 3}},
		{"priorities", func(*Config) {}, ranked, []int{2, 4, 1, 3, 0}},
		{"priorities, newest first", func(c *Config) { c.Queue = LIFO }, ranked, []int{4, 2, 3, 1, 0}},
		{"tenants take turns", func(c *Config) { c.Fair = true }, keyed, []int{0, 3, 4, 1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := spawnLimiter(t, actorstest.NewRegistry(t), queued(1, tt.change))
				held := handletest.MustAcquire(t, l, patterns.Request{})
				serve := queue(t, l, tt.requests...)
				if s := handletest.Settled(t, l); s.Waiting != uint64(len(tt.requests)) {
					t.Fatalf("%+v", s)
				}
				if got := serve(held); !slices.Equal(got, tt.want) {
					t.Errorf("served %v, want %v", got, tt.want)
				}
				synctest.Wait()
				s := handletest.Settled(t, l)
				if s.Used != 0 || s.InFlight != 0 || s.Waiting != 0 || s.Waits.Count() != uint64(len(tt.requests)) || s.Waits.Max < ms {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestWhoIsRefusedIsToldWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnLimiter(t, actorstest.NewRegistry(t), queued(1, func(c *Config) { c.MaxWaiting, c.MaxWait = 1, time.Second }))
		time.Sleep(ms)
		held := handletest.MustAcquire(t, l, patterns.Request{})
		if _, err := l.TryAcquire(); !refusedFor(err, CauseLimit) {
			t.Error("no place:", err)
		}
		began := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := l.Acquire(t.Context())
			if took := time.Since(began); !refusedFor(err, CauseMaxWait) || took != time.Second {
				t.Errorf("after %v: %v", took, err)
			}
		})
		synctest.Wait()
		if _, err := l.TryAcquire(); !refusedFor(err, CauseWaiters) {
			t.Error("others wait:", err)
		}
		if _, err := l.Acquire(t.Context()); !refusedFor(err, CauseQueue) {
			t.Error("as many wait as may:", err)
		}
		wg.Wait()
		if _, err := l.AcquireFor(t.Context(), patterns.Request{Weight: 101}); !refusedFor(err, CauseWeight) {
			t.Error("too heavy:", err)
		}
		held.Report(patterns.Success) // after 1 s, which calls are now known to take a sixteenth of
		held = handletest.MustAcquire(t, l, patterns.Request{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*ms)
		defer cancel()
		if _, err := l.Acquire(ctx); !refusedFor(err, CauseDeadline) {
			t.Error("too late:", err)
		}
		if time.Since(began) != time.Second {
			t.Error("waited in vain")
		}
		held.Report(patterns.Success)
		if s := handletest.Settled(t, l); s.Rejected != 6 || s.Cancelled != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnLimiter(t, actorstest.NewRegistry(t), queued(1))
		held := handletest.MustAcquire(t, l, patterns.Request{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := l.Acquire(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if s := handletest.Settled(t, l); s.Waiting != 0 || s.Cancelled != 1 {
			t.Errorf("%+v", s)
		}
		held.Release()
		p := handletest.MustAcquire(t, l, patterns.Request{})
		p.Release()
	})
}

func TestCoDelRefusesWhereNothingMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnLimiter(t, actorstest.NewRegistry(t), queued(1, func(c *Config) { c.Queue = CoDel }))
		held := handletest.MustAcquire(t, l, patterns.Request{})
		began := time.Now()
		var wg sync.WaitGroup
		refused := make([]time.Duration, 4)
		for i := range refused {
			wg.Go(func() {
				_, err := l.Acquire(t.Context())
				if !refusedFor(err, CauseSojourn) {
					t.Error(err)
				}
				refused[i] = time.Since(began)
			})
			synctest.Wait()
		}
		wg.Wait()
		if refused[0] < 105*ms || refused[0] > 106*ms || refused[3] > 400*ms {
			t.Errorf("refused after %v", refused)
		}
		held.Release()
	})
}

func TestNoPlaceLeaksHoweverItsHolderEnds(t *testing.T) {
	for name, fn := range map[string]func(context.Context) error{
		"returns": func(context.Context) error { return nil },
		"fails":   func(context.Context) error { return errors.New("no") },
		"panics":  func(context.Context) error { panic("no") },
		"exits":   func(context.Context) error { runtime.Goexit(); return nil },
		"is late": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		for _, mode := range []patterns.Mode{patterns.Strict, patterns.Leased(8, 0)} {
			t.Run(fmt.Sprint(name, mode), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := spawnLimiter(t, actorstest.NewRegistry(t), Config{Initial: 8, Max: 20, MaxWaiting: 10, Mode: mode})
					var wg sync.WaitGroup
					for i := range 60 {
						wg.Go(func() {
							defer func() { _ = recover() }()
							ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*ms)
							defer cancel()
							_ = patterns.Run(ctx, l, fn)
						})
					}
					wg.Wait()
					time.Sleep(time.Second) // what leases did not spend is back by then
					if s := handletest.Settled(t, l); s.Used != 0 || s.InFlight != 0 || s.Waiting != 0 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

func TestPlacesOfAnActorThatDiedComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		l := spawnLimiter(t, guards, queued(2))
		system := guards.System()
		granted := make(chan actors.Granted, 10)
		holder := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				c.Request(l.PID(), actors.Acquire{Weight: 2, Holder: c.Self()})
				c.Request(l.PID(), actors.Acquire{Holder: c.Self()})
			case actors.Granted:
				granted <- m
			}
		}))
		synctest.Wait()
		if s := handletest.Settled(t, l); len(granted) != 1 || s.Used != 2 || s.Waiting != 1 {
			t.Fatalf("%+v", s)
		}
		if err := system.Root.StopFuture(holder).Wait(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := handletest.Settled(t, l); s.Used != 0 || s.Waiting != 0 || s.Reclaimed != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARestartKeepsTheLimitThePlacesAndWhoWaits(t *testing.T) {
	for _, msg := range []any{actors.Report{}, actors.Cancel{}, actors.Inspect{}, actors.Acquire{}} {
		synctest.Test(t, func(t *testing.T) {
			l := spawnLimiter(t, actorstest.NewRegistry(t), queued(20))
			lost := handletest.MustAcquire(t, l, patterns.Request{})
			lost.Report(patterns.Dropped)
			first, second := handletest.MustAcquire(t, l, patterns.Request{}), handletest.MustAcquire(t, l, patterns.Request{Weight: 17})
			var wg sync.WaitGroup
			wg.Go(func() {
				p := handletest.MustAcquire(t, l, patterns.Request{Weight: 2})
				p.Release()
			})
			synctest.Wait()
			actorstest.Crash(t, l, actorstest.At(msg))
			switch msg.(type) {
			case actors.Report:
				first.Report(patterns.Success)
			case actors.Cancel:
				first.Release()
			case actors.Acquire:
				_, _ = l.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
				first.Report(patterns.Success)
			default:
				_, _ = l.Snapshot(t.Context())
				first.Report(patterns.Success)
			}
			synctest.Wait()
			if s := handletest.Settled(t, l); s.Limit != 18 || s.Used != 17 || s.Waiting != 1 || s.Restarts != 1 {
				t.Errorf("%T: %+v", msg, s)
			}
			second.Report(patterns.Success)
			wg.Wait()
			synctest.Wait()
			if s := handletest.Settled(t, l); s.Used != 0 || s.Waiting != 0 || s.Epoch != 1 {
				t.Errorf("%T: %+v", msg, s)
			}
		})
	}
}

func TestTheQueueIsChangedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		l := spawnLimiter(t, guards, still(1))
		held := handletest.MustAcquire(t, l, patterns.Request{})
		if _, err := l.Acquire(t.Context()); !refusedFor(err, CauseLimit) {
			t.Fatal(err)
		}
		for field, c := range map[string]Config{"Mode": {Mode: patterns.Leased(0, 0)}, "OnFailure": {OnFailure: patterns.FailClosed}, "CallTimeout": {CallTimeout: 1}, "Min": {Min: -1}} {
			if err := l.Reconfigure(t.Context(), c); !slices.Contains(configtest.Faulty(err), field) {
				t.Errorf("%s changed: %v", field, err)
			}
		}
		if err := l.Reconfigure(t.Context(), queued(1)); err != nil {
			t.Fatal(err)
		}
		serve := queue(t, l, patterns.Request{}, patterns.Request{}, patterns.Request{})
		if err := l.Reconfigure(t.Context(), queued(1, func(c *Config) { c.Queue = LIFO })); err != nil {
			t.Fatal(err)
		}
		if got := serve(held); !slices.Equal(got, []int{2, 1, 0}) {
			t.Errorf("served %v", got)
		}
		actorstest.WantEvents(t, guards, actorstest.Is[ConfigChanged](), actorstest.Is[ConfigChanged]())
	})
}

func TestCallsTeachTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		l := spawnLimiter(t, guards, Config{Algorithm: AIMD{}, Initial: 20, CallTimeout: 10 * ms})
		time.Sleep(ms)
		sleep := func(d time.Duration, err error) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-time.After(d):
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		business := errors.New("no such customer")
		if err := patterns.Run(t.Context(), l, sleep(ms, business)); !errors.Is(err, business) {
			t.Error(err)
		}
		s := handletest.Settled(t, l)
		if s.Limit != 20 || s.Failure != 1 || s.Latency != ms/16 {
			t.Errorf("an error that is none of overload: %+v", s)
		}
		if err := patterns.Run(t.Context(), l, sleep(time.Second, nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if s := handletest.Settled(t, l); s.Limit != 18 || s.Dropped != 1 {
			t.Errorf("a call that took too long: %+v", s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(ms, cancel)
		if err := patterns.Run(ctx, l, sleep(time.Second, nil)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s := handletest.Settled(t, l); s.Limit != 18 || s.Ignored != 1 {
			t.Errorf("a caller that left: %+v", s)
		}
		time.Sleep(time.Second)
		for range 3 {
			p := handletest.MustAcquire(t, l, patterns.Request{})
			p.Report(patterns.Dropped)
		}
		actorstest.WantEvents(t, guards, WasMoved)
	})
}

func TestWhatIsLostIsTheUsersToSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := errors.New("429")
		l, err := Spawn(actorstest.NewRegistry(t), "search", still(20), actors.WithJudge(LostOn(throttled)))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			err  error
			want func(s Snapshot) uint64
		}{
			{fmt.Errorf("search: %w", throttled), func(s Snapshot) uint64 { return s.Dropped }},
			{errors.New("404"), func(s Snapshot) uint64 { return s.Failure }},
			{fmt.Errorf("%w: inner", patterns.ErrRejected), func(s Snapshot) uint64 { return s.Ignored }},
			{nil, func(s Snapshot) uint64 { return s.Success }},
		} {
			_ = patterns.Run(t.Context(), l, func(context.Context) error { return tt.err })
			if s := handletest.Settled(t, l); tt.want(s) != 1 {
				t.Errorf("%v: %+v", tt.err, s)
			}
		}
	})
}

func TestAnOperatorForcesAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		l := spawnLimiter(t, guards, still(1))
		ctx := t.Context()
		must(t, l.ForceOpen(ctx, time.Minute, "ticket 4711"))
		if _, err := l.Acquire(ctx); !refusedFor(err, CauseForced) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		must(t, l.ForceClosed(ctx, 0, ""))
		held := []patterns.Permit{handletest.MustAcquire(t, l, patterns.Request{}), handletest.MustAcquire(t, l, patterns.Request{})}
		must(t, l.MetricsOnly(ctx, 0, ""))
		held = append(held, handletest.MustAcquire(t, l, patterns.Request{}))
		must(t, l.Reset(ctx))
		if _, err := l.Acquire(ctx); !refusedFor(err, CauseLimit) {
			t.Error(err)
		}
		for i := range held {
			held[i].Report(patterns.Success)
		}
		if s := handletest.Settled(t, l); s.State != Adapting || s.Cause != CauseReset || s.Used != 0 || s.Stale != 3 {
			t.Errorf("%+v", s)
		}
		ended := actorstest.Is(func(e StateChanged) bool { return e.Cause == CauseForcedElapsed })
		actorstest.WantEvents(t, guards, WasForced, ended, WasForced, WasForced, WasReset)
	})
}

func TestTheLimitHoldsUnderFire(t *testing.T) {
	for name, c := range map[string]Config{
		"strict":  {Algorithm: AIMD{Increase: 1e-9}, Min: 3, Initial: 3, Max: 3, MaxWaiting: 4, MaxWait: time.Millisecond},
		"newest":  {Algorithm: AIMD{Increase: 1e-9}, Min: 3, Initial: 3, Max: 3, MaxWaiting: 4, Queue: LIFO},
		"codel":   {Algorithm: AIMD{Increase: 1e-9}, Min: 3, Initial: 3, Max: 3, MaxWaiting: 40, Queue: CoDel, Target: 10 * time.Microsecond, Interval: ms},
		"leased":  {Algorithm: AIMD{Increase: 1e-9}, Min: 32, Initial: 32, Max: 32, MaxWaiting: 4, Mode: patterns.Leased(16, ms)},
		"refuse":  {Algorithm: AIMD{Increase: 1e-9}, Min: 32, Initial: 32, Max: 32, Mode: patterns.Leased(4, ms)},
		"tenants": {Algorithm: AIMD{Increase: 1e-9}, Min: 3, Initial: 3, Max: 3, MaxWaiting: 9, Fair: true, RefuseFrom: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := spawnLimiter(t, actorstest.NewRegistry(t), c)
			var running, worst, ran atomic.Int64
			var wg sync.WaitGroup
			for i := range 48 {
				wg.Go(func() {
					for n := range 60 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+n%7)*ms)
						var p patterns.Permit
						var err error
						if c.Fair {
							p, err = l.AcquireFor(ctx, patterns.Request{Key: fmt.Sprint(i % 5), Priority: patterns.Priority(n%5 - 2)})
						} else {
							p, err = l.Acquire(ctx)
						}
						if err == nil {
							if now := running.Add(1); now > int64(c.Max) {
								worst.Store(now)
							}
							ran.Add(1)
							runtime.Gosched()
							running.Add(-1)
							switch (i + n) % 3 {
							case 0:
								p.Report(patterns.Success)
							case 1:
								p.Report(patterns.Failure)
							case 2:
								p.Release()
							}
						}
						cancel()
					}
				})
			}
			wg.Wait()
			if worst.Load() > 0 || ran.Load() == 0 {
				t.Errorf("%d at once of %d; %d ran", worst.Load(), c.Max, ran.Load())
			}
			must(t, l.Reset(t.Context())) // which ends all leases
			if s := handletest.Settled(t, l); s.InFlight != 0 || s.Used != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestGuardsAreFoundByName(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	l := spawnLimiter(t, guards, Config{})
	same, err := GetOrSpawn(guards, "search", Config{Algorithm: Knee{}, MaxTenants: 10_000})
	if err != nil || same != l {
		t.Errorf("got %v, %v", same, err)
	}
	if _, err := GetOrSpawn(guards, "search", Config{Max: 9}); !errors.Is(err, actors.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if got, ok := Get(guards, "search"); !ok || got != l {
		t.Error("not found")
	}
	for name, got := range All(guards) {
		if name != "search" || got != l {
			t.Errorf("%s: %v", name, got)
		}
	}
	for range All(nil) {
		t.Error("all of nothing")
	}
	if _, ok := Get(nil, "search"); ok {
		t.Error("found in nothing")
	}
	if _, err := Spawn(guards, "bad", Config{Max: -1, CallTimeout: -5}); len(configtest.Faulty(err)) < 2 {
		t.Errorf("error %v", err)
	}
}

func TestGuardedCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	ctx := context.Background()
	fn := func(context.Context) (int, error) { return 1, nil }
	for name, c := range map[string]Config{"plain": {}, "queueing": {MaxWaiting: 5}, "leased": {Mode: patterns.Leased(0, 0), Initial: 200}} {
		l, err := Spawn(guards, name, c)
		if err != nil {
			t.Fatal(err)
		}
		call := func() { _, _ = patterns.Do(ctx, l, fn) }
		call()
		if n := testing.AllocsPerRun(2000, call); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
