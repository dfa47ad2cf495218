package backpressure

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// script drives a host by a line of steps, so that a scenario is a table row:
//
//	a a:3        a producer asks, with weight 3, and gets its permit at once
//	w w:3        it has to wait
//	x x:3        it is refused; xh if it is too heavy
//	t t:3        it tries without waiting and gets its permit; tx if not
//	ha hw        it has a high priority, and gets its permit; it has to wait
//	sw sx        it has a standing order, and waits; it is refused
//	d d3         the oldest permit is reported, permit 3 is (producers count from 1)
//	r            the oldest permit is released without a verdict
//	c3           producer 3 leaves the queue
//	g4,5         producers 4 and 5 have got their permits since the last g, a or t; g for nobody
//	n8           8 are pending
//	q2           2 wait
//	hot calm     how it is
//	high low     the events since the last look, in order; none for none
//	e3           the epoch
//	l=4          a lease of at most 64 lends 4; L4 settles 4 of it
//	max=5/4/1    it is reconfigured: max, high, low; wait=5: as many may wait
//	reset        an operator
//	+5s          time passes
//
// Any step may be repeated: a*4. After each, the invariants must hold.
type script struct {
	machinetest.Steps[*Machine]
	t *testing.T
}

func run(t *testing.T, c Config, line string) *script {
	t.Helper()
	s := &script{Steps: machinetest.NewSteps(t, newHost(t, c)), t: t}
	s.Run(line, s.do)
	return s
}

func (s *script) do(step string) {
	s.t.Helper()
	name, arg, _ := strings.Cut(step, ":")
	r := patterns.Request{}
	if arg != "" {
		r.Weight = s.Number(arg)
	}
	switch {
	case s.Do(step):
	case name == "a", name == "w", name == "x", name == "xh":
		s.acquire(name, r)
	case name == "t", name == "tx":
		r.NoWait = true
		s.acquire(map[string]string{"t": "a", "tx": "x"}[name], r)
	case name == "ha", name == "hw":
		r.Priority = patterns.High
		s.acquire(name[1:], r)
	case name == "sw", name == "sx":
		s.Callers++
		if got, err := s.Stand(s.Callers, r); (got == machinetest.Queued) != (name == "sw") {
			s.Fail("%s: %v", got, err)
		}
	case step == "hot", step == "calm":
		s.Same(map[bool]string{true: "hot", false: "calm"}[s.M.hot])
	case step == "none", slices.Contains([]string{"high", "low"}, strings.Split(step, ",")[0]):
		if got := strings.Join(marks(s.Drained()), ","); got != strings.TrimPrefix(step, "none") {
			s.Fail("events %q", got)
		}
	case strings.HasPrefix(step, "max="):
		m := strings.Split(step[4:], "/")
		s.Operator(func(now patterns.Instant) {
			s.M.Reconfigure(now, Config{MaxPending: s.Number(m[0]), HighWater: s.Number(m[1]), LowWater: s.Number(m[2]), MaxWaiting: s.M.cfg.MaxWaiting})
		})
	case strings.HasPrefix(step, "wait="):
		s.Operator(func(now patterns.Instant) {
			s.M.Reconfigure(now, with(s.M.cfg, func(c *Config) { c.MaxWaiting = s.Number(step[5:]) }))
		})
	case step[0] == 'n':
		s.Same(fmt.Sprintf("n%d", s.M.pending))
	default:
		s.Fail("unknown step")
	}
}

func (s *script) acquire(want string, r patterns.Request) {
	s.t.Helper()
	s.Callers++
	s.Taken()
	got, err := s.Acquire(s.Callers, r)
	kind := map[string]string{machinetest.Granted: "a", machinetest.Queued: "w", machinetest.Rejected: "x"}[got]
	if weight, ok := errors.AsType[*WeightError](err); ok {
		kind = "xh"
		if weight.Weight != r.Weight || weight.Limit != s.M.limit || weight.Name != "v" || errors.Is(err, ErrPressure) || !errors.Is(err, patterns.ErrInvalidRequest) {
			s.Fail("error %+v", weight)
		}
	} else if full, ok := errors.AsType[*PressureError](err); ok {
		want := PressureError{Name: "v", Cause: CauseHot, Pending: s.M.pending, Limit: s.M.limit}
		switch {
		case len(s.Queue) > 0 && r.NoWait:
			want.Cause, want.Waiting = CauseWaiters, len(s.Queue)
		case len(s.Queue) > 0 && s.M.cfg.MaxWaiting != NoQueue:
			want.Cause, want.Waiting = CauseQueue, len(s.Queue)
		}
		if *full != want || !errors.Is(err, ErrPressure) || err.Error() == "" {
			s.Fail("error %+v, want %+v", full, want)
		}
	} else if err != nil {
		s.Fail("%v", err)
	}
	if err != nil && !errors.Is(err, patterns.ErrRejected) {
		s.Fail("%v is no refusal", err)
	}
	if kind != want {
		s.Fail("%s: %v", got, err)
	}
	if kind == "a" {
		s.Taken()
	}
}

// small is hot at 4 of 5 and calm at 1.
var small = Config{MaxPending: 5, HighWater: 4, LowWater: 1, MaxWaiting: 6}

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

func TestTheValve(t *testing.T) {
	refusing := with(small, func(c *Config) { c.MaxWaiting = NoQueue })
	full := Config{MaxPending: 4, HighWater: 4, LowWater: Drained, MaxWaiting: 3}
	for _, tt := range []struct {
		name  string
		cfg   Config
		steps string
	}{
		{"calm, everybody passes", small, "a*3 n3 calm none"},
		{"the permit that reaches the high water mark is granted, and makes it hot", small, "a*4 n4 hot high"},
		{"while hot newcomers wait, although there is room", small, "a*4 w n4 q1"},
		{"it stays hot between the marks", small, "a*4 w d d n2 hot q1 g"},
		{"at the low water mark it is calm, and those who wait are served", small, "a*4 w w high d*3 n3 calm low g5,6 q0"},
		{"served in the order in which they came", small, "a*4 w*6 d*3 g5,6,7 q3 hot high,low,high"},
		{"no overshoot: it is hot again when the mark is reached, and the rest goes on waiting", small, "a*4 w*5 d*3 n4 q2 hot"},
		{"one slot admits one waiter", full, "a*4 w*3 d n3 q3 g"},
		{"a newcomer does not overtake those who wait", small, "a*4 w d*2 w q2 d g5,6"},
		{"whoever leaves the queue holds nobody up", small, "a*4 w w w c5 d*3 g6,7 q0"},
		{"leaving does not make it calm", small, "a*4 w c5 q0 hot n4 g"},
		{"both events come at their transitions only", small, "a*4 high w w d d none d low d d none"},
		{"heat, cool, heat", small, "a*4 d*3 a*3 high,low,high hot"},
		{"a full queue refuses", small, "a*4 w*6 x q6"},
		{"NoQueue refuses while hot", refusing, "a*4 x d x d x d a calm"},
		{"an important one is served first", small, "a*4 w w hw w d*3 g7,5,6 q1"},
		{"and with room to spare passes a heavy one", with(small, func(c *Config) { c.MaxPending = 9; c.HighWater = 9 }), "a*7 w:3 ha n8 calm q1"},
		{"which may make it hot", small, "a*3 w:3 ha hot q1 d*3 g4 hot"},
		{"a longer queue at once", small, "a*4 w*6 x wait=7 w x"},
		{"a shorter one keeps those who wait", small, "a*4 w*6 wait=2 q6 x d*3 g5,6,7 x d*3 g8,9,10 w w x q2"},
		{"none keeps them too", small, "a*4 w*2 wait=-1 x d*3 g5,6 q0"},
		{"a standing order waits though as many do as may, behind those who were there", small, "a*4 w*6 x sw d*3 g5,6,7 d*3 g8,9,10 hot d*3 g12 n2"},
		{"but not where nobody may wait", refusing, "a*4 sx"},
		{"a try while calm", small, "t*3 calm"},
		{"a try while hot is refused", small, "a*4 tx q0 n4"},
		{"a try for more than there is room for is refused", small, "a*3 tx:3 n3 t"},
		{"a try behind others is refused", small, "a*3 w:3 tx n3"},
		{"marks at the top: nothing is refused before the maximum", full, "a*4 hot w d*4 g5 n1 calm"},
		{"a released permit is as good as a reported one", small, "a*4 w r*3 g5 calm"},
		{"weights count", small, "a:2 a:2 hot n4 high"},
		{"a heavy one waits for room although it is calm", small, "a*3 w:3 calm q1 d g4 n5 hot"},
		{"and is not overtaken", small, "a*3 w:3 w calm q2 d g4 q1 hot"},
		{"and when it leaves, those behind it go", small, "a*3 w:3 w c4 g5 n4 hot"},
		{"what is heavier than the maximum is refused for ever", small, "xh:6 a:5 hot xh:6 n5"},
		{"a weight comes back whole", small, "a:3 a d1 n1 d2 n0"},
		{"a weight below 1 is 1", small, "a:0 n1"},
		{"the epoch begins when it gets hot", small, "e1 a*4 e2 d*3 e2 a*3 e3"},
		{"leases are an eighth of the room below the high water mark", Config{}, "l=64 n64 l=64 L128 n0 a*700 l=12 n712 l=11 n723 L23 n700"},
		{"and there are none of one permit", Config{MaxPending: 19, HighWater: 16, LowWater: 3}, "l=2 l=0 n2"},
		{"nor while hot, though there is room", Config{MaxPending: 64, HighWater: 48, LowWater: 4}, "a*48 d*30 hot l=0 d*14 calm l=5"},
		{"a lease that comes back cools", Config{MaxPending: 20, HighWater: 18, LowWater: 1, MaxWaiting: 9}, "l=2 a*16 hot w*3 d*15 hot L2 calm g17,18,19"},
		{"a heavy one ends leases, so that it is not overtaken", with(Config{MaxPending: 64, HighWater: 48, LowWater: 4}, func(c *Config) { c.Mode = patterns.Leased(0, 0) }), "e1 l=6 a*20 w:60 e2 l=0 w L6 d*20 g21 hot"},
		{"a lower maximum keeps what is pending", small, "a*3 max=2/2/1 hot n3 xh:3 w d d g5 n2 hot"},
		{"a higher mark lets those who wait in", small, "a*4 w*2 max=9/9/3 hot g d g5,6 n5 calm"},
		{"a higher low mark cools at once", small, "a*4 w*2 d g max=5/4/3 calm,x"},
		{"reset touches no permit", small, "a*4 w reset hot n4 q1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if line, ok := strings.CutSuffix(tt.steps, " calm,x"); ok { // cooled, and two waiters made it hot again
				s := run(t, tt.cfg, line)
				if got := strings.Join(marks(s.Drained()), ","); got != "high,low,high" {
					t.Errorf("events %s", got)
				}
				return
			}
			run(t, tt.cfg, tt.steps)
		})
	}
}

func TestAnEventKnowsWhenItHappened(t *testing.T) {
	s := run(t, small, "+1s a +1s a +1s a +1s a")
	got := s.Drained()
	if len(got) != 1 || got[0].(Pressure) != (Pressure{Name: "v", On: true, Pending: 4, Limit: 5, After: 4*time.Second + 1, Epoch: 2, At: origin.Add(4*time.Second + 1)}) {
		t.Fatalf("events %+v", got)
	}
	s.Now = s.Now.Add(time.Second)
	for range 3 {
		s.EndOf("", patterns.Success)
	}
	got = s.Drained()
	if len(got) != 1 || got[0].(Pressure) != (Pressure{Name: "v", Pending: 1, Limit: 5, After: time.Second, Epoch: 2, At: origin.Add(5*time.Second + 1)}) {
		t.Errorf("events %+v", got)
	}
}

// A valve that was only hot by what was lent and not used was never hot.
func TestWhatIsOnlyLentIsNoPressure(t *testing.T) {
	m := newTestMachine(Config{MaxPending: 64, HighWater: 48, LowWater: 4, Mode: patterns.Leased(0, 0)})
	lent := m.Lease(1, 64)
	for i := range uint64(48 - lent) {
		m.Acquire(1, i, &patterns.Request{})
	}
	if !m.hot || m.Timeless() || m.Epoch() != 2 {
		t.Fatal("not hot")
	}
	m.SettleLease(1, 1, patterns.Tally{Success: 1})
	if !m.hot {
		t.Fatal("one that was used cooled it")
	}
	m.SettleLease(1, 1, patterns.Tally{Unused: lent - 1})
	if m.hot || !m.Timeless() || m.Wake() != patterns.Never || m.Check() != nil {
		t.Error("still hot")
	}
	m.Tick(2)
	if s := m.Snapshot(2, patterns.Counts{}); s.Heats != 0 || len(slices.Collect(m.Drain())) != 0 {
		t.Errorf("%+v", s)
	}
	m = newTestMachine(m.cfg)
	lent = m.Lease(1, 64)
	m.Acquire(1, 1, &patterns.Request{Weight: 48})
	if m.SettleLease(1, 1, patterns.Tally{Unused: lent}); !m.hot {
		t.Error("it is hot without what was lent")
	}
	m.Tick(2)
	m.SettleLease(2, 1, patterns.Tally{Unused: 1}) // too late
	if got := slices.Collect(m.Drain()); !m.hot || len(got) != 1 {
		t.Errorf("hot %v, %v", m.hot, got)
	}
}

func TestWhoEndsLeasesHasTheirRoom(t *testing.T) {
	for name, r := range map[string]patterns.Request{"waits": {Weight: 60}, "does not wait": {Weight: 60, NoWait: true}} {
		m := newTestMachine(Config{MaxPending: 64, Mode: patterns.Leased(0, 0), MaxWaiting: NoQueue})
		lent := m.Lease(1, 64)
		if d := m.Acquire(1, 1, &r); d.Verdict != patterns.Wait || !d.Dirty || m.Epoch() != 2 || lent < 5 || m.Again() != patterns.Never {
			t.Errorf("%s, first: %+v", name, d)
		}
		m.SettleLease(1, 1, patterns.Tally{Unused: lent})
		if at := m.Again(); at != 2 {
			t.Errorf("%s, asked again at %d", name, at)
		}
		if d := m.Acquire(2, 1, &r); d.Verdict != patterns.Grant {
			t.Errorf("%s, again: %+v", name, d)
		}
		if d := m.Acquire(2, 2, &r); d.Verdict != patterns.Refuse {
			t.Errorf("%s, another: %+v", name, d)
		}
	}
}

func TestWhatHappensInOneMomentIsToldInOrder(t *testing.T) {
	m := newTestMachine(small)
	for i := range uint64(4) {
		m.Acquire(0, i, &patterns.Request{})
	}
	m.Reconfigure(0, with(small, func(c *Config) { c.MaxWaiting = 1 }))
	for i := range uint64(3) {
		m.Release(0, patterns.PermitID{ID: i})
	}
	for i := range uint64(3) {
		m.Acquire(0, i, &patterns.Request{})
	}
	m.Release(1, patterns.PermitID{})
	got := slices.Collect(m.Drain())
	if len(got) != 4 || !Heated(got[0]) || !Cooled(got[2]) || !Heated(got[3]) {
		t.Errorf("events %v", got)
	}
}

func TestAChangeToTheSameIsNone(t *testing.T) {
	m := newTestMachine(Config{})
	m.Reconfigure(1, Config{MaxPending: 1000, HighWater: 800})
	if got := slices.Collect(m.Drain()); got != nil || m.flush() {
		t.Errorf("events %v", got)
	}
	m.Reconfigure(2, Config{MaxWaiting: 1})
	if got := slices.Collect(m.Drain()); len(got) != 1 || !m.flush() {
		t.Errorf("events %v", got)
	}
}

// Somebody who waits for room, though it is calm, makes the clock worth reading: how long
// it waits is measured. When it is gone, it no longer is.
func TestTheClockIsReadAsLongAsSomebodyWaits(t *testing.T) {
	for _, leave := range []string{"d +1s g4", "c4 a", "c4 ha a"} {
		s := run(t, with(small, func(c *Config) { c.MaxPending, c.HighWater = 9, 9 }), "a*3 w:8 +1s")
		if s.M.Timeless() {
			t.Error("nobody reads the clock")
		}
		for step := range strings.FieldsSeq(leave) {
			s.Step = step
			if step == "g4" {
				s.do("d3")
				s.do("d2")
			}
			s.Step = step
			s.do(step)
		}
		if leave[0] == 'c' && !s.M.Timeless() {
			t.Errorf("after %s the clock is still read", leave)
		}
		if w := s.M.Snapshot(s.Now, patterns.Counts{}).Waits; leave[0] == 'd' && (w.Count() != 1 || w.Max < 2*time.Second-1) {
			t.Errorf("waited for %v", w.Max)
		}
	}
}

func TestTheClockIsReadWhileSomebodyLessImportantWaits(t *testing.T) {
	m := newTestMachine(with(small, func(c *Config) { c.MaxPending, c.HighWater = 9, 9 }))
	m.Acquire(1, 1, &patterns.Request{Weight: 3})
	m.Acquire(1, 2, &patterns.Request{Weight: 8, Priority: patterns.Low})
	for _, p := range []patterns.Priority{patterns.Normal, patterns.High} {
		if d := m.Acquire(2, 3, &patterns.Request{Priority: p}); d.Verdict != patterns.Grant || m.Timeless() {
			t.Errorf("%v: %+v", p, d)
		}
	}
	if d := m.Acquire(2, 4, &patterns.Request{Priority: patterns.Low}); d.Verdict != patterns.Grant || !d.Dirty || !m.Timeless() {
		t.Errorf("of its own priority: %+v", d)
	}
}

func TestSnapshot(t *testing.T) {
	s := run(t, small, "+1s a*4 +2s w")
	counts := patterns.Counts{Asked: 5, Granted: 4, Waiting: 1, InFlight: 4}
	got := s.M.Snapshot(s.Now, counts)
	want := Snapshot{
		Name: "v", Pending: 4, Peak: 4, MaxPending: 5, HighWater: 4, LowWater: 1, Hot: true,
		Since: origin.Add(time.Second + 1), InState: 2*time.Second + 0, Heats: 1, HotFor: 2 * time.Second, Epoch: 2, Counts: counts,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if u := got.Utilization(); u != 0.8 {
		t.Errorf("utilization %v", u)
	}
	s.do("reset")
	s.Now = s.Now.Add(time.Second)
	if got = s.M.Snapshot(s.Now, counts); got.Heats != 1 || got.HotFor != time.Second || got.Peak != 4 {
		t.Errorf("after a reset %+v", got)
	}
	for range 3 {
		s.EndOf("", patterns.Success)
	}
	if got = s.M.Snapshot(s.Now, counts); got.Waits.Count() != 1 {
		t.Errorf("waits %+v", got.Waits)
	}
	s.do("reset")
	if got = s.M.Snapshot(s.Now, counts); got.Waits.Count() != 0 || got.Heats != 0 || got.HotFor != 0 || got.Peak != 2 {
		t.Errorf("after another reset %+v", got)
	}
}

func TestOtherOperationsAreRefused(t *testing.T) {
	for k := patterns.ForceOpen; k.Valid(); k++ {
		err := newTestMachine(small).Operate(0, patterns.Operation{Kind: k})
		if c, ok := errors.AsType[*patterns.ConfigError](err); !ok || c.Field != "Kind" {
			t.Errorf("%v: %v", k, err)
		}
	}
}

func TestRepairNeverForgetsWhatIsPending(t *testing.T) {
	s := run(t, small, "a:2 a")
	m := s.M
	m.pending = 1
	if m.Check() == nil {
		t.Fatal("not noticed")
	}
	m.Repair(s.Now)
	if err := m.Check(); err != nil || m.pending != 2 || m.epoch != 2 {
		t.Errorf("%v, %+v", err, m)
	}
	m.pending = 4
	m.Repair(s.Now)
	if err := m.Check(); err != nil || !m.hot {
		t.Errorf("%v, %+v", err, m)
	}
	m.pending, m.heavy = -3, new(permits.Table[int])
	m.heavy.Put(1, -5)
	m.Repair(s.Now)
	if err := m.Check(); err != nil || m.hot || m.pending != 0 {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestEventsThatNobodyDrainsAreBoundedAndCounted(t *testing.T) {
	m := newTestMachine(Config{MaxPending: 1})
	for i := range patterns.Instant(20) {
		d := m.Acquire(i, uint64(i), &patterns.Request{})
		m.Release(i, patterns.PermitID{Epoch: d.Epoch, ID: uint64(i)})
	}
	n := 0
	for ev := range m.Drain() {
		if on := ev.(Pressure).On; on != (n%2 == 0) {
			t.Errorf("event %d out of order", n)
		}
		n++
	}
	if n != eventqueue.Max || m.events.Lost() != 40-eventqueue.Max {
		t.Errorf("%d events, lost %d", n, m.events.Lost())
	}
}
