package redislimiter

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// What Redis granted to one who is refused by an operator meanwhile is given back.
func TestWhatWasTakenForOneWhoIsRefusedIsGivenBack(t *testing.T) {
	h := newHost(t, 8, Config{})
	c := h.ask("a", 3)
	h.depart()
	if err := h.m.Operate(h.now, patterns.Operation{Kind: patterns.ForceOpen}); err != nil {
		t.Fatal(err)
	}
	h.comeBack(answered, false)
	if h.settle(); c.err == nil || h.shelf.used("a") != 0 {
		t.Errorf("%v, and %d are used", c.err, h.shelf.used("a"))
	}
}

// A call that failed may still be under way, and write to its batch.
func TestABatchThatFailedIsNotUsedAgain(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	if m.reuse(&batch{failed: errUnreachable}); len(m.spare) != 0 {
		t.Error("it is kept")
	}
	if m.reuse(&batch{untold: 1}); len(m.spare) != 0 {
		t.Error("one of which somebody is still to be told is kept")
	}
}

// holding returns a Machine that holds a lease of a key, of 5.
func holding(t *testing.T) (*Machine, *stock) {
	t.Helper()
	m := newHost(t, 80, Config{LeaseFor: time.Second}).m
	m.demand("a", 4)
	s := m.stocks.of("a")
	m.leaseArrived(&batch{sent: m.hi}, "a", &store.Answer{Taken: 5})
	if s.tokens != 5 || s.until != m.hi.Add(time.Second) {
		t.Fatalf("%+v", s)
	}
	return m, s
}

func TestALeaseThatIsOverIsGivenBackThoughItsKeyIsInUse(t *testing.T) {
	m, s := holding(t)
	s.used = 1
	m.Tick(s.until)
	if s.tokens != 0 || len(m.back) != 1 || m.back[0].n != 5 || m.stocks.of("a") != s {
		t.Errorf("%+v; given back: %+v", s, m.back)
	}
}

func TestALeaseThatComesForAKeyWithRatesOfItsOwnIsGivenBack(t *testing.T) {
	m, s := holding(t)
	if c := m.Consult(m.hi, ratelimiter.Override{Key: "a", Rate: ratelimiter.Rate{Count: 1, Per: time.Hour}}); c.Err != nil {
		t.Fatal(c.Err)
	}
	until := s.until
	m.leaseArrived(&batch{sent: m.hi.Add(time.Second / 2)}, "a", &store.Answer{Taken: 7})
	if s.used = 1; s.until != until { // it is no reason to hold what is there for longer
		t.Errorf("held until %d, want %d", s.until, until)
	}
	if m.Tick(until); s.tokens != 0 || len(m.back) != 1 || m.back[0].n != 12 {
		t.Errorf("%+v; given back: %+v", s, m.back)
	}
}
