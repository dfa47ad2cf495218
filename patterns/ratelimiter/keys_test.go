package ratelimiter

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

func request(key string, n int) *patterns.Request { return &patterns.Request{Key: key, Weight: n} }

// A limiter with keys is as many limiters: sweeps, pages and changes of the rates are
// not to be seen.
func TestKeysAreLimitersOfTheirOwn(t *testing.T) { rapid.Check(t, keysAreLimiters) }

func FuzzKeys(f *testing.F) { f.Fuzz(rapid.MakeFuzz(keysAreLimiters)) }

func keysAreLimiters(t *rapid.T) {
	cfg := drawConfig(t)
	keyed := newTestMachine(with(cfg, func(c *Config) { c.MaxKeys = 50 }))
	twins := map[string]*Machine{"": newTestMachine(alone(cfg))} // no key is there from the start
	now, id := patterns.Instant(0), uint64(0)
	var permits []patterns.PermitID
	owner := map[uint64]*Machine{}
	for range rapid.IntRange(1, 80).Draw(t, "steps") {
		now = now.Add(time.Duration(rapid.Int64Range(-5, 400).Draw(t, "later")) * ms)
		key := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(t, "key")
		twin := twins[key]
		if twin == nil {
			twin = NewMachine(Params{Name: "test", Origin: origin, Now: max(now, keyed.hi), Config: alone(cfg)})
			twins[key] = twin
		}
		keyed.settle(now)
		for _, m := range twins { // as time passes for all keys together
			m.Tick(now)
		}
		switch rapid.IntRange(0, 9).Draw(t, "op") {
		default:
			id++
			r := request(key, rapid.IntRange(1, 3).Draw(t, "n"))
			got, want := keyed.Acquire(now, id, r), twin.Acquire(now, id, r)
			if got.Verdict != want.Verdict {
				t.Fatalf("%q at %d: %v, want %v", key, now, got, want)
			}
			if got.Verdict == patterns.Grant {
				permits = append(permits, patterns.PermitID{Epoch: got.Epoch, ID: id})
				owner[id] = twin
			}
		case 6:
			if len(permits) > 0 {
				p := permits[len(permits)-1]
				permits = permits[:len(permits)-1]
				keyed.Release(now, p)
				owner[p.ID].Release(now, p)
			}
		case 7:
			keyed.Tick(now)
		case 8:
			to := drawConfig(t)
			if to.Algorithm != cfg.Algorithm {
				continue // what is used is only near the same then
			}
			cfg = to
			keyed.Reconfigure(now, with(cfg, func(c *Config) { c.MaxKeys = 50 }))
			for key, m := range twins {
				if key != "" && m.law.Fresh(m.single, int64(m.hi)) {
					delete(twins, key) // as if it had never been
				}
				m.Reconfigure(now, alone(cfg))
			}
		case 9:
			if got, want := keyed.Peek(now, request(key, 1)), twin.Peek(now, request(key, 1)); got != want {
				t.Fatalf("%q at %d: %+v, want %+v", key, now, got, want)
			}
		}
		if err := keyed.Check(); err != nil {
			t.Fatal(err)
		}
	}
}

func alone(c Config) Config { c.MaxKeys = NoKeys; return c }

func drawConfig(t *rapid.T) Config {
	c := Config{Algorithm: Algorithm(rapid.IntRange(0, int(WarmUp)).Draw(t, "algorithm"))}
	rates := make([]Rate, rapid.IntRange(1, 2).Draw(t, "tiers"))
	for i := range rates {
		rates[i] = Rate{
			Count: rapid.Int64Range(1, 5).Draw(t, "count"),
			Per:   time.Duration(rapid.Int64Range(1, 20).Draw(t, "per")) * 100 * ms,
		}
		if c.Algorithm == TokenBucket {
			rates[i].Burst = rapid.Int64Range(1, 5).Draw(t, "burst")
		}
	}
	c.Tiers = Several(rates...)
	if c.Algorithm == WarmUp {
		c.WarmUpFor = 2 * sec
	}
	return c
}

func TestKeysOfAnyLengthAreToldApart(t *testing.T) {
	m := newTestMachine(with(per(1, sec), func(c *Config) { c.MaxKeys = 100 }))
	long := strings.Repeat("x", 1<<20)
	keys := []string{"", "\x00", "a", "a\x00", long, long + "x", long[1:], "x" + long[2:], strings.Repeat("y", maxRecent), strings.Repeat("y", maxRecent+1)}
	seen := map[string]bool{}
	for i, key := range keys {
		want := !seen[key]
		seen[key] = true
		if got := m.Take(0, request(key, 1)).Allowed; got != want {
			t.Errorf("key %d passes: %v", i, got)
		}
		if m.Take(0, request(key, 1)).Allowed {
			t.Errorf("key %d passes twice", i)
		}
	}
}

// A caller may use the bytes of a key again, where it made the string without a copy.
func TestTheLastKeyIsRememberedByItsBytes(t *testing.T) {
	m := newTestMachine(with(per(1, sec), func(c *Config) { c.MaxKeys = 10 }))
	a := m.known().print("alice")
	if b := m.keys.print("alicf"); a == b || m.keys.print("alice") != a || m.keys.print("alic") == a {
		t.Error("two keys are one")
	}
	long := strings.Repeat("x", maxRecent+1)
	for _, key := range []string{"alice", long, "alice", long} { // a long one is not remembered
		m.Take(0, request(key, 1))
	}
	if a := m.Peek(second(1), request("alice", 1)); a.Remaining != 1 || !m.keys.known {
		t.Errorf("%+v, known %v", a, m.keys.known)
	}
	m.Take(second(1), request("alice", 1))
	m.Take(second(1), request(long, 1))
	if m.find("alice").key != m.keys.print("alice") {
		t.Error("a key stands where another does")
	}
}

func TestNobodyGetsAFreshBudgetByFloodingWithKeys(t *testing.T) {
	m := newTestMachine(with(per(3, time.Hour), func(c *Config) { c.MaxKeys = 100 }))
	passed := 0
	for i := range 3 {
		if !m.Take(0, request("victim", 1)).Allowed {
			t.Fatalf("request %d of 3 is refused", i)
		}
	}
	for i := range 100_000 {
		if m.Take(patterns.Instant(i), request(fmt.Sprint("flood", i), 1)).Allowed {
			passed++
		}
	}
	if m.Take(1e5, request("victim", 1)).Allowed {
		t.Error("a key that had used all got more")
	}
	if most := 99*3 + overflowShares*3; passed > most {
		t.Errorf("%d passed, more than %d", passed, most)
	}
	s := m.Snapshot(1e5, patterns.Counts{})
	if s.Keys != 100 || s.MaxKeys != 100 || s.Overflowed != 100_000-99 {
		t.Errorf("%d of %d keys, %d requests of others", s.Keys, s.MaxKeys, s.Overflowed)
	}
	var overflows int
	for e := range m.Drain() {
		if Overflowed(e) {
			overflows++
		}
	}
	if overflows != 1 {
		t.Errorf("%d events in 0.1 ms", overflows)
	}
}

// What a key used while it shared a budget stays used when there is room for it.
func TestAKeyTakesWithItWhatItUsedOfASharedBudget(t *testing.T) {
	m := newTestMachine(with(per(2, sec), func(c *Config) { c.MaxKeys = 1 }))
	m.Take(0, request("first", 1)) // until 0.5s
	if a := m.Take(0, request("second", 2)); !a.Allowed || m.keys.table.Len() != 1 {
		t.Fatalf("%+v with %d keys", a, m.keys.table.Len())
	}
	d := m.Acquire(1, 1, request("second", 1))
	if e, ok := errors.AsType[*LimitError](d.Err); !ok || e.Cause != CauseOverflow {
		t.Errorf("refused with %v", d.Err)
	}
	now := patterns.Instant(500 * ms)
	for range 512 / sweepFullSlots { // each looks at some slots for one that is free
		m.Peek(now, request("second", 1))
	}
	if !m.Take(now, request("second", 1)).Allowed || m.Take(now, request("second", 1)).Allowed {
		t.Error("not one of two came again in half of the time")
	}
	if m.keys.table.Len() != 1 || m.keys.table.Find(m.keys.print("second")) == nil {
		t.Error("there was room, and it was not taken")
	}
}

func TestKeysThatSayNothingAreDroppedInTime(t *testing.T) {
	m := newTestMachine(with(per(10, sec), func(c *Config) { c.MaxKeys = 1 << 20 }))
	for i := range 5000 {
		m.Take(0, request(strconv.Itoa(i), 1))
	}
	start := m.Snapshot(0, patterns.Counts{})
	if start.Keys != 5000 {
		t.Fatalf("%d keys", start.Keys)
	}
	ticks := 0
	for at := m.Wake(); at != patterns.Never; at = m.Wake() {
		m.Tick(at)
		if next := m.Wake(); next <= at {
			t.Fatalf("after Tick(%d), Wake is %d", at, next)
		}
		if ticks++; ticks > 1000 {
			t.Fatal("ticks for ever")
		}
	}
	end := m.Snapshot(0, patterns.Counts{})
	if end.Keys != 0 || end.KeyBytes > start.KeyBytes/4 || m.hi > patterns.Instant(time.Minute) {
		t.Errorf("%d keys, %d bytes of %d after %v", end.Keys, end.KeyBytes, start.KeyBytes, time.Duration(m.hi))
	}
}

// Each page of keys is converted when it is next looked at, from whatever rates it is of.
func TestKeysFollowManyChangesOfTheRates(t *testing.T) {
	m := newTestMachine(with(per(1000, sec), func(c *Config) { c.MaxKeys = 5000 }))
	for i := range 2000 {
		m.Take(0, request(strconv.Itoa(i), 900))
	}
	rates := []Config{per(500, sec), per(1000, sec), {Tiers: Several(Rate{1000, sec, 1000}, Rate{5000, time.Hour, 5000})}, per(1000, sec)}
	for i := range 3 * maxChanges {
		m.Reconfigure(0, with(rates[i%len(rates)], func(c *Config) { c.MaxKeys = 5000 }))
		m.Peek(0, request(strconv.Itoa(i), 1)) // one page follows, the others do not
		if len(m.keys.changes) > maxChanges {
			t.Fatalf("%d changes are remembered", len(m.keys.changes))
		}
	}
	for i := range 2000 {
		if a := m.Peek(0, request(strconv.Itoa(i), 1)); a.Remaining != 100 {
			t.Fatalf("key %d has %d left", i, a.Remaining)
		}
	}
	m.Reconfigure(0, with(per(2000, sec), func(c *Config) { c.MaxKeys = 5000 }))
	for m.keys.tick(m.keys.sweepAt); len(m.keys.changes) > 0; m.keys.tick(m.keys.sweepAt) {
		if m.keys.sweepAt == patterns.Never {
			t.Fatal("sweeping does not make all keys follow")
		}
	}
}

func TestOverridesAreRatesOfOneKey(t *testing.T) {
	m := newTestMachine(with(per(2, sec), func(c *Config) { c.MaxKeys = 1 }))
	m.Take(0, request("vip", 1))
	if err := m.Override(0, "vip", Rate{Count: 100, Per: sec}); err != nil {
		t.Fatal(err)
	}
	if a := m.Peek(0, request("vip", 1)); a.Limit != 100 || a.Remaining != 1 {
		t.Errorf("a new rate gives tokens: %+v", a)
	}
	if a := m.Peek(0, request("other", 1)); a.Limit != 2 || a.Remaining != 2 {
		t.Errorf("other keys have other rates: %+v", a)
	}
	m.Reconfigure(0, with(per(5, sec), func(c *Config) { c.MaxKeys = 1 }))
	if a := m.Peek(10e9, request("vip", 100)); !a.Allowed || a.Rate != (Rate{100, sec, 100}) {
		t.Errorf("a Reconfigure took the rate away: %+v", a)
	}
	m.Take(10e9, request("vip", 99))
	if !m.RemoveOverride(10e9, "vip") || m.RemoveOverride(10e9, "vip") {
		t.Error("removed not once")
	}
	if a := m.Peek(10e9, request("vip", 1)); a.Limit != 5 || a.Remaining != 1 {
		t.Errorf("tokens were not kept: %+v", a)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

func TestOverridesAreBounded(t *testing.T) {
	m := newTestMachine(with(per(2, sec), func(c *Config) { c.MaxKeys = 1 }))
	for i := range maxOverrides {
		if err := m.Override(0, strconv.Itoa(i), Rate{Count: 1, Per: sec}, Rate{Count: 9, Per: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if m.Override(0, "one more", Rate{Count: 1, Per: sec}) == nil {
		t.Error("took one more")
	}
	if err := m.Override(0, "0", Rate{Count: 3, Per: sec}); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"no rate":     m.Override(0, "0"),
		"a bad rate":  m.Override(0, "0", Rate{Count: -1, Per: sec}),
		"too many":    m.Override(0, "0", Rate{1, sec, 1}, Rate{2, sec, 2}, Rate{3, sec, 3}, Rate{4, sec, 4}, Rate{5, sec, 5}),
		"no key":      m.Override(0, "", Rate{Count: 3, Per: sec}),
		"with NoKeys": newTestMachine(alone(per(1, sec))).Override(0, "0", Rate{Count: 3, Per: sec}),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// A million keys that are all in use take less than 200 MB, and whatever their number,
// a key takes less than 61 bytes.
func TestAMillionKeysTakeLittleMemory(t *testing.T) {
	counts := []int{50_000, 115_000}
	if os.Getenv("BULWARK_SOAK") != "" {
		counts = append(counts, 460_000, 920_000, 1_000_000)
	}
	inUse := func() int64 {
		for range 3 { // what pools keep goes at the second
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, n := range counts {
		before := inUse()
		m := newTestMachine(with(per(10, time.Hour), func(c *Config) { c.MaxKeys = 1 << 20 }))
		for i := range n {
			m.Take(patterns.Instant(i), request("user-"+strconv.Itoa(i), 1))
		}
		each := float64(inUse()-before) / float64(n)
		t.Logf("%d keys: %.1f bytes each in use, %.1f said", n, each, float64(m.keys.table.Bytes())/float64(n))
		if m.keys.table.Len() != n || each > 61 {
			t.Errorf("%d keys of %d, %.1f bytes each", m.keys.table.Len(), n, each)
		}
		runtime.KeepAlive(m)
	}
}
