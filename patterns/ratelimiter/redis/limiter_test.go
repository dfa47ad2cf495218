package redislimiter

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

func TestAllWhoAskMeanwhileAreAskedForTogetherAndNoMorePassThanMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(60)
		s.takes = time.Millisecond
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if l.Allow("ann") {
					passed.Add(1)
				}
			})
		}
		wg.Wait()
		if passed.Load() != 60 {
			t.Errorf("%d passed, want 60", passed.Load())
		}
		n := snapshot(t, l)
		if n.Batches > 3 || n.Batched != 100 || n.MeanBatch() < 33 {
			t.Errorf("%d calls carried %d requests", n.Batches, n.Batched)
		}
		if n.Granted != 60 || n.Rejected != 40 || n.Refused[0] != 40 {
			t.Errorf("granted %d, rejected %d, refused %v", n.Granted, n.Rejected, n.Refused)
		}
	})
}

func TestARefusalSaysWhenToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		if err := l.Wait(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		err := l.Wait(t.Context(), "ann")
		e, ok := errors.AsType[*ratelimiter.LimitError](err)
		if !ok || !errors.Is(err, patterns.ErrRejected) || !errors.Is(err, ratelimiter.ErrLimited) || e.RetryAfter() != time.Second {
			t.Errorf("got %v", err)
		}
		if err := l.WaitN(t.Context(), "ann", 2); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("one that is too heavy: %v", err)
		}
		a, err := l.Peek(t.Context(), "ann")
		if err != nil || a.Allowed || a.Remaining != 0 || a.Limit != 1 {
			t.Errorf("Peek: %+v, %v", a, err)
		}
		v, err := l.TakeUpTo(t.Context(), "bob", 5)
		if err != nil || v.N != 1 || !v.Allowed {
			t.Errorf("TakeUpTo: %+v, %v", v, err)
		}
		if a, err := l.Take(t.Context(), "bob", 1); err != nil || a.Allowed {
			t.Errorf("Take: %+v, %v", a, err)
		}
		if err := l.Forget(t.Context(), "bob"); err != nil || !l.Allow("bob") {
			t.Errorf("a key that was forgotten has its burst: %v", err)
		}
		snapshot(t, l)
	})
}

func TestAPermitThatIsReleasedGivesBackWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(5)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		p, err := l.AcquireFor(t.Context(), patterns.Request{Key: "ann", Weight: 3})
		if err != nil {
			t.Fatal(err)
		}
		p.Release()
		time.Sleep(time.Millisecond)
		if s.used("ann") != 0 {
			t.Errorf("%d are used, want none", s.used("ann"))
		}
		if err := patterns.Run(t.Context(), l.For("ann"), func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		if s.used("ann") != 1 {
			t.Errorf("%d are used, want 1", s.used("ann"))
		}
		snapshot(t, l)
	})
}

func TestWithoutRedisThePolicyDecides(t *testing.T) {
	for policy, want := range map[Outage]int64{FailOpen: 40, FailClosed: 0, Local: 5} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(10)
				s.fault = func(int) error { return errUnreachable }
				guards := actorstest.NewRegistry(t)
				l := spawnOn(t, guards, s, Config{OnOutage: policy, Instances: 2})
				passed := int64(0)
				for range 40 {
					err := l.Wait(t.Context(), "ann")
					switch {
					case err == nil:
						passed++
					case policy == FailClosed && !errors.Is(err, ErrOutage), !errors.Is(err, patterns.ErrRejected):
						t.Fatalf("got %v", err)
					}
				}
				if passed != want {
					t.Errorf("%d passed, want %d", passed, want)
				}
				n := snapshot(t, l)
				if !n.Down || n.Outages != 1 || n.Failed != 3 || n.PassedWithout != uint64(want) || n.RefusedWithout != uint64(40-want) {
					t.Errorf("got %+v", n)
				}
				s.set(func(s *shelf) { s.fault = nil })
				time.Sleep(time.Second)
				if used := s.used("ann"); used != min(want, 10) {
					t.Errorf("%d are used when it is back, want what passed meanwhile: %d", used, min(want, 10))
				}
				if allowed := l.Allow("ann"); allowed != (want < 10) {
					t.Errorf("the next one passes: %t", allowed)
				}
				if n := snapshot(t, l); n.Down || n.Owing != 0 {
					t.Errorf("got %+v", n)
				}
			})
		})
	}
}

func TestARedisThatHangsHoldsNobodyLongerThanTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10)
		s.hangs = time.Hour
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Timeout: 50 * time.Millisecond, OnOutage: FailClosed})
		longest := time.Duration(0)
		for range 10 {
			began := time.Now()
			if err := l.Wait(t.Context(), "ann"); !errors.Is(err, ErrOutage) {
				t.Errorf("got %v", err)
			}
			longest = max(longest, time.Since(began))
		}
		if longest > 50*time.Millisecond {
			t.Errorf("one was held for %v", longest)
		}
		began := time.Now()
		_ = l.Wait(t.Context(), "ann")
		if d := time.Since(began); d > 0 {
			t.Errorf("one was held for %v though Redis was given up", d)
		}
		s.set(func(s *shelf) { s.hangs = 0 })
		time.Sleep(3 * time.Hour)
		if !l.Allow("ann") {
			t.Error("it does not come back")
		}
		snapshot(t, l)
	})
}

// Whoever comes while a call hangs waits for that call and maybe for the next, which hangs
// too, and no longer: not even those who do not fit into it.
func TestARedisThatHangsHoldsNobodyInTheQueueLongerThanTheTimeout(t *testing.T) {
	const timeout = 50 * time.Millisecond
	for _, failures := range []int{1, 3, 1000} {
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(10)
			s.hangs = time.Hour
			l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Timeout: timeout, OnOutage: FailClosed, Failures: failures, MaxBatch: 7})
			var callers sync.WaitGroup
			for i := range 200 {
				callers.Go(func() {
					time.Sleep(time.Duration(i) * time.Millisecond)
					began := time.Now()
					ask := func() error { return l.Wait(t.Context(), "ann") }
					if i%3 == 0 {
						ask = func() error { _, err := l.Take(t.Context(), "ann", 1); return err }
					}
					if err := ask(); !errors.Is(err, ErrOutage) {
						t.Errorf("after %d failures, caller %d got %v", failures, i, err)
					}
					if d := time.Since(began); d > timeout {
						t.Errorf("after %d failures, caller %d was held for %v", failures, i, d)
					}
				})
			}
			callers.Wait()
			s.set(func(s *shelf) { s.hangs = 0 })
			time.Sleep(3 * time.Hour)
			if !l.Allow("ann") {
				t.Error("it does not come back")
			}
			snapshot(t, l)
		})
	}
}

func TestWhatIsWrongWithTheConfigurationNeverLetsPass(t *testing.T) {
	for name, fault := range map[string]error{
		"no permission":   &store.Fault{Class: store.NoPermission, Err: errors.New("NOPERM")},
		"no credentials":  &store.Fault{Class: store.NoAuth, Err: errors.New("NOAUTH")},
		"no sense":        &store.Fault{Class: store.Protocol, Err: errors.New("what")},
		"another's value": &store.KeyError{Key: "x", Problem: "is a list"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(10)
				s.fault = func(int) error { return fault }
				l := spawnOn(t, actorstest.NewRegistry(t), s, Config{OnOutage: FailOpen})
				for range 10 {
					if err := l.Wait(t.Context(), "ann"); !errors.Is(err, ErrStore) || !errors.Is(err, patterns.ErrRejected) {
						t.Errorf("got %v", err)
					}
					if _, err := l.Take(t.Context(), "ann", 1); !errors.Is(err, ErrStore) {
						t.Errorf("Take: got %v", err)
					}
				}
				if n := snapshot(t, l); n.Down || n.Misfits != 20 || n.PassedWithout != 0 {
					t.Errorf("got %+v", n)
				}
			})
		})
	}
}

func TestLeasesServeFromMemoryAndComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1000)
		guards := actorstest.NewRegistry(t)
		l := spawnOn(t, guards, s, Config{LeaseFor: time.Second})
		passed := int64(0)
		for range 300 {
			if l.Allow("ann") {
				passed++
			}
			time.Sleep(time.Millisecond)
			if n := snapshot(t, l); s.used("ann") > passed+500 || n.Held > 500 {
				t.Fatalf("%d are held", n.Held)
			}
		}
		n := snapshot(t, l)
		if passed != 300 || n.Batches > 40 {
			t.Errorf("%d passed with %d calls", passed, n.Batches)
		}
		time.Sleep(5 * time.Second)
		if used := s.used("ann"); used != passed {
			t.Errorf("%d are used after idle time, want %d", used, passed)
		}
		for range 20 {
			if l.Allow("ann") {
				passed++
			}
			time.Sleep(time.Millisecond)
		}
		if err := l.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if used := s.used("ann"); used != passed {
			t.Errorf("%d are used after it stopped, want %d", used, passed)
		}
	})
}

func TestLeasedModeSpendsInCells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(100_000)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Mode: patterns.Leased(64, 0)})
		passed := int64(0)
		for i := range 20_000 {
			if l.Allow("") {
				passed++
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		n := snapshot(t, l)
		if passed != 20_000 || n.Batches > 4000 {
			t.Errorf("%d passed with %d calls", passed, n.Batches)
		}
		if used := s.used(""); used < passed || used > passed+50_000 {
			t.Errorf("%d are used, %d passed", used, passed)
		}
		time.Sleep(10 * time.Second)
		if used := s.used(""); used != passed {
			t.Errorf("%d are used after idle time, want %d", used, passed)
		}
	})
}

func TestACrashLosesOnlyTheRequestThatItWasOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(100)
		s.takes = time.Millisecond
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		actorstest.Crash(t, l, actorstest.At(actors.Acquire{}))
		var failed atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := l.Wait(t.Context(), "ann"); errors.Is(err, actors.ErrFailed) {
					failed.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := snapshot(t, l); failed.Load() != 1 || n.Restarts != 1 || n.Granted != 19 {
			t.Errorf("%d failed, %d restarts, %d granted", failed.Load(), n.Restarts, n.Granted)
		}
	})
}

func TestWhoMayWaitPassesWhenRedisSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{Rate: ratelimiter.MustParse("1/s"), MaxWaiting: 3, MaxWait: 10 * time.Second})
		if !l.Allow("ann") {
			t.Fatal("the first does not pass")
		}
		order := make(chan int, 3)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := l.Wait(t.Context(), "ann"); err != nil {
					t.Error(err)
				}
				order <- i
			})
			synctest.Wait()
		}
		if l.Allow("ann") {
			t.Error("one that does not wait overtakes those who do")
		}
		if err := l.Wait(t.Context(), "ann"); !errors.Is(err, ratelimiter.ErrLimited) {
			t.Errorf("more wait than may: %v", err)
		}
		for want := range 3 {
			time.Sleep(500 * time.Millisecond)
			s.set(func(s *shelf) { s.taken["ann"] = 0 })
			if i := <-order; i != want {
				t.Errorf("%d passes as number %d", i, want)
			}
		}
		wg.Wait()
		err := l.Wait(t.Context(), "ann")
		if e, ok := errors.AsType[*ratelimiter.LimitError](err); !ok || e.Cause != ratelimiter.CauseMaxWait {
			t.Errorf("one that waited for MaxWait: %v", err)
		}
		snapshot(t, l)
	})
}

func TestAnOperatorDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(1)
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		force := func(k patterns.OperationKind) {
			t.Helper()
			if err := l.Operate(t.Context(), patterns.Operation{Kind: k}); err != nil {
				t.Fatal(err)
			}
		}
		force(patterns.ForceOpen)
		if l.Allow("ann") {
			t.Error("forced open lets pass")
		}
		force(patterns.ForceClosed)
		if !l.Allow("ann") || s.used("ann") != 0 {
			t.Error("forced closed refuses, or counts")
		}
		force(patterns.MetricsOnly)
		if first, second := l.Allow("ann"), l.Allow("ann"); !first || !second || s.used("ann") != 1 {
			t.Error("metrics only refuses, or does not count")
		}
		if err := l.Reset(t.Context()); err != nil || l.Allow("ann") {
			t.Error("what was used is forgotten")
		}
		if err := l.Override(t.Context(), "ann", ratelimiter.Rate{Count: 5, Per: time.Second}); err != nil {
			t.Error(err)
		}
		if err := l.WaitN(t.Context(), "ann", 6); !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("heavier than its own rate: %v", err)
		}
		if had, err := l.RemoveOverride(t.Context(), "ann"); !had || err != nil {
			t.Error("it had no rate of its own", err)
		}
		if err := l.Reconfigure(t.Context(), Config{Rate: ratelimiter.Rate{Count: 9, Per: time.Second}, Client: l.cfg.Client}); err != nil {
			t.Error(err)
		}
		if err := l.Reconfigure(t.Context(), Config{Rate: ratelimiter.Rate{Count: 9, Per: time.Second}, URL: "redis://other"}); err == nil {
			t.Error("another server is taken while it runs")
		}
		snapshot(t, l)
	})
}

func TestEveryFaultOfAConfigIsNamed(t *testing.T) {
	_, err := Spawn(nil, "api", Config{
		URL: "http://u:secret@h:99999,h2/x?db=1", Algorithm: ratelimiter.FixedWindow, Prefix: "{a}", Timeout: time.Hour, OnOutage: 9,
		Instances: -1, Failures: -1, RetryEvery: 1, MaxBatch: -1, MaxQueue: -1, MaxWaiting: -1, MaxWait: -1, LeaseFor: 1, MaxLease: -1,
	})
	for _, field := range []string{
		"Rate", "URL", "Algorithm", "Prefix", "Timeout", "OnOutage", "Instances", "Failures", "RetryEvery", "MaxBatch", "MaxQueue",
		"MaxWaiting", "MaxWait", "LeaseFor", "MaxLease",
	} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is quoted: %v", err)
	}
	if _, err := Spawn(nil, "api", Config{Rate: ratelimiter.MustParse("1/s")}); err == nil || !strings.Contains(err.Error(), "Client") {
		t.Errorf("a limiter without a client: %v", err)
	}
	exact := Config{Rate: ratelimiter.Rate{Count: 7, Per: 366 * 24 * time.Hour, Burst: 1e9}, Client: offline()}
	if err := exact.Validate(); err == nil {
		t.Error("a rate that cannot be counted exactly is taken")
	}
}

func TestURLsAreRead(t *testing.T) {
	for text, want := range map[string]struct {
		hosts   int
		cluster bool
		master  string
		tls     bool
		db      int
	}{
		"redis://h":                                 {hosts: 1},
		"redis://user:pw@h:6380/3":                  {hosts: 1, db: 3},
		"rediss://h:1":                              {hosts: 1, tls: true},
		"redis://a,b:2,c?cluster=true":              {hosts: 3, cluster: true},
		"redis://:pw@a:26379,b:26379/1?master=main": {hosts: 2, master: "main", db: 1},
		"redis://[::1]:6379":                        {hosts: 1},
	} {
		o, problems := parse(text)
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		if len(o.Addrs) != want.hosts || o.IsClusterMode != want.cluster || o.MasterName != want.master || (o.TLSConfig != nil) != want.tls || o.DB != want.db {
			t.Errorf("%s: got %+v", text, o)
		}
	}
	for _, text := range []string{
		"", "h:6379", "http://h", "redis://", "redis://h:0", "redis://h:x", "redis://h/x", "redis://a,b", "redis://h?x=1", "redis://h?cluster=maybe",
		"redis://a,b/1?cluster=true", "redis://a?cluster=true&master=m", "redis://h#x", "redis://h\x00",
	} {
		if _, problems := parse(text); len(problems) == 0 {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestNoFaultOfAURLHasThePasswordInIt(t *testing.T) {
	for _, text := range []string{
		"http://user:secret@h", "user:secret@h:6379", "redis://user:secret@h:x", "redis://user:secret/secret@h:6379/0",
		"redis://user:secret?secret@h", "redis://user:secret#secret@h", "redis://user:sec@secret@h/x", "redis://h?password=secret",
		"redis://h/0?user=u:secret@x", "redis://:secret@h\x00", "redis://user:secret%zz@h",
	} {
		err := Config{Rate: ratelimiter.MustParse("1/s"), URL: text}.Validate()
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Count(err.Error(), "URL") != 1 {
			t.Errorf("%s: %v", text, err)
		}
	}
	err := Config{Rate: ratelimiter.MustParse("1/s"), URL: "localhost:6379"}.Validate()
	const want = "redislimiter: URL localhost:6379: must begin with redis:// or rediss://, such as redis://user:password@host:6379/0"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Whatever happens to the calls, everybody has one answer, and no more is taken than there is.
func TestRandomFaultsLoseNobody(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.IntRange(0, 7), 32, 32).Draw(rt, "faults")
		takes := rapid.IntRange(0, 60).Draw(rt, "takes ms")
		policy := Outage(rapid.IntRange(0, 2).Draw(rt, "policy"))
		leases := rapid.Bool().Draw(rt, "leases")
		waits := rapid.IntRange(0, 1).Draw(rt, "waits")
		leave := rapid.IntRange(1, 200).Draw(rt, "leave after ms")
		synctest.Test(t, func(t *testing.T) {
			s := newShelf(50)
			s.takes = time.Duration(takes) * time.Millisecond
			s.fault = func(trip int) error {
				switch faults[trip%len(faults)] {
				case 0:
					return errUnreachable
				case 1:
					panic("the client panics")
				case 2:
					return &store.Fault{Class: store.NoAuth, Err: errors.New("NOAUTH")}
				}
				return nil
			}
			cfg := Config{OnOutage: policy, Timeout: 50 * time.Millisecond, MaxBatch: 7, MaxWaiting: waits * 10, MaxWait: time.Duration(waits) * time.Second}
			if leases {
				cfg.LeaseFor = 100 * time.Millisecond
			}
			l := spawnOn(t, actorstest.NewRegistry(t), s, cfg)
			var wg sync.WaitGroup
			var asked, answered atomic.Int64
			for i := range 40 {
				wg.Go(func() {
					time.Sleep(time.Duration(i*5) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(leave)*time.Millisecond)
					defer cancel()
					asked.Add(1)
					p, err := l.AcquireFor(ctx, patterns.Request{Key: string(rune('a' + i%3)), Weight: 1 + i%2})
					answered.Add(1)
					if err == nil && i%4 == 0 {
						p.Release()
					} else if err == nil {
						p.Report(patterns.Success)
					} else if !errors.Is(err, patterns.ErrRejected) && !errors.Is(err, context.DeadlineExceeded) {
						rt.Errorf("got %v", err)
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Minute)
			n := snapshot(t, l)
			if n.Restarts != 0 || n.Waiting != 0 || n.InFlight != 0 || n.Asked != 40 {
				rt.Errorf("at the end: %+v", n.Counts)
			}
			if s.peak > 50 {
				rt.Errorf("%d were taken of 50", s.peak)
			}
		})
	})
}
