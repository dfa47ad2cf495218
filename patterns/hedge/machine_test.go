package hedge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// closely is a Config whose delay follows calls soon.
var closely = Config{Delay: sec, Quantile: 0.9, Min: 10 * ms, Max: 4 * sec, MinSamples: 64, Window: 10 * sec}

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "h", Origin: origin, Config: c})
}

// took tells of 64 first attempts that took d.
func (m *Machine) took(now patterns.Instant, d time.Duration) {
	for range 2 {
		m.Consult(now, samples.Of(slices.Repeat([]time.Duration{d}, samples.Size)...))
	}
}

func (m *Machine) waits() time.Duration { return m.Plan().(*plan).delay }

func roughly(d, want time.Duration) bool { return d > want-want/16 && d < want+want/16 }

func TestAQuestionThatItDoesNotKnow(t *testing.T) {
	if c := newTestMachine(Config{}).Consult(0, 7); c != (patterns.Consultation{}) {
		t.Errorf("%+v", c)
	}
}

func TestTheDelayIsWithinItsBounds(t *testing.T) {
	for _, tt := range []struct{ took, want time.Duration }{{50 * ms, 50 * ms}, {ms, 10 * ms}, {time.Minute, 4 * sec}} {
		m := newTestMachine(closely)
		m.Consult(1, samples.Of(make([]time.Duration, samples.Size)...))
		if m.waits() != sec {
			t.Errorf("after too few calls it is %v", m.waits())
		}
		m = newTestMachine(closely)
		if m.took(1, tt.took); !roughly(m.waits(), tt.want) {
			t.Errorf("%v, want %v", m.waits(), tt.want)
		}
	}
}

func TestAFixedDelayLearnsNothing(t *testing.T) {
	m := newTestMachine(Config{Delay: sec})
	m.took(1, 50*ms)
	m.Consult(2, hedged{outrun: ms})
	if m.waits() != sec || m.first != nil || m.Check() != nil {
		t.Errorf("%v, %v", m.waits(), m.Check())
	}
}

func TestOneThatWasOutrunCountsAsLonger(t *testing.T) {
	m := newTestMachine(closely)
	m.took(1, 50*ms)
	for range 64 {
		m.Consult(2, hedged{extra: true, won: true, outrun: 100 * ms})
	}
	if !roughly(m.waits(), 150*ms) {
		t.Errorf("%v", m.waits())
	}
}

func TestAReconfigureKeepsWhatWasLearned(t *testing.T) {
	m := newTestMachine(closely)
	m.took(1, 50*ms)
	for range m.Drain() {
	}
	c := closely
	c.Quantile, c.MaxExtra = 0.5, 3
	m.Reconfigure(2, c)
	m.Reconfigure(3, c) // which is none
	var got []patterns.Event
	for e := range m.Drain() {
		got = append(got, e)
	}
	if change, ok := got[0].(ConfigChanged); len(got) != 1 || !ok || change.From.Quantile != 0.9 || change.To.MaxExtra != 3 {
		t.Errorf("%+v", got)
	}
	if !roughly(m.waits(), 50*ms) || m.Plan().(*plan).MaxExtra != 3 {
		t.Errorf("%+v", m.Plan())
	}
	if m.Reconfigure(4, Config{Delay: sec}); m.waits() != sec || m.Check() != nil {
		t.Errorf("a fixed one is %v; %v", m.waits(), m.Check())
	}
}

// A delay that follows calls goes back to where it began once they are forgotten, without
// anybody asking, and then leaves the timer alone.
func TestTheDelayForgetsByItself(t *testing.T) {
	m := newTestMachine(closely)
	if m.took(1, 50*ms); m.Wake() == patterns.Never {
		t.Error("it never looks again")
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
	moved := 0
	for e := range m.Drain() {
		if HasMoved(e) {
			moved++
		}
	}
	if m.waits() != sec || moved != 2 {
		t.Errorf("it is %v, %d events", m.waits(), moved)
	}
}

func TestADelayThatMovesIsToldOnceASecond(t *testing.T) {
	m := newTestMachine(closely)
	m.took(1, 50*ms)
	if err := m.Operate(2, patterns.Operation{}); err != nil { // back to where it began, too soon to be told
		t.Fatal(err)
	}
	var got []DelayChanged
	for range 3 {
		for e := range m.Drain() {
			got = append(got, e.(DelayChanged))
		}
		if at := m.Wake(); at != patterns.Never {
			m.Tick(at)
		}
	}
	if len(got) != 2 || got[1].To != sec || got[1].At.Sub(got[0].At) != time.Second || m.Wake() != patterns.Never {
		t.Errorf("%+v, and it wakes at %d", got, m.Wake())
	}
}

func TestAReconfigureSaysWhatTheDelayIs(t *testing.T) {
	m := newTestMachine(Config{Delay: sec})
	m.Reconfigure(1, Config{Delay: 2 * sec})
	m.Reconfigure(2, closely)
	m.took(3, sec) // as it was told
	for e := range m.Drain() {
		if HasMoved(e) {
			t.Errorf("%+v was told by the other event", e)
		}
	}
}

func TestWhatHappensOftenIsToldOnceASecond(t *testing.T) {
	m := newTestMachine(Config{MaxLosers: 7})
	for _, q := range []any{
		hedged{extra: true},
		hedged{extra: true, won: true},
		hedged{outrun: ms},
		hedged{extra: true, won: true},
		crowded{},
		crowded{},
		crashed{"a"},
		crashed{"b"},
		crashed{"c"},
	} {
		m.Consult(1, q)
	}
	m.Tick(m.Wake())
	m.Consult(m.hi, hedged{extra: true}) // nobody has won since
	m.Tick(m.Wake())
	var got []patterns.Event
	for e := range m.Drain() {
		got = append(got, e)
	}
	at := func(n int) time.Time { return origin.Add(time.Duration(n)*sec + 1) }
	want := []patterns.Event{
		Hedged{"h", sec, 1, 0, at(0)},
		Crowded{"h", 7, 1, at(0)},
		LoserPanicked{"h", "a", 1, at(0)},
		Hedged{"h", sec, 2, 2, at(1)},
		Crowded{"h", 7, 1, at(1)},
		LoserPanicked{"h", "c", 2, at(1)},
		Hedged{"h", sec, 1, 0, at(2)},
	}
	if !slices.Equal(got, want) || m.Wake() != patterns.Never {
		t.Errorf("%+v, and it wakes at %d", got, m.Wake())
	}
}

func TestOnlyAResetCanBeAskedFor(t *testing.T) {
	m := newTestMachine(closely)
	m.took(1, 50*ms)
	if err := m.Operate(2, patterns.Operation{Kind: patterns.ForceOpen}); err == nil || m.waits() == sec {
		t.Errorf("%v", err)
	}
	if err := m.Operate(2, patterns.Operation{Kind: patterns.Reset}); err != nil || m.waits() != sec {
		t.Errorf("%v, %v", err, m.waits())
	}
	if err := newTestMachine(Config{}).Operate(2, patterns.Operation{Kind: patterns.Reset}); err != nil {
		t.Error(err)
	}
}

func TestDamageIsSeenAndRepaired(t *testing.T) {
	for name, damage := range map[string]func(*Machine){
		"no plan":           func(m *Machine) { m.plan = nil },
		"another plan":      func(m *Machine) { m.plan = &plan{delay: sec} },
		"nothing learned":   func(m *Machine) { m.first = nil },
		"a delay too short": func(m *Machine) { p := *m.plan; p.delay = 1; m.plan = &p },
		"a delay too long":  func(m *Machine) { p := *m.plan; p.delay = time.Hour; m.plan = &p },
	} {
		m := newTestMachine(closely)
		damage(m)
		if m.Check() == nil {
			t.Errorf("%s: it is not seen", name)
		}
		m.Repair(5)
		if err := m.Check(); err != nil || m.Epoch() != 2 || m.waits() != sec {
			t.Errorf("%s: %v, in epoch %d", name, err, m.Epoch())
		}
	}
}

func TestEventsReadWell(t *testing.T) {
	for _, tt := range []struct {
		e    patterns.Event
		is   func(patterns.Event) bool
		want string
	}{
		{Hedged{"h", sec, 3, 2, origin}, HasHedged, "event=hedged guard=h delay=1s count=3 won=2"},
		{Crowded{"h", 7, 3, origin}, HasCrowded, "event=crowded guard=h losers=7 count=3"},
		{LoserPanicked{"h", "no", 3, origin}, HasPanicked, "event=loser-panicked guard=h panic=no count=3"},
		{DelayChanged{"h", sec, time.Minute, origin}, HasMoved, "event=delay-changed guard=h from=1s to=1m0s"},
		{ConfigChanged{Name: "h", At: origin}, func(patterns.Event) bool { return true }, "event=config-changed guard=h from="},
	} {
		got := strings.Trim(tt.e.LogValue().String(), "[]")
		if !strings.HasPrefix(got, tt.want) || tt.e.Source() != "h" || !tt.is(tt.e) {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
