package timeout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "t", Origin: origin, Config: c})
}

func (m *Machine) refuses() bool { return m.Plan().(*plan).refusal != nil }

func TestAQuestionThatItDoesNotKnow(t *testing.T) {
	if c := newTestMachine(Config{}).Consult(0, 7); c != (patterns.Consultation{}) {
		t.Errorf("%+v", c)
	}
}

// Whatever is left behind, comes back, again, or never was, the plan refuses if and only if
// there is no room, and who is told that there is room is counted.
func TestNoMoreAreLeftBehindThanMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{Abandon: true, MaxAbandoned: rapid.IntRange(1, 4).Draw(t, "max")}
		m := newTestMachine(c)
		now, behind, known := patterns.Instant(0), map[*stray]bool{}, []*stray{{}}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if err := m.Check(); err != nil {
					t.Fatal(err)
				}
				if full := c.Abandon && len(behind) >= c.MaxAbandoned; m.refuses() != full || m.Snapshot(now, patterns.Counts{}).Abandoned != len(behind) {
					t.Fatalf("%d of %d are left behind, and it refuses: %v", len(behind), c.MaxAbandoned, m.refuses())
				}
				if m.Tick(now); m.Wake() <= now {
					t.Fatal("it wants to be woken in the past")
				}
			},
			"leave": func(t *rapid.T) {
				who := new(stray)
				answer := m.Consult(now, leave{who})
				room := len(behind) < c.MaxAbandoned
				if answer.Answer != room || room && !answer.Dirty && len(behind)+1 == c.MaxAbandoned {
					t.Fatalf("%+v, want %v", answer, room)
				}
				known = append(known, who)
				if room {
					behind[who] = true
				}
			},
			"ends": func(t *rapid.T) {
				who := rapid.SampledFrom(known).Draw(t, "who")
				m.Consult(now, left{who: who, panic: rapid.SampledFrom([]string{"", "p"}).Draw(t, "panic")})
				delete(behind, who)
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "d")))
			},
			"another limit": func(t *rapid.T) {
				c.MaxAbandoned = rapid.IntRange(1, 4).Draw(t, "max")
				m.Reconfigure(now, c)
			},
			"repaired": func(*rapid.T) { m.Repair(now) },
		})
	})
}

// A limit that follows calls goes back to where it began once they are forgotten, without
// anybody asking, and then leaves the timer alone.
func TestTheLimitForgetsByItself(t *testing.T) {
	m := newTestMachine(adaptive)
	limit := func() time.Duration { return m.Plan().(*plan).limit }
	q := samples.Of(slices.Repeat([]time.Duration{50 * time.Millisecond}, samples.Size)...)
	for range 2 {
		m.Consult(1, q)
	}
	if !roughly(limit(), 100*time.Millisecond) || m.Wake() == patterns.Never {
		t.Errorf("it is %v, and wakes at %d", limit(), m.Wake())
	}
	for ticks := 0; m.Wake() != patterns.Never; ticks++ {
		if ticks > 20 {
			t.Fatal("it never sleeps")
		}
		now := m.Wake()
		m.Tick(now)
		if m.Wake() <= now || m.Check() != nil {
			t.Fatalf("it wants to be woken at %d at %d, %v", m.Wake(), now, m.Check())
		}
	}
	if limit() != time.Second {
		t.Errorf("it is %v", limit())
	}
	moved := 0
	for e := range m.Drain() {
		if HasMoved(e) {
			moved++
		}
	}
	if moved != 2 {
		t.Errorf("%d events", moved)
	}
}

func TestTheLimitIsToldOnceASecond(t *testing.T) {
	m := newTestMachine(adaptive)
	q := samples.Of(make([]time.Duration, samples.Size)...)
	for range 2 {
		m.Consult(1, q)
	}
	if err := m.Operate(2, patterns.Operation{}); err != nil { // back to where it began, too soon to be told
		t.Fatal(err)
	}
	var got []LimitChanged
	for range 3 {
		for e := range m.Drain() {
			got = append(got, e.(LimitChanged))
		}
		if at := m.Wake(); at != patterns.Never {
			m.Tick(at)
		}
	}
	if len(got) != 2 || got[0].To != adaptive.Min || got[1].To != time.Second || got[1].At.Sub(got[0].At) != time.Second || m.Wake() != patterns.Never {
		t.Errorf("%+v, and it wakes at %d", got, m.Wake())
	}
}

func TestWhoDidNotLeaveWasNeverLeftBehind(t *testing.T) {
	m := newTestMachine(Config{Abandon: true})
	who := new(stray)
	m.Consult(0, leave{who})
	m.Consult(0, left{who: who, never: true})
	m.Consult(0, left{who: who, never: true})
	if s := m.Snapshot(0, patterns.Counts{}); s.Left != 0 || s.Abandoned != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAConfigThatComesLaterKeepsWhatWasLearned(t *testing.T) {
	m := newTestMachine(adaptive)
	q := samples.Of(make([]time.Duration, samples.Size)...)
	for range 2 {
		m.Consult(1, q)
	}
	c := adaptive
	c.Min = 77 * time.Millisecond
	m.Reconfigure(2, c)
	if p := m.Plan().(*plan); p.limit != c.Min || !p.follows || m.Check() != nil {
		t.Errorf("%+v, %v", p, m.Check())
	}
	m.Repair(3)
	if p := m.Plan().(*plan); p.limit != time.Second || m.Check() != nil {
		t.Errorf("%+v, %v", p, m.Check())
	}
	m.Reconfigure(4, Config{PerAttempt: time.Minute})
	if p := m.Plan().(*plan); p.limit != time.Minute || p.follows || m.Check() != nil {
		t.Errorf("%+v, %v", p, m.Check())
	}
	m.Consult(5, &q) // from a call that began before
	m.Consult(6, late{time.Second})
	if p := m.Plan().(*plan); p.limit != time.Minute || m.Wake() != patterns.Never {
		t.Errorf("%+v, and it wakes at %d", p, m.Wake())
	}
}

func TestPanicsAreToldOnceASecondWithTheLast(t *testing.T) {
	m := newTestMachine(Config{Abandon: true})
	crash := func(now patterns.Instant, said string) {
		who := new(stray)
		m.Consult(now, leave{who})
		m.Consult(now, left{who: who, panic: said})
		m.Consult(now, left{who: who, panic: said}) // heard already
	}
	crash(0, "one")
	crash(5, "two")
	crash(6, "three")
	if at := m.Wake(); at != patterns.Instant(time.Second) {
		t.Errorf("it wakes at %d", at)
	}
	if !m.Tick(patterns.Instant(time.Second)) {
		t.Error("it has nothing to say")
	}
	var got []string
	for e := range m.Drain() {
		p := e.(AbandonedPanicked)
		got = append(got, p.Panic)
		if p.Panic == "three" && (p.Count != 2 || !p.At.Equal(origin.Add(time.Second))) {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("%v", got)
	}
	if s := m.Snapshot(0, patterns.Counts{}); s.Panicked != 3 || s.Left != 3 || s.Abandoned != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatIsBrokenIsRepaired(t *testing.T) {
	for name, damage := range map[string]func(m *Machine){
		"no plan":            func(m *Machine) { m.plan = nil },
		"a plan to refuse":   func(m *Machine) { m.plan = &plan{apart: true, refusal: &AbandonedError{}} },
		"another plan":       func(m *Machine) { m.plan = &plan{} },
		"nothing to look in": func(m *Machine) { m.strays = nil },
	} {
		m := newTestMachine(Config{Abandon: true})
		epoch := m.Epoch()
		damage(m)
		if m.Check() == nil {
			t.Errorf("%s: it is not seen", name)
		}
		m.Repair(5)
		if err := m.Check(); err != nil || m.Epoch() != epoch+1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEventsReadWell(t *testing.T) {
	for _, tt := range []struct {
		e    patterns.Event
		want string
	}{
		{TimedOut{Name: "t", Limit: time.Second, Count: 3, Abandoned: 1, At: origin}, "event=timed-out guard=t limit=1s count=3 abandoned=1"},
		{AbandonedPanicked{Name: "t", Panic: "no", Count: 3, At: origin}, "event=abandoned-panicked guard=t panic=no count=3"},
		{LimitChanged{Name: "t", From: time.Second, To: time.Minute, At: origin}, "event=limit-changed guard=t from=1s to=1m0s"},
		{ConfigChanged{Name: "t", At: origin}, "event=config-changed guard=t from="},
	} {
		got := strings.Trim(tt.e.LogValue().String(), "[]")
		if !strings.HasPrefix(got, tt.want) || tt.e.Source() != "t" {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
