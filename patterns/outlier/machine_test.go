package outlier

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestSuccessRatesFollowTheVector(t *testing.T) {
	text, err := os.ReadFile("testdata/outlier_success_rate.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Steps []struct {
			Args struct {
				Hosts []struct{ Requests, Successes int }
			}
			Expect struct {
				Threshold *float64
				Outliers  []int
			}
		}
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Steps) != 26 {
		t.Fatalf("%d steps, %v", len(v.Steps), err)
	}
	for i, s := range v.Steps {
		n := len(s.Args.Hosts)
		if n == 0 {
			continue // there is no such Config
		}
		m := newRig(t, n, Config{Consecutive: maxNumber, MaxEjected: 1})
		for j, h := range s.Args.Hosts {
			m.members[j].requests, m.members[j].good = h.Requests, h.Successes
		}
		limit, ok := m.threshold()
		if want := s.Expect.Threshold; ok != (want != nil) || ok && math.Abs(limit-*want) > 1e-9*math.Abs(*want) {
			t.Errorf("step %d: threshold %v, %v", i, limit, ok)
		}
		m.compare()
		outliers := []int{}
		for j, b := range m.members {
			if b.ejected {
				outliers = append(outliers, j)
			}
		}
		if !slices.Equal(outliers, s.Expect.Outliers) {
			t.Errorf("step %d: outliers %v, want %v", i, outliers, s.Expect.Outliers)
		}
	}
}

func TestSoManyFailuresInARowEjectAMemberForAWhile(t *testing.T) {
	m := newRig(t, 3, Config{Consecutive: 3})
	m.calls(0, 1, 2, patterns.Failure)
	m.calls(0, 1, 1, patterns.Success)
	m.calls(0, 1, 2, patterns.Dropped)
	m.want(0)
	m.calls(sec, 1, 1, patterns.Failure)
	m.want(sec, "1")
	if left := m.state(11 * sec).Members[1].Remaining; left != 20*sec {
		t.Errorf("%v are left", left)
	}
	m.want(31*sec-1, "1")
	m.want(31 * sec)
	m.calls(31*sec, 1, 2, patterns.Failure) // it begins anew
	m.want(31 * sec)
	at := func(d time.Duration) time.Time { return time.Time{}.Add(d) }
	want := []patterns.Event{
		Ejected{Name: "m", Member: "1", Reason: Consecutive, For: 30 * sec, Ejected: 1, Members: 3, At: at(sec)},
		Returned{Name: "m", Member: "1", At: at(31 * sec)},
	}
	if !slices.Equal(m.events, want) {
		t.Errorf("%v, want %v", m.events, want)
	}
}

func TestAMemberWithFewerSuccessesThanTheRestIsEjectedWhenTheIntervalEnds(t *testing.T) {
	m := newRig(t, 5, Config{Consecutive: maxNumber, Deviations: 1})
	for i := range 5 {
		m.calls(sec, i, 99, patterns.Success)
		m.calls(sec, i, 1, patterns.Failure)
	}
	m.calls(sec, 3, 20, patterns.Failure)
	m.want(10*sec - 1)
	m.tick(10 * sec) // nobody calls: it wakes by itself
	m.want(10*sec, "3")
	if e, ok := m.events[0].(Ejected); !ok || e.Reason != SuccessRate || m.Wake() != patterns.Instant(40*sec) {
		t.Errorf("%v, wakes at %v", m.events, m.Wake())
	}
}

func TestEachEjectionIsLongerThanTheOneBefore(t *testing.T) {
	m := newRig(t, 2, Config{Consecutive: 1, EjectFor: 10 * sec, MaxEjectFor: 35 * sec, Interval: time.Hour})
	now := time.Duration(0)
	for _, want := range []time.Duration{10 * sec, 20 * sec, 30 * sec, 35 * sec, 35 * sec} {
		m.calls(now, 0, 1, patterns.Failure)
		if got := m.state(now).Members[0].Remaining; got != want {
			t.Errorf("ejected for %v, want %v", got, want)
		}
		now += want
	}
	now += 3 * time.Hour // that find it in use
	m.calls(now, 0, 1, patterns.Failure)
	if got := m.state(now).Members[0].Remaining; got != 20*sec {
		t.Errorf("ejected for %v after some good hours", got)
	}
}

func TestAnIntervalThatEndsWhileAMemberIsOutForgivesItNothing(t *testing.T) {
	m := newRig(t, 2, Config{Consecutive: 1, EjectFor: 8 * sec, MaxEjectFor: 20 * sec, Interval: 5 * sec})
	m.calls(2500*ms, 1, 1, patterns.Failure)
	m.want(10500 * ms) // the second interval has ended while the machine slept
	m.calls(14*sec, 1, 1, patterns.Failure)
	m.want(30*sec-1, "1")
	m.want(30 * sec) // it is in use again as an interval ends, and until the next one does
	m.calls(36*sec, 1, 1, patterns.Failure)
	m.want(44*sec-1, "1")
	m.want(44 * sec)
}

func TestAMachineThatIsWokenLateDoesAllInItsOrder(t *testing.T) {
	c := Config{Consecutive: 1, EjectFor: 8 * sec, MaxEjectFor: 20 * sec, Interval: 5 * sec, MaxEjected: 1}
	late := func(m *rig, now time.Duration) { m.step(m.Tick(patterns.Instant(now))) }

	m := newRig(t, 4, c)
	m.calls(2500*ms, 1, 1, patterns.Failure) // it is out until 10.5 s
	late(m, 21*sec)                          // and was in use when two intervals ended
	m.calls(21*sec, 1, 1, patterns.Failure)
	m.want(29*sec-1, "1")
	m.want(29 * sec)

	m = newRig(t, 4, c)
	m.calls(2500*ms, 1, 1, patterns.Failure)
	m.calls(7500*ms, 2, 1, patterns.Failure) // it is out until 15.5 s, longer than the other
	late(m, 16*sec)
	m.calls(16*sec, 2, 1, patterns.Failure)
	m.want(32*sec-1, "2")
	m.want(32 * sec)
}

func TestNoMoreThanAShareIsEjectedAndNeverTheLast(t *testing.T) {
	for _, tt := range []struct {
		members int
		share   float64
		want    int
	}{{1, 1, 0}, {2, 1, 1}, {2, 0.1, 1}, {3, 0.5, 1}, {4, 0.5, 2}, {10, 0.1, 1}, {10, 1, 9}, {100, 0.07, 7}} {
		m := newRig(t, tt.members, Config{Consecutive: 1, MaxEjected: tt.share})
		for range 300 {
			m.end(0, m.choose(0, -1), patterns.Failure)
		}
		if got := len(m.ejected(0)); got != tt.want {
			t.Errorf("%d of %d, want %d", got, tt.members, tt.want)
		}
		spared := uint64(0)
		for range 2 {
			m.tick(2 * sec)
		}
		for _, e := range m.events {
			if e, ok := e.(Spared); ok {
				spared += e.Count
			}
		}
		if want := uint64(300 - tt.want); spared != want {
			t.Errorf("%d members were spared, want %d", spared, want)
		}
	}
}

func TestLateFailuresDoNotCountOnceAMemberIsBack(t *testing.T) {
	m := newRig(t, 2, Config{Consecutive: 2})
	var late []*place
	for range 4 {
		late = append(late, m.choose(0, 1))
	}
	m.end(0, late[0], patterns.Failure)
	m.end(0, late[1], patterns.Failure)
	m.want(0, "0")
	m.end(31*sec, late[2], patterns.Failure)
	m.end(31*sec, late[3], patterns.Failure)
	m.want(31 * sec)
	if got := m.state(31 * sec).Members[0]; got.Calls != 4 || got.Failures != 4 {
		t.Errorf("%+v", got)
	}
}

func TestTheLeastBusyIsChosenAndEqualsInTurn(t *testing.T) {
	m := newRig(t, 3, Config{})
	var got []string
	for range 6 {
		got = append(got, m.choose(0, -1).name)
	}
	m.flight[2]--
	got = append(got, m.choose(0, -1).name, m.choose(0, 2).name, newRig(t, 1, Config{}).choose(0, 0).name)
	if want := []string{"0", "1", "2", "0", "1", "2", "2", "1", "0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestWhoChoosesByAnOldListFindsThoseBackWhoseTimeIsUp(t *testing.T) {
	m := newRig(t, 2, Config{Consecutive: 1})
	m.calls(0, 0, 1, patterns.Failure)
	old := m.plan
	for i, want := range []int{0, 3} {
		at, n := patterns.Instant(30*sec-1)+patterns.Instant(i), 0
		for turn := range 6 {
			if old.choose(at, turn, m, nil).name == "0" {
				n++
			}
		}
		if n != want {
			t.Errorf("%d of 6 calls, want %d", n, want)
		}
	}
	m.step(m.Consult(patterns.Instant(30*sec), old.places[0].bad).Dirty) // and what it tells of them counts
	m.want(30*sec, "0")
}

func TestNobodyWakesAnIdleMachine(t *testing.T) {
	m := newRig(t, 3, Config{Consecutive: 2})
	m.calls(sec, 0, 1, patterns.Failure)
	if m.told != patterns.Instant(10*sec) {
		t.Errorf("it wakes at %v", m.told)
	}
	m.tick(10 * sec)
	if m.told != patterns.Never {
		t.Errorf("it wakes at %v", m.told)
	}
}

func TestAReconfigureKeepsWhatIsKnownOfThoseThatStay(t *testing.T) {
	m := newRig(t, 4, Config{Consecutive: 2, MaxEjected: 1})
	for i := range 3 {
		m.calls(sec, i, 2, patterns.Failure)
	}
	m.calls(sec, 3, 1, patterns.Failure)
	away := m.choose(sec, 0) // 3
	c := m.cfg
	c.Members = List("3", "new", "1", "0")
	m.Reconfigure(patterns.Instant(2*sec), c)
	m.step(true)
	m.want(2*sec, "1", "0")
	if p := m.plan.places[1]; p.name != "new" || p.slot != 2 {
		t.Errorf("%+v does not have the slot that is free", p)
	}
	m.end(2*sec, away, patterns.Failure)
	if got := m.state(2 * sec); got.Members[0].Failures != 2 || got.Members[0].Calls != 2 || got.Ejected != 3 {
		t.Errorf("%+v", got)
	}
	for range 20 { // of two failures in a row, the second came after
		if p := m.choose(3*sec, -1); p.name != "new" {
			t.Errorf("a call went to %s", p.name)
		}
	}

	gone := m.plan.places[2]
	c.Members = List("0", "1")
	m.Reconfigure(patterns.Instant(3*sec), c)
	m.step(true)
	m.want(3*sec, "1") // one has to be in use: that which is back first
	m.step(m.Consult(patterns.Instant(3*sec), gone.bad).Dirty)
	c.Members = List("0", "1", "2")
	m.Reconfigure(patterns.Instant(3*sec), c)
	m.step(true)
	before := m.state(3 * sec).Members
	m.step(m.Consult(patterns.Instant(3*sec), m.planOf("3").bad).Dirty)
	if after := m.state(3 * sec).Members; !slices.Equal(before, after) {
		t.Errorf("a call to one that was taken off the list made %+v of %+v", after, before)
	}
	n := len(m.events)
	m.Reconfigure(patterns.Instant(3*sec), c)
	m.step(true)
	if len(m.events) != n {
		t.Error("no change is announced")
	}
}

// planOf is a place of a member that has gone, whose slot is another one's.
func (r *rig) planOf(name string) *place {
	id := identity{0, new(mark)}
	return &place{name: name, identity: id, bad: ended{id, 0, true}}
}

func TestAShorterIntervalHoldsAtOnce(t *testing.T) {
	m := newRig(t, 5, Config{Consecutive: maxNumber, Interval: time.Hour, Deviations: 1, MinRequests: 10})
	for i := range 5 {
		m.calls(sec, i, 10, patterns.Success)
	}
	m.calls(sec, 3, 20, patterns.Failure)
	c := m.cfg
	c.Interval = 5 * sec
	m.Reconfigure(patterns.Instant(2*sec), c)
	m.step(true)
	m.want(7*sec - 1)
	m.want(7*sec, "3")
}

func TestAResetBringsAllBack(t *testing.T) {
	m := newRig(t, 3, Config{Consecutive: 2})
	m.calls(0, 0, 2, patterns.Failure)
	m.calls(0, 1, 1, patterns.Failure)
	late := m.choose(0, -1)
	if err := m.Operate(0, patterns.Operation{Kind: patterns.Reset}); err != nil {
		t.Fatal(err)
	}
	m.step(true)
	m.want(0)
	m.end(0, late, patterns.Failure)
	m.calls(0, 1, 1, patterns.Failure)
	m.want(0)
	if s := m.state(0); s.Members[0].Ejections != 1 || s.Members[0].Failures != 2 {
		t.Errorf("%+v", s)
	}
	for _, k := range []patterns.OperationKind{patterns.ForceOpen, patterns.ForceClosed, patterns.MetricsOnly} {
		if err := m.Operate(0, patterns.Operation{Kind: k}); err == nil {
			t.Errorf("%v means something", k)
		}
	}
}

func TestWhatIsBrokenIsFoundAndRepaired(t *testing.T) {
	for name, damage := range map[string]func(*rig){
		"no plan":                   func(m *rig) { m.plan = nil },
		"a plan of others":          func(m *rig) { m.plan = &plan{} },
		"no such slot":              func(m *rig) { m.members[1].slot = -1 },
		"a slot twice":              func(m *rig) { m.members[1].slot = 0 },
		"no mark":                   func(m *rig) { m.members[2].mark = nil },
		"no member":                 func(m *rig) { m.members[0] = nil },
		"more successes than calls": func(m *rig) { m.members[0].good = 9 },
		"fewer failures than none":  func(m *rig) { m.members[0].row = -1 },
		"shorter than no time":      func(m *rig) { m.members[0].times = -1 },
		"more failures than calls":  func(m *rig) { m.members[0].failed = 99 },
		"a number of ejected ones":  func(m *rig) { m.out = 2; m.plan.out = 2 },
		"all are ejected": func(m *rig) {
			m.out = 3
			m.plan.out = 3
			for _, b := range m.members {
				b.ejected = true
			}
		},
		"an ejected one nobody counted": func(m *rig) { m.members[2].ejected = true },
	} {
		t.Run(name, func(t *testing.T) {
			m := newRig(t, 3, Config{Consecutive: 2})
			m.calls(0, 0, 1, patterns.Success)
			m.calls(0, 1, 2, patterns.Failure)
			m.choose(0, -1)
			damage(m)
			if m.Check() == nil {
				t.Fatal("nothing is found")
			}
			m.Repair(patterns.Instant(sec))
			m.step(true)
			if m.Epoch() != 2 {
				t.Errorf("epoch %d", m.Epoch())
			}
			m.want(sec)
			m.calls(sec, 2, 2, patterns.Failure)
			m.want(sec, "2")
		})
	}
}

func TestAClockThatGoesBackStandsStill(t *testing.T) {
	m := newRig(t, 2, Config{Consecutive: 1})
	m.calls(100*sec, 0, 1, patterns.Failure)
	if s := m.Snapshot(patterns.Instant(50*sec), patterns.Counts{}); !s.Members[0].Ejected || s.Members[0].Remaining != 30*sec {
		t.Errorf("%+v", s)
	}
}

func TestTheSameStepsGiveTheSameEvents(t *testing.T) {
	run := func() string {
		m := newRig(t, 4, Config{Consecutive: 2, EjectFor: sec, MaxEjectFor: 2 * sec})
		for i := range 400 {
			o := patterns.Success
			if i%3 > 0 {
				o = patterns.Failure
			}
			m.end(time.Duration(i)*17*ms, m.choose(time.Duration(i)*17*ms, -1), o)
		}
		return fmt.Sprint(m.events, m.state(20*sec))
	}
	if a, b := run(), run(); a != b || len(a) < 500 {
		t.Errorf("%s\n%s", a, b)
	}
}

func TestAnUnknownQuestionIsNotTaken(t *testing.T) {
	if c := newRig(t, 2, Config{}).Consult(0, 7); c != (patterns.Consultation{}) {
		t.Errorf("%+v", c)
	}
}
