package bulkhead

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
)

// script drives a host by a line of steps, so that a scenario is a table row:
//
//	a a:3 a@k    a caller asks, with weight 3, for the key k, and gets its slots at once
//	w w:3        it has to wait
//	x x:3 x@k    it is refused; xp for want of a partition, xh because it is too heavy
//	t tx         it tries without waiting and gets its slot; it does not
//	hw ha        it has a high priority: it has to wait; it gets its slot
//	sw sx        it is a producer with a standing order, and waits; it is refused
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
//	ev:…         the events since the last look: S, S@k, R, R@k, Z for a change of its Config
//	e3           the epoch
//	l=4 L4       a lease of at most 64 lends 4; 4 of it come back
//	max=5        it is resized
//	wait=5 parts=5   as many may wait; as many partitions may be
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
	name, key, _ := strings.Cut(step, "@")
	name, weight, _ := strings.Cut(name, ":")
	r := patterns.Request{Key: key}
	if name != "ev" && weight != "" {
		r.Weight = s.Number(weight)
	}
	switch {
	case s.Do(step):
	case slices.Contains([]string{"a", "w", "x", "xp", "xh"}, name):
		s.acquire(name, r)
	case name == "ha", name == "hw":
		r.Priority = patterns.High
		s.acquire(name[1:], r)
	case name == "sw", name == "sx":
		s.Callers++
		if got, err := s.Stand(s.Callers, r); (got == machinetest.Queued) != (name == "sw") {
			s.Fail("%s: %v", got, err)
		}
	case name == "t", name == "tx":
		r.NoWait = true
		s.acquire(map[string]string{"t": "a", "tx": "x"}[name], r)
	case step == "sat", step == "ok":
		s.Same(map[bool]string{true: "sat", false: "ok"}[s.M.main.saturated])
	case name == "ev":
		s.Same("ev:" + short(s.Drained()))
	case strings.Contains(step, "="):
		field, value, _ := strings.Cut(step, "=")
		c := s.M.cfg
		*map[string]*int{"max": &c.MaxConcurrent, "wait": &c.MaxWaiting, "parts": &c.MaxPartitions}[field] = s.Number(value)
		if c.MaxWaiting == 0 {
			c.MaxWait = 0
		}
		s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, c) })
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
		case ConfigChanged:
			names = append(names, "Z")
		}
	}
	return strings.Join(names, ",")
}

func (s *script) more(step string) {
	s.t.Helper()
	switch step[0] {
	case 'y':
		s.Same("y" + machinetest.Join(s.refused()))
	case 'n':
		s.Same(fmt.Sprintf("n%d", s.M.taken()))
	case 'p':
		s.Same(fmt.Sprintf("p%d", s.M.used))
	case 'k':
		s.Same(fmt.Sprintf("k%d", s.M.peak))
	default:
		s.Fail("unknown step")
	}
}

// refused returns who was told that it had waited for too long, or weighs too much now.
func (s *script) refused() (labels []int) {
	for _, r := range s.Refused {
		full, _ := errors.AsType[*FullError](r.Err)
		heavy, _ := errors.AsType[*WeightError](r.Err)
		if (full == nil || full.Cause != CauseMaxWait) && heavy == nil {
			s.Fail("%d: %v", r.Label, r.Err)
		}
		labels = append(labels, r.Label)
	}
	s.Refused = nil
	return labels
}

func (s *script) acquire(want string, r patterns.Request) {
	s.t.Helper()
	s.Callers++
	s.Taken()
	waiting := 0
	for _, w := range s.Queue {
		if !s.M.keyed || w.Request.Key == r.Key {
			waiting++
		}
	}
	got, err := s.Acquire(s.Callers, r)
	kind := map[string]string{machinetest.Granted: "a", machinetest.Queued: "w", machinetest.Rejected: "x"}[got]
	if weight, ok := errors.AsType[*WeightError](err); ok {
		kind = "xh"
		if *weight != (WeightError{"b", r.Weight, s.M.limit}) || errors.Is(err, ErrFull) || !errors.Is(err, patterns.ErrInvalidRequest) {
			s.Fail("error %+v", weight)
		}
	} else if full, ok := errors.AsType[*FullError](err); ok {
		want := FullError{Name: "b", Cause: CauseSlots, Limit: s.M.limit}
		if c := s.M.compartmentOf(&r); c != nil {
			want.InFlight = c.taken
		}
		switch {
		case full.Cause == CausePartitions:
			kind = "xp"
			want = FullError{Name: "b", Cause: CausePartitions, Limit: s.M.cfg.MaxPartitions, InFlight: s.M.used}
		case waiting > 0 && r.NoWait:
			want.Cause, want.Waiting = CauseWaiters, waiting
		case waiting > 0 && s.M.cfg.MaxWaiting > 0:
			want.Cause, want.Waiting = CauseQueue, waiting
		}
		if *full != want || !errors.Is(err, ErrFull) || err.Error() == "" {
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

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

var (
	// four has four slots, and nobody waits.
	four = Config{MaxConcurrent: 4}
	// queued has two slots, and three may wait for 5 s.
	queued = Config{MaxConcurrent: 2, MaxWaiting: 3, MaxWait: 5 * time.Second}
	// patient has four slots, and two may wait for ever.
	patient = Config{MaxConcurrent: 4, MaxWaiting: 2}
	// rooms has two slots for each of three keys.
	rooms = Config{MaxConcurrent: 2, MaxPartitions: 3}
	// lobbies has two slots for each of three keys, for which two may wait for 5 s.
	lobbies = Config{MaxConcurrent: 2, MaxPartitions: 3, MaxWaiting: 2, MaxWait: 5 * time.Second}
	// lending has 16 slots that may be lent, and nobody waits.
	lending = Config{MaxConcurrent: 16, Mode: patterns.Leased(0, 0)}
)

func TestTheBulkhead(t *testing.T) {
	one := Config{MaxConcurrent: 1, MaxWaiting: 3}
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
		{"unless it is more important", queued, "a*2 w w hw q3 d g5 d g3 d g4"},
		{"and among the important it is in order again", queued, "a*2 hw w hw d g3 d g5 d g4"},
		{"an important one with slots to spare passes a heavy one", patient, "a*3 w:2 ha n4 q1"},
		{"whoever leaves the queue frees its place", queued, "a*2 w*3 c4 w d g3 d g5 d g6"},
		{"not relieved while somebody waits", one, "a w w w d g2 sat d g3 sat d g4 q0 sat ev:S d +1ms ok ev:R"},
		{"relieved although the last who waited has left", one, "a w c2 d sat +1ms ok ev:S,R"},
		{"relieved with slots to spare while nobody waits", queued, "a*2 w d g3 sat d ok ev:S,R"},
		{"not relieved by half of the slots while somebody waits for more", with(patient, func(c *Config) { c.MaxConcurrent = 10 }), "a*6 w:10 ev:S d +10s sat d*4 +10s sat ev: d g7 n10 sat d ok ev:R"},
		{"relieved a moment after a heavy one left", with(patient, func(c *Config) { c.MaxConcurrent = 10 }), "a*5 w:10 d c6 sat +2ms sat +1ms ok ev:S,R"},
		{"relieved at once when those who waited were served before", patient, "a*4 w d g5 d*2 ok ev:S,R"},
		{"a try does not wait", queued, "t*2 tx q0 d t"},
		{"a try does not wait behind others, though there is a slot", patient, "a*3 w:2 tx n3 q1"},
		{"a standing order waits though as many do as may, behind those who were there", patient, "a*4 w w x sw q3 d g5 d g6 d g8"},
		{"and so it is short of a slot", patient, "a*4 sw sat ev:S d g5 n4"},
		{"but not where nobody may wait", four, "a*4 sx"},

		{"told when it waited for too long", queued, "a*2 w +4999ms y q1 +1ms y3 q0 sat"},
		{"each for itself", queued, "a*2 w +2s w +3s y3 q1 +1999999999ns y q1 +1ns y4 q0"},
		{"the important one too", queued, "a*2 w hw +5s y3,4 q0"},
		{"the less important one on time, though others are before it", queued, "a*2 w +1s hw +4s y3 q1 +1s y4"},
		{"served in the last moment", queued, "a*2 w +4s d g3 y +9s y"},
		{"who comes later waits from then", queued, "a*2 w +4s w +1s y3 +3999ms y q1 +1ms y4"},
		{"without a bound for ever", with(queued, func(c *Config) { c.MaxWait = 0 }), "a*2 w +9999h y q1 d g3"},
		{"the head leaves, and the next is not forgotten", queued, "a*2 w +1s w c3 +4999ms y +1ms y4 q0"},

		{"a weight takes as many slots", four, "a:3 x:2 a x n4 d1 n1 a:2 n3"},
		{"a weight of 0 is 1", four, "a:0 n1"},
		{"what is heavier than the limit is refused for ever", four, "xh:5 ok a:4 xh:5"},
		{"even where it could wait", patient, "a*3 w:4 xh:5 q1"},
		{"a heavy one waits until it fits", patient, "a*3 w:3 d g d g4 n4"},
		{"and is not overtaken by lighter ones", patient, "a*3 w:3 w d g d g4 q1 d g5"},
		{"and when it leaves those behind it go", patient, "a*3 w:3 w c4 g5 n4"},

		{"without partitions keys mean nothing", four, "a@a a@b a@c a@d x@e p0"},
		{"each key has its slots", rooms, "a@a a@a x@a a@b a@b x@b p2 n4"},
		{"and so have those without a key", rooms, "a a x a@a p1 sat"},
		{"a partition is there as long as it has permits out", rooms, "a@a a@b d p1 d p0 n0"},
		{"no more partitions than may be", rooms, "a@a a@b a@c xp@d a@c d1 a@d p3"},
		{"nor again, for one that was there before", rooms, "a@d d a@a a@b a@c xp@d d a@d p3"},
		{"a partition that is saturated is nobody else's business", rooms, "a@a a@a x@a ok ev:S@a a d ev:R@a ok"},
		{"nor does it end the leases of those without a key", rooms, "a:2@a x@a e1 a*2 x e2"},
		{"several at once", rooms, "a@a a@a x@a a@b a@b x@b ev:S@a,S@b d d d ev:R@a,R@b p1"},
		{"weights in partitions", rooms, "a:2@a x@a xh:3@a d p0"},

		{"each key has a queue", lobbies, "a:2@a w@a w@a x@a a:2@b w@b q3 d1 g2,3 q1 d5 g6 q0"},
		{"a slot of one key serves nobody of another", lobbies, "a:2@a w@a a:2@b w@b d3 g4 q1 n3"},
		{"and so have those without a key", lobbies, "a:2 w w x a:2@a w@a d1 g2,3 q1"},
		{"in order of importance within a key only", lobbies, "a:2@a w@a a:2@b hw@b d1 g2 d3 g4"},
		{"a try does not wait behind others of its key", lobbies, "a:2@a w@a tx@a t@b"},
		{"each for as long as it may", lobbies, "a:2@a w@a +2s a:2@b w@b +3s y2 q1 +2s y4"},
		{"not relieved as long as its last permit goes to somebody who waits", lobbies, "a:2@a w:2@a w:2@a d1 g2 d2 g3 p1 ev:S@a d3 +1ms p0 ev:R@a"},
		{"a heavy one of one key keeps only that", lobbies, "a@a w:2@a w@a a@b q2 d1 g2 d2 g3"},
		{"and is asked for when it is alone", lobbies, "a@a w:2@a +1h y2 a@a"},
		{"who leaves lets those of its key pass", lobbies, "a@a w:2@a w@a c2 g3 n2"},

		{"grow, and those who wait are served", queued, "a*2 w*3 max=4 g3,4 q1 n4 ev:S,Z"},
		{"shrink, and nothing is admitted until it fits", four, "a*4 max=2 x d x d x d a n2 ev:Z,S,R"},
		{"shrink to below what a waiter weighs", patient, "a*4 w:3 max=2 y5 d*3 n1"},
		{"a change to the same is none", four, "max=4 ev:"},
		{"grow partitions", rooms, "a@a a@a x@a max=4 a@a a@a x@a ev:S@a,Z,R@a,S@a"},
		{"a longer queue at once", queued, "a*2 w*3 x wait=4 w x"},
		{"a shorter one keeps those who wait", queued, "a*2 w*3 wait=1 q3 x d g3 x d g4 q1 x d g5 n2 w"},
		{"none keeps them too", queued, "a*2 w*2 wait=0 x q2 d g3 d g4 x q0"},
		{"and they are told on time", queued, "a*2 w wait=0 +5s y3"},
		{"partitions while it runs: what is out stays where it is", with(queued, func(c *Config) { c.MaxWaiting = 0; c.MaxWait = 0 }), "a@a a@a x@a parts=2 a@a n3 p1 parts=0 x@a d*2 a@a d n1 p0"},
		{"partitions while some wait", queued, "a@a a@a w@a w@b parts=2 g3,4 p2 n4"},
		{"fewer partitions keep those that there are", rooms, "a@a a@b parts=1 a@a xp@c d d xp@c d a@c"},

		{"an eighth of the free slots per lease", Config{MaxConcurrent: 100}, "l=12 n12 l=11 n23 L23 n0 k23"},
		{"not more than is wanted", Config{MaxConcurrent: 10000}, "l=64"},
		{"none of one slot", Config{MaxConcurrent: 15}, "l=0 n0"},
		{"none while saturated, and those that are out end", lending, "e1 l=2 a*14 x e2 l=0 L2 l=0 d*6 ok l=0 d*8 l=2 e2"},
		{"none while saturated, though there is enough", with(lending, func(c *Config) { c.MaxConcurrent = 40 }), "a*40 x d*18 sat l=0 d*2 ok l=2"},
		{"reset forgets the peak and touches no permit", four, "a*4 x d*2 reset k2 n2 ok"},
	} {
		t.Run(tt.name, func(t *testing.T) { run(t, tt.cfg, tt.steps) })
	}
}

func TestWhatHappensInOneMomentIsToldInOrder(t *testing.T) {
	m := newTestMachine(four)
	for i := range uint64(5) {
		m.Acquire(0, i, &patterns.Request{})
	}
	m.Release(0, patterns.PermitID{})
	m.Reconfigure(0, Config{MaxConcurrent: 6})
	if got := short(slices.Collect(m.Drain())); got != "S,Z,R" {
		t.Errorf("events %s", got)
	}
	m = newTestMachine(rooms)
	for i, key := range []string{"a", "a", "a", "b", "b", "b"} {
		m.Acquire(0, uint64(i), &patterns.Request{Key: key})
	}
	m.Tick(1)
	if got := short(slices.Collect(m.Drain())); got != "S@a,S@b" {
		t.Errorf("events %s", got)
	}
}

func TestEventsKnowWhenItHappened(t *testing.T) {
	s := run(t, four, "+1s a*4 +1s x")
	at := func(d time.Duration) time.Time { return origin.Add(d) }
	saturated := s.Now
	if got := s.Drained(); len(got) != 1 || got[0] != (Saturated{Name: "b", Limit: 4, InFlight: 4, At: at(time.Duration(saturated))}) || saturated < 2e9 {
		t.Fatalf("at %d: %+v", s.Now, got)
	}
	s.Pass(time.Second)
	s.do("d")
	s.do("d")
	want := Relieved{Name: "b", Limit: 4, InFlight: 2, After: time.Second, At: at(time.Duration(saturated) + time.Second)}
	if got := s.Drained(); len(got) != 1 || got[0] != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	s.do("max=1")
	if got := s.Drained(); len(got) != 1 || got[0] != (ConfigChanged{Name: "b", From: four, To: with(four, func(c *Config) { c.MaxConcurrent = 1 }), InFlight: 2, At: want.At}) {
		t.Fatalf("%+v", got)
	}
}

func TestSnapshotAndWaitTimes(t *testing.T) {
	s := run(t, queued, "a*2 w w w +1500us d +1500us d +1s d")
	counts := patterns.Counts{Asked: 5, Granted: 5}
	got := s.M.Snapshot(s.Now, counts)
	w := got.Waits
	if w.Count() != 3 || w.Buckets[11] != 1 || w.Buckets[12] != 1 || w.Buckets[20] != 1 {
		t.Errorf("waits %+v", w)
	}
	if m := w.Mean(); m < 335*time.Millisecond || m > 336*time.Millisecond {
		t.Errorf("mean %v", m)
	}
	want := Snapshot{Name: "b", Limit: 2, Active: 2, Peak: 2, Saturated: true, Waits: w, Epoch: 2, Counts: counts}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Available() != 0 || got.Utilization() != 1 {
		t.Errorf("available %d, utilization %v", got.Available(), got.Utilization())
	}
	s.do("reset")
	if got = s.M.Snapshot(s.Now, counts); got.Waits != (patterns.WaitTimes{}) || got.Peak != 2 {
		t.Errorf("after a reset %+v", got)
	}
}

func TestOtherOperationsAreRefused(t *testing.T) {
	for k := patterns.ForceOpen; k.Valid(); k++ {
		err := newTestMachine(four).Operate(0, patterns.Operation{Kind: k})
		if c, ok := errors.AsType[*patterns.ConfigError](err); !ok || c.Field != "Kind" {
			t.Errorf("%v: %v", k, err)
		}
	}
}

func TestRepairNeverForgetsASlotThatIsTaken(t *testing.T) {
	for name, harm := range map[string]func(m *Machine){
		"total":      func(m *Machine) { m.parted = 0 },
		"main":       func(m *Machine) { m.main.taken = -5 },
		"partition":  func(m *Machine) { m.partitions["a"].taken = 0 },
		"partitions": func(m *Machine) { m.partitions = nil },
		"a key":      func(m *Machine) { m.partitions["c"] = m.partitions["b"]; delete(m.partitions, "b") },
		"in use":     func(m *Machine) { m.used = 0 },
		"idle":       func(m *Machine) { m.idle.oldest, m.idle.newest = nil, nil },
		"holds":      func(m *Machine) { m.holds.Put(99, hold{}) },
		"weight":     func(m *Machine) { m.holds.Put(99, hold{m.partitions["a"], -1}) },
		"saturated":  func(m *Machine) { m.saturated, m.owes = 3, true },
		"owes":       func(m *Machine) { m.owes = true },
		"watched":    func(m *Machine) { m.watched = []*compartment{&m.main} },
		"look":       func(m *Machine) { m.look = 9 },
		"peak":       func(m *Machine) { m.peak = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := run(t, with(rooms, func(c *Config) { c.MaxConcurrent = 4 }), "a@z d a@a a:2@b a:2 a")
			m := s.M
			harm(m)
			if m.Check() == nil {
				t.Fatal("not noticed")
			}
			m.Repair(s.Now)
			want := 6
			if name == "main" { // which forgot the one that is not known by itself
				want = 5
			}
			if err := m.Check(); err != nil || m.taken() != want || m.epoch != 2 {
				t.Fatalf("%v: %d taken, epoch %d", err, m.taken(), m.epoch)
			}
			for range 4 {
				s.do("d")
			}
			if m.taken() != 0 || m.used != 0 {
				t.Errorf("%d taken", m.taken())
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
		if got := ev.(ConfigChanged).To.MaxConcurrent; got != 9+n {
			t.Errorf("event %d is %d", n, got)
		}
		n++
	}
	if n != eventqueue.Max || m.events.Lost() != 20-eventqueue.Max {
		t.Errorf("%d events, lost %d", n, m.events.Lost())
	}
}
