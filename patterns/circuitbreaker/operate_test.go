package circuitbreaker

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/window"
)

func TestOperateRefusesWhatItCannotDo(t *testing.T) {
	tests := map[string]struct {
		op    patterns.Operation
		field string
	}{
		"a negative time":    {patterns.Operation{Kind: patterns.ForceOpen, For: -1}, "For"},
		"an unknown command": {patterns.Operation{Kind: 99}, "Kind"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newTestMachine(Config{})
			err := m.Operate(0, tt.op)
			if fault, ok := errors.AsType[*patterns.ConfigError](err); !ok || fault.Field != tt.field {
				t.Errorf("got %v", err)
			}
			if m.Epoch() != 1 || m.Tick(0) {
				t.Error("something changed all the same")
			}
		})
	}
}

func TestReconfigure(t *testing.T) {
	// reconfigured runs before, changes the Config at that moment, and runs after.
	tests := []struct {
		name          string
		from          Config
		before        string
		to            Config
		after         string
		configChanged bool
	}{
		{
			"keeps state, epoch, window, runs and permits",
			Config{Window: Last(100)},
			"a1 s f*3",
			Config{ConsecutiveFailures: 6, Window: Last(100)},
			"e1 n=4/3/0 in=3/0 f1 in=4/0 f*2 =open", true,
		},
		{
			"keeps the newest results that fit",
			Config{Window: Last(9), ConsecutiveFailures: 9},
			"f*3 s*2 f s",
			Config{Window: Last(3), ConsecutiveFailures: 9},
			"n=3/1/0 s n=3/1/0 s n=3/0/0", true,
		},
		{
			"keeps all if the window grows",
			Config{Window: Last(3)},
			"f s*3",
			Config{Window: Last(9)},
			"n=3/0/0 s*9 n=9/0/0", true,
		},
		{
			"keeps the buckets of a window of time",
			Config{Window: During(10 * sec)},
			"f +4s f",
			Config{Window: During(5 * sec).Buckets(5)},
			"n=2/2/0 +1s n=1/1/0 +4s n=0/0/0", true,
		},
		{
			"starts an empty window of the other kind",
			Config{Window: Last(9)},
			"f s",
			Config{Window: During(sec)},
			"n=0/0/0 in=0/1 s n=1/0/0 +1s n=0/0/0", true,
		},
		{
			"judges a closed circuit at once",
			Config{Window: Last(9)},
			"f*4",
			Config{FailureRatio: 0.5, MinSamples: 4},
			"=open/failure-ratio e2", true,
		},
		{"judges the run at once", Config{}, "f*4", Config{ConsecutiveFailures: 3}, "=open/consecutive-failures", true},
		{"judges no state but closed", Config{}, "metrics-only f*9", Config{ConsecutiveFailures: 1}, "=metrics-only f*9", true},
		{"leaves an open time as it is", trips, "f", with(trips, func(c *Config) { c.OpenFor = 9 * sec }), "x@5s +5s f x@9s", true},
		{
			"leaves a trial its rules", trips, "f +5s a1",
			with(trips, func(c *Config) { c.Probes, c.ConcurrentProbes, c.ProbeTimeout = 3, 3, 9*sec }),
			"x w@3s s1 =closed f +5s a1 a2 a3 w@9s", true,
		},
		{
			"leaves a ramp its shape", with(trips, func(c *Config) { c.RampFor, c.RampStart = 10*sec, 0.5 }), "f +5s s",
			trips, "x s x s +10s s*3 f +5s s*9", true,
		},
		{"changes the threshold of slow calls", Config{SlowCall: sec}, "S", Config{SlowCall: 2 * sec}, "n=1/0/1 s S n=3/0/2", true},
		{"ends a forced state neither sooner nor later", trips, "force-open:5s +1s", Config{}, "w@4s =forced-open", true},
		{"to the same is nothing", trips, "a1", trips.withDefaults(), "e1 f1 =open", false},
		{
			"replaces the schedule", with(trips, func(c *Config) { c.OpenSchedule = everyTime(7 * sec) }), "f x@7s +7s",
			with(trips, func(c *Config) { c.OpenSchedule = everyTime(8 * sec) }), "f x@8s", true,
		},
		{"drops the schedule", with(trips, func(c *Config) { c.OpenSchedule = everyTime(7 * sec) }), "f x@7s +7s", trips, "f x@5s", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.from)
			s := newScript(t, m)
			s.run(tt.before)
			m.Tick(s.now)
			drained(m)
			epoch := m.Epoch()
			m.Reconfigure(s.now, tt.to)
			if dirty := m.Tick(s.now); dirty != tt.configChanged {
				t.Errorf("dirty is %v", dirty)
			}
			events := drained(m)
			if !tt.configChanged {
				if len(events) != 0 {
					t.Errorf("events %v", events)
				}
			} else if c, ok := events[0].(ConfigChanged); !ok || c.Name != "b" || c.From != tt.from.withDefaults() ||
				c.To != tt.to.withDefaults() || !c.At.Equal(origin.Add(time.Duration(s.now))) {
				t.Errorf("events %+v", events)
			}
			if m.Epoch() != epoch && m.state != Open {
				t.Error("the epoch changed without a transition")
			}
			s.run(tt.after)
		})
	}
}

func everyTime(d time.Duration) *OpenSchedule { return Schedule(func(int) time.Duration { return d }) }

func drained(m *Machine) []patterns.Event { return slices.Collect(m.Drain()) }

func TestReconfigureSettlesFirst(t *testing.T) {
	m := newTestMachine(trips)
	newScript(t, m).run("f +5s a1")
	m.Reconfigure(patterns.Instant(8*sec), Config{})
	if m.state != Open || m.cause != CauseProbeLost || m.until != patterns.Instant(13*sec) {
		t.Errorf("%v by %s until %v", m.state, m.cause, m.until)
	}
}

func TestOperateSettlesFirst(t *testing.T) {
	m := newTestMachine(trips)
	newScript(t, m).run("f +5s a1")
	drained(m)
	if err := m.Operate(patterns.Instant(8*sec), patterns.Operation{Kind: patterns.ForceClosed, For: sec}); err != nil {
		t.Fatal(err)
	}
	events := drained(m)
	if len(events) != 2 || events[0].(StateChanged).Cause != CauseProbeLost || events[1].(StateChanged).Cause != CauseForced {
		t.Errorf("events %+v", events)
	}
	if m.Wake() != patterns.Instant(9*sec) {
		t.Errorf("ends at %d", m.Wake())
	}
}

func TestNeverIsNoTimeThatPasses(t *testing.T) {
	lossy := with(trips, func(c *Config) { c.Probes, c.ProbeFailureRatio = 3, 1 })
	for name, tt := range map[string]struct {
		cfg   Config
		steps string
		want  State
	}{
		"closed":                   {lossy, "s", Closed},
		"forced open without end":  {lossy, "force-open", ForcedOpen},
		"metrics only without end": {lossy, "metrics-only", MetricsOnly},
		"half-open":                {lossy, "f +5s a1", HalfOpen},
		"half-open without probes": {lossy, "f +5s a1 i1", HalfOpen},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			newScript(t, m).run(tt.steps)
			m.Tick(patterns.Never)
			m.Tick(patterns.Never)
			if m.state != tt.want || len(m.trial.out) != 0 {
				t.Errorf("%v by %s", m.state, m.cause)
			}
		})
	}
}

func TestAPermitIsKnownByItsEpochAndID(t *testing.T) {
	m := newTestMachine(trips)
	s := newScript(t, m)
	s.run("f +5s a1")
	old := patterns.PermitID{Epoch: m.Epoch() - 1, ID: s.permits["1"].ID}
	if counted, _ := m.Report(s.now, old, patterns.Failure, 0); counted {
		t.Error("reported")
	}
	if m.Release(s.now, old) {
		t.Error("released")
	}
	s.run("x s1 =closed")
}

func TestTheNumberOfOpeningsDoesNotOverflow(t *testing.T) {
	m := newTestMachine(with(trips, func(c *Config) { c.OpenFactor = 2 }))
	s := newScript(t, m)
	s.run("f +5s a1")
	m.opens = math.MaxInt32
	s.run("f1 x@1m20s")
	if m.opens != math.MaxInt32 {
		t.Errorf("%d openings", m.opens)
	}
}

func TestOpenSchedule(t *testing.T) {
	schedule := []time.Duration{sec, 3 * sec, 2 * sec} // of openings in a row
	cfg := with(trips, func(c *Config) { c.OpenFactor, c.MaxOpenFor = 7, 5*sec })
	line := "f x@1s +1s f x@3s +3s f x@2s +2s f x@2s +2s s f x@1s"
	cfg.OpenSchedule = Schedule(func(n int) time.Duration { return schedule[min(n, 3)-1] })
	newScript(t, newTestMachine(cfg)).run(line) // the last one repeats
}

func TestCheckFindsEachBrokenInvariantAndRepairMends(t *testing.T) {
	ramp := with(trips, func(c *Config) {
		c.RampFor, c.Probes, c.ConcurrentProbes, c.ProbeFailureRatio = sec, 3, 3, 1
		c.Window = Last(100)
	})
	breaks := []struct {
		name   string
		before string
		broken func(*Machine)
		after  string
	}{
		{"no such state", "s", func(m *Machine) { m.state = 77 }, "=open/repaired e2 a1 =half-open"},
		{"window", "s", func(m *Machine) { m.recent.ring = window.Ring{} }, "=closed/repaired e2 n=0/0/0 s n=1/0/0"},
		{"negative failures", "s", func(m *Machine) { m.successes, m.failures = 0, -1 }, "=closed/repaired in=0/0"},
		{"negative successes", "s", func(m *Machine) { m.successes = -1 }, "=closed in=0/0"},
		{"two runs at once", "s", func(m *Machine) { m.successes, m.failures = 1, 1 }, "=closed in=0/0"},
		{"negative openings", "s", func(m *Machine) { m.opens = -1 }, "f x@5s"},
		{"open without an end", "f", func(m *Machine) { m.until = patterns.Never }, "=open/repaired a1 =half-open"},
		{"an end without being open", "s", func(m *Machine) { m.until = 5 }, "=closed s"},
		{"due without a reason", "s", func(m *Machine) { m.due = 5 }, "=closed w@-"},
		{"probes while closed", "s", func(m *Machine) { m.trial.out = append(m.trial.out, probe{}); m.due = 0 }, "=closed s"},
		{"results while closed", "s", func(m *Machine) { m.trial.results = 1 }, "=closed s"},
		{"probe without its deadline", "f +5s a1", func(m *Machine) { m.due = patterns.Never }, "=open/repaired e4 w@- s1! a2 =half-open"},
		{"trial with a verdict", "f +5s a1", func(m *Machine) { m.trial.results, m.trial.out, m.due = 3, nil, patterns.Never }, "=open a2"},
		{"too many probes", "f +5s a1 a2 a3", func(m *Machine) { m.trial.out = append(m.trial.out, m.trial.out[2]) }, "=open a2"},
		{"too many probes and results", "f +5s a1 a2 a3", func(m *Machine) { m.trial.results = 1 }, "=open a2"},
		{"more failed probes than probes", "f +5s a1", func(m *Machine) { m.trial.failed = 1 }, "=open a2"},
		{"more slow probes than probes", "f +5s a1", func(m *Machine) { m.trial.slow = 1 }, "=open a2"},
		{"probes out of order", "f +5s a1 +1s a2", func(m *Machine) { m.trial.out[1].by = 0 }, "=open a2"},
		{"ramping while open", "f", func(m *Machine) { m.ramping = true }, "=open/repaired x@5s"},
		{"ramp credit above 1", "f +5s s", func(m *Machine) { m.ramp.credit = 1 }, "=closed/repaired x*9 ramping=true s +1s s*9"},
		{"ramp credit that is NaN", "f +5s s", func(m *Machine) { m.ramp.credit = math.NaN() }, "=closed/repaired x*9 s"},
		{"in an open time", "f +1s", func(m *Machine) { m.opens = -1 }, "=open/repaired x@4s"},
		{"in a forced state", "force-closed:5s +1s", func(m *Machine) { m.opens = -1 }, "=forced-closed/repaired w@4s f*9 +4s t =closed"},
		{"in a forced state without an end", "force-open", func(m *Machine) { m.opens = -1 }, "=forced-open/repaired w@- x:repaired@-"},
	}
	for _, tt := range breaks {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(ramp)
			s := newScript(t, m)
			s.run(tt.before)
			drained(m)
			epoch := m.Epoch()
			tt.broken(m)
			if m.Check() == nil {
				t.Fatal("Check found nothing")
			}
			m.Repair(s.now)
			if err := m.Check(); err != nil {
				t.Fatal(err)
			}
			if m.Epoch() != epoch+1 {
				t.Errorf("epoch %d after %d", m.Epoch(), epoch)
			}
			if events := drained(m); len(events) != 1 || events[0].(StateChanged).Cause != CauseRepaired {
				t.Errorf("events %v", events)
			}
			s.run(tt.after)
		})
	}
}

func TestRepairOfASoundMachineKeepsThePolicyAndTheLastFailure(t *testing.T) {
	m := newTestMachine(with(trips, func(c *Config) { c.OpenFactor = 2 }))
	s := newScript(t, m)
	s.run("f +5s f +1s")
	m.Repair(s.now)
	if snap := s.snapshot(); snap.Opens != 2 || snap.SinceLastFailure != sec {
		t.Errorf("%+v", snap)
	}
	s.run("x@9s +9s f x@20s")
}

func TestRepairTellsTheTime(t *testing.T) {
	m := newTestMachine(trips)
	newScript(t, m).run("f +5s a1")
	drained(m)
	m.Repair(patterns.Instant(9 * sec))
	if e := drained(m)[0].(StateChanged); !e.At.Equal(at(9*sec)) || m.until != patterns.Instant(9*sec) || e.From != HalfOpen || e.To != Open {
		t.Errorf("%+v until %d", e, m.until)
	}
}
