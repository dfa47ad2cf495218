package backpressure

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// script drives a host by a line of steps, so that a scenario is a table row:
//
//	a a:3        a producer asks, with weight 3, and gets its permit at once
//	w w:3        it has to wait
//	x x:3        it is refused; xh if it is too heavy
//	t            it tries without waiting and gets its permit; tx if not
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
//	max=5/4/1    it is reconfigured: max, high, low
//	reset        an operator
//	+5s          time passes
//
// Any step may be repeated: a*4. After each, the invariants must hold.
type script struct {
	*host
	labels int
	step   string
}

func run(t *testing.T, c Config, line string) *script {
	t.Helper()
	s := &script{host: newHost(t, c)}
	for _, step := range strings.Fields(line) {
		step, times, repeated := strings.Cut(step, "*")
		n := 1
		if repeated {
			n = s.number(times)
		}
		for range n {
			s.step = step
			s.do(step)
		}
	}
	return s
}

func (s *script) do(step string) {
	s.t.Helper()
	name, arg, _ := strings.Cut(step, ":")
	r := patterns.Request{}
	if arg != "" {
		r.Weight = s.number(arg)
	}
	switch {
	case name == "a", name == "w", name == "x", name == "xh":
		s.acquire(name, r)
	case name == "t", name == "tx":
		r.Deadline = past
		s.acquire(map[string]string{"t": "a", "tx": "x"}[name], r)
	case step == "hot", step == "calm":
		s.same(map[bool]string{true: "hot", false: "calm"}[s.m.hot])
	case step == "reset":
		s.operator(func(now patterns.Instant) {
			if err := s.m.Operate(now, patterns.Operation{Kind: patterns.Reset}); err != nil {
				s.fail("%v", err)
			}
		})
	case step == "none", slices.Contains([]string{"high", "low"}, strings.Split(step, ",")[0]):
		if got := strings.Join(marks(s.drained()), ","); got != strings.TrimPrefix(step, "none") {
			s.fail("events %q", got)
		}
	case strings.HasPrefix(step, "l="):
		s.operator(func(now patterns.Instant) { s.same("l=" + strconv.Itoa(s.m.Lease(now, 64))) })
	case strings.HasPrefix(step, "max="):
		m := strings.Split(step[4:], "/")
		s.operator(func(now patterns.Instant) {
			s.m.Reconfigure(now, Config{MaxPending: s.number(m[0]), HighWater: s.number(m[1]), LowWater: s.number(m[2]), MaxWaiting: s.m.cfg.MaxWaiting})
		})
	default:
		s.more(step)
	}
}

func (s *script) more(step string) {
	s.t.Helper()
	arg := step[1:]
	switch step[0] {
	case 'd':
		s.end(arg, patterns.Success)
	case 'r':
		s.end(arg, patterns.Ignored)
	case 'c':
		if s.cancel(s.number(arg)) != "cancelled" {
			s.fail("does not wait")
		}
	case 'g':
		var got []string
		for _, label := range s.taken() {
			got = append(got, strconv.Itoa(label))
		}
		s.same("g" + strings.Join(got, ","))
	case 'n':
		s.same(fmt.Sprintf("n%d", s.m.pending))
	case 'q':
		s.same(fmt.Sprintf("q%d", len(s.queue)))
	case 'e':
		s.same(fmt.Sprintf("e%d", s.m.Epoch()))
	case 'L':
		s.operator(func(now patterns.Instant) { s.m.SettleLease(now, 1, patterns.Tally{Unused: s.number(arg)}) })
	case '+':
		d, err := time.ParseDuration(arg)
		if err != nil {
			s.fail("%v", err)
		}
		s.now = s.now.Add(d)
	default:
		s.fail("unknown step")
	}
}

func (s *script) acquire(want string, r patterns.Request) {
	s.t.Helper()
	s.labels++
	s.taken()
	got, err := s.host.acquire(s.labels, r)
	kind := map[string]string{"granted": "a", "queued": "w", "rejected": "x"}[got]
	if weight, ok := errors.AsType[*WeightError](err); ok {
		kind = "xh"
		if weight.Weight != r.Weight || weight.Limit != s.m.limit || weight.Name != "v" || errors.Is(err, ErrPressure) || !errors.Is(err, patterns.ErrInvalidRequest) {
			s.fail("error %+v", weight)
		}
	} else if full, ok := errors.AsType[*PressureError](err); ok {
		if full.Pending != s.m.pending || full.Limit != s.m.limit || full.Name != "v" || full.Cause != CauseHot || !errors.Is(err, ErrPressure) {
			s.fail("error %+v", full)
		}
	} else if err != nil {
		s.fail("%v", err)
	}
	if err != nil && !errors.Is(err, patterns.ErrRejected) {
		s.fail("%v is no refusal", err)
	}
	if kind != want {
		s.fail("%s: %v", got, err)
	}
	if kind == "a" {
		s.taken()
	}
}

func (s *script) end(which string, o patterns.Outcome) {
	s.t.Helper()
	var labels []int
	for l := range s.out {
		labels = append(labels, l)
	}
	if len(labels) == 0 {
		s.fail("nothing is out")
	}
	label := slices.Min(labels)
	if which != "" {
		label = s.number(which)
	}
	if s.release(label, o) != "released" {
		s.fail("is not out")
	}
}

func (s *script) same(got string) {
	s.t.Helper()
	if got != s.step {
		s.fail("got %s", got)
	}
}

func (s *script) number(text string) int {
	s.t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		s.fail("%v", err)
	}
	return n
}

func (s *script) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("step %q at %v: %s", s.step, time.Duration(s.now), fmt.Sprintf(format, args...))
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
		{"a try while calm", small, "t*3 calm"},
		{"a try while hot is refused", small, "a*4 tx q0 n4"},
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
		{"nor while hot", small, "a*4 l=0"},
		{"a lease that comes back cools", Config{MaxPending: 20, HighWater: 18, LowWater: 1, MaxWaiting: 9}, "l=2 a*16 hot w*3 d*15 hot L2 calm g17,18,19"},
		{"a lower maximum keeps what is pending", small, "a*3 max=2/2/1 hot n3 xh:3 w d d g5 n2 hot"},
		{"a higher mark lets those who wait in", small, "a*4 w*2 max=9/9/3 hot g d g5,6 n5 calm"},
		{"a higher low mark cools at once", small, "a*4 w*2 d g max=5/4/3 calm,x"},
		{"reset touches no permit", small, "a*4 w reset hot n4 q1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if line, ok := strings.CutSuffix(tt.steps, " calm,x"); ok { // cooled, and two waiters made it hot again
				s := run(t, tt.cfg, line)
				if got := strings.Join(marks(s.drained()), ","); got != "high,low,high" {
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
	got := s.drained()
	if len(got) != 1 || got[0].(Pressure) != (Pressure{Name: "v", On: true, Pending: 4, Limit: 5, After: 4*time.Second + 1, Epoch: 2, At: origin.Add(4*time.Second + 1)}) {
		t.Fatalf("events %+v", got)
	}
	s.now = s.now.Add(time.Second)
	for range 3 {
		s.end("", patterns.Success)
	}
	got = s.drained()
	if len(got) != 1 || got[0].(Pressure) != (Pressure{Name: "v", Pending: 1, Limit: 5, After: time.Second, Epoch: 2, At: origin.Add(5*time.Second + 1)}) {
		t.Errorf("events %+v", got)
	}
}

func TestSnapshot(t *testing.T) {
	s := run(t, small, "+1s a*4 +2s w")
	counts := patterns.Counts{Asked: 5, Granted: 4, Waiting: 1, InFlight: 4}
	got := s.m.Snapshot(s.now, counts)
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
	s.now = s.now.Add(time.Second)
	if got = s.m.Snapshot(s.now, counts); got.Heats != 1 || got.HotFor != time.Second || got.Peak != 4 {
		t.Errorf("after a reset %+v", got)
	}
	for range 3 {
		s.end("", patterns.Success)
	}
	s.do("reset")
	if got = s.m.Snapshot(s.now, counts); got.Heats != 0 || got.HotFor != 0 || got.Peak != 2 {
		t.Errorf("after another reset %+v", got)
	}
}

func TestOtherOperationsAreRefused(t *testing.T) {
	for k := patterns.ForceOpen; k.Valid(); k++ {
		err := newTestMachine(small).Operate(0, patterns.Operation{Kind: k})
		if c, ok := errors.AsType[*ConfigError](err); !ok || c.Field != "Kind" {
			t.Errorf("%v: %v", k, err)
		}
	}
}

func TestRepairNeverForgetsWhatIsPending(t *testing.T) {
	s := run(t, small, "a:2 a")
	m := s.m
	m.pending = 1
	if m.Check() == nil {
		t.Fatal("not noticed")
	}
	m.Repair(s.now)
	if err := m.Check(); err != nil || m.pending != 2 || m.epoch != 2 {
		t.Errorf("%v, %+v", err, m)
	}
	m.pending = 4
	m.Repair(s.now)
	if err := m.Check(); err != nil || !m.hot {
		t.Errorf("%v, %+v", err, m)
	}
	m.pending, m.heavy = -3, map[uint64]int{1: -5}
	m.Repair(s.now)
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
	if n != maxEvents || m.events.lost != 40-maxEvents {
		t.Errorf("%d events, lost %d", n, m.events.lost)
	}
}
