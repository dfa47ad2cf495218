package ratelimiter

import (
	"cmp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// used is what passes at an instant.
type used struct {
	at patterns.Instant
	n  int64
	id uint64
}

// sameShare returns two keys that share a budget where there is no room for either.
func sameShare(m *Machine) []string {
	first := m.known().print("0").Low % overflowShares
	for i := 1; ; i++ {
		if key := strconv.Itoa(i); m.known().print(key).Low%overflowShares == first {
			return []string{"0", key}
		}
	}
}

// A budget is what was used of it, and what is promised, each at its time; what was given
// back at once, or before its time, might never have been.
func TestABudgetIsTheSumOfWhatWasUsedAndPromised(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		for c.Algorithm != TokenBucket && c.Algorithm != Smooth {
			c = drawConfig(t)
		}
		m := newTestMachine(c)
		keys := []string{rapid.SampledFrom([]string{"", "k"}).Draw(t, "key")}
		if rapid.Bool().Draw(t, "no room") {
			m.known().table.SetMax(0)
			keys = sameShare(m)
		}
		var now patterns.Instant
		var uses []used
		var pending []Reservation
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			n := rapid.IntRange(1, 3).Draw(t, "n")
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "later")) * ms)
			case 1:
				if m.Acquire(now, 1, request(key, n)).Verdict == patterns.Grant {
					uses = append(uses, used{now, int64(n), 0})
				}
			case 2:
				if m.Acquire(now, 2, request(key, n)).Verdict == patterns.Grant {
					m.Release(now, patterns.PermitID{Epoch: 1, ID: 2})
				}
			case 3, 4:
				if v, err := m.Reserve(now, request(key, n), time.Hour); err == nil {
					at := patterns.Instant(v.At.Sub(origin))
					uses = append(uses, used{at, int64(n), v.ID})
					pending = append(pending, v)
				}
			case 5:
				pending = slices.DeleteFunc(pending, func(v Reservation) bool { return v.At.Sub(origin) <= now.Sub(0) })
				if len(pending) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(pending)-1).Draw(t, "which")
				v := pending[i]
				pending = slices.Delete(pending, i, i+1)
				if !m.Cancel(now, v) || m.Cancel(now, v) {
					t.Fatal("not cancelled, or twice")
				}
				uses = slices.DeleteFunc(uses, func(u used) bool { return u.id == v.ID })
			}
			checkSum(t, m, now, key, uses)
		}
	})
}

// checkSum checks the budget of a key. Each time is rounded up to a nanosecond.
func checkSum(t *rapid.T, m *Machine, now patterns.Instant, key string, uses []used) {
	t.Helper()
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(uses, func(a, b used) int { return cmp.Compare(a.at, b.at) })
	want := make([]uint64, m.law.Words())
	m.law.Start(want, 0)
	for _, u := range uses {
		m.law.Charge(want, int64(u.at), u.n)
	}
	b := m.find(key)
	for i := range m.law.Len() {
		got, want := m.law.Rule(i).Reset(m.law.Of(b.state, i), int64(now)), m.law.Rule(i).Reset(m.law.Of(want, i), int64(now))
		if d := got - want; d < -30 || d > 30 {
			t.Fatalf("%v at %d: whole after %d, want %d, with %v", m.law.rates[i], now, got, want, uses)
		}
	}
}

// reserved books and fails the test if that cannot be.
func reserved(t *testing.T, m *Machine, key string, n int, at time.Duration) Reservation {
	t.Helper()
	v, err := m.Reserve(m.hi, request(key, n), time.Hour)
	if err != nil || v.At.Sub(origin) != at {
		t.Fatalf("%+v, %v; want %v", v, err, at)
	}
	return v
}

// A gap before a reservation may be used, by whoever comes.
func TestGapsBetweenReservationsAreFilled(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 4}})
	m.Take(0, request("", 4))
	first := reserved(t, m, "", 4, 400*ms)
	reserved(t, m, "", 1, 500*ms)
	if !m.Cancel(0, first) {
		t.Fatal("not cancelled")
	}
	reserved(t, m, "", 1, 300*ms) // before the other, of which nothing is lost
	if a := m.Peek(0, request("", 1)); a.ResetAfter != 600*ms || a.RetryAfter != 300*ms {
		t.Errorf("%+v", a)
	}
}

// What was promised for later is given back as if what was cancelled before it had never been.
func TestAReservationIsWorthWhatItWouldBeWithoutThoseThatWereCancelled(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 4}})
	m.Take(0, request("", 4))
	first, second := reserved(t, m, "", 4, 400*ms), reserved(t, m, "", 1, 500*ms)
	m.Cancel(0, first)
	m.Take(patterns.Instant(520*ms), request("", 1)) // the budget would have been whole at 400 ms
	if a := m.Peek(patterns.Instant(520*ms), request("", 1)); a.ResetAfter != 180*ms {
		t.Errorf("%+v", a)
	}
	if m.Cancel(patterns.Instant(530*ms), second); m.Peek(patterns.Instant(530*ms), request("", 1)).ResetAfter != 100*ms {
		t.Errorf("%+v", m.Peek(m.hi, request("", 1)))
	}
}

func TestAPermitReleasedBetweenReservationsGivesBackWhatItCan(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 2}})
	d := m.Acquire(0, 1, request("", 2))
	reserved(t, m, "", 1, 100*ms)
	reserved(t, m, "", 2, 300*ms)
	m.Release(patterns.Instant(150*ms), patterns.PermitID{Epoch: d.Epoch, ID: 1})
	// Without the permit there are: 1 at 100 ms, 2 at 300 ms.
	if a := m.Peek(patterns.Instant(150*ms), request("", 1)); a.ResetAfter != 350*ms {
		t.Errorf("%+v", a)
	}
}

func TestRatesOfAKeysOwnEndItsReservations(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 1}})
	m.Take(0, request("k", 1))
	v := reserved(t, m, "k", 1, 100*ms)
	other := reserved(t, m, "other", 1, 0)
	if err := m.Override(0, "k", Rate{1, sec, 1}); err != nil {
		t.Fatal(err)
	}
	if m.Cancel(0, v) || !m.Cancel(0, other) || len(m.futures.of) != 0 {
		t.Error("given back at another rate, or another's is not")
	}
	reserved(t, m, "k", 1, 2*sec)
	if !m.RemoveOverride(0, "k") || m.Check() != nil {
		t.Error(m.Check())
	}
	reserved(t, m, "k", 1, 300*ms)
}

// A reservation whose time has come makes room for another.
func TestReservationsThatAreOverMakeRoom(t *testing.T) {
	m := newTestMachine(with(Config{Rate: Rate{1000, sec, 1}}, func(c *Config) { c.MaxKeys = 1000 }))
	for i := range maxPromises + 1 {
		reserved(t, m, "k", 1, time.Duration(i)*ms)
	}
	if _, err := m.Reserve(0, request("k", 1), time.Hour); causeOf(err) != CauseQueue {
		t.Error(err)
	}
	m.Tick(patterns.Instant(10 * ms))
	for i := range 10 {
		reserved(t, m, "k", 1, time.Duration(maxPromises+1+i)*ms)
	}
	if _, err := m.Reserve(m.hi, request("k", 1), time.Hour); causeOf(err) != CauseQueue {
		t.Error(err)
	}
}

func TestWhereLeasesAreOutNothingIsBookedAhead(t *testing.T) {
	m := newTestMachine(leased(Config{Rate: Rate{10, sec, 1}}))
	for _, key := range []string{"", "k"} {
		reserved(t, m, key, 1, 0)
		if _, err := m.Reserve(0, request(key, 1), time.Hour); (err == nil) != (key != "") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// What passes in a gap is used up before what is promised, and not on top of all of it.
func TestWhatPassesInAGapComesBeforeWhatIsPromised(t *testing.T) {
	for name, take := range map[string]func(*Machine, string) bool{
		"acquired": func(m *Machine, key string) bool {
			return m.Acquire(m.hi, 1, request(key, 1)).Verdict == patterns.Grant
		},
		"spent": func(m *Machine, key string) bool {
			return m.Acquire(m.hi, 1, &patterns.Request{Key: key, Spend: true}).Verdict == patterns.Grant
		},
		"taken": func(m *Machine, key string) bool { return m.Take(m.hi, request(key, 1)).Allowed },
	} {
		for _, key := range []string{"", "k"} {
			m := newTestMachine(Config{Rate: Rate{10, sec, 4}})
			m.Take(0, request(key, 4))
			first := reserved(t, m, key, 4, 400*ms)
			reserved(t, m, key, 1, 500*ms)
			last := reserved(t, m, key, 1, 600*ms)
			m.Cancel(0, first) // 1 at 500 ms, and 1 more: until 700 ms
			m.Tick(patterns.Instant(550 * ms))
			if !take(m, key) {
				t.Fatalf("%s, %q: not in the gap", name, key)
			}
			if a := m.Peek(m.hi, request(key, 1)); a.ResetAfter != 250*ms {
				t.Errorf("%s, %q: whole after %v", name, key, a.ResetAfter)
			}
			if m.Cancel(m.hi, last); m.Peek(m.hi, request(key, 1)).ResetAfter != 150*ms {
				t.Errorf("%s, %q: without the last one whole after %v", name, key, m.Peek(m.hi, request(key, 1)).ResetAfter)
			}
		}
	}
}
