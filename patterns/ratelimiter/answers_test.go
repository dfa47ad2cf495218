package ratelimiter

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

func TestAnswersCarryAllNumbers(t *testing.T) {
	m := newTestMachine(Config{Tiers: Several(Rate{10, sec, 5}, Rate{3, time.Minute, 3})})
	fast, slow := Rate{10, sec, 5}, Rate{3, time.Minute, 3}
	tests := []struct {
		name string
		got  Answer
		want Answer
	}{
		{"a peek at a fresh budget", m.Peek(0, request("", 1)), Answer{true, slow, 3, 3, 0, 0}},
		{"a taking", m.Take(0, request("", 2)), Answer{true, slow, 3, 1, 40 * sec, 0}},
		{"a refusal", m.Take(0, request("", 2)), Answer{false, slow, 3, 1, 40 * sec, 20 * sec}},
		{"a peek at what is not there", m.Peek(0, request("", 2)), Answer{false, slow, 3, 1, 40 * sec, 20 * sec}},
		{"a weight that never passes", m.Take(0, request("", 4)), Answer{false, slow, 3, 1, 40 * sec, -1}},
		{"a negative weight", m.Take(0, request("", -1)), Answer{false, fast, 5, 3, 200 * ms, -1}},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
}

func TestTakeUpTo(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 5}})
	for _, tt := range []struct {
		n, taken int
		after    time.Duration
	}{{3, 3, 0}, {9, 2, 0}, {9, 0, 100 * ms}, {0, 0, 100 * ms}, {-1, 0, 100 * ms}} {
		a := m.TakeUpTo(0, request("", tt.n))
		if a.N != tt.taken || a.RetryAfter != tt.after || a.Allowed != (a.N > 0) {
			t.Errorf("took %d of %d, %+v", a.N, tt.n, a)
		}
	}
}

func TestReservations(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 1}})
	for i, want := range []time.Duration{0, 100 * ms, 200 * ms} {
		v, err := m.Reserve(0, request("", 1), sec)
		if err != nil || v.At.Sub(origin) != want || v.Weight != 1 || v.ID == 0 {
			t.Fatalf("booking %d is %+v, %v", i, v, err)
		}
		if i == 2 && !m.Cancel(0, v) {
			t.Error("cannot be cancelled")
		}
	}
	if v, err := m.Reserve(0, request("", 1), 200*ms); err != nil || v.At.Sub(origin) != 200*ms {
		t.Errorf("what was cancelled cannot be booked again: %v, %v", v.At, err)
	}
	_, err := m.Reserve(0, request("", 1), 299*ms)
	if e, ok := errors.AsType[*LimitError](err); !ok || e.Cause != CauseMaxWait || e.RetryAt.Sub(origin) != 300*ms {
		t.Errorf("a booking that is too late: %v", err)
	}
	_, err = m.Reserve(0, request("", 1), 0)
	if e, ok := errors.AsType[*LimitError](err); !ok || e.Cause != CauseRate {
		t.Errorf("a booking for now: %v", err)
	}
	for _, n := range []int{2, -1} {
		_, err = m.Reserve(0, request("", n), time.Hour)
		if _, ok := errors.AsType[*WeightError](err); !ok || !errors.Is(err, patterns.ErrInvalidRequest) {
			t.Errorf("a booking of %d: %v", n, err)
		}
	}
	if m.Cancel(0, Reservation{}) {
		t.Error("what was never booked is cancelled")
	}
}

func TestAReservationIsGivenBackOnceAndAsLongAsItIsWorthSomething(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*Machine, Reservation)
		v      func(Reservation) Reservation
		at     time.Duration
		want   bool
		free   time.Duration // when there is a permit again
	}{
		"before its time":       {at: 900 * ms, want: true, free: sec},
		"at its time":           {at: sec, want: true, free: sec},
		"half used up":          {at: 1050 * ms, want: true, free: 1050 * ms},
		"when its time is over": {at: 1100 * ms, want: false, free: 1100 * ms},
		"twice":                 {before: func(m *Machine, v Reservation) { m.Cancel(0, v) }, want: false, free: sec},
		"after a Reset":         {before: func(m *Machine, _ Reservation) { newScript(t, m).run("reset") }, want: false},
		"after a change":        {before: func(m *Machine, _ Reservation) { newScript(t, m).run("rate=20/s") }, want: false, free: 550 * ms},
		"after a repair":        {before: func(m *Machine, _ Reservation) { m.Repair(0) }, want: false, free: 100 * ms},
		"another's number":      {v: func(v Reservation) Reservation { v.Key = "other"; return v }, want: false, free: 1100 * ms},
		"no number":             {v: func(v Reservation) Reservation { v.ID = 0; return v }, want: false, free: 1100 * ms},
	} {
		for _, key := range []string{"", "a key"} {
			m := newTestMachine(Config{Rate: Rate{10, sec, 1}})
			for range 10 { // until 1s
				if _, err := m.Reserve(0, request(key, 1), time.Hour); err != nil {
					t.Fatal(err)
				}
			}
			v, err := m.Reserve(0, request(key, 1), time.Hour)
			if err != nil || v.At.Sub(origin) != sec {
				t.Fatal(v, err)
			}
			if tt.before != nil {
				tt.before(m, v)
			}
			if tt.v != nil {
				v = tt.v(v)
			}
			now := patterns.Instant(tt.at)
			got := m.Cancel(now, v)
			free := m.Peek(now, request(key, 1)).RetryAfter + tt.at
			if got != tt.want || free != max(tt.free, tt.at) {
				t.Errorf("%s of %q: given back %v, the next passes at %v", name, key, got, free)
			}
			s := m.Snapshot(now, patterns.Counts{})
			if refunded := tt.want || name == "twice"; s.Reserved != 11 || (s.Refunded == 1) != refunded {
				t.Errorf("%s of %q: %d reserved, %d refunded", name, key, s.Reserved, s.Refunded)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOldReservationsAreForgottenAndTakeNoRoom(t *testing.T) {
	m := newTestMachine(per(2*maxGrants, sec))
	var first, last Reservation
	for i := range maxGrants + 1 {
		v, err := m.Reserve(0, request("", 1), 0)
		if err != nil {
			t.Fatal(err)
		}
		if last = v; i == 0 {
			first = v
		}
	}
	if len(m.booked.places) != maxGrants || m.Cancel(0, first) || !m.Cancel(0, last) {
		t.Errorf("%d places; the first of one too many is known, or the last is not", len(m.booked.places))
	}
	m = newTestMachine(Config{Rate: Rate{1000, sec, 1}})
	for i := range 10 * minGrants {
		if _, err := m.Reserve(patterns.Instant(i)*1e6, request("", 1), 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.booked.places) != minGrants {
		t.Errorf("%d places for one at a time", len(m.booked.places))
	}
}

func TestWindowsCannotBeBookedAhead(t *testing.T) {
	for _, a := range []Algorithm{SlidingWindow, SlidingLog, FixedWindow} {
		m := newTestMachine(with(per(1, sec), func(c *Config) { c.Algorithm = a }))
		if _, err := m.Reserve(0, request("", 1), time.Hour); err != nil {
			t.Errorf("%v: %v", a, err)
		}
		if _, err := m.Reserve(0, request("", 1), time.Hour); !errors.Is(err, ErrLimited) {
			t.Errorf("%v: %v", a, err)
		}
	}
}

func TestQuestionsInForcedStates(t *testing.T) {
	for _, tt := range []struct {
		kind  patterns.OperationKind
		pass  bool
		taken int
		left  int64
	}{
		{patterns.ForceOpen, false, 0, 2},
		{patterns.ForceClosed, true, 9, 2},
		{patterns.MetricsOnly, true, 9, 1},
	} {
		m := newTestMachine(Config{Rate: Rate{10, sec, 2}})
		if err := m.Operate(0, patterns.Operation{Kind: tt.kind, For: sec}); err != nil {
			t.Fatal(err)
		}
		if a := m.Peek(0, request("", 9)); a.Allowed != tt.pass || !tt.pass && a.RetryAfter != sec {
			t.Errorf("%v: peek says %+v", tt.kind, a)
		}
		if a := m.TakeUpTo(0, request("", 9)); a.N != tt.taken || a.Allowed != tt.pass {
			t.Errorf("%v: took %d, %+v", tt.kind, a.N, a)
		}
		if a := m.Take(0, request("", 1)); a.Allowed != tt.pass || a.Remaining != tt.left {
			t.Errorf("%v: %+v", tt.kind, a)
		}
		v, err := m.Reserve(0, request("", 9), 0)
		if (err == nil) != tt.pass || tt.pass && (!v.At.Equal(origin) || v.ID != 0) {
			t.Errorf("%v: booked %v, %v", tt.kind, v, err)
		}
		if m.Cancel(0, v) {
			t.Errorf("%v: cancelled what was not booked", tt.kind)
		}
	}
}

// Peek says when one who joins a queue passes, if each of it passes as soon as it can.
func TestRetryAfterIsWhenAQueueIsServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTestMachine(drawConfig(t))
		now, ahead := patterns.Instant(0), rapid.IntRange(0, 8).Draw(t, "ahead")
		m.Take(now, request("", 1))
		m.Behind(patterns.Queue{Ahead: ahead})
		forecast := m.Peek(now, request("", 1)).RetryAfter
		m.Behind(patterns.Queue{})
		for range ahead + 1 {
			for a := m.Take(now, request("", 1)); !a.Allowed; a = m.Take(now, request("", 1)) {
				now = now.Add(a.RetryAfter)
			}
		}
		exact := m.law.Len() == 1 && m.cfg.Algorithm != SlidingWindow || m.cfg.Algorithm == TokenBucket || m.cfg.Algorithm == Smooth
		// A wait rounds up, and so does each part of what warming up costs.
		slack := time.Duration(3*ahead + 3)
		if early := forecast - now.Sub(0); early > 1 && (m.cfg.Algorithm != WarmUp || early > slack) || exact && early < -slack {
			t.Fatalf("%v: forecast %v, was %v", m.cfg.Algorithm, forecast, now)
		}
	})
}

func TestQuestionsDoNotOvertakeThoseWhoWait(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 5}})
	m.Take(0, request("", 2))
	behind := func(ahead int) { m.Behind(patterns.Queue{Waiting: 1, Total: 1, Ahead: ahead}) }
	behind(4)
	if a := m.Take(0, request("", 1)); a.Allowed || a.RetryAfter != 200*ms {
		t.Errorf("takes %+v", a)
	}
	behind(4)
	if a := m.TakeUpTo(0, request("", 3)); a.N != 0 || a.Allowed || a.Remaining != 3 {
		t.Errorf("takes up to %+v", a)
	}
	behind(4)
	_, err := m.Reserve(0, request("", 1), time.Hour)
	if e, ok := errors.AsType[*LimitError](err); !ok || e.Cause != CauseWaiters || e.RetryAt.Sub(origin) != 200*ms || e.Remaining != 3 {
		t.Errorf("reserves: %+v", e)
	}
	behind(1) // whose time has come
	if a := m.Peek(0, request("", 1)); a.Allowed || a.RetryAfter <= 0 {
		t.Errorf("peeks %+v", a)
	}
	m.Behind(patterns.Queue{})
	if a := m.Take(0, request("", 3)); !a.Allowed {
		t.Errorf("nobody waits: %+v", a)
	}
}

func TestReservationsAreBounded(t *testing.T) {
	m := newTestMachine(with(Config{Rate: Rate{1000, sec, 1}}, func(c *Config) { c.MaxKeys = 1000 }))
	book := func(key string, n int) (made int, err error) {
		for range n {
			if _, err = m.Reserve(m.hi, request(key, 1), time.Hour); err != nil {
				return made, err
			}
			made++
		}
		return made, nil
	}
	if made, err := book("k", maxPromises+2); made != maxPromises+1 || causeOf(err) != CauseQueue {
		t.Errorf("%d of one key, %v", made, err)
	}
	made := maxPromises
	for i := 0; made < maxFutures; i++ {
		n, err := book(strconv.Itoa(i), 100)
		if made += n - 1; err != nil && made < maxFutures {
			t.Fatal(made, err)
		}
	}
	if made != maxFutures || m.futures.count != maxFutures {
		t.Errorf("%d in all, %d counted", made, m.futures.count)
	}
	m.Tick(second(2)) // all are over
	if made, err := book("k", maxPromises+1); made != maxPromises+1 || err != nil || m.futures.count > maxFutures {
		t.Errorf("%d of one key, %v, %d in all", made, err, m.futures.count)
	}
	for i := 0; len(m.futures.of) > 70; i++ {
		if _, err := book("another "+strconv.Itoa(i), 2); i > 2*maxFutures || err != nil {
			t.Fatalf("%d budgets have reservations to come, %v", len(m.futures.of), err)
		}
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

func TestAQuestionIsBehindThoseWhoWaitNow(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 5}})
	m.Behind(patterns.Queue{Ahead: 1})
	for i, want := range []bool{false, true} {
		if a := m.Consult(0, Take{}).Answer.(Answer); a.Allowed != want {
			t.Errorf("question %d: %+v", i, a)
		}
	}
}

func TestOnlyWhatGivesBackFrees(t *testing.T) {
	m := newTestMachine(with(Config{Rate: Rate{10, sec, 1}}, func(c *Config) { c.MaxWaiting = 1 }))
	d := m.Acquire(0, 1, request("", 1))
	if m.Release(0, patterns.PermitID{Epoch: d.Epoch, ID: 1}); m.queue.freed != "" {
		t.Errorf("%q is free", m.queue.freed)
	}
	if c := m.Consult(0, Peek{}); c.Freed {
		t.Error("a peek frees")
	}
	v := m.Consult(0, Reserve{}).Answer.(Reservation)
	for _, want := range []bool{true, false} {
		if c := m.Consult(0, CancelReservation{v}); c.Freed != want {
			t.Errorf("%+v", c)
		}
	}
	d = m.Acquire(0, 1, request("", 1))
	m.Release(0, patterns.PermitID{Epoch: d.Epoch, ID: 1})
	if m.Report(0, patterns.PermitID{Epoch: d.Epoch, ID: 1}, patterns.Success, 0); m.queue.freed != nobody {
		t.Error("a report frees")
	}
}
