package ratelimiter

import (
	"errors"
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
		n, a := m.TakeUpTo(0, request("", tt.n))
		if n != tt.taken || a.RetryAfter != tt.after || a.Allowed != (n > 0) {
			t.Errorf("took %d of %d, %+v", n, tt.n, a)
		}
	}
}

func TestReservations(t *testing.T) {
	m := newTestMachine(Config{Rate: Rate{10, sec, 1}})
	for i, want := range []time.Duration{0, 100 * ms, 200 * ms} {
		v, err := m.Reserve(0, request("", 1), sec)
		if err != nil || v.At.Sub(0) != want {
			t.Fatalf("booking %d is for %v, %v", i, v.At, err)
		}
		if i == 2 {
			m.Cancel(0, v)
		}
	}
	if v, err := m.Reserve(0, request("", 1), 200*ms); err != nil || v.At.Sub(0) != 200*ms {
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
	m.Cancel(0, Reservation{})
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
		if n, a := m.TakeUpTo(0, request("", 9)); n != tt.taken || a.Allowed != tt.pass {
			t.Errorf("%v: took %d, %+v", tt.kind, n, a)
		}
		if a := m.Take(0, request("", 1)); a.Allowed != tt.pass || a.Remaining != tt.left {
			t.Errorf("%v: %+v", tt.kind, a)
		}
		v, err := m.Reserve(0, request("", 9), 0)
		if (err == nil) != tt.pass || tt.pass && v.At != 0 {
			t.Errorf("%v: booked %v, %v", tt.kind, v, err)
		}
		m.Cancel(0, v)
		if at, ok := m.Forecast(0, 5, request("", 1)); !ok || tt.pass && at != 0 || !tt.pass && at != second(1) {
			t.Errorf("%v: forecast %v, %v", tt.kind, at, ok)
		}
	}
}

// Forecast says when the last of a queue passes, if each passes as soon as it can.
func TestForecastIsWhenAQueueIsServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTestMachine(drawConfig(t))
		now, ahead := patterns.Instant(0), int64(0)
		m.Take(now, request("", 1))
		queue := rapid.SliceOfN(rapid.Just(1), 0, 8).Draw(t, "queue")
		for _, n := range queue {
			ahead += int64(n)
		}
		at, ok := m.Forecast(now, ahead, request("", 1))
		if !ok {
			t.Fatal("never")
		}
		for range append(queue, 1) {
			for a := m.Take(now, request("", 1)); !a.Allowed; a = m.Take(now, request("", 1)) {
				now = now.Add(a.RetryAfter)
			}
		}
		exact := m.cfg.Algorithm == TokenBucket || m.cfg.Algorithm == Smooth || m.cfg.Algorithm == WarmUp && m.law.Len() == 1
		// A wait rounds up, and so does each part of what warming up costs.
		slack := time.Duration(3*len(queue) + 3)
		if early := at.Sub(now); early > 0 && (m.cfg.Algorithm != WarmUp || early > slack) || exact && early < -slack {
			t.Fatalf("%v: forecast %v, was %v", m.cfg.Algorithm, at, now)
		}
	})
}

// A caller who waits is woken when it passes, and no earlier.
func TestWakeIsWhenTheFirstWaiterPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTestMachine(with(drawConfig(t), func(c *Config) { c.MaxWaiting = 5 }))
		now := patterns.Instant(0)
		for i := range uint64(20) {
			now = now.Add(time.Duration(rapid.Int64Range(0, 100).Draw(t, "later")) * ms)
			r := request("", rapid.IntRange(1, 2).Draw(t, "n"))
			if m.Acquire(now, i, r).Verdict != patterns.Wait {
				continue
			}
			at := m.Wake()
			if d := m.Acquire(at-1, i, r); d.Verdict != patterns.Wait {
				t.Fatalf("%v: passes before it is woken: %v", m.cfg.Algorithm, d)
			}
			if dirty := m.Tick(at); !dirty || m.Wake() != patterns.Never {
				t.Fatalf("%v: nothing to do at Wake", m.cfg.Algorithm)
			}
			if d := m.Acquire(at, i, r); d.Verdict != patterns.Grant {
				t.Fatalf("%v: woken, and does not pass: %v", m.cfg.Algorithm, d)
			}
			now = at
		}
	})
}

func TestWhoeverWaitsIsAskedWhenTheRulesChange(t *testing.T) {
	waits := with(per(1, time.Hour), func(c *Config) { c.MaxWaiting = 5 })
	for name, f := range map[string]func(*Machine){
		"reset":       func(m *Machine) { _ = m.Operate(1, patterns.Operation{Kind: patterns.Reset}) },
		"force-open":  func(m *Machine) { _ = m.Operate(1, patterns.Operation{Kind: patterns.ForceOpen}) },
		"reconfigure": func(m *Machine) { m.Reconfigure(1, with(waits, func(c *Config) { c.Rate = MustParse("9/ms") })) },
		"repair":      func(m *Machine) { m.Repair(1) },
	} {
		m := newTestMachine(waits)
		m.Acquire(0, 1, request("", 1))
		if d := m.Acquire(0, 2, request("", 1)); d.Verdict != patterns.Wait || !d.Dirty {
			t.Fatal(d)
		}
		if f(m); m.Wake() > 1 || !m.Tick(1) {
			t.Errorf("%s: whoever waits is asked at %v", name, m.Wake())
		}
	}
}
