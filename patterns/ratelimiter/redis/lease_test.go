package redislimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// leasing is a host whose Machine has a lease of ann's, for a second from when it was sent for.
func leasing(t *testing.T, c Config) *host {
	t.Helper()
	c.LeaseFor = time.Second
	h := newHost(t, 1000, c)
	for range 4 {
		for range 200 {
			h.ask("ann", 1)
		}
		h.depart()
		h.comeBack(answered, false)
	}
	if h.m.held() == 0 {
		t.Fatal("there is no lease")
	}
	h.queue = nil
	return h
}

func TestALeaseIsAFairPartOfTheBurst(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		most int64
	}{
		"alone":          {Config{}, 500},
		"one of four":    {Config{Instances: 4}, 125},
		"by MaxLease":    {Config{MaxLease: 20}, 20},
		"a high ceiling": {Config{MaxLease: 900, Instances: 4}, 125},
	} {
		if h := leasing(t, tt.cfg); h.m.held() > tt.most || h.m.mostLeased() != tt.most {
			t.Errorf("%s: %d are held, at most %d; want %d", name, h.m.held(), h.m.mostLeased(), tt.most)
		}
	}
}

func TestALeaseEndsByTimeAlsoIfNobodyTicks(t *testing.T) {
	h := leasing(t, Config{})
	if c := h.ask("ann", 1); !c.told || c.err != nil {
		t.Fatalf("a lease serves: %v", c.err)
	}
	h.now = h.now.Add(time.Second)
	if c := h.ask("ann", 1); c.told {
		t.Errorf("one that is over serves: %v", c.err)
	}
}

// What a lease lasts is counted from when it was sent for: its permits are as old.
func TestALeaseThatIsLongOnTheWayIsShorter(t *testing.T) {
	h := leasing(t, Config{})
	h.shelf.set(func(s *shelf) { clear(s.taken) })
	for h.ask("ann", 1).told { // until it is used up
	}
	h.depart()
	sent := h.now
	h.now = h.now.Add(500 * time.Millisecond)
	h.comeBack(answered, false)
	if s := h.m.stocks.of("ann"); s == nil || s.until > sent.Add(time.Second) {
		t.Errorf("it ends later than a second after %d: %+v", sent, s)
	}
}

func TestAKeyWithRatesOfItsOwnIsNotServedByALease(t *testing.T) {
	h := leasing(t, Config{})
	h.consult(ratelimiter.Override{Key: "ann", Rate: ratelimiter.Rate{Count: 10, Per: 300 * 24 * time.Hour}})
	if c := h.ask("ann", 1); c.told {
		t.Errorf("a lease of other rates serves: %v", c.err)
	}
}

// Whoever carries a call that is late may still write its answers.
func TestACallThatIsLateIsNotUsedAgain(t *testing.T) {
	h := newHost(t, 10, Config{Failures: 9})
	h.ask("ann", 1)
	h.depart()
	late := h.flying.errand
	h.comeBack(vanished, false)
	for range 3 {
		h.ask("ann", 1)
		h.depart()
		if h.flying.errand == late {
			t.Fatal("it is")
		}
		h.comeBack(answered, false)
	}
}
