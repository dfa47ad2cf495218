package bulkhead

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
//	a a:3 a@k    a caller asks, with weight 3, for the key k, and gets its slots at once
//	w w:3        it has to wait
//	x x:3 x@k    it is refused; xp for want of a partition, xh because it is too heavy
//	t tx         it tries without waiting and gets its slot; it does not
//	d d3         the oldest permit is reported, permit 3 is (callers count from 1)
//	r            the oldest permit is released without a verdict
//	c3           caller 3 leaves the queue
//	g4,5         callers 4 and 5 have got their slots since the last g, a or t; g for nobody
//	y4,5         callers 4 and 5 were told that they had waited for too long; y for nobody
//	n8           8 slots are taken
//	q2           2 wait
//	p3           3 partitions are in use
//	k9           the peak is 9
//	sat ok       it is saturated, or not
//	ev:…         the events since the last look: S, S@k, R, R@k, Z for resized
//	e3           the epoch
//	l=4 L4       a lease of at most 64 lends 4; 4 of it come back
//	max=5        it is resized
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
	name, key, _ := strings.Cut(step, "@")
	name, weight, _ := strings.Cut(name, ":")
	r := patterns.Request{Key: key}
	if name != "ev" && weight != "" {
		r.Weight = s.number(weight)
	}
	switch {
	case slices.Contains([]string{"a", "w", "x", "xp", "xh"}, name):
		s.acquire(name, r)
	case name == "t", name == "tx":
		r.Deadline = Past
		s.acquire(map[string]string{"t": "a", "tx": "x"}[name], r)
	case step == "sat", step == "ok":
		s.same(map[bool]string{true: "sat", false: "ok"}[s.m.main.saturated])
	case step == "reset":
		s.operator(func(now patterns.Instant) {
			if err := s.m.Operate(now, patterns.Operation{Kind: patterns.Reset}); err != nil {
				s.fail("%v", err)
			}
		})
	case name == "ev":
		s.same("ev:" + short(s.drained()))
	case strings.HasPrefix(step, "l="):
		s.operator(func(now patterns.Instant) { s.same("l=" + strconv.Itoa(s.m.Lease(now, 64))) })
	case strings.HasPrefix(step, "max="):
		c := s.m.cfg
		c.MaxConcurrent = s.number(step[4:])
		s.operator(func(now patterns.Instant) { s.m.Reconfigure(now, c) })
	default:
		s.more(step)
	}
}

func short(events []patterns.Event) string {
	var names []string
	for _, e := range events {
		switch e := e.(type) {
		case Saturated:
			names = append(names, strings.TrimSuffix("S@"+e.Key, "@"))
		case Relieved:
			names = append(names, strings.TrimSuffix("R@"+e.Key, "@"))
		case Resized:
			names = append(names, "Z")
		}
	}
	return strings.Join(names, ",")
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
		s.same("g" + join(s.taken()))
	case 'y':
		s.same("y" + join(s.refused))
		s.refused = nil
	case 'n':
		s.same(fmt.Sprintf("n%d", s.m.taken))
	case 'q':
		s.same(fmt.Sprintf("q%d", len(s.queue)))
	case 'p':
		s.same(fmt.Sprintf("p%d", len(s.m.partitions)))
	case 'k':
		s.same(fmt.Sprintf("k%d", s.m.peak))
	case 'e':
		s.same(fmt.Sprintf("e%d", s.m.Epoch()))
	case 'L':
		s.operator(func(now patterns.Instant) { s.m.SettleLease(now, 1, patterns.Tally{Unused: s.number(arg)}) })
	case '+':
		d, err := time.ParseDuration(arg)
		if err != nil {
			s.fail("%v", err)
		}
		s.pass(d)
	default:
		s.fail("unknown step")
	}
}

func join(labels []int) string {
	var text []string
	for _, l := range labels {
		text = append(text, strconv.Itoa(l))
	}
	return strings.Join(text, ",")
}

func (s *script) acquire(want string, r patterns.Request) {
	s.t.Helper()
	s.labels++
	s.taken()
	got, err := s.host.acquire(s.labels, r)
	kind := map[string]string{"granted": "a", "queued": "w", "rejected": "x"}[got]
	if weight, ok := errors.AsType[*WeightError](err); ok {
		kind = "xh"
		if *weight != (WeightError{"b", r.Weight, s.m.limit}) || errors.Is(err, ErrFull) || !errors.Is(err, patterns.ErrInvalidRequest) {
			s.fail("error %+v", weight)
		}
	} else if full, ok := errors.AsType[*FullError](err); ok {
		want := FullError{Name: "b", Cause: CauseSlots, Limit: s.m.limit}
		if c := s.m.find(r.Key); c != nil {
			want.InFlight = c.taken
		} else if s.m.cfg.MaxPartitions == 0 {
			want.InFlight = s.m.taken
		}
		if full.Cause == CausePartitions {
			kind = "xp"
			want = FullError{Name: "b", Cause: CausePartitions, Limit: s.m.cfg.MaxPartitions, InFlight: len(s.m.partitions)}
		}
		if *full != want || !errors.Is(err, ErrFull) || err.Error() == "" {
			s.fail("error %+v, want %+v", full, want)
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
	labels := sorted(s.out)
	if len(labels) == 0 {
		s.fail("nothing is out")
	}
	label := labels[0]
	if which != "" {
		label = s.number(which)
	}
	if s.release(label, o) != "released" {
		s.fail("is not out")
	}
}

func sorted(out map[int]patterns.PermitID) (all []int) {
	for l := range out {
		all = append(all, l)
	}
	slices.Sort(all)
	return all
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

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

var (
	// four has four slots, and nobody waits.
	four = Config{MaxConcurrent: 4}
	// queued has two slots, and three may wait for 5 s.
	queued = Config{MaxConcurrent: 2, MaxWaiting: 3, MaxWait: 5 * time.Second}
	// rooms has two slots for each of three keys.
	rooms = Config{MaxConcurrent: 2, MaxPartitions: 3}
)

func TestTheBulkhead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   Config
		steps string
	}{
		{"ten slots by default, and nobody waits", Config{}, "a*10 x n10 d a"},
		{"what is full refuses until a slot is free", four, "a*4 x x d a x n4"},
		{"released is as good as reported", four, "a*4 r a n4"},
		{"the peak is the most there ever were", four, "a*3 d*2 k3 n1 a k3 a*2 k4"},
		{"saturated by the first who finds no slot, not by the last who does", four, "a*4 ok ev: x sat ev:S x ev:"},
		{"relieved when half of the slots are free, not sooner", four, "a*4 x d ev:S sat d ok ev:R d ev:"},
		{"one slot is relieved when it is free", Config{MaxConcurrent: 1}, "a x ev:S d ok ev:R a x ev:S"},

		{"in order", queued, "a*2 w w w d g3 d g4 d g5 q0"},
		{"a full queue refuses", queued, "a*2 w*3 x q3 n2"},
		{"one slot serves one", queued, "a*2 w*3 d g3 q2 n2"},
		{"no newcomer overtakes", queued, "a*2 w d g3 w q1"},
		{"whoever leaves the queue frees its place", queued, "a*2 w*3 c4 w d g3 d g5 d g6"},
		{"not relieved while somebody waits", Config{MaxConcurrent: 1, MaxWaiting: 3}, "a w w w d g2 sat d g3 sat d g4 q0 sat ev:S d +1ms ok ev:R"},
		{"relieved although the last who waited has left", Config{MaxConcurrent: 1, MaxWaiting: 3}, "a w c2 d sat +1ms ok ev:S,R"},
		{"relieved with slots to spare while nobody waits", queued, "a*2 w d g3 sat d ok ev:S,R"},
		{"a try does not wait", queued, "t*2 tx q0 d t"},

		{"told when it waited for too long", queued, "a*2 w +4999ms y q1 +1ms y3 q0 sat"},
		{"each for itself", queued, "a*2 w +2s w +2999999999ns y3 q1 +2s y4 q0"},
		{"served in the last moment", queued, "a*2 w +4s d g3 y +9s y"},
		{"who comes later waits from then", queued, "a*2 w +4s w +1s y3 +3999ms y q1 +1ms y4"},
		{"without a bound for ever", with(queued, func(c *Config) { c.MaxWait = 0 }), "a*2 w +9999h y q1 d g3"},
		{"the head leaves, and the next is not forgotten", queued, "a*2 w +1s w c3 +4999ms y +1ms y4 q0"},

		{"a weight takes as many slots", four, "a:3 x:2 a x n4 d1 n1 a:2 n3"},
		{"a weight of 0 is 1", four, "a:0 n1"},
		{"what is heavier than the limit is refused for ever", four, "xh:5 ok a:4 xh:5"},
		{"a heavy one waits until it fits", with(four, func(c *Config) { c.MaxWaiting = 2 }), "a*3 w:3 d g d g4 n4"},
		{"and is not overtaken by lighter ones", with(four, func(c *Config) { c.MaxWaiting = 2 }), "a*3 w:3 w d g d g4 q1 d g5"},
		{"and when it leaves those behind it go", with(four, func(c *Config) { c.MaxWaiting = 2 }), "a*3 w:3 w c4 g5 n4"},

		{"without partitions keys mean nothing", four, "a@a a@b a@c a@d x@e p0"},
		{"each key has its slots", rooms, "a@a a@a x@a a@b a@b x@b p2 n4"},
		{"and so have those without a key", rooms, "a a x a@a p1 sat"},
		{"a partition is there as long as it has permits out", rooms, "a@a a@b d p1 d p0 n0"},
		{"no more partitions than may be", rooms, "a@a a@b a@c xp@d a@c d1 a@d p3"},
		{"a partition that is saturated is nobody else's business", rooms, "a@a a@a x@a ok ev:S@a a d ev:R@a ok"},
		{"several at once", rooms, "a@a a@a x@a a@b a@b x@b ev:S@a,S@b d d d ev:R@a,R@b p1"},
		{"weights in partitions", rooms, "a:2@a x@a xh:3@a d p0"},

		{"grow, and those who wait are served", queued, "a*2 w*3 max=4 g3,4 q1 n4 ev:S,Z"},
		{"shrink, and nothing is admitted until it fits", four, "a*4 max=2 x d x d x d a n2 ev:Z,S,R"},
		{"shrink to below what a waiter weighs", with(four, func(c *Config) { c.MaxWaiting = 2 }), "a*4 w:3 max=2 y5 d*3 n1"},
		{"a resize to the same is none", four, "max=4 ev:"},
		{"grow partitions", rooms, "a@a a@a x@a max=4 a@a a@a x@a ev:S@a,Z,R@a,S@a"},

		{"an eighth of the free slots per lease", Config{MaxConcurrent: 100}, "l=12 n12 l=11 n23 L23 n0 k23"},
		{"not more than is wanted", Config{MaxConcurrent: 10000}, "l=64"},
		{"none of one slot", Config{MaxConcurrent: 15}, "l=0 n0"},
		{"none while saturated, and those that are out end", Config{MaxConcurrent: 16}, "e1 l=2 a*14 x e2 l=0 L2 l=0 d*6 ok l=0 d*8 l=2 e2"},
		{"reset forgets the peak and touches no permit", four, "a*4 x d*2 reset k2 n2 ok"},
	} {
		t.Run(tt.name, func(t *testing.T) { run(t, tt.cfg, tt.steps) })
	}
}

func TestKeysThatAreTooLongAreRefused(t *testing.T) {
	m := newTestMachine(rooms)
	for size, fits := range map[int]bool{0: true, 1: true, MaxKey: true, MaxKey + 1: false, 1 << 20: false} {
		d := m.Acquire(0, uint64(size), &patterns.Request{Key: strings.Repeat("k", size)})
		if (d.Verdict == patterns.Grant) != fits {
			t.Errorf("%d bytes: %+v", size, d)
		}
		if _, long := errors.AsType[*KeyError](d.Err); !fits && (!long || !errors.Is(d.Err, patterns.ErrInvalidRequest) || !errors.Is(d.Err, patterns.ErrRejected)) {
			t.Errorf("%d bytes: %v", size, d.Err)
		}
	}
}

func TestAMillionKeysLeaveNothing(t *testing.T) {
	m := newTestMachine(Config{MaxPartitions: 10})
	for i := range uint64(1_000_000) {
		d := m.Acquire(0, i, &patterns.Request{Key: strconv.FormatUint(i, 36)})
		if i%3 != 0 || len(m.partitions) == 10 {
			m.Release(0, patterns.PermitID{Epoch: d.Epoch, ID: i})
		}
		if len(m.partitions) > 10 {
			t.Fatalf("%d partitions", len(m.partitions))
		}
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

func TestEventsKnowWhenItHappened(t *testing.T) {
	s := run(t, four, "+1s a*4 +1s x")
	at := func(d time.Duration) time.Time { return origin.Add(d) }
	saturated := s.now
	if got := s.drained(); len(got) != 1 || got[0] != (Saturated{Name: "b", Limit: 4, InFlight: 4, At: at(time.Duration(saturated))}) || saturated < 2e9 {
		t.Fatalf("at %d: %+v", s.now, got)
	}
	s.pass(time.Second)
	s.do("d")
	s.do("d")
	want := Relieved{Name: "b", Limit: 4, InFlight: 2, After: time.Second, At: at(time.Duration(saturated) + time.Second)}
	if got := s.drained(); len(got) != 1 || got[0] != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	s.do("max=1")
	if got := s.drained(); len(got) != 1 || got[0] != (Resized{Name: "b", From: 4, To: 1, InFlight: 2, At: want.At}) {
		t.Fatalf("%+v", got)
	}
}

func TestSnapshotAndWaitTimes(t *testing.T) {
	s := run(t, queued, "a*2 w w w +1500us d +1500us d +1s d")
	counts := patterns.Counts{Asked: 5, Granted: 5}
	got := s.m.Snapshot(s.now, counts)
	w := got.Waits
	if w.Count() != 3 || w.Buckets[11] != 1 || w.Buckets[12] != 1 || w.Buckets[20] != 1 {
		t.Errorf("waits %+v", w)
	}
	if m := w.Mean(); m < 335*time.Millisecond || m > 336*time.Millisecond {
		t.Errorf("mean %v", m)
	}
	for q, want := range map[float64]time.Duration{0: 2048 * time.Microsecond, 0.34: 2048 * time.Microsecond, 0.7: 4096 * time.Microsecond, 1: w.Max, 7: w.Max, -1: 2048 * time.Microsecond} {
		if got := w.Quantile(q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	want := Snapshot{Name: "b", Limit: 2, Active: 2, Peak: 2, Saturated: true, Waits: w, Epoch: 2, Counts: counts}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Available() != 0 || got.Utilization() != 1 {
		t.Errorf("available %d, utilization %v", got.Available(), got.Utilization())
	}
	s.do("reset")
	if got = s.m.Snapshot(s.now, counts); got.Waits != (WaitTimes{}) || got.Waits.Mean() != 0 || got.Waits.Quantile(0.5) != 0 {
		t.Errorf("after a reset %+v", got.Waits)
	}
}

func TestWaitTimesTakeEveryDuration(t *testing.T) {
	var w WaitTimes
	for _, d := range []time.Duration{0, 1, time.Microsecond - 1, time.Microsecond, time.Hour, 1<<63 - 1, 1<<63 - 1} {
		w.add(d)
	}
	if w.Buckets[0] != 3 || w.Buckets[1] != 1 || w.Buckets[waitBuckets-1] != 3 || w.Sum != 1<<63-1 || w.Count() != 7 {
		t.Errorf("%+v", w)
	}
	if bound, ok := w.Bound(waitBuckets - 1); ok {
		t.Errorf("the last bucket ends at %v", bound)
	}
}

func TestOtherOperationsAreRefused(t *testing.T) {
	for k := patterns.ForceOpen; k.Valid(); k++ {
		err := newTestMachine(four).Operate(0, patterns.Operation{Kind: k})
		if c, ok := errors.AsType[*ConfigError](err); !ok || c.Field != "Kind" {
			t.Errorf("%v: %v", k, err)
		}
	}
}

func TestRepairNeverForgetsASlotThatIsTaken(t *testing.T) {
	for name, harm := range map[string]func(m *Machine){
		"total":      func(m *Machine) { m.taken = 0 },
		"main":       func(m *Machine) { m.main.taken = -5 },
		"partition":  func(m *Machine) { m.partitions["a"].taken = 0 },
		"partitions": func(m *Machine) { m.partitions = nil },
		"holds":      func(m *Machine) { m.holds[99] = hold{} },
		"saturated":  func(m *Machine) { m.saturated, m.owes = 3, true },
	} {
		t.Run(name, func(t *testing.T) {
			s := run(t, rooms, "a@a a:2@b a:2")
			m := s.m
			harm(m)
			if m.Check() == nil {
				t.Fatal("not noticed")
			}
			m.Repair(s.now)
			if err := m.Check(); err != nil || m.taken != 5 || m.epoch != 2 {
				t.Fatalf("%v: %d taken, epoch %d", err, m.taken, m.epoch)
			}
			for range 3 {
				s.do("d")
			}
			if m.taken != 0 || len(m.partitions) != 0 {
				t.Errorf("%d taken", m.taken)
			}
		})
	}
}

func TestEventsThatNobodyDrainsAreBoundedAndCounted(t *testing.T) {
	m := newTestMachine(four)
	for i := range 20 {
		m.Reconfigure(patterns.Instant(i), Config{MaxConcurrent: 5 + i})
	}
	n := 0
	for ev := range m.Drain() {
		if got := ev.(Resized).To; got != 9+n {
			t.Errorf("event %d is %d", n, got)
		}
		n++
	}
	if n != maxEvents || m.events.lost != 20-maxEvents {
		t.Errorf("%d events, lost %d", n, m.events.lost)
	}
}
