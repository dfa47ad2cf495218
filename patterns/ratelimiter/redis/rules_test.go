package redislimiter

import (
	"context"
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

func TestRedisIsGivenUpAfterTwoHungCallsInARow(t *testing.T) {
	m := newHost(t, 8, Config{Failures: 100}).m
	call := func(err error) (down bool) {
		b := &batch{sent: m.hi, failed: err}
		m.outage.enter(m.hi, b)
		m.judge(b, err)
		return m.outage.down
	}
	for i, err := range []error{context.DeadlineExceeded, nil, context.DeadlineExceeded, errUnreachable, context.DeadlineExceeded} {
		if call(err) {
			t.Fatalf("given up after call %d", i)
		}
	}
	if !call(context.DeadlineExceeded) {
		t.Error("not given up after two in a row")
	}
}

// A server that will not keep the limit as things are configured would not tomorrow either.
func TestACancellationThatIsMisconfiguredIsNotTriedAgain(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	check := store.Check{Kind: store.Cancel, Key: "a", Weight: 3, Booking: &store.Booking{}}
	if _, ok := m.missCancel(&check, errAuth); ok || len(m.back) != 0 || m.sums.NotReturned != 3 {
		t.Errorf("%t; to be given back: %+v; lost: %d", ok, m.back, m.sums.NotReturned)
	}
}

func TestAReservationIsWorthSomethingUntilItsTimeIsOver(t *testing.T) {
	s := newReservations()
	v := ratelimiter.Reservation{Key: "a", ID: s.put(5, reservation{charge: charge{key: "a", n: 1}, gone: 9})}
	if _, ok := s.find(8, v); !ok {
		t.Error("it is forgotten before")
	}
	if _, ok := s.find(9, v); ok {
		t.Error("it is known when there is nothing left to give back")
	}
}

func TestWhatCannotBeBookedThoughThereIsTimeIsTooMuch(t *testing.T) {
	m := newHost(t, 8, Config{}).m
	check := store.Check{Kind: store.Reserve, Key: "a", Weight: 1, Law: m.law.law}
	c := m.reserved(ratelimiter.Reserve{Key: "a", Within: time.Second}, &check, store.Answer{RetryAfter: time.Second})
	if causeOf(c.Err) != ratelimiter.CauseQueue {
		t.Errorf("%v, want that so many are booked", c.Err)
	}
}

func TestAReservationOfThisInstanceIsForgottenOnceItIsCancelled(t *testing.T) {
	m := newHost(t, 8, Config{OnOutage: Local}).m
	m.outage.down = true
	for range 9 { // the burst, and one to come
		m.Consult(m.hi, ratelimiter.Reserve{Key: "a"})
	}
	known := len(m.reservations.of)
	c := m.Consult(m.hi, ratelimiter.Reserve{Key: "a"})
	v, ok := c.Answer.(ratelimiter.Reservation)
	if !ok || len(m.reservations.of) != known+1 {
		t.Fatalf("%+v; %d known, want %d", c, len(m.reservations.of), known+1)
	}
	c = m.Consult(m.hi, ratelimiter.CancelReservation{Reservation: v})
	if c.Answer != (ratelimiter.Cancelled{Refunded: true}) || len(m.reservations.of) != known {
		t.Errorf("%+v; %d known, want %d", c, len(m.reservations.of), known)
	}
}
