package loadshedder

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// script drives a host by a line of steps, so that a scenario is a table row:
//
//	a a.h a:3 a@k   a caller asks, with high priority, with weight 3, for the key k, and is granted
//	w               it has to wait
//	x=queue         it is shed for that cause; xw because it is too heavy
//	t tx=in-flight  it does not wait, and is granted; or shed
//	d d3            the oldest permit is reported, permit 3 is (callers count from 1)
//	f               the oldest permit is reported as dropped
//	r               the oldest permit is released without a verdict
//	c3              caller 3 leaves the queue
//	g4,5            callers 4 and 5 were granted since the last g, a or t; g for nobody
//	y4:max-wait     caller 4 was shed while it waited, for that cause; y for nobody
//	n8 q2 k9 e3     8 are in flight; 2 wait; the peak is 9; the epoch is 3
//	lv:high         the level now
//	ev:…            the events since the last look, shortened
//	calm strain     calls look at nothing but the limit, or not
//	l=4 L4          a lease of at most 64 lends 4; 4 of it come back
//	cpu=0.9 cpu!    the CPU is measured; measuring it fails
//	max=5 queue=2   it is reconfigured
//	open closed metrics open:5s …   an operator forces that state, for a while
//	reset           an operator
//	+5s             time passes
//
// Priorities are b, l, n, h and c. Any step may be repeated: a*4. After each, the
// invariants must hold.
type script struct {
	machinetest.Steps[*Machine]
	t    *testing.T
	left bool // somebody left the queue
}

func newScript(t *testing.T, c Config) *script {
	return &script{Steps: machinetest.NewSteps(t, newHost(t, c)), t: t}
}

func run(t *testing.T, c Config, line string) *script {
	t.Helper()
	s := newScript(t, c)
	s.run(line)
	return s
}

func (s *script) run(line string) {
	s.t.Helper()
	s.Run(line, s.do)
}

func (s *script) do(step string) {
	s.t.Helper()
	switch {
	case step == "calm" || step == "strain":
		s.Same(map[bool]string{true: "calm", false: "strain"}[s.M.calm])
	case step == "reset":
		s.operate(patterns.Reset, "")
	case s.Do(step):
		s.left = s.left || step[0] == 'c'
		if step[0] == 'q' && !s.left && s.M.queue.waiting != len(s.Queue) { // it notices who leaves when somebody joins
			s.Fail("thinks that %d wait", s.M.queue.waiting)
		}
	case strings.HasPrefix(step, "ev:"):
		s.Same("ev:" + short(s.Drained()))
	case strings.HasPrefix(step, "lv:"):
		s.Same("lv:" + s.M.level.now(s.M.inFlight).String())
	case step == "cpu!":
		observe(s.Host, Observation{Readings: []Reading{{Signal: CPU, Err: errors.New("no such file")}}})
	case strings.HasPrefix(step, "cpu="):
		v, err := strconv.ParseFloat(step[4:], 64)
		if err != nil {
			s.Fail("%v", err)
		}
		observe(s.Host, read(CPU, v))
	case strings.HasPrefix(step, "max="), strings.HasPrefix(step, "queue="):
		c := s.M.cfg
		field, value, _ := strings.Cut(step, "=")
		*map[string]*int{"max": &c.MaxInFlight, "queue": &c.MaxQueue}[field] = s.Number(value)
		s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, c) })
	default:
		name, after, _ := strings.Cut(step, ":")
		if kind, ok := map[string]patterns.OperationKind{
			"open": patterns.ForceOpen, "closed": patterns.ForceClosed, "metrics": patterns.MetricsOnly,
		}[name]; ok {
			s.operate(kind, after)
			return
		}
		if s.ask(step) {
			return
		}
		s.more(step)
	}
}

func (s *script) operate(kind patterns.OperationKind, after string) {
	op := patterns.Operation{Kind: kind, Note: "why"}
	if after != "" {
		op.For = s.Duration(after)
	}
	s.Operator(func(now patterns.Instant) {
		if err := s.M.Operate(now, op); err != nil {
			s.Fail("%v", err)
		}
	})
}

// ask does the steps with which a caller asks.
func (s *script) ask(step string) bool {
	s.t.Helper()
	step, cause, _ := strings.Cut(step, "=")
	step, key, _ := strings.Cut(step, "@")
	step, weight, _ := strings.Cut(step, ":")
	name, priority, _ := strings.Cut(step, ".")
	want, known := map[string]string{
		"a": machinetest.Granted, "t": machinetest.Granted, "w": machinetest.Queued,
		"x": machinetest.Rejected, "tx": machinetest.Rejected, "xw": machinetest.Rejected,
	}[name]
	if !known {
		return false
	}
	r := patterns.Request{Key: key, NoWait: name[0] == 't'}
	if weight != "" {
		r.Weight = s.Number(weight)
	}
	if priority != "" {
		r.Priority = patterns.Background + patterns.Priority(strings.Index("blnhc", priority))
	}
	s.Callers++
	s.Taken()
	got, err := s.Acquire(s.Callers, r)
	if got == machinetest.Granted {
		s.Taken()
	}
	if got == machinetest.Queued && s.M.queue.waiting != len(s.Queue) {
		s.Fail("thinks that %d wait", s.M.queue.waiting)
	}
	if got != want || name == "xw" != isHeavy(err) || cause != "" && causeOf(err) != Cause(cause) {
		s.Fail("%s: %v", got, err)
	}
	return true
}

func isHeavy(err error) bool { _, ok := errors.AsType[*WeightError](err); return ok }

func causeOf(err error) Cause {
	if e, ok := errors.AsType[*ShedError](err); ok {
		return e.Cause
	}
	return CauseNone
}

func (s *script) more(step string) {
	s.t.Helper()
	arg := step[1:]
	switch step[0] {
	case 'f':
		s.EndOf(arg, patterns.Dropped)
	case 'y':
		var told []string
		for _, r := range s.Refused {
			told = append(told, fmt.Sprintf("%d:%s", r.Label, causeOf(r.Err)))
		}
		s.Refused = nil
		s.Same("y" + strings.Join(told, ","))
	case 'n':
		s.Same(fmt.Sprintf("n%d", s.M.inFlight))
	case 'k':
		s.Same(fmt.Sprintf("k%d", s.M.Snapshot(s.Now, patterns.Counts{}).Peak))
	default:
		s.Fail("unknown step")
	}
}

// short names events by a letter: L for a level, S for shedding, R for recovered, a signal
// by its first letter with + or -, lost signals with ?, back with !, F for a state, C for a
// Config.
func short(events []patterns.Event) string {
	var names []string
	for _, e := range events {
		switch e := e.(type) {
		case LevelChanged:
			names = append(names, "L-"+e.To.String())
		case Shedding:
			names = append(names, "S")
		case Recovered:
			names = append(names, fmt.Sprint("R", e.Shed))
		case SignalChanged:
			names = append(names, e.Signal.String()[:1]+map[bool]string{true: "+", false: "-"}[e.On])
		case SignalLost:
			names = append(names, e.Signal.String()[:1]+"?")
		case SignalBack:
			names = append(names, e.Signal.String()[:1]+"!")
		case StateChanged:
			names = append(names, "F-"+e.To.String())
		case ConfigChanged:
			names = append(names, "C")
		}
	}
	return strings.Join(names, ",")
}

func TestRules(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		line string
	}{
		// By count.
		{"as many as there are places, and no more", door, "a*4 x=in-flight n4 d a x=in-flight k4"},
		{"no queue sheds nobody who finds a place", with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue = 1000, NoQueue }), "a*1000 x=in-flight"},
		{"a call counts as its weight", door, "a:3 x:2=in-flight a n4 d n1 a:3 n4 d d n0"},
		{"what could never be granted is refused at once, and is no overload", door, "xw:5 a:4 d xw:5 calm ev:"},
		{"a release gives the place back too", door, "a*4 r n3 a n4"},
		{"a weight comes back whole by a release", door, "a:4 r n0 calm"},
		{"a calm ends when somebody finds no place, and a while later begins again", door, "calm e1 a*4 calm x=in-flight strain e2 +1s strain d*4 strain +4s calm e2 a"},
		{"a strain lasts as long as somebody is shed", door, "a*4 x +1900ms x +1900ms x +1900ms strain +2s +1ms calm"},

		// Levels.
		{"a level begins above its share, not at it", with(door, func(c *Config) { c.MaxInFlight = 100 }), "a*60 lv:normal a lv:elevated a*14 lv:elevated a lv:high a*14 lv:high a lv:critical"},
		{"a level that has held for RaiseAfter is announced, once", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*7 ev: +499ms ev: +1ms ev:L-elevated +1h ev:"},
		{"what a level was all the time is announced", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*7 +100ms a*3 +400ms ev:L-elevated +500ms ev:L-critical"},
		{"a level that did not hold is not announced", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*7 +400ms d*3 a*3 +100ms ev: +500ms ev:L-elevated"},
		{"a level falls when it was low for ClearAfter", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*10 +1s ev:L-elevated,L-critical d*10 +1999ms ev: +1ms ev:L-high +2s ev:L-normal +1h ev:"},
		{"a level falls no further than the most there was", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*10 +1s ev:L-elevated,L-critical d*3 +1s a d*2 +1s ev:L-high +2s ev:L-elevated +1h ev: d*2 +2s ev:L-normal"},
		{"a little less does not end a level", with(door, func(c *Config) { c.MaxInFlight = 100 }), "a*61 +500ms ev:L-elevated d*6 +1h ev: d +2s ev:L-normal"},
		{"between two peaks nothing is announced", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*10 +1s ev:L-elevated,L-critical d*10 +1s a*10 d*10 +1s ev: +2s ev:L-normal"},
		{"a resize changes the level", with(door, func(c *Config) { c.MaxInFlight = 10 }), "a*5 lv:normal max=5 lv:critical +500ms ev:C,L-critical max=50 +2s ev:C,L-normal"},

		// Shedding and recovered.
		{"the first one shed is announced, and no other", door, "a*4 ev: x ev:S x*100 ev: +1s x ev:L-elevated,L-critical"},
		{"recovered when nobody was shed for ClearAfter", door, "a*4 x*3 +499ms ev:S +1s ev:L-elevated,L-critical +501ms ev:R3 +1h ev: x ev:S"},
		{"who waits is not shed, so nobody recovers", hall, "a*2 w d g3 ev: +1h ev:L-critical"},
		{"as long as somebody waits the strain is the same", hall, "a*2 w e2 +1h e2 strain d*3 +10s calm"},
		{"each one who is shed puts it off", door, "a*4 x +1500ms x +1500ms x ev:S,L-elevated,L-critical +1999ms ev: +1s d*4 +1001ms ev:R3"},
		{"nobody recovers while it sheds, though nobody comes", eyes, "cpu=1 +1ms cpu=1 +1s cpu=1 a*3 x ev:c+,L-elevated,S +2s cpu=1 ev: +2s cpu=1 ev:L-critical +2s cpu=1 ev: strain"},
		{"low is what ClearBelow says, exactly", with(eyes, func(c *Config) { c.ClearBelow = 0.5 }), "cpu=1 +1ms cpu=1 +1ms cpu=0.41 +1s cpu=0.4 +100ms cpu=0.4 ev:c+,L-elevated,L-normal,c-"},
		{"a state that is forced again says anew when to retry", door, "open:5s x=forced reset open:1h x=forced"},

		// The queue.
		{"who finds no place waits, in order", hall, "a*2 w*3 q3 x=queue d g3 d g4 d g5 q0 n2"},
		{"the highest priority first", hall, "a*2 w.l w w.h d g5 d g4 d g3"},
		{"a higher one does not wait behind a lower one that does not fit", hall, "a w:2 a.h n2"},
		{"a heavy one is not overtaken by its own", hall, "a w:2 w q2 n1 d g2 d g3"},
		{"who does not wait is shed instead", hall, "a t tx=in-flight d t n2"},
		{"who does not wait does not overtake", hall, "a w:2 tx=in-flight d g2"},
		{"who leaves frees its place in the queue", hall, "a*2 w*3 x=queue c4 w d d g3,5"},
		{"who waited for too long is shed", with(hall, func(c *Config) { c.MaxWait = sec }), "a*2 w +999ms y w +1ms y3:max-wait q1 +1s y4:max-wait q0"},
		{"the last ones leave one by one", hall, "a*2 w*3 d*5 n0 q0 +1h calm"},
		{"a queue that is made longer", hall, "a*2 w*3 x=queue queue=4 w x=queue queue=1 x=queue d d g3,4"},
		{"a queue that is closed lets out who is in it", hall, "a*2 w*3 queue=-1 x=in-flight d d d g3,4,5"},
		{"places that are added are taken at once", hall, "a*2 w*3 max=4 g3,4 q1"},
		{"places that are taken away come to be free", hall, "a*2 w max=1 n2 d n1 g d g3 n1"},
		{"what has become too heavy is told so", hall, "a*2 w:2 max=1 d d g y3: q0"},
		{"who leaves is noticed when somebody joins", hall, "a*2 w*3 c4 w d g3 w x=queue"},
		{"who waits is shed too, once its priority is", with(hall, func(c *Config) { c.CPU, c.Smoothing, c.RaiseAfter, c.Floor = 0.8, Off, ms, Off }), "a.l*2 w.b w.c +1ms cpu=1 +1ms cpu=1 +1s cpu=1 +1s cpu=1 +1s cpu=1 +1s cpu=1 d y d g4 y3:cpu"},

		// Operators.
		{"forced open sheds everybody", hall, "a open x=forced x.c=forced ev:F-forced-open d n0 closed a"},
		{"forced open sheds those who wait", hall, "a*2 w*3 open d y3:forced,4:forced,5:forced q0"},
		{"a forced state ends by itself", door, "open:5s x +4999ms x +1ms a ev:F-forced-open,F-automatic"},
		{"forced closed admits everybody, above the limit and those who wait", hall, "a*2 w*3 closed g3,4,5 q0 a*9 n14 reset w ev:F-forced-closed,F-automatic"},
		{"what would never fit counts as all there is", hall, "closed a:9223372036854775807*3 n6 d n4 metrics a:5 n6"},
		{"metrics only admits everybody, and counts whom it would shed", door, "metrics a*9 n9 reset x=in-flight"},
		{"a reset ends a forced state and forgets the peak", door, "a*4 d*4 k4 open reset k0 a k1 ev:F-forced-open,F-automatic"},

		// The CPU.
		{"who came in the calm is known when it ends", eyes, "a.l*10 a.h*10 +250ms cpu=1 +1ms cpu=1 +1s cpu=1 lv:high a.h*20"},
		{"who came by a lease is too", eyes, "l=12 L12 a.h*10 +250ms cpu=1 +1ms cpu=1 +1s cpu=1 lv:critical a.h*20"},
		{"above the threshold, held, it sheds; the mark itself is above", eyes, "cpu=0.79 +100ms cpu=0.79 +1s calm cpu=0.8 calm +1ms cpu=0.8 strain ev:c+ cpu=0.9"},
		{"one peak is none", eyes, "cpu=1 +1ms cpu=0.5 +1s cpu=1 +1ms cpu=0.5 ev: calm"},
		{"it ends at ClearBelow, held", eyes, "cpu=1 +1ms cpu=1 ev:c+ +10ms cpu=0.73 +1s cpu=0.73 ev:L-elevated,L-normal +1s cpu=0.72 +99ms cpu=0.72 ev: +1ms cpu=0.72 ev:c- calm"},
		{"a failed sample is no decision", eyes, "cpu=1 +1ms cpu=1 strain cpu! strain ev:c+ +1s cpu! ev:L-elevated strain"},
		{"what is stale sheds nobody, and that is told", eyes, "cpu=1 +1ms cpu=1 +4999ms strain ev:c+,L-elevated cpu! +1ms calm ev:c-,c? +1h ev:L-normal cpu=0.5 ev:c! +5s ev:c?"},
		{"what was never measured is told too", eyes, "+4999ms ev: +1ms ev:c? calm"},
		{"of a signal that is off nobody speaks", with(eyes, func(c *Config) { c.CPU = Off }), "cpu=1 +1ms cpu=1 +1h ev: calm"},

		// Leases.
		{"a lease is a share of what is free", with(door, func(c *Config) { c.MaxInFlight = 100 }), "l=12 n12 l=11 n23 L23 n0 a*80 l=2 l=2 l=2 l=0"},
		{"small limits lend nothing", door, "l=0"},
		{"no lease under strain", with(door, func(c *Config) { c.MaxInFlight = 100 }), "a*100 x d*100 l=0 +10s l=12"},
		{"no lease while the CPU sheds", eyes, "l=12 L12 cpu=1 +1ms cpu=1 e2 l=0 cpu=0.5 +100ms cpu=0.5 +1s cpu=0.5 +1s cpu=0.5 l=12"},
		{"no lease in a forced state", with(door, func(c *Config) { c.MaxInFlight = 100 }), "l=12 e1 closed e2 l=0 metrics l=0 reset l=11"},
		{"no lease with Fair", with(door, func(c *Config) { c.MaxInFlight, c.Fair = 100, true }), "l=0"},
		{"no lease with Throttle", with(door, func(c *Config) { c.MaxInFlight, c.Throttle = 100, 2 }), "l=0"},
		{"what comes back twice is not given twice", door, "a L3 n0 a*4 x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { run(t, tt.cfg, tt.line) })
	}
}

func TestTimeless(t *testing.T) {
	tests := []struct {
		name  string
		cfg   Config
		steps string
		want  bool
	}{
		{"in a calm", door, "a*3", true},
		{"with signals that are calm", eyes, "cpu=0.5 a", true},
		{"at a level that is announced", door, "a*4 +2s", true},
		{"and while one may be", door, "a*4", true},
		{"not under strain", door, "a*4 x d*4", false},
		{"nor while it may end", door, "a*4 x d*4 +1s", false},
		{"after it has", door, "a*4 x d*4 +10s", true},
		{"not while something is cut", eyes, "cpu=1 +1ms cpu=1", false},
		{"not where it counts what is turned down", with(door, func(c *Config) { c.Throttle = 2 }), "", false},
		{"not where it counts who comes", with(door, func(c *Config) { c.Fair = true }), "", false},
		{"in a forced state", door, "closed a*9 +10s", true},
		{"not if that ends", door, "closed:1h", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if s := run(t, tt.cfg, tt.steps); s.M.Timeless() != tt.want {
				t.Errorf("got %v", !tt.want)
			}
		})
	}
	// Before the shell has looked at the clock, too.
	m := newTestMachine(door)
	for range 3 {
		m.Acquire(0, 1, &patterns.Request{})
	}
	if m.Timeless() || m.Wake() != 1 {
		t.Errorf("a level began, and it wakes at %d", m.Wake())
	}
}

// Five priorities, a fifth of the requests each, and a CPU that does not get better.
func TestTheLowestAreShedFirstAndTheHighestNotAtAll(t *testing.T) {
	s := newScript(t, eyes)
	s.run("cpu=1 +1ms cpu=1")
	admitted := [levels]int{}
	for i := range 1000 {
		s.Pass(10 * ms)
		observe(s.Host, read(CPU, 1))
		before := s.M.Snapshot(s.Now, patterns.Counts{})
		for p := patterns.Background; p <= patterns.Critical; p++ {
			s.Callers++
			got, err := s.Acquire(s.Callers, patterns.Request{Priority: p})
			if open := before.Open[levelOf(p)]; got == machinetest.Granted != (open > 0) && (open <= 0 || open >= 1) || causeOf(err) != CauseNone && causeOf(err) != CauseCPU {
				t.Fatalf("%v at %v: %s, %v", p, before.Open, got, err)
			}
			if got == machinetest.Granted {
				s.End(s.Callers, patterns.Success)
				admitted[levelOf(p)]++
			}
		}
		partly := 0
		for j, open := range before.Open {
			if open > 0 && open < 1 {
				partly++
			}
			if j > 0 && open < before.Open[j-1] {
				t.Fatalf("at %d a lower priority is better off: %v", i, before.Open)
			}
		}
		if partly > 1 && i > 25 { // until then nobody knows who comes
			t.Fatalf("at %d several are shed in part: %v", i, before.Open)
		}
	}
	snap := s.M.Snapshot(s.Now, patterns.Counts{})
	if admitted[4] != 1000 || snap.ShedByPriority[4] != 0 || !slices.IsSorted(admitted[:]) || admitted[0] < 30 || admitted[0] > 50 || admitted[3] < 400 {
		t.Errorf("admitted %v", admitted)
	}
	if snap.Cutoff() != patterns.Critical || snap.Level != Critical || snap.Pressure != 1 || snap.Shed.CPU != snap.Shed.Total() || snap.Shed.CPU == 0 {
		t.Errorf("%+v", snap)
	}
	if snap.Admitted < 0.19 || snap.Admitted > 0.21 {
		t.Errorf("admits %v, though a fifth cannot be shed", snap.Admitted)
	}
}
