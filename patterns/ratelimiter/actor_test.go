package ratelimiter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
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

// sharded is dealt out to as many actors as there are processors.
var sharded = Config{Rate: Rate{10, time.Hour, 3}, MaxWaiting: 4, MaxKeys: 2 * minShardKeys}

// ask sends a question to the limiter and returns the reply.
func ask(t *testing.T, l *Limiter, question any) any {
	t.Helper()
	reply, err := actors.Ask[any](t.Context(), l.System(), l.PID(), actors.Consult{Question: question})
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestQuestionsAreMessages(t *testing.T) {
	for _, c := range []Config{{Rate: Rate{10, sec, 5}}, {Rate: Rate{10, sec, 5}, MaxKeys: 1 << 20}} {
		synctest.Test(t, func(t *testing.T) {
			l := spawnAPI(t, actorstest.NewRegistry(t), c)
			for _, key := range []string{"", "a", "b", "c", "d"} {
				if a, ok := ask(t, l, Peek{Key: key}).(Answer); !ok || !a.Allowed || a.Remaining != 5 {
					t.Errorf("%+v", a)
				}
				if a, ok := ask(t, l, Take{Key: key, Weight: 2}).(Answer); !ok || !a.Allowed || a.Remaining != 3 {
					t.Errorf("%+v", a)
				}
				if a, ok := ask(t, l, TakeUpTo{Key: key, Weight: 9}).(Taken); !ok || a.N != 3 {
					t.Errorf("%+v", a)
				}
				v, ok := ask(t, l, Reserve{Key: key}).(Reservation)
				if !ok || v.Delay() != 100*ms || v.Key != key {
					t.Errorf("%+v", v)
				}
				if r, ok := ask(t, l, Reserve{Key: key, Within: sec / 10}).(actors.Refused); !ok || !isCause(r.Err, CauseMaxWait) {
					t.Errorf("%+v", r)
				}
				if c, ok := ask(t, l, CancelReservation{v}).(Cancelled); !ok || !c.Refunded {
					t.Errorf("%+v", c)
				}
				if c, ok := ask(t, l, CancelReservation{v}).(Cancelled); !ok || c.Refunded {
					t.Errorf("refunded twice: %+v", c)
				}
				if key == "" {
					continue
				}
				for _, before := range []bool{false, true} {
					if o, ok := ask(t, l, Override{Key: key, Rate: Rate{20, sec, 20}}).(Overridden); !ok || o.Before != before {
						t.Errorf("%+v", o)
					}
				}
				if o, ok := ask(t, l, RemoveOverride{Key: key}).(Overridden); !ok || !o.Before {
					t.Errorf("%+v", o)
				}
			}
			if r, ok := ask(t, l, Override{Key: "a"}).(actors.Refused); !ok || r.Err == nil {
				t.Errorf("%+v", r)
			}
			if r, ok := ask(t, l, Override{Key: "a", Rate: Rate{1, sec, 1}, Tiers: Several(Rate{1, sec, 1}, Rate{1, sec, 1}, Rate{1, sec, 1}, Rate{1, sec, 1})}).(actors.Refused); !ok {
				t.Errorf("five rates: %+v", r)
			}
			if r, ok := ask(t, l, "how are you?").(actors.Refused); !ok || !errors.Is(r.Err, actors.ErrUnsupported) {
				t.Errorf("%+v", r)
			}
			if s := handletest.Settled(t, l); s.Granted != 15 || s.Rejected != 5 || s.Reserved != 5 || s.Refunded != 5 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPermitsAreMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), with(queued, func(c *Config) { c.MaxKeys = 1 << 20 }))
		system := l.System()
		replies := make(chan string, 99)
		began := time.Now()
		tell := func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for ref := range uint64(3) { // the second waits, and the third is heavy
					c.Request(l.PID(), actors.Acquire{Ref: ref, Key: "k", Spend: true, Weight: int(ref/2) + 1})
				}
				c.Request(l.PID(), actors.Acquire{Ref: 3, Key: "k", NoWait: true})
				c.Request(l.PID(), actors.Acquire{Ref: 4, Key: "k", Deadline: began.Add(150 * ms)})
				c.Request(l.PID(), actors.Acquire{Ref: 5, Key: "k"})
			case actors.Granted:
				replies <- fmt.Sprint(m.Ref, " granted ", m.Permit.ID != 0, " ", time.Since(began))
				c.Send(l.PID(), actors.Report{Permit: m.Permit, Outcome: patterns.Success})
			case actors.Rejected:
				replies <- fmt.Sprint(m.Ref, " ", causeOf(m.Err), " ", time.Since(began), " ", m.RetryAfter)
			}
		}
		pid := system.Root.Spawn(actor.PropsFromFunc(tell))
		synctest.Wait()
		time.Sleep(sec)
		_ = system.Root.StopFuture(pid).Wait()
		close(replies)
		var got []string
		for r := range replies {
			got = append(got, r)
		}
		want := "0 granted false 0s|2 none of ours 0s 0s|3 waiters 0s 200ms|4 max-wait 0s 200ms|1 granted false 100ms|5 granted true 200ms"
		if strings.Join(got, "|") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "|"), want)
		}
		if s := handletest.Settled(t, l); s.Granted != 3 || s.Rejected != 3 || s.InFlight != 0 || s.Repeated != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestKeysAreDealtOutAndCountTogether(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	told := actorstest.Record(t, guards)
	l := spawnAPI(t, guards, sharded)
	ctx := t.Context()
	if want := runtime.GOMAXPROCS(0); l.Shards() != min(want, 2) {
		t.Errorf("%d actors", l.Shards())
	}
	for i := range 1000 {
		key := strconv.Itoa(i)
		if !l.AllowN(key, 3) || l.Allow(key) {
			t.Fatalf("key %d has not 3 permits to itself", i)
		}
	}
	if !l.Allow("") || !l.AllowN("", 2) || l.Allow("") {
		t.Error("requests without a key have not 3 permits together")
	}
	v, err := l.Reserve(ctx, "7", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := l.CancelReservation(ctx, v); !ok || err != nil {
		t.Error(ok, err)
	}
	s := handletest.Settled(t, l)
	if s.Keys != 1000 || s.MaxKeys != 2*minShardKeys || s.Shards != l.Shards() || s.Granted != 1003 || s.Rejected != 1001 ||
		s.Budget.Remaining != 0 || s.Reserved != 1 || s.Refunded != 1 || s.Refused[0] != 1001 {
		t.Errorf("%+v", s)
	}
	if err := l.Reset(ctx); err != nil || !l.AllowN("5", 3) || !l.AllowN("6", 3) {
		t.Error("a reset reaches not all")
	}
	if err := l.Reconfigure(ctx, with(sharded, func(c *Config) { c.Rate.Burst = 1 })); err != nil || l.AllowN("8", 2) || l.AllowN("9", 2) {
		t.Error("a change reaches not all")
	}
	if err := l.Operate(ctx, patterns.Operation{Kind: patterns.ForceClosed}); err != nil || !l.Allow("8") || !l.Allow("8") || !l.Allow("9") || !l.Allow("9") {
		t.Error("a command reaches not all")
	}
	told.Want(t, actorstest.Is(func(e StateChanged) bool { return e.Cause == CauseReset }), WasChanged,
		actorstest.Is(func(e StateChanged) bool { return e.To == ForcedClosed }))
	states := 0
	for _, e := range told.Events() {
		if _, ok := e.(StateChanged); ok || WasChanged(e) {
			states++
		}
	}
	if states != 3 {
		t.Errorf("%d events of 3 commands", states)
	}
}

func TestHowManyActorsThereAre(t *testing.T) {
	for _, tt := range []struct {
		keys, processors, want int
	}{
		{NoKeys, 8, 1},
		{1, 8, 1},
		{2*minShardKeys - 1, 8, 1},
		{2 * minShardKeys, 8, 2},
		{1 << 20, 8, 8},
		{1 << 20, 1, 1},
		{maxKeys, 1000, maxShards},
	} {
		c := Config{Rate: Rate{1, sec, 1}, MaxKeys: tt.keys}
		if got := c.shards(tt.processors); got != tt.want {
			t.Errorf("%d keys, %d processors: %d", tt.keys, tt.processors, got)
		}
	}
	if shareOf(100, 1) != 100 {
		t.Error("one actor may have another number of keys than MaxKeys")
	}
}

// However the hash deals keys out, MaxKeys of them find room.
func TestAnUnevenDealOverflowsNoActor(t *testing.T) {
	for _, shards := range []int{2, 3, 8, 64} {
		n := shards * minShardKeys
		share, random := shareOf(n, shards), rand.New(rand.NewPCG(1, 2))
		for range 5 {
			dealt := make([]int, shards)
			for range n {
				dealt[random.IntN(shards)]++
			}
			for _, keys := range dealt {
				if keys > share {
					t.Errorf("%d shards: %d keys, and room for %d", shards, keys, share)
				}
			}
		}
		if extra := float64(shards*share)/float64(n) - 1; extra > 0.04 {
			t.Errorf("%d shards: %.1f %% more than MaxKeys", shards, 100*extra)
		}
	}
}

func TestKeysOfNoAndOfAMillionBytes(t *testing.T) {
	l := spawnAPI(t, actorstest.NewRegistry(t), sharded)
	long := strings.Repeat("x", 1<<20)
	for i, key := range []string{"", long, long[1:], long + "x", "\x00", "\x00\x00"} {
		if !l.AllowN(key, 3) || l.Allow(key) {
			t.Errorf("key %d has not 3 permits to itself", i)
		}
		if a, err := l.Take(t.Context(), key, 1); a.Allowed || err != nil {
			t.Errorf("key %d: %+v, %v", i, a, err)
		}
	}
	if s := handletest.Settled(t, l); s.Keys != 5 || s.KeyBytes > 1<<20 {
		t.Errorf("%d keys in %d bytes", s.Keys, s.KeyBytes)
	}
}

// An attacker who makes up keys gets what 64 keys may have, and a bounded memory.
func TestAFloodOfKeysIsBoundedCountedAndTold(t *testing.T) {
	n := 50_000
	if os.Getenv("BULWARK_SOAK") != "" {
		n = 1_000_000
	}
	guards := actorstest.NewRegistry(t)
	l := spawnAPI(t, guards, Config{Rate: Rate{3, time.Hour, 3}, MaxKeys: 1000})
	if !l.AllowN("live", 2) {
		t.Fatal("no permit")
	}
	passed := 0
	for i := range n {
		if l.Allow("made up " + strconv.Itoa(i)) {
			passed++
		}
	}
	if most := 999 + 3*overflowShares; passed > most {
		t.Errorf("%d passed, more than %d", passed, most)
	}
	if !l.Allow("live") || l.Allow("live") {
		t.Error("a key that was live did not keep its budget")
	}
	s := handletest.Settled(t, l)
	if s.Keys != 1000 || s.KeyBytes > 100_000 || s.Overflowed < uint64(n-1000) {
		t.Errorf("%d keys in %d bytes, %d overflowed", s.Keys, s.KeyBytes, s.Overflowed)
	}
	actorstest.WantEvents(t, guards, Overflowed)
}

func TestWhatWasNeverTakenIsNotGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), queued)
		l.Allow("")
		for _, msg := range []any{
			actors.Cancel{Permit: patterns.PermitID{ID: 1}}, actors.Report{Permit: patterns.PermitID{ID: 77}}, actors.Release{},
		} {
			l.System().Root.Send(l.PID(), msg)
		}
		p, err := l.AcquireFor(t.Context(), patterns.Request{Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		p.Report(patterns.Failure)
		p.Release()
		if l.Allow("") || l.Allow("k") {
			t.Error("something was given back")
		}
		if s := handletest.Settled(t, l); s.Repeated != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPermitsAreNeverMoreThanTheRateUnderFire(t *testing.T) {
	for name, c := range map[string]Config{
		"strict":  {Rate: Rate{20_000, sec, 100}, MaxWaiting: 50, MaxWait: 5 * ms},
		"leased":  {Rate: Rate{20_000, sec, 400}, MaxWaiting: 50, MaxWait: 5 * ms, Mode: patterns.Leased(16, time.Millisecond)},
		"no keys": {Rate: Rate{20_000, sec, 100}, MaxKeys: NoKeys, Mode: patterns.Leased(64, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			l := spawnAPI(t, actorstest.NewRegistry(t), c)
			ctx, cancel := context.WithTimeout(t.Context(), 150*ms)
			defer cancel()
			var passed, given atomic.Int64
			began := time.Now()
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						switch (n + i) % 4 {
						case 0:
							if l.Allow("") {
								passed.Add(1)
							}
						case 1:
							if l.Wait(ctx, "") == nil {
								passed.Add(1)
							}
						case 2:
							if p, err := l.Acquire(ctx); err == nil {
								passed.Add(1)
								p.Report(patterns.Success)
							}
						case 3:
							if p, err := l.Acquire(ctx); err == nil {
								p.Release()
								given.Add(1)
							}
						}
					}
				})
			}
			wg.Wait()
			most := c.Rate.Burst + int64(time.Since(began).Seconds()*float64(c.Rate.Count)) + 1
			if passed.Load() > most || passed.Load() == 0 {
				t.Errorf("%d passed, more than %d", passed.Load(), most)
			}
			if s := handletest.Settled(t, l); s.InFlight != 0 || s.Waiting != 0 || s.Success != uint64(passed.Load()) {
				t.Errorf("%d passed, %d given back: %+v", passed.Load(), given.Load(), s)
			}
		})
	}
}

// Whatever callers do, every request is accounted for.
func TestEveryRequestIsAccountedFor(t *testing.T) {
	c := with(sharded, func(c *Config) { c.Rate, c.MaxWait = Rate{2000, sec, 5}, 2*ms })
	l := spawnAPI(t, actorstest.NewRegistry(t), c)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(3000))*time.Microsecond)
				key := []string{"", "a", "b", "c"}[random.IntN(4)]
				switch random.IntN(8) {
				case 0:
					l.AllowN(key, random.IntN(7))
				case 1:
					_ = l.WaitN(ctx, key, 1+random.IntN(3))
				case 2:
					if p, err := l.AcquireFor(ctx, patterns.Request{Key: key, Priority: patterns.High}); err == nil {
						p.Release()
					}
				case 3:
					_ = patterns.Run(ctx, l.For(key), func(context.Context) error { return errors.New("no") })
				case 4:
					_, _ = l.Take(ctx, key, random.IntN(3))
				case 5:
					_, _ = l.TakeUpTo(ctx, key, random.IntN(3))
				case 6:
					if v, err := l.Reserve(ctx, key, 1, 0); err == nil && random.IntN(2) == 0 {
						_, _ = l.CancelReservation(ctx, v)
					}
				case 7:
					if random.IntN(20) == 0 {
						_ = l.Reconfigure(ctx, with(c, func(c *Config) { c.MaxWaiting = random.IntN(5); c.MaxWait = 0 }))
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if s := handletest.Settled(t, l); s.InFlight != 0 || s.Waiting != 0 || s.Granted == 0 || s.Rejected == 0 {
		t.Errorf("%+v", s)
	}
}

func TestAnActorThatFailedForGoodLetsThroughOrRefuses(t *testing.T) {
	for policy, open := range map[patterns.FailPolicy]bool{patterns.FailOpen: true, patterns.FailClosed: false} {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			l := spawnAPI(t, guards, with(queued, func(c *Config) { c.OnFailure, c.MaxKeys = policy, 9 }))
			actorstest.Crash(t, l, actorstest.At(actors.Acquire{}), actorstest.Times(99))
			for range 99 {
				l.Allow("k")
				synctest.Wait()
			}
			ctx := t.Context()
			if got := l.Allow("k"); got != open {
				t.Errorf("%v: allows %v", policy, got)
			}
			if err := l.Wait(ctx, "k"); (err == nil) != open {
				t.Errorf("%v: %v", policy, err)
			}
			if a, err := l.Take(ctx, "k", 2); (err == nil) != open || a.Allowed != open {
				t.Errorf("%v: %+v, %v", policy, a, err)
			}
			if a, err := l.TakeUpTo(ctx, "k", 2); (err == nil) != open || (a.N == 2) != open {
				t.Errorf("%v: %+v, %v", policy, a, err)
			}
			if _, err := l.Peek(ctx, "k"); err == nil {
				t.Errorf("%v: nobody is there, and says something", policy)
			}
			if got := l.Unguarded() > 0; got != open {
				t.Errorf("%v: %d unguarded", policy, l.Unguarded())
			}
		})
	}
}

func TestStoppedLimitersRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), queued)
		p := newPassings()
		p.spawned("0", func() error { return l.Wait(t.Context(), "k") })
		p.spawned("1", func() error { return l.Wait(t.Context(), "k") })
		if err := l.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.want(t, "0 0s", "1 none of ours 0s")
		if l.Allow("k") {
			t.Error("a stopped one allows")
		}
		if _, err := l.Take(t.Context(), "k", 1); !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
		if _, err := l.Reserve(t.Context(), "k", 1, 0); !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
		if _, err := l.CancelReservation(t.Context(), Reservation{}); !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
		if _, err := l.RemoveOverride(t.Context(), "k"); !errors.Is(err, actors.ErrStopped) {
			t.Error(err)
		}
	})
}

func TestOneKeyIsAGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := spawnAPI(t, actorstest.NewRegistry(t), Config{Rate: Rate{1, sec, 2}, MaxWaiting: 1})
		user := l.For("user-123")
		ran := 0
		for range 2 {
			if err := patterns.Run(t.Context(), user, func(context.Context) error { ran++; return nil }); err != nil {
				t.Error(err)
			}
		}
		if user.Allow() || !l.Allow("") || !l.For("other").Allow() || ran != 2 {
			t.Error("not the key's budget")
		}
		began := time.Now()
		if err := user.Wait(t.Context()); err != nil || time.Since(began) != sec {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, err := user.AcquireFor(t.Context(), patterns.Request{Key: "other", NoWait: true}); !isCause(err, CauseRate) {
			t.Error(err)
		}
		if user.Name() != "api" || user.Terms() != nil {
			t.Error(user.Name(), user.Terms())
		}
	})
}

func TestGuardsAreFoundByName(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	l := spawnAPI(t, guards, Config{Rate: Rate{Count: 10, Per: sec}})
	same, err := GetOrSpawn(guards, "api", Config{Rate: MustParse("10/second burst 10"), MaxKeys: 100_000})
	if err != nil || same != l {
		t.Errorf("got %v, %v", same, err)
	}
	if _, err := GetOrSpawn(guards, "api", Config{Rate: MustParse("11/second")}); !errors.Is(err, actors.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if got, ok := Get(guards, "api"); !ok || got != l {
		t.Error("not found")
	}
	if _, ok := Get(guards, "no"); ok {
		t.Error("found what is not there")
	}
	for name, got := range All(guards) {
		if name != "api" || got != l {
			t.Errorf("%s: %v", name, got)
		}
	}
	for range All(nil) {
		t.Error("found in nothing")
	}
	if _, ok := Get(nil, "api"); ok {
		t.Error("found in nothing")
	}
	if _, err := Spawn(guards, "bad", Config{MaxWaiting: -5}); len(configtest.Faulty(err)) != 2 {
		t.Errorf("error %v", err)
	}
	for field, c := range map[string]Config{
		"Mode":      {Rate: MustParse("1/s"), Mode: patterns.Leased(0, 0)},
		"OnFailure": {Rate: MustParse("1/s"), OnFailure: patterns.FailClosed},
		"MaxKeys":   {Rate: MustParse("1/s"), MaxKeys: NoKeys},
		"Rate":      {},
	} {
		if r, err := actors.Ask[any](t.Context(), l.System(), l.PID(), actors.Reconfigure{Config: c}); err != nil || configtest.Faulty(r.(actors.Refused).Err)[0] != field {
			t.Errorf("%s is changed by message: %v, %v", field, r, err)
		}
		if got, ok := errors.AsType[*patterns.ConfigError](l.Reconfigure(t.Context(), c)); !ok || got.Field != field {
			t.Errorf("%s is changed: %v", field, got)
		}
	}
}

func TestGuardedCallsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	guards := actorstest.NewRegistry(t)
	ctx := context.Background()
	fast := Rate{Count: 1_000_000_000, Per: sec}
	for name, c := range map[string]Config{
		"strict": {Rate: fast}, "sharded": {Rate: fast, MaxKeys: 1 << 20}, "leased": {Rate: fast, Mode: patterns.Leased(64, 0)},
		"queueing": {Rate: fast, MaxWaiting: 9}, "no keys": {Rate: fast, MaxKeys: NoKeys},
	} {
		l, err := Spawn(guards, name, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"", "user-123"} {
			if n := testing.AllocsPerRun(500, func() {
				if !l.Allow(key) || !l.AllowN(key, 2) || l.Wait(ctx, key) != nil {
					t.Error("refused")
				}
				p, _ := l.Acquire(ctx)
				p.Report(patterns.Success)
				p, _ = l.AcquireFor(ctx, patterns.Request{Key: key})
				p.Report(patterns.Failure)
				_, _ = l.Take(ctx, key, 1)
				_, _ = l.TakeUpTo(ctx, key, 1)
				_, _ = l.Peek(ctx, key)
			}); n != 0 {
				t.Errorf("%s, %q: %v allocations", name, key, n)
			}
		}
	}
	l, err := Spawn(guards, "slow", Config{Rate: MustParse("1/hour")})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "user-123"} {
		l.Allow(key)
		if n := testing.AllocsPerRun(500, func() {
			if l.Allow(key) {
				t.Error("not refused")
			}
		}); n != 0 {
			t.Errorf("refused, %q: %v allocations", key, n)
		}
	}
}
