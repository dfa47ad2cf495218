package loadshedder

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

func TestBadCommandsAreRefused(t *testing.T) {
	m := newTestMachine(Config{})
	for _, tt := range []struct {
		op    patterns.Operation
		field string
	}{
		{patterns.Operation{Kind: 99}, "Kind"},
		{patterns.Operation{Kind: patterns.ForceOpen, For: -1}, "For"},
	} {
		err := m.Operate(0, tt.op)
		if e, ok := errors.AsType[*patterns.ConfigError](err); !ok || e.Field != tt.field || e.Pattern != "loadshedder" {
			t.Errorf("%+v: %v", tt.op, err)
		}
	}
	if m.state != Automatic || m.Epoch() != 1 {
		t.Errorf("%v, epoch %d", m.state, m.Epoch())
	}
}

func TestForcedOpenIsKnownInAdvance(t *testing.T) {
	s := run(t, hall, "open:5s")
	err, until, ok := s.M.Refusal()
	if e, is := errors.AsType[*ShedError](err); !ok || until != s.M.due || !is || e.Cause != CauseForced || e.After < 4*sec || e.After > 5*sec {
		t.Errorf("%v until %d, %v", err, until, ok)
	}
	s.run("reset open:1h")
	err, _, _ = s.M.Refusal()
	if after, _ := patterns.RetryAfter(err); after < time.Minute {
		t.Errorf("%v is of before", after)
	}
	s.run("reset")
	if _, _, ok := s.M.Refusal(); ok {
		t.Error("refuses without a reason")
	}
}

func TestMetricsOnlyCountsWhomItWouldHaveShed(t *testing.T) {
	s := run(t, with(hall, func(c *Config) { c.QueueDelay = Law{} }), "metrics a*5 n5 a.l*2 a.h:9")
	snap := s.M.Snapshot(s.Now, patterns.Counts{})
	// Two run, three would wait.
	if snap.Spared != 3 || snap.Shed != (ShedCounts{Queue: 3}) || snap.ShedByPriority != [levels]uint64{1: 2, 3: 1} || snap.State != MetricsOnly || snap.Cause != CauseForced {
		t.Errorf("%+v", snap)
	}
	s = run(t, door, "metrics a*6 reset")
	if snap := s.M.Snapshot(s.Now, patterns.Counts{}); snap.Spared != 2 || snap.Shed != (ShedCounts{InFlight: 2}) {
		t.Errorf("%+v", snap)
	}
	s = run(t, eyes, "metrics cpu=1 +1ms cpu=1 +1s cpu=1 +1s cpu=1 a.l*100")
	if snap := s.M.Snapshot(s.Now, patterns.Counts{}); snap.Spared < 30 || snap.Shed.CPU != snap.Spared {
		t.Errorf("%+v", snap)
	}
}

func TestAResetForgetsWhatWasLearned(t *testing.T) {
	s := newShop(t, 10*ms, with(eyes, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.Throttle, c.Fair = 4, 50, 2, true }))
	s.offer(2*ms, sec, patterns.Normal, patterns.High)
	for range 3000 {
		s.M.Report(s.Now, patterns.PermitID{ID: 1 << 40}, patterns.Dropped, 0)
	}
	observe(s.host, read(CPU, 1))
	s.Pass(ms)
	observe(s.host, read(CPU, 1))
	s.Pass(sec)
	observe(s.host, read(CPU, 1))
	s.until(s.Now.Add(sec))
	before := s.M.Snapshot(s.Now, patterns.Counts{})
	if before.Admitted == 1 || before.Throttled == 0 || before.Rate == 0 || before.Waits.Count() == 0 || before.Keys == 0 || before.Peak == 0 {
		t.Fatalf("nothing to forget: %+v", before)
	}
	s.Operator(func(now patterns.Instant) {
		if err := s.M.Operate(now, patterns.Operation{Kind: patterns.Reset}); err != nil {
			t.Error(err)
		}
	})
	after := s.M.Snapshot(s.Now, patterns.Counts{})
	if after.Admitted != 1 || after.Throttled != 0 || after.Rate != 0 || after.Waits.Count() != 0 || after.Keys != 0 || after.Peak != after.Used || after.Kept != [levels]float64{} {
		t.Errorf("%+v", after)
	}
	if !after.Signals[CPU].On || after.Shed != before.Shed || after.Used != before.Used || after.Epoch != before.Epoch+1 || after.Cause != CauseReset {
		t.Errorf("forgot too much: %+v", after)
	}
}

// A Machine that is broken in some way is noticed, and mended without opening the gate.
func TestCheckAndRepair(t *testing.T) {
	busy := func(t *testing.T) *script {
		s := run(t, with(eyes, func(c *Config) { c.MaxInFlight, c.MaxQueue = 10, 5 }), "cpu=1 +1ms cpu=1 a:3 a:2 a*5 w*2 +100ms cpu=1")
		if err := s.M.Check(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	nan := math.NaN()
	for name, breakIt := range map[string]func(m *Machine){
		"in flight lost":             func(m *Machine) { m.inFlight = 2 },
		"in flight below nothing":    func(m *Machine) { m.inFlight, m.holds = -3, permits.Table[int]{} },
		"a weight of 1 that is kept": func(m *Machine) { m.holds.Put(99, 1) },
		"a state that is none":       func(m *Machine) { m.state = 77 },
		"due without a reason":       func(m *Machine) { m.due = 5 },
		"a share that is none":       func(m *Machine) { m.control.admit = nan },
		"a share of nothing":         func(m *Machine) { m.control.admit = 0 },
		"a strain without an end":    func(m *Machine) { m.strain.look = patterns.Never },
		"fewer than none wait":       func(m *Machine) { m.queue.waiting = -1 },
		"a calm that is none":        func(m *Machine) { m.calm = true },
		"a level that was missed":    func(m *Machine) { m.level.high = 0 },
		"a peak that was missed":     func(m *Machine) { m.peak = 1 },
		"a reserve below nothing":    func(m *Machine) { m.cutoff.reserve[3] = -1 },
		"a debt too large":           func(m *Machine) { m.cutoff.debt[3] = 5 },
		"an open share too large":    func(m *Machine) { m.cutoff.open[3] = 2 },
		"less than none seen":        func(m *Machine) { m.cutoff.seen[3] = -2 },
	} {
		t.Run(name, func(t *testing.T) {
			s := busy(t)
			breakIt(s.M)
			if s.M.Check() == nil {
				t.Fatal("not noticed")
			}
			epoch := s.M.Epoch()
			s.M.Repair(s.Now)
			if err := s.M.Check(); err != nil {
				t.Fatal(err)
			}
			if s.M.Epoch() <= epoch || !s.M.flush() {
				t.Error("the shell is not told")
			}
			if e := short(drain(s.M)); e == "" || s.M.cause != CauseRepaired {
				t.Errorf("events %q, cause %q", e, s.M.cause)
			}
			if !s.M.control.cutting || !(s.M.control.admit < 1) || s.M.inFlight < 5 && name != "in flight below nothing" {
				t.Errorf("opened the gate: %+v, %d in flight", s.M.control, s.M.inFlight)
			}
			// And it goes on.
			s.M.Tick(s.Now + 1)
			if w := s.M.Wake(); w <= s.Now+1 {
				t.Errorf("wakes at %d", w)
			}
		})
	}
}

func drain(m *Machine) (events []patterns.Event) {
	for e := range m.Drain() {
		events = append(events, e)
	}
	return events
}

func TestARepairKeepsAForcedState(t *testing.T) {
	s := run(t, door, "a*2 open:5s +1s")
	due := s.M.due
	s.M.inFlight = 9
	s.M.peak = 0
	s.M.Repair(s.Now)
	if s.M.state != ForcedOpen || s.M.due != due || s.M.inFlight != 9 || s.M.Check() != nil {
		t.Errorf("%v until %d, %d in flight, %v", s.M.state, s.M.due, s.M.inFlight, s.M.Check())
	}
	s.run("x=forced +4s x=in-flight") // what was counted stays counted
}

func TestASoundMachineIsNotRepaired(t *testing.T) {
	s := newShop(t, 10*ms, with(eyes, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.Throttle, c.Fair = 4, 50, 2, true }))
	s.offer(ms, sec, patterns.Normal, patterns.High)
	if err := s.M.Check(); err != nil {
		t.Error(err)
	}
}

func TestReconfigureKeepsWhatItCan(t *testing.T) {
	c := with(counter, func(c *Config) { c.Throttle, c.Fair, c.MaxKeys = 2, true, 100 })
	s := newShop(t, 10*ms, c)
	s.offer(2*ms, sec, patterns.Normal)
	before := s.M.Snapshot(s.Now, patterns.Counts{})
	s.Drained()
	s.Operator(func(now patterns.Instant) {
		s.M.Reconfigure(now, with(c, func(c *Config) {
			c.MaxInFlight, c.Throttle, c.ThrottleWindow, c.MaxKeys, c.QueueDelay = 3, 3, time.Minute, 50, PIE(ms)
		}))
	})
	after := s.M.Snapshot(s.Now, patterns.Counts{})
	if after.Used != before.Used || after.Rate != before.Rate || after.Keys != before.Keys || after.Limit != 3 || s.M.users.table.Max() != 50 {
		t.Errorf("%+v, before %+v", after, before)
	}
	if n, _ := s.M.throttle.Counts(s.Now); n == 0 {
		t.Error("the requests were forgotten")
	}
	if events := s.Drained(); len(events) != 1 || events[0].(ConfigChanged).To.MaxInFlight != 3 || events[0].(ConfigChanged).From.MaxInFlight != 4 {
		t.Errorf("%+v", events)
	}
	s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, s.M.cfg) })
	if events := s.Drained(); len(events) != 0 {
		t.Errorf("the same Config is a change: %+v", events)
	}
	s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, counter) })
	if s.M.users.table != nil || s.M.throttled() {
		t.Error("Fair and Throttle are still on")
	}
	if got, _ := s.Acquire(12345, patterns.Request{Key: "k", Weight: 2}); got == machinetest.Rejected {
		t.Error(got)
	}
}
