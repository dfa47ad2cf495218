package retry

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "bank", Origin: origin, Config: c})
}

func TestWhatCallersCountedMayComeLateAndTwice(t *testing.T) {
	m := newTestMachine(Config{})
	for _, n := range []uint64{1, 5, 3, 5} {
		m.Counted([]uint64{kindFirst: n, kindRetries: 2 * n})
	}
	if s := m.Snapshot(0, patterns.Counts{}); s.FirstTime != 5 || s.Retries != 10 || s.Calls != 5 || s.Attempts() != 15 {
		t.Errorf("%+v", s)
	}
}

func TestEachCauseHasAnnouncementsOfItsOwn(t *testing.T) {
	m := newTestMachine(Config{})
	tell := func(at time.Duration, c Cause) { m.Consult(patterns.Instant(at), exhausted{cause: c, attempts: 2}) }
	tell(0, CauseAttempts)
	tell(0, CauseBudget)
	tell(100*ms, CauseAttempts)
	tell(200*ms, CauseAttempts)
	tell(300*ms, CauseBudget)
	if w := m.Wake(); w != patterns.Instant(sec) {
		t.Errorf("wakes at %v", w)
	}
	m.Tick(patterns.Instant(sec - 1))
	m.Tick(patterns.Instant(sec))
	m.Tick(patterns.Instant(sec))
	var got []Exhausted
	for e := range m.Drain() {
		got = append(got, e.(Exhausted))
	}
	want := []Exhausted{
		{Name: "bank", Cause: CauseAttempts, Calls: 1, Attempts: 2, At: origin},
		{Name: "bank", Cause: CauseBudget, Calls: 1, Attempts: 2, At: origin},
		{Name: "bank", Cause: CauseAttempts, Calls: 2, Attempts: 2, At: origin.Add(sec)},
		{Name: "bank", Cause: CauseBudget, Calls: 1, Attempts: 2, At: origin.Add(sec)},
	}
	if !slices.Equal(got, want) || m.Wake() != patterns.Never {
		t.Errorf("got %+v", got)
	}
}

func TestWhatDoesNotAddUpIsForgotten(t *testing.T) {
	m := newTestMachine(Config{})
	m.Consult(0, exhausted{cause: CauseBudget})
	m.Consult(1, exhausted{cause: CauseBudget})
	m.latest[CauseBudget.index()].cause = CauseElapsed
	if m.Check() == nil {
		t.Error("nothing is wrong")
	}
	if m.Repair(2); m.Check() != nil || m.Wake() != patterns.Never {
		t.Errorf("wakes at %v, %v", m.Wake(), m.Check())
	}
	b := NewBudgetMachine(BudgetParams{Name: "b", Config: BudgetConfig{MinPerSecond: 1}})
	b.Counted(0, 100)
	b.Consult(0, allow{})
	if err := b.Check(); err != nil {
		t.Error(err)
	}
	b.Repair(1)
	if s := b.Snapshot(1, patterns.Counts{}); s.Left != 10 || s.Calls != 100 || s.Extras != 1 || b.Check() != nil {
		t.Errorf("%+v", s)
	}
}

func TestOtherQuestionsAreNotAnswered(t *testing.T) {
	for _, q := range []any{nil, 7, "retried"} {
		if c := newTestMachine(Config{}).Consult(0, q); c != (patterns.Consultation{}) {
			t.Errorf("%v: %+v", q, c)
		}
		if c := NewBudgetMachine(BudgetParams{}).Consult(0, q); c != (patterns.Consultation{}) {
			t.Errorf("%v: %+v", q, c)
		}
	}
}

// Whatever happens, after a Tick there is nothing due, and nothing is announced twice or lost.
func TestTheMachinesAreNeverStillDueAfterATick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newTestMachine(Config{})
		b := NewBudgetMachine(BudgetParams{Name: "b", Origin: origin, Config: BudgetConfig{MinPerSecond: None, Window: sec}})
		var now patterns.Instant
		ended, announced, denied, told := 0, 0, uint64(0), 0
		drain := func() {
			for e := range m.Drain() {
				announced += e.(Exhausted).Calls
			}
			for e := range b.Drain() {
				told += e.(BudgetExhausted).Suppressed
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(100*ms), int64(600*ms)).Draw(t, "wait")))
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				cause := rapid.SampledFrom([]Cause{CauseAttempts, CauseBudget, CauseStopped}).Draw(t, "cause")
				m.Consult(now, exhausted{cause: cause})
				ended++
			case 1:
				b.Counted(now, rapid.Uint64Range(0, 50).Draw(t, "calls"))
				if b.Consult(now, allow{}).Answer == false {
					denied++
				}
			case 2:
				m.Tick(now)
				b.Tick(now)
				if max(now, m.hi) >= m.Wake() || max(now, b.hi) >= b.Wake() {
					t.Fatalf("at %d due at %d and %d", now, m.Wake(), b.Wake())
				}
			}
			drain()
			if m.Check() != nil || b.Check() != nil {
				t.Fatal(m.Check(), b.Check())
			}
		}
		m.Tick(max(now, m.hi).Add(2 * sec))
		b.Tick(max(now, b.hi).Add(2 * sec))
		drain()
		if announced != ended || told != int(denied) || b.Snapshot(now, patterns.Counts{}).Suppressed != denied {
			t.Fatalf("%d of %d, %d of %d", announced, ended, told, denied)
		}
	})
}
