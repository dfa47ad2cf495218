package ratelimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func leased(c Config) Config { c.Mode = patterns.Leased(64, 100*ms); return c }

func TestLeasesShrinkAsTheLimitComesNear(t *testing.T) {
	m := newTestMachine(leased(per(1000, sec)))
	lent := 0
	for _, want := range []int{64, 64, 64, 64, 64, 64, 64, 52, 0} {
		if got := m.Lease(0, 64); got != want {
			t.Fatalf("lent %d, want %d, with %d lent", got, want, lent)
		}
		lent += want
	}
	if lent != 500 {
		t.Errorf("lent %d, not half of the burst", lent)
	}
	m = newTestMachine(leased(per(1000, sec)))
	m.Take(0, request("", 900))
	for _, want := range []int{25, 18, 14} {
		if got := m.Lease(0, 64); got != want {
			t.Fatalf("lent %d, want %d: a quarter of what is left", got, want)
		}
	}
}

func TestWhatIsLentAndUnusedComesBack(t *testing.T) {
	m := newTestMachine(leased(per(100, sec)))
	n := m.Lease(0, 20)
	m.SettleLease(0, 1, patterns.Tally{Unused: n})
	if a := m.Take(0, request("", 100)); !a.Allowed {
		t.Errorf("%+v", a)
	}
	if m.lent.out() != 0 {
		t.Errorf("%d are out", m.lent.out())
	}
}

// While permits are lent the bucket does not fill up to the burst: they may all be spent
// at one instant.
func TestLentPermitsAndTheBucketAreNoMoreThanTheBurst(t *testing.T) {
	m := newTestMachine(leased(per(100, sec)))
	n := m.Lease(0, 20)
	now := patterns.Instant(150 * ms) // 15 tokens have come
	if a := m.Peek(now, request("", 1)); n != 20 || a.Remaining != 80 {
		t.Errorf("%d lent, %d in the bucket", n, a.Remaining)
	}
	m.SettleLease(now, 1, patterns.Tally{Unused: 5})
	if a := m.Peek(now, request("", 1)); a.Remaining != 85 {
		t.Errorf("%d in the bucket after 5 came back", a.Remaining)
	}
}

// What was not given back in time has been spent.
func TestLentPermitsAreSpentAfterTwiceTheirTime(t *testing.T) {
	m := newTestMachine(leased(per(100, sec)))
	m.Lease(0, 20)
	if m.Tick(patterns.Instant(199 * ms)); m.lent.out() != 20 {
		t.Errorf("%d are out before", m.lent.out())
	}
	now := patterns.Instant(600 * ms)
	m.Tick(now - 1)
	if m.Tick(now); m.lent.out() != 0 {
		t.Errorf("%d are out after", m.lent.out())
	}
	m.Take(now, request("", 80))
	left := m.Peek(now, request("", 1)).Remaining
	m.SettleLease(now, 1, patterns.Tally{Unused: 20})
	if got := m.Peek(now, request("", 1)).Remaining; got != left {
		t.Errorf("%d in the bucket, was %d: it had filled up meanwhile", got, left)
	}
}

func TestLentPermitsCountForTwiceTheirTimeAtLeast(t *testing.T) {
	m := newTestMachine(leased(per(100, sec)))
	m.Lease(0, 10)
	m.Lease(patterns.Instant(150*ms), 10)
	for _, at := range []time.Duration{250, 349, 399} {
		if m.Tick(patterns.Instant(at * ms)); m.lent.out() != 20 {
			t.Errorf("%d are out after %d ms", m.lent.out(), at)
		}
	}
}

func TestOnlyTokenBucketsLend(t *testing.T) {
	for name, c := range map[string]Config{
		"strict":         per(100, sec),
		"sliding window": with(leased(per(100, sec)), func(c *Config) { c.Algorithm = SlidingWindow }),
		"smooth":         with(leased(per(100, sec)), func(c *Config) { c.Algorithm = Smooth }),
		"a small burst":  leased(Config{Rate: Rate{100, sec, 3}}),
		"a small tier":   leased(Config{Tiers: Several(Rate{1000, sec, 1000}, Rate{100, sec, 1})}),
	} {
		m := newTestMachine(c)
		if got := m.Lease(0, 64); got != 0 {
			t.Errorf("%s lends %d", name, got)
		}
		m.SettleLease(0, 1, patterns.Tally{Success: 1, Unused: 1})
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLeasesInForcedStates(t *testing.T) {
	for kind, want := range map[patterns.OperationKind]int{patterns.ForceOpen: 0, patterns.ForceClosed: 64, patterns.MetricsOnly: 0} {
		m := newTestMachine(leased(per(100, sec)))
		m.Lease(0, 10)
		if err := m.Operate(0, patterns.Operation{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		if got := m.Lease(0, 64); got != want {
			t.Errorf("%v: lent %d, want %d", kind, got, want)
		}
		if counted, _ := m.SettleLease(0, 1, patterns.Tally{Unused: 10}); counted {
			t.Errorf("%v: counted a lease of an older epoch", kind)
		}
		if counted, _ := m.SettleLease(0, 2, patterns.Tally{Success: 1}); !counted {
			t.Errorf("%v: did not count a lease", kind)
		}
	}
}

func TestLeasesSurviveAReconfigure(t *testing.T) {
	m := newTestMachine(leased(per(100, sec)))
	m.Lease(0, 20)
	m.Reconfigure(0, leased(per(50, sec)))
	if a := m.Peek(second(10), request("", 1)); m.lent.out() != 0 || a.Remaining != 50 {
		t.Errorf("%d are out, %d left", m.lent.out(), a.Remaining)
	}
	m.Lease(second(10), 12)
	m.Reconfigure(second(10), with(per(50, sec), func(c *Config) { c.Algorithm = FixedWindow }))
	if a := m.Peek(second(10), request("", 1)); m.lent.out() != 0 || a.Remaining != 38 || m.Lease(second(10), 1) != 0 {
		t.Errorf("%d are out, %d left", m.lent.out(), a.Remaining)
	}
}

func second(n int) patterns.Instant { return patterns.Instant(n) * patterns.Instant(sec) }

// What is lent runs out at its time, and the bucket fills up from then on, however late
// somebody looks.
func TestLeasesRunOutAtTheirTimeHoweverLateSomebodyLooks(t *testing.T) {
	for _, at := range []time.Duration{150, 200, 250, 399, 401, 420, 450, 700} {
		watched, late := newTestMachine(leased(per(100, sec))), newTestMachine(leased(per(100, sec)))
		for _, m := range []*Machine{watched, late} {
			m.Lease(0, 20)
		}
		for now := range at {
			watched.Tick(patterns.Instant(now * ms))
		}
		now := patterns.Instant(at * ms)
		want, got := watched.Peek(now, request("", 1)).Remaining, late.Peek(now, request("", 1)).Remaining
		if got != want {
			t.Errorf("after %d ms %d are left, and %d if nobody looked before", at, want, got)
		}
	}
}
