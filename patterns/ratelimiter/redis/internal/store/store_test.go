package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/internal/redistest"
)

func TestThoseWhoAskFirstAreServedFirst(t *testing.T) {
	s, _ := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 5))
	var checks []Check
	for _, weight := range []int64{1, 1, 2, 3, 1, 1} {
		checks = append(checks, Check{Key: "k", Law: law, Weight: weight})
	}
	var got []int64
	for _, a := range s.run(t, checks...) {
		got = append(got, a.Taken)
	}
	if want := []int64{1, 1, 2, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("5 tokens were given as %v, want %v", got, want)
	}
}

func TestAWaitIsExact(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		s, c := newTimed(t, a)
		check := Check{Key: "k", Law: s.mustLaw(t, per(3, time.Second, 3)), Weight: 3}
		s.run(t, check)
		wait := s.run(t, check)[0].RetryAfter
		if wait != time.Second {
			t.Fatalf("algorithm %d: have to wait %v, want 1s", a, wait)
		}
		c.now += wait.Microseconds() - 1
		if got := s.run(t, check)[0]; got.Taken != 0 || got.RetryAfter != time.Microsecond {
			t.Errorf("algorithm %d: 1µs early: %+v", a, got)
		}
		c.now++
		if got := s.run(t, check)[0]; got.Taken != 3 {
			t.Errorf("algorithm %d: in time: %+v", a, got)
		}
	}
}

func TestWhatNeverPassesSaysSo(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		s, _ := newTimed(t, a)
		law := s.mustLaw(t, per(10, time.Second, 10), per(4, time.Minute, 4))
		got := s.run(t, Check{Key: "k", Law: law, Weight: 5})[0]
		if got.RetryAfter != -1 || got.Tier != 1 || got.Limit != 4 || got.Remaining != 4 {
			t.Errorf("algorithm %d: 5 of 4: %+v", a, got)
		}
	}
}

func TestWhatIsRefusedDoesNotCount(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		s, c := newTimed(t, a)
		law := s.mustLaw(t, per(2, time.Second, 2), per(100, time.Minute, 100))
		check := Check{Key: "k", Law: law, Weight: 1}
		s.run(t, check, check)
		for range 50 {
			c.now += 1000
			s.run(t, check, check)
		}
		c.now += 1_000_000
		a1 := s.run(t, Check{Key: "k", Law: law, Kind: Peek, Weight: 2})[0]
		if a1.RetryAfter != 0 || a1.Tier != 0 || a1.Remaining != 2 {
			t.Errorf("algorithm %d: after a second: %+v", a, a1)
		}
	}
}

// A clock that is put back takes away at most what a full bucket or a full window is.
func TestAClockThatIsPutBack(t *testing.T) {
	for _, test := range []struct {
		name string
		a    Algorithm
		by   time.Duration
		wait time.Duration // for one, with none left
	}{
		{"a little, and a bucket waits that much longer, but not longer than for the first token", TokenBucket, time.Second, 100 * time.Millisecond},
		{"by a year, and a bucket is empty", TokenBucket, 365 * 24 * time.Hour, 100 * time.Millisecond},
		{"a little, and a log waits that much longer", SlidingLog, 300 * time.Millisecond, 1300 * time.Millisecond},
		{"by a year, and a log was filled just now", SlidingLog, 365 * 24 * time.Hour, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c := newTimed(t, test.a)
			check := Check{Key: "k", Law: s.mustLaw(t, per(10, time.Second, 10)), Weight: 1}
			full := check
			full.Weight = 10
			s.run(t, full)
			c.now -= test.by.Microseconds()
			got := s.run(t, check)[0]
			if got.Taken != 0 || got.RetryAfter != test.wait {
				t.Fatalf("got %+v, want to wait %v", got, test.wait)
			}
			c.now += test.wait.Microseconds()
			if got := s.run(t, check)[0]; got.Taken != 1 {
				t.Errorf("after that: %+v", got)
			}
			if full.Kind = Peek; s.run(t, full)[0].RetryAfter > time.Second+test.wait {
				t.Errorf("full again only after %v", s.run(t, full)[0].RetryAfter)
			}
		})
	}
}

func TestEveryKeyExpires(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		client := servers.Client(t)
		s := newStore(t, client, a)
		for name, law := range map[string]*Law{
			"short": s.mustLaw(t, per(100, 10*time.Millisecond, 100)),
			"long":  s.mustLaw(t, per(100, time.Hour, 100)),
			"both":  s.mustLaw(t, per(100, time.Second, 100), per(100, time.Hour, 100)),
		} {
			for i := range 30 {
				check := Check{Key: name, Law: law, Kind: Kind(i % 3), Weight: int64(i%4 + 1)}
				reset := s.run(t, check)[0].ResetAfter
				ttl := client.PTTL(t.Context(), s.Name(name)).Val()
				if least := reset - 5*time.Millisecond; ttl < least && ttl > 0 {
					t.Fatalf("algorithm %d, %s: forgotten after %v, but full only after %v", a, name, ttl, reset)
				}
				if ttl == -1 || ttl > 2*time.Hour+3*time.Second {
					t.Fatalf("algorithm %d, %s: kept for %v", a, name, ttl)
				}
			}
		}
	}
}

func TestALogThatIsUsedLivesOn(t *testing.T) {
	client := servers.Client(t)
	s := newStore(t, client, SlidingLog)
	check := Check{Key: "k", Law: s.mustLaw(t, per(100, time.Hour, 100)), Weight: 1}
	s.run(t, check)
	must(t, client.PExpire(t.Context(), s.Name("k"), 30*time.Minute).Err())
	s.run(t, check)
	if ttl := client.PTTL(t.Context(), s.Name("k")).Val(); ttl < time.Hour {
		t.Errorf("forgotten after %v", ttl)
	}
}

func TestALogWhoseClockIsPutBack(t *testing.T) {
	for _, tt := range []struct {
		name       string
		back, want time.Duration // how far before the first permit the clock, and the second one, is
	}{
		{"by less than a window: time stands still until it is reached again", 30 * time.Minute, 0},
		{"by a window: the same", time.Hour, 0},
		{"by more: all is as if it had been taken now", time.Hour + time.Microsecond, time.Hour + time.Microsecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := servers.Client(t)
			s, c := newTimed(t, SlidingLog)
			check := Check{Key: "k", Law: s.mustLaw(t, per(3, time.Hour, 3)), Weight: 1}
			s.run(t, check)
			c.now -= tt.back.Microseconds()
			if a := s.run(t, check)[0]; a.Taken != 1 || a.Remaining != 1 {
				t.Errorf("%d taken and %d left, want 1 and 1", a.Taken, a.Remaining)
			}
			log, err := client.ZRangeWithScores(t.Context(), s.Name("k"), 0, -1).Result()
			if must(t, err); len(log) != 2 {
				t.Fatalf("%d permits in the log", len(log))
			}
			for i, permit := range log {
				if want := float64(today - tt.want.Microseconds()); permit.Score != want {
					t.Errorf("permit %d is of %.0f, want %.0f", i, permit.Score, want)
				}
			}
		})
	}
}

func TestABucketThatIsUsedLivesOn(t *testing.T) {
	client := servers.Client(t)
	s, c := newTimed(t, TokenBucket)
	check := Check{Key: "k", Law: s.mustLaw(t, per(100, time.Hour, 100)), Weight: 1}
	s.run(t, check)
	must(t, client.PExpire(t.Context(), s.Name("k"), 30*time.Minute).Err())
	c.now += 73_000_000 // beyond the time for which it was kept
	s.run(t, check)
	if ttl := client.PTTL(t.Context(), s.Name("k")).Val(); ttl < time.Hour {
		t.Errorf("forgotten after %v", ttl)
	}
}

// Where a proxy hides a Cluster, no call has keys of several slots.
func TestOneSlotPerCallForProxies(t *testing.T) {
	s, err := New(servers.Client(t), Config{Prefix: newStore(t, servers.Client(t), TokenBucket).config.Prefix, OneSlot: true})
	must(t, err)
	law := s.mustLaw(t, per(10, time.Hour, 10))
	var checks []Check
	for i := range 300 {
		checks = append(checks, Check{Key: strconv.Itoa(i % 100), Law: law, Weight: 1})
	}
	for i, a := range s.run(t, checks...) {
		if want := int64(9 - i/100); a.Remaining != want {
			t.Fatalf("check %d: %d left, want %d", i, a.Remaining, want)
		}
	}
	p := &plan{last: make(map[string]int32)}
	p.make(s, checks, make([]Answer, len(checks)))
	if len(p.calls) < 90 {
		t.Errorf("100 keys were asked in %d calls", len(p.calls))
	}
	for _, c := range p.calls {
		for _, e := range p.entries[c.from:c.to] {
			if e.slot != p.entries[c.from].slot {
				t.Errorf("slots %d and %d in one call", e.slot, p.entries[c.from].slot)
			}
		}
	}
}

func TestNothingIsKeptOfARefusalOrAPeek(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		client := servers.Client(t)
		s := newStore(t, client, a)
		law := s.mustLaw(t, per(10, time.Hour, 10))
		s.run(t, Check{Key: "k", Law: law, Weight: 11}, Check{Key: "k", Law: law, Kind: Peek, Weight: 1}, Check{Key: "k", Law: law, Weight: 0})
		if n := client.Exists(t.Context(), s.Name("k")).Val(); n != 0 {
			t.Errorf("algorithm %d: something is kept", a)
		}
	}
}

// One key in trouble is nobody else's.
func TestAKeyThatIsNotOursSpoilsNoOther(t *testing.T) {
	client := servers.Client(t)
	for _, test := range []struct {
		name, want string
		a          Algorithm
		put        func(name string) error
	}{
		{"a list", "another type", TokenBucket, func(k string) error { return client.LPush(t.Context(), k, "x").Err() }},
		{"a word", "none of this limiter", TokenBucket, func(k string) error { return client.Set(t.Context(), k, "word", 0).Err() }},
		{"nothing", "none of this limiter", TokenBucket, func(k string) error { return client.Set(t.Context(), k, "", 0).Err() }},
		{"noise of the right length", "none of this limiter", TokenBucket, func(k string) error {
			return client.Set(t.Context(), k, strings.Repeat("\xfe", 44), 0).Err()
		}},
		{"zeros of the right length", "none of this limiter", TokenBucket, func(k string) error {
			return client.Set(t.Context(), k, strings.Repeat("\x00", 44), 0).Err()
		}},
		{"a string", "another type", SlidingLog, func(k string) error { return client.Set(t.Context(), k, "x", 0).Err() }},
		{"a ranking", "none of this limiter", SlidingLog, func(k string) error {
			return client.ZAdd(t.Context(), k, redis.Z{Score: 3, Member: "somebody"}).Err()
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, client, test.a)
			law := s.mustLaw(t, per(10, time.Hour, 10))
			if err := test.put(s.Name("b")); err != nil {
				t.Fatal(err)
			}
			before := client.Dump(t.Context(), s.Name("b")).Val()
			checks := []Check{{Key: "a", Law: law, Weight: 1}, {Key: "b", Law: law, Weight: 1}, {Key: "c", Law: law, Weight: 1}, {Key: "b", Law: law, Kind: Peek}}
			answers := make([]Answer, len(checks))
			if err := s.Run(t.Context(), checks, answers); err != nil {
				t.Errorf("the server answered, but Run says %v", err)
			}
			for i, c := range checks {
				if c.Key != "b" {
					if answers[i].Err != nil || answers[i].Taken != 1 {
						t.Errorf("%s: %+v", c.Key, answers[i])
					}
					continue
				}
				bad, ok := errors.AsType[*KeyError](answers[i].Err)
				if !ok || bad.Key != s.Name("b") || !strings.Contains(bad.Problem, test.want) {
					t.Errorf("the key of another: %v", answers[i].Err)
				}
			}
			if client.Dump(t.Context(), s.Name("b")).Val() != before {
				t.Error("it was changed")
			}
		})
	}
}

func TestWhatCannotBeAskedIsNotAsked(t *testing.T) {
	s, other := newStore(t, servers.Client(t), TokenBucket), newStore(t, servers.Client(t), SlidingLog)
	law := s.mustLaw(t, per(10, time.Hour, 10))
	for want, check := range map[string]Check{
		"no law":            {Key: "k"},
		"another algorithm": {Key: "k", Law: other.mustLaw(t, per(1, time.Second, 1))},
		"no kind":           {Key: "k", Law: law, Kind: 9},
		"negative":          {Key: "k", Law: law, Weight: -1},
		"the server's":      {Key: "k", Law: law, Kind: Return, Since: -1},
	} {
		checks := []Check{{Key: "k", Law: law, Weight: 1}, check}
		answers := make([]Answer, 2)
		if err := s.Run(t.Context(), checks, answers); err != nil {
			t.Error(err)
		}
		if answers[0].Taken != 1 {
			t.Errorf("%s: the other one: %+v", want, answers[0])
		}
		if bad, ok := errors.AsType[*ArgumentError](answers[1].Err); !ok || !strings.Contains(bad.Problem, want) {
			t.Errorf("got %v, want something of %q", answers[1].Err, want)
		}
	}
	if err := s.Run(t.Context(), make([]Check, 2), make([]Answer, 1)); err == nil {
		t.Error("there was no room for an answer, and nobody minded")
	}
	if err := s.Run(t.Context(), nil, nil); err != nil {
		t.Errorf("nothing asked: %v", err)
	}
}

func TestStoresThatCannotBe(t *testing.T) {
	client := servers.Client(t)
	for _, c := range []Config{{Prefix: "a{b"}, {Prefix: strings.Repeat("x", 65)}, {Algorithm: 2}} {
		if _, err := New(client, c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	if _, err := New(nil, Config{}); err == nil {
		t.Error("there was no client")
	}
}

// More than one call's worth is asked in several, and in order.
func TestManyChecksGoInSeveralCalls(t *testing.T) {
	clients := map[string]redis.UniversalClient{
		"single":  servers.Client(t),
		"cluster": clusterClient(t),
		"ring": redis.NewRing(&redis.RingOptions{Addrs: map[string]string{
			"a": redistest.Start(t).Addr(), "b": redistest.Start(t).Addr(),
		}, HeartbeatFrequency: time.Hour}),
	}
	t.Cleanup(func() { _ = clients["ring"].Close() })
	for name, client := range clients {
		for _, a := range []Algorithm{TokenBucket, SlidingLog} {
			s := newStore(t, client, a)
			law := s.mustLaw(t, per(20, time.Hour, 20), per(10, 2*time.Hour, 10))
			var checks []Check
			for i := range 6000 {
				checks = append(checks, Check{Key: strconv.Itoa(i % 400), Law: law, Kind: Kind(i / 400 % 2), Weight: 1})
			}
			taken := make(map[string]int64)
			for i, got := range s.run(t, checks...) {
				if taken[checks[i].Key] += got.Taken; got.Taken == 1 && i >= 4000 || got.Taken == 0 && i < 4000 {
					t.Fatalf("%s, algorithm %d: check %d: %+v", name, a, i, got)
				}
			}
			if len(taken) != 400 || taken["399"] != 10 {
				t.Errorf("%s, algorithm %d: %d keys, the last got %d", name, a, len(taken), taken["399"])
			}
		}
	}
}

// No call keeps the server long: a key that is asked thousands of different things is
// asked in several.
func TestManyRunsOfOneKeyAreDivided(t *testing.T) {
	s := newStore(t, servers.Client(t), TokenBucket)
	law := s.mustLaw(t, per(1_000_000, time.Hour, 1_000_000))
	var checks []Check
	for i := range 5000 {
		checks = append(checks, Check{Key: "k", Law: law, Weight: int64(i%2 + 1)})
	}
	var taken int64
	for i, a := range s.run(t, checks...) {
		if taken += a.Taken; a.Remaining > 1_000_000-taken+2000 || a.Taken != checks[i].Weight {
			t.Fatalf("check %d: %+v", i, a)
		}
	}
	p := &plan{last: make(map[string]int32)}
	p.make(s, checks, make([]Answer, len(checks)))
	for _, c := range p.calls {
		var runs int32
		for _, e := range p.entries[c.from:c.to] {
			runs += e.runs
		}
		if runs > maxRuns {
			t.Errorf("a call has %d runs", runs)
		}
	}
}

// What all get together is what one would get, to the permit, and by the server's clock.
func TestTogetherTheyGetWhatOneWould(t *testing.T) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		t.Run(fmt.Sprint(a), func(t *testing.T) {
			const callers, rate = 8, 2000
			period, burst := time.Second, int64(100)
			if a == SlidingLog {
				period, burst = 100*time.Millisecond, 200
			}
			var all sync.WaitGroup
			found := make([][]Answer, callers)
			first := newStore(t, servers.Client(t), a)
			law := first.mustLaw(t, per(rate*period.Milliseconds()/1000, period, burst))
			for i := range callers {
				s, err := New(servers.Client(t), first.config)
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() {
					checks, answers := slices.Repeat([]Check{{Key: "k", Law: law, Weight: 1}}, 16), make([]Answer, 16)
					for range 150 {
						if err := s.Run(t.Context(), checks, answers); err != nil {
							t.Error(err)
							return
						}
						found[i] = append(found[i], answers...)
					}
				})
			}
			all.Wait()
			answers := slices.Concat(found...)
			slices.SortFunc(answers, func(a, b Answer) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Taken, a.Taken)) })
			one := twin(buckets{})
			if a == SlidingLog {
				one = logs{}
			}
			var passed int64
			for i, got := range answers {
				want := one.decide(got.At, &Check{Key: "k", Law: law, Weight: 1})
				if got.Taken != want.Taken {
					t.Fatalf("answer %d of %d, %dµs after the first: %+v, and one would get %+v", i, len(answers), got.At-answers[0].At, got, want)
				}
				passed += got.Taken
			}
			t.Logf("%d passed in %v", passed, micros(answers[len(answers)-1].At-answers[0].At))
		})
	}
}

func clusterClient(t testing.TB) *redis.ClusterClient {
	t.Helper()
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: servers.Cluster(t).Addrs()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}
