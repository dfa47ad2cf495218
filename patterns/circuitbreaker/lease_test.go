package circuitbreaker

import (
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestLeasesAreGivenOnlyWhereEveryCallPasses(t *testing.T) {
	ramp := with(trips, func(c *Config) { c.RampFor = sec })
	tests := []struct {
		name  string
		steps string
		want  int
	}{
		{"closed", "s", 64},
		{"open", "f", 0},
		{"open and eligible", "f +5s", 0},
		{"half-open", "f +5s a1", 0},
		{"ramping", "f +5s s +999ms", 0},
		{"ramped up", "f +5s s +1s", 64},
		{"forced open", "force-open", 0},
		{"forced open, over", "force-open:1s +1s", 0}, // it ramps
		{"forced closed", "force-closed", 64},
		{"metrics only", "metrics-only", 64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(ramp)
			s := newScript(t, m)
			s.run(tt.steps)
			if got := m.Lease(s.now, 64); got != tt.want {
				t.Errorf("lent %d", got)
			}
			if got := m.Lease(s.now, -1); got != 0 {
				t.Errorf("lent %d for -1", got)
			}
		})
	}
}

func TestSettleLease(t *testing.T) {
	slow := Config{SlowRatio: 1, SlowCall: sec, Window: Last(6)}
	tests := []struct {
		name    string
		cfg     Config
		before  string
		tally   patterns.Tally
		after   string
		counted bool
	}{
		{"counts each kind", Config{SlowCall: sec}, "", patterns.Tally{Success: 4, Failure: 2, Dropped: 1, Ignored: 9, Slow: 3, Unused: 5}, "n=7/3/3 in=3/0", true},
		{"failures come last", Config{}, "f*4", patterns.Tally{Success: 1, Failure: 4}, "=closed in=4/0 f =open", true},
		{"failures add to the run if nothing succeeded", Config{}, "f*4", patterns.Tally{Dropped: 1}, "=open/consecutive-failures", true},
		{"successes end a run", Config{}, "f*4", patterns.Tally{Success: 3}, "in=0/3", true},
		{"ignored calls and unused permits teach nothing", Config{Window: Last(100)}, "f*4", patterns.Tally{Ignored: 3, Unused: 3}, "in=4/0 n=4/4/0", true},
		{"is judged at the end", Config{FailureRatio: 0.5, Window: Last(4), MinSamples: 2}, "f", patterns.Tally{Success: 3}, "=closed n=4/1/0", true},
		{"judged by its ratio", Config{FailureRatio: 0.5, MinSamples: 4}, "", patterns.Tally{Success: 2, Failure: 2}, "=open/failure-ratio", true},
		{"judged by the slow ratio", slow, "", patterns.Tally{Success: 6, Slow: 6}, "=open/slow-ratio", true},
		{"quick successes come before slow ones", slow, "s*3", patterns.Tally{Success: 5, Slow: 4}, "n=6/0/4", true},
		{"a small window keeps the last of it", Config{Window: Last(3), ConsecutiveFailures: 99}, "s*3", patterns.Tally{Success: 9, Failure: 2}, "n=3/2/0", true},
		{"more slow than successes are not", Config{SlowCall: sec}, "", patterns.Tally{Success: 2, Slow: 5}, "n=2/0/2", true},
		{"negative slow is none", Config{SlowCall: sec}, "", patterns.Tally{Success: 2, Slow: -5}, "n=2/0/0", true},
		{"slow is nothing without SlowCall", Config{Window: Last(100)}, "", patterns.Tally{Success: 2, Slow: 2}, "n=2/0/0", true},
		{"of an earlier epoch does not count", Config{}, "reset", patterns.Tally{Failure: 99}, "n=0/0/0 in=0/0", false},
		{"in forced closed counts and teaches nothing", Config{}, "force-closed", patterns.Tally{Failure: 99}, "n=0/0/0 in=0/0", true},
		{"in metrics only is recorded", Config{Window: Last(100)}, "metrics-only", patterns.Tally{Failure: 99}, "n=99/99/0 =metrics-only", true},
		{"in a window of time", Config{Window: During(sec), ConsecutiveFailures: 999}, "", patterns.Tally{Success: 3, Failure: 200}, "n=203/200/0 +1s n=0/0/0", true},
		{"into an open circuit cannot be", trips, "f", patterns.Tally{Failure: 1}, "", false},
		{"into a trial cannot be", trips, "f +5s a1", patterns.Tally{Success: 1}, "=half-open s1 =closed", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newTestMachine(tt.cfg)
			s := newScript(t, m)
			s.run(tt.before)
			epoch := m.Epoch()
			if !tt.counted && m.state == Closed {
				epoch--
			}
			m.flush()
			was := m.Epoch()
			timeless := m.Timeless()
			counted, dirty := m.SettleLease(s.now, epoch, tt.tally)
			if counted != tt.counted {
				t.Errorf("counted is %v", counted)
			}
			if changed := m.Epoch() != was || m.Timeless() != timeless; dirty != changed {
				t.Errorf("dirty is %v", dirty)
			}
			s.run(tt.after)
		})
	}
}

func TestSettledLeasesMoveTheLastFailure(t *testing.T) {
	m := newTestMachine(Config{})
	s := newScript(t, m)
	s.run("+1s")
	m.SettleLease(s.now, 1, patterns.Tally{Success: 1})
	if !s.snapshot().LastFailure.IsZero() {
		t.Error("a success is no failure")
	}
	m.SettleLease(s.now, 1, patterns.Tally{Dropped: 1})
	if !s.snapshot().LastFailure.Equal(at(sec)) {
		t.Error("a failure is one")
	}
}
