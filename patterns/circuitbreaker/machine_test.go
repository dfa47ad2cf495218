package circuitbreaker

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config) *Machine {
	return NewMachine(Params{Name: "b", Origin: origin, Config: c})
}

// script drives a Machine by a line of steps, so that a scenario is a table row:
//
//	s f d i      acquire and report success, failure, dropped, ignored; not slow
//	S F          the same for a slow success and a slow failure
//	x x:c x@5s   a request is refused; with cause c; with RetryAt in 5s (@- is unknown)
//	a1           acquire, and call the permit 1
//	s1 f1 …      report permit 1; s1! if that must not count
//	r1           release permit 1
//	+5s -5s      the clock steps
//	t            Tick
//	w@5s w@-     the Machine wants to be woken in 5s, never
//	=open =open/c   the state, and the cause of the last transition
//	n=3/2/1      the window holds 3 calls, 2 failures, 1 slow
//	ramping=true whether calls are refused by a ramp
//	in=2/0       the last 2 results failed, the last 0 succeeded
//	e3           the epoch
//	force-open force-open:5s … reset   what an operator does
//
// Any step may be repeated: f*4. After each, the invariants must hold.
type script struct {
	*machinetest.Script
	t       *testing.T
	m       *Machine
	now     patterns.Instant
	lastID  uint64
	permits map[string]patterns.PermitID
}

func newScript(t *testing.T, m *Machine) *script {
	s := &script{t: t, m: m, permits: map[string]patterns.PermitID{}}
	s.Script = machinetest.NewScript(t, &s.now)
	return s
}

func (s *script) run(line string) {
	s.t.Helper()
	s.Run(line, func(step string) {
		s.do(step)
		if err := s.m.Check(); err != nil {
			s.Fail("%v", err)
		}
	})
}

func (s *script) do(step string) {
	s.t.Helper()
	name := step[1:]
	switch c := step[0]; {
	case step == "t":
		s.m.Tick(s.now)
	case step == "reset":
		s.operate("reset", "")
	case strings.HasPrefix(step, "force-") || strings.HasPrefix(step, "metrics-"):
		kind, bound, _ := strings.Cut(step, ":")
		s.operate(kind, bound)
	case strings.HasPrefix(step, "ramping="):
		s.Same(fmt.Sprintf("ramping=%v", s.snapshot().Ramping))
	case strings.HasPrefix(step, "n="):
		snap := s.snapshot()
		s.Same(fmt.Sprintf("n=%d/%d/%d", snap.Calls, snap.Failures, snap.Slow))
	case strings.HasPrefix(step, "in="):
		snap := s.snapshot()
		s.Same(fmt.Sprintf("in=%d/%d", snap.ConsecutiveFailures, snap.ConsecutiveSuccesses))
	case c == 'e':
		s.Same(fmt.Sprintf("e%d", s.m.Epoch()))
	case c == '=':
		state, _, cause := strings.Cut(name, "/")
		if cause {
			s.Same(fmt.Sprintf("=%v/%s", s.m.state, s.m.cause))
		} else if state != s.m.state.String() {
			s.Fail("state is %v, by %s", s.m.state, s.m.cause)
		}
	case c == '+':
		s.now = s.now.Add(s.Duration(name))
	case c == '-':
		s.now = s.now.Add(-s.Duration(name))
	case c == 'w':
		s.Same("w" + s.until(s.m.Wake()))
	case c == 'x':
		s.refused(name)
	case c == 'a':
		s.permits[name] = s.acquire()
	case c == 'r':
		s.m.Release(s.now, s.permits[name])
	case name == "":
		s.report(s.acquire(), c, true)
	default:
		label, stale := strings.CutSuffix(name, "!")
		s.report(s.permits[label], c, !stale)
	}
}

func (s *script) acquire() patterns.PermitID {
	s.t.Helper()
	s.lastID++
	d := s.m.Acquire(s.now, s.lastID, &patterns.Request{})
	if d.Verdict != patterns.Grant || d.Err != nil {
		s.Fail("not granted: %v", d.Err)
	}
	if d.Epoch != s.m.Epoch() {
		s.Fail("granted in epoch %d, which is %d", d.Epoch, s.m.Epoch())
	}
	return patterns.PermitID{Epoch: d.Epoch, ID: s.lastID}
}

func (s *script) report(p patterns.PermitID, kind byte, want bool) {
	s.t.Helper()
	outcomes := map[byte]patterns.Outcome{
		's': patterns.Success, 'S': patterns.Success, 'f': patterns.Failure, 'F': patterns.Failure,
		'd': patterns.Dropped, 'i': patterns.Ignored, 'I': patterns.Ignored,
	}
	o, ok := outcomes[kind]
	if !ok {
		s.Fail("unknown step")
	}
	elapsed := s.m.cfg.SlowCall // exactly as long is not slow
	if kind < 'a' {
		elapsed++
	}
	before := s.m.Snapshot(s.now, patterns.Counts{})
	counted, _ := s.m.Report(s.now, p, o, elapsed)
	if counted != want {
		s.Fail("counted is %v in state %v", counted, s.m.state)
	}
	if after := s.m.Snapshot(s.now, patterns.Counts{}); !counted && after != before {
		s.Fail("a stale report changed %+v to %+v", before, after)
	}
}

func (s *script) refused(want string) {
	s.t.Helper()
	s.lastID++
	d := s.m.Acquire(s.now, s.lastID, &patterns.Request{})
	refusal, ok := errors.AsType[*OpenError](d.Err)
	if d.Verdict != patterns.Refuse || !ok {
		s.Fail("verdict %v, error %v", d.Verdict, d.Err)
	}
	got := ""
	if strings.Contains(want, ":") {
		got += ":" + string(refusal.Cause)
	}
	if strings.Contains(want, "@") {
		until := patterns.Never
		if !refusal.RetryAt.IsZero() {
			until = patterns.Instant(refusal.RetryAt.Sub(origin))
		}
		got += s.until(until)
	}
	s.Same("x" + got)
	if refusal.State != s.m.state || refusal.Name != "b" {
		s.Fail("refusal is %+v", refusal)
	}
}

func (s *script) operate(kind, bound string) {
	s.t.Helper()
	kinds := map[string]patterns.OperationKind{}
	for k := patterns.OperationKind(0); k.Valid(); k++ {
		kinds[k.String()] = k
	}
	k, ok := kinds[kind]
	if !ok {
		s.Fail("unknown step")
	}
	op := patterns.Operation{Kind: k, Note: "note"}
	if bound != "" {
		op.For = s.Duration(bound)
	}
	if err := s.m.Operate(s.now, op); err != nil {
		s.Fail("%v", err)
	}
}

func (s *script) snapshot() Snapshot { return s.m.Snapshot(s.now, patterns.Counts{}) }

func (s *script) until(at patterns.Instant) string {
	if at == patterns.Never {
		return "@-"
	}
	text := at.Sub(s.now).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return "@" + text
}

type scenario struct {
	name  string
	cfg   Config
	steps string
}

func runScenarios(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) { newScript(t, newTestMachine(sc.cfg)).run(sc.steps) })
	}
}

const sec = time.Second

// trips is a policy that one failure opens and one good probe closes.
var trips = Config{ConsecutiveFailures: 1, OpenFor: 5 * sec, Probes: 1, ProbeTimeout: 3 * sec}

func with(c Config, change func(*Config)) Config {
	change(&c)
	return c
}

func TestClosed(t *testing.T) {
	half := Config{FailureRatio: 0.5, Window: Last(4), MinSamples: 4}
	slow := Config{SlowRatio: 0.5, SlowCall: sec, Window: Last(4), MinSamples: 2}
	runScenarios(t, []scenario{
		{"five failures in a row open by default", Config{}, "e1 =closed/ f*4 =closed f =open/consecutive-failures e2 x:consecutive-failures@1m"},
		{"a success ends the run of failures", Config{}, "f*4 in=4/0 s in=0/1 f*4 =closed in=4/0"},
		{"a failure ends the run of successes", Config{}, "s*3 in=0/3 f in=1/0"},
		{"an ignored call neither lengthens nor ends a run", Config{ConsecutiveFailures: 3, Window: Last(100)}, "f*2 i*5 in=2/0 n=2/2/0 f =open"},
		{"a dropped call is a failure", Config{ConsecutiveFailures: 2, Window: Last(100)}, "d in=1/0 n=1/1/0 d =open"},
		{"a ratio opens at MinSamples and not before", half, "f*3 =closed f =open/failure-ratio"},
		{"a ratio is reached by being equal", half, "f*2 s =closed s =open/failure-ratio"},
		{"a ratio is not reached by less", half, "f s*3 =closed f s*3 =closed"},
		{"the result that makes MinSamples may be a success", half, "f*3 s =open/failure-ratio"},
		{"the oldest result leaves a full window", half, "f s*3 n=4/1/0 s n=4/0/0 f n=4/1/0 =closed"},
		{"with a ratio set the run of failures does not open", half, "s*4 f =closed f =open/failure-ratio"},
		{"long runs are allowed if only the ratio is set", Config{FailureRatio: 1, Window: Last(50), MinSamples: 50}, "s f*48 =closed"},
		{"both rules may be set", Config{FailureRatio: 0.9, ConsecutiveFailures: 3}, "f*3 =open/consecutive-failures"},
		{"MinSamples above the window means the window", Config{FailureRatio: 1, Window: Last(3), MinSamples: 100}, "f*2 =closed f =open"},
		{"MinSamples is not bounded by a window of time", Config{FailureRatio: 1, Window: During(sec), MinSamples: 200}, "f*199 =closed f =open"},
		{"exactly SlowCall is not slow, longer is", slow, "s*3 S n=4/0/1 S =open/slow-ratio"},
		{"a slow failure is in both counts", with(slow, func(c *Config) { c.FailureRatio = 1 }), "s*4 F n=4/1/1 =closed F =open/slow-ratio"},
		{"the failure ratio is the cause if both are reached", with(slow, func(c *Config) { c.FailureRatio = 0.5 }), "s F =open/failure-ratio"},
		{"slow calls are counted without a ratio and open nothing", Config{SlowCall: sec}, "S*200 n=100/0/100 =closed"},
		{"without SlowCall nothing is slow", Config{Window: Last(100)}, "S F n=2/1/0"},
		{"without a rule that looks at it there is no window", Config{}, "s f S F n=0/0/0 in=1/0 f*4 =open"},
		{"an ignored call is not slow", slow, "I*5 n=0/0/0 =closed"},
		{"a slow ratio alone leaves the default rule for failures on", slow, "s*4 f*5 =open/consecutive-failures"},
		{
			"a window of time forgets by buckets",
			Config{FailureRatio: 0.5, Window: During(10 * sec), MinSamples: 3},
			"f*2 +9999ms n=2/2/0 +1ms n=0/0/0 f*2 =closed f =open",
		},
		{
			"a clock that steps back makes nothing recent again",
			Config{FailureRatio: 0.5, Window: During(10 * sec), MinSamples: 3},
			"f +10s n=0/0/0 -10s n=0/0/0 f*2 =closed",
		},
		{"a report of an unknown epoch is stale", Config{}, "f9!"},
		{"a closed circuit needs no timer", Config{}, "f s w@-"},
		{"a release teaches nothing", Config{}, "a1 r1 n=0/0/0 in=0/0"},
	})
}

func TestOpen(t *testing.T) {
	growing := with(trips, func(c *Config) { c.OpenFactor, c.MaxOpenFor = 2, 12*sec })
	runScenarios(t, []scenario{
		{"calls are refused until OpenFor is over", trips, "f x@5s +4999999999ns x@1ns +1ns =open a1 =half-open/open-elapsed"},
		{"open ends by a call and not by a tick", trips, "f +1h t =open w@- a1 =half-open"},
		{"opening does not need a timer", trips, "f w@-"},
		{"a late failure does not extend the open time", trips, "a1 f +1s f1! x@4s"},
		{"a late success does not close", trips, "a1 f s1! =open"},
		{"a clock that steps back freezes the open time", trips, "f +4s x@1s -3s x@4s +2s x@2s +1s x@1s +1s a1"},
		{"opening empties the window and keeps the run to be seen", Config{ConsecutiveFailures: 2}, "s f*2 =open n=0/0/0 in=2/0"},
		{
			"the open time grows with openings in a row up to MaxOpenFor", growing,
			"f x@5s +5s f =open x@10s +10s f x@12s +12s f x@12s",
		},
		{
			"16 times OpenFor is the most by default", with(growing, func(c *Config) { c.OpenFactor, c.MaxOpenFor = 100, 0 }),
			"f +5s f x@1m20s",
		},
		{"closing forgets the openings", growing, "f +5s f +10s s =closed f x@5s"},
		{
			"closing forgets them only after ResetOpensAfter", with(growing, func(c *Config) { c.ResetOpensAfter = 30 * sec }),
			"f +5s s +29s f x@10s +10s s +30s f x@5s",
		},
		{
			"a trip while ramping up does not forget them", with(growing, func(c *Config) { c.RampFor, c.RampStart = 10*sec, 1 }),
			"f +5s s =closed +9s f x@10s +10s s +10s a1 f1 x@5s",
		},
		{"the open time saturates", with(trips, func(c *Config) { c.OpenFor = 1<<63 - 1 }), "+1h f +2500000h x -1h x"},
	})
}

func TestHalfOpen(t *testing.T) {
	three := with(trips, func(c *Config) { c.Probes, c.ConcurrentProbes = 3, 3 })
	ratio := with(three, func(c *Config) { c.Probes, c.ConcurrentProbes, c.ProbeFailureRatio = 4, 4, 0.5 })
	slow := with(ratio, func(c *Config) { c.SlowRatio, c.SlowCall = 0.75, sec })
	runScenarios(t, []scenario{
		{"a passing probe closes", trips, "f +5s s =closed/probes-passed e4 f =open"},
		{"a failing probe opens again for the whole time", trips, "f +6s f =open/probe-failed e4 x:probe-failed@5s"},
		{"a dropped probe is a failed one", trips, "f +5s d =open/probe-failed"},
		{"two good probes in a row, one at a time, close by default", Config{}, "f*5 +1m a1 x:probes-out@30s s1 =half-open a2 x s2 =closed"},
		{
			"as many probes go out as ConcurrentProbes", with(three, func(c *Config) { c.ConcurrentProbes = 2 }),
			"f +5s a1 a2 x s1 a3 x s2 x s3 =closed",
		},
		{"results and probes out share the allowance", three, "f +5s a1 s1 a2 a3 x:probes-out s2 x s3 =closed"},
		{"a probe counts once", three, "f +5s a1 s1 s1! f1! a2 a3 x"},
		{"an ignored probe frees its slot and says nothing", trips, "f +5s a1 i1 =half-open a2 x s2 =closed"},
		{"a released probe frees its slot and says nothing", trips, "f +5s a1 x r1 a2 r1 r9 x s2 =closed"},
		{"a released probe cannot be reported", trips, "f +5s a1 r1 f1! =half-open"},
		{"a permit that is no probe does not count", trips, "f +5s a1 f9! s9! =half-open"},
		{"a call from before the opening does not count", trips, "a1 f +5s a2 s1! f1! =half-open s2 =closed"},
		{"a call from an earlier closed period does not count", trips, "a1 f +5s s =closed f1! =closed"},
		{"a probe of an earlier trial does not count", three, "f +5s a1 a2 f1 +5s a3 s2! f2! =half-open"},
		{"one failure decides without a ProbeFailureRatio", three, "f +5s s*2 f =open"},
		{"a ratio of the probes opens as soon as it is certain", ratio, "f +5s f s =half-open f =open/probe-failed"},
		{"a ratio of the probes closes as soon as it is certain", ratio, "f +5s s*2 f =half-open s =closed"},
		{"three good of four suffice before the fourth", ratio, "f +5s a1 a2 a3 a4 s1 s2 s3 =closed f4! =closed"},
		{"slow probes open by the slow ratio", slow, "f +5s S*2 =half-open S =open/probe-slow"},
		{"probes that are slow and fail open by failure", slow, "f +5s F F =open/probe-failed"},
		{"two slow probes of four leave it open to the rest", slow, "f +5s S*2 s =half-open s =closed"},
		{"a silent probe has failed at ProbeTimeout", trips, "f +5s a1 w@3s +2999999999ns t =half-open +1ns w@0s t =open/probe-lost w@- s1! x@5s"},
		{"a report at the deadline is late", trips, "f +5s a1 +3s s1! =open/probe-lost"},
		{"the open time after a silence starts when somebody looks", trips, "f +5s a1 +10s x:probe-lost@5s"},
		{
			"each probe has its own deadline", with(ratio, func(c *Config) { c.ProbeFailureRatio = 1 }),
			"f +5s a1 +1s a2 w@2s +2s t =half-open w@1s s1! +1s t w@- a3 a4 x +3s t =open/probe-lost",
		},
		{"reporting the oldest probe moves the deadline to the next", three, "f +5s a1 +1s a2 w@2s s1 w@3s i2 w@-"},
		{"many silent probes are settled at once, until it is decided", ratio, "f +5s a1 a2 a3 a4 +1h t =open/probe-lost e4"},
		{"a silence counts as a failure in the run", ratio, "f in=1/0 +5s s in=0/1 a1 +3s t in=1/0 =half-open"},
		{"probes are not in the window", three, "f +5s s*2 n=0/0/0 s =closed n=0/0/0"},
		{
			"closing starts the runs anew", with(ratio, func(c *Config) { c.ConsecutiveFailures = 2 }),
			"f*2 +5s s*2 f s =closed in=0/0 f =closed f =open",
		},
		{"the refusal names the oldest probe's deadline", three, "f +5s a1 +1s a2 a3 x@2s s1 x@3s"},
	})
}

func TestRamp(t *testing.T) {
	ramp := with(trips, func(c *Config) { c.RampFor, c.RampStart = 10*sec, 0.5 })
	runScenarios(t, []scenario{
		{"half of the calls pass at first if RampStart is a half", ramp, "f +5s s =closed x:ramp@- s x s x s"},
		{"the share grows with time", ramp, "f +5s s +5s x s*3 x"},
		{"all pass from RampFor on", ramp, "f +5s s x +9999999999ns ramping=true +1ns ramping=false s*10 -10s s*10"},
		{"a tenth pass at first by default", with(ramp, func(c *Config) { c.RampStart = 0 }), "f +5s s x*9 s"},
		{"a trip while ramping opens", ramp, "f +5s s x f =open"},
		{"a forced opening that ran out ramps up", ramp, "force-open:1s +1s x:ramp =closed/forced-elapsed s"},
		{"other forced states that ran out do not", ramp, "force-closed:1s +1s s*3 metrics-only:1s +1s s*3"},
		{"a reset does not ramp up", ramp, "f reset s*3"},
		{"a reset ends a ramp", ramp, "f +5s s x reset s*3"},
		{"a ramp needs no timer", ramp, "f +5s s =closed w@-"},
		{"a refusal by the ramp is not the one by force", ramp, "f +5s s x:ramp@- force-open x:forced@-"},
		{"the credit of one ramp is not the next one's", ramp, "f +5s s x s x f =open +5s s =closed x s"},
	})
}

func TestOperations(t *testing.T) {
	runScenarios(t, []scenario{
		{"forced open refuses everything for good", trips, "force-open =forced-open/forced e2 x:forced@- +1h x@- w@-"},
		{"forced open for a time ends by the timer, closed", trips, "force-open:5s x@5s w@5s +4999999999ns x@1ns t =forced-open +1ns t =closed/forced-elapsed w@- s"},
		{"forced open for a time ends by a call", trips, "force-open:5s +5s s =closed"},
		{"forced closed admits everything and records nothing", trips, "force-closed f*9 =forced-closed in=0/0 n=0/0/0"},
		{"forced closed for a time ends", trips, "force-closed:5s w@5s f +5s t =closed/forced-elapsed f =open"},
		{"metrics only records and never opens", with(trips, func(c *Config) { c.Window = Last(100) }), "metrics-only f*9 =metrics-only in=9/0 n=9/9/0 i n=9/9/0"},
		{"metrics only for a time ends, and its window with it", trips, "metrics-only:5s f +5s t =closed/forced-elapsed n=0/0/0 in=0/0"},
		{"a state forced anew is a new epoch", trips, "force-closed a1 force-closed e3 f1! force-open:1s force-open w@- e5"},
		{"results of before are stale in a forced state", trips, "a1 metrics-only f1! a2 force-closed f2! a3 reset f3!"},
		{"forcing ends a trial", trips, "f +5s a1 force-closed w@- f1!"},
		{
			"forcing forgets the openings", with(trips, func(c *Config) { c.OpenFactor = 2; c.ResetOpensAfter = time.Hour }),
			"f +5s f x@10s force-closed reset f x@5s",
		},
		{
			"reset closes an open circuit and forgets everything", with(trips, func(c *Config) { c.OpenFactor = 2; c.ResetOpensAfter = time.Hour }),
			"f reset =closed/reset e3 n=0/0/0 in=0/0 f x@5s",
		},
		{"reset closes a closed circuit anew", Config{}, "a1 f*4 reset e2 in=0/0 n=0/0/0 f1! f*4 =closed"},
		{"reset ends a forced state", trips, "force-open:5s reset w@- s"},
		{"a permit of an open state cannot be", trips, "force-open s9! f9!"},
	})
}
