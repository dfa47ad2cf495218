package adaptive

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
	"github.com/bulwark-go/bulwark/patterns"
)

// after runs the reference service at a load and returns the Machine as it is then.
func after(change func(*simulation.Scenario), config ...func(*Config)) *Machine {
	s := simulation.Scenario{Service: simulation.Reference(), Phases: []simulation.Phase{{Load: 2}}, Last: 20 * time.Second, Seed: 5}
	change(&s)
	m := newSubject(Knee{}, config...)
	simulation.Run(s, m)
	return m
}

func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got/want-1) > share {
		t.Errorf("%s is %.2f, want %.2f", what, got, want)
	}
}

func TestTheBaselineIsLatencyWithoutQueueing(t *testing.T) {
	for name, change := range map[string]func(*simulation.Scenario){
		"at half load":                      func(s *simulation.Scenario) { s.Phases[0].Load = 0.5 },
		"at twice the capacity":             func(*simulation.Scenario) {},
		"after 200 s of overload":           func(s *simulation.Scenario) { s.Last = 200 * time.Second },
		"when the overload begins at once":  func(s *simulation.Scenario) { s.Phases[0].Load, s.Last = 30, 4*time.Second },
		"with callers who stay for seconds": func(s *simulation.Scenario) { s.Service.Deadline = 10 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			s := after(change).Snapshot(0, patterns.Counts{})
			within(t, "baseline in ms", s.Baseline.Seconds()*1000, 10, 0.25)
		})
	}
	t.Run("five times slower", func(t *testing.T) {
		s := after(func(s *simulation.Scenario) {
			s.Phases = append(s.Phases, simulation.Phase{At: 10 * time.Second, Load: 2, Slow: 5})
		}).Snapshot(0, patterns.Counts{})
		within(t, "baseline in ms", s.Baseline.Seconds()*1000, 50, 0.25)
		within(t, "throughput", s.Throughput, 200, 0.25)
	})
}

func TestALimitThatIsNotUsedStays(t *testing.T) {
	m := after(func(s *simulation.Scenario) { s.Phases[0].Load = 0.4 })
	if m.limit != 20 {
		t.Errorf("limit %d", m.limit)
	}
}

func TestMaxLatencyIsNeverLearnedAway(t *testing.T) {
	for _, a := range algorithms() {
		t.Run(fmt.Sprintf("%+v", a), func(t *testing.T) { neverLearnedAway(t, a) })
	}
}

func neverLearnedAway(t *testing.T, a Algorithm) {
	bounded := func(c *Config) { c.Algorithm, c.MaxLatency = a, 30*ms }
	sick := func(s *simulation.Scenario) {
		s.Phases = append(s.Phases, simulation.Phase{At: 5 * time.Second, Load: 2, Slow: 5})
		s.Last = 60 * time.Second
	}
	if m := after(sick, bounded); m.limit > 2 {
		t.Errorf("limit %d", m.limit)
	}
	well := func(s *simulation.Scenario) {
		sick(s)
		s.Phases = append(s.Phases, simulation.Phase{At: 40 * time.Second, Load: 2})
	}
	if m := after(well, bounded); m.limit < 6 {
		t.Errorf("limit %d after it was well again", m.limit)
	}
}

// A dependency with a limit of its own turns away what is above it, at once.
func TestCallsTurnedAwayLowerTheLimit(t *testing.T) {
	const own = 12
	for name, pause := range map[string]patterns.Instant{"callers that rush": 1000, "callers at twice the capacity": patterns.Instant(10*ms) / own / 2} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, Config{Initial: 40})
			lost, calls := 0, 0
			done := patterns.Instant(10 * ms)
			for h.now < patterns.Instant(2*time.Second) {
				h.now += pause
				if h.now >= done && len(h.out) > 0 {
					h.report(0, patterns.Success, 10*ms)
					done = h.now + patterns.Instant(10*ms)/own
				}
				if h.take(1, patterns.Request{}) == 1 && len(h.out) > own {
					h.report(own, patterns.Dropped, 100*time.Microsecond)
					lost++
				}
				calls++
			}
			if lost > calls/20 || h.m.limit < own/2 || h.m.limit > 2*own {
				t.Errorf("%d of %d calls lost, limit %d", lost, calls, h.m.limit)
			}
		})
	}
}
