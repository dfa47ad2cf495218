package redislimiter

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Whatever is asked, what is known of it has a bound.

func TestSoManyKeysOweSomethingAndNoMore(t *testing.T) {
	h := newHost(t, 8, Config{Failures: 1})
	h.ask("", 1)
	h.depart()
	h.comeBack(failed, false)
	for i := range maxOwed + 5 {
		h.m.without(&patterns.Request{Key: strconv.Itoa(i), Weight: 2})
	}
	h.m.without(&patterns.Request{Key: "1", Weight: 3}) // is known
	s := h.m.Snapshot(h.now, patterns.Counts{})
	if s.Owing != maxOwed || s.NotCharged != 12 { // the first was of no key
		t.Errorf("%d keys owe something, and %d permits are not charged", s.Owing, s.NotCharged)
	}
	if n, _ := h.m.outage.owed.of("1"); n != 5 {
		t.Errorf("a key that is known owes %d, want 5", n)
	}
	h.m.without(&patterns.Request{Key: "1", Weight: 7})
	if n, _ := h.m.outage.owed.of("1"); n != 8 || h.m.sums.NotCharged != 12+4 {
		t.Errorf("a key owes %d, and there can be 8; %d are not charged", n, h.m.sums.NotCharged)
	}
}

func TestSoMuchWaitsToBeGivenBackAndNoMore(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	for i := range maxBack {
		if !m.putBack(charge{key: "a", n: 1}) {
			t.Fatalf("%d wait, and no more may", i)
		}
	}
	if m.putBack(charge{key: "a", n: 3}) || len(m.back) != maxBack || m.sums.NotReturned != 3 {
		t.Errorf("%d wait, and %d are lost", len(m.back), m.sums.NotReturned)
	}
}

func TestSoManyKeysHaveRatesOfTheirOwnAndNoMore(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	override := func(key string) error {
		return m.Consult(1, ratelimiter.Override{Key: key, Rate: ratelimiter.Rate{Count: 1, Per: time.Second}}).Err
	}
	for i := range maxOverrides {
		if err := override(strconv.Itoa(i)); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
	if err := override("one more"); err == nil || len(m.overrides) != maxOverrides {
		t.Errorf("%v, and %d have some", err, len(m.overrides))
	}
	if err := override("1"); err != nil {
		t.Errorf("one that has some already: %v", err)
	}
}

func TestSoManyKeysHaveALeaseAndNoMore(t *testing.T) {
	m := newHost(t, 80, Config{LeaseFor: time.Second}).m
	for i := range maxStocks + 5 {
		m.demand(strconv.Itoa(i), 1)
	}
	if m.stocks.len() != maxStocks {
		t.Errorf("%d have one", m.stocks.len())
	}
}

func TestSoManyBatchesAreKeptAndNoMore(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	for range 3 * maxSpare {
		m.reuse(&batch{})
	}
	if len(m.spare) != maxSpare {
		t.Errorf("%d are kept", len(m.spare))
	}
}

func TestSoManyWaitOfAllKeysAndNoMore(t *testing.T) {
	m := newHost(t, 8, Config{MaxWaiting: 10}).m
	r := &patterns.Request{Key: "a", Weight: 1}
	if _, _, err := m.Join(1, r, patterns.Queue{Total: maxWaitingKeys - 1}); err != nil {
		t.Error(err)
	}
	if _, _, err := m.Join(1, r, patterns.Queue{Total: maxWaitingKeys}); causeOf(err) != ratelimiter.CauseQueue {
		t.Error(err)
	}
	if _, _, err := m.Join(1, r, patterns.Queue{Waiting: 10, Total: 10}); causeOf(err) != ratelimiter.CauseQueue {
		t.Error(err)
	}
}

// When an outage begins, what all instances together let pass is at most one burst more, in
// parts, and what has come since.
func TestLocallyABurstMayPassOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const burst, instances = 12, 3
		s := newShelf(burst)
		var all [instances]*Limiter
		for i := range all {
			all[i] = spawnOn(t, actorstest.NewRegistry(t), s, Config{
				Rate: ratelimiter.Rate{Count: burst, Per: 12 * time.Second}, OnOutage: Local, Instances: instances, Failures: 1, RetryEvery: time.Hour,
			})
		}
		hammer := func() (passed int) {
			for range 10 * burst {
				for _, l := range all {
					if l.Allow("ann") {
						passed++
					}
				}
			}
			return passed
		}
		if got := hammer(); got != burst {
			t.Fatalf("%d passed, want %d", got, burst)
		}
		s.set(func(s *shelf) { s.fault = func(int) error { return errUnreachable } })
		if got := hammer(); got != burst {
			t.Errorf("%d passed as the outage began, want %d: a burst in parts", got, burst)
		}
		time.Sleep(3 * time.Second)
		if got := hammer(); got != 3 {
			t.Errorf("%d passed in the 3 s after, want 3", got)
		}
	})
}
