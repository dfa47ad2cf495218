package adaptive

import (
	"fmt"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
	"github.com/bulwark-go/bulwark/patterns"
)

// watched is a Machine of which the longest time is measured that its knee spent below itself.
type watched struct {
	*Machine
	since   patterns.Instant
	looking bool
	longest time.Duration
}

func (w *watched) Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool) {
	counted, dirty = w.Machine.Report(now, p, o, elapsed)
	was := w.looking
	if w.looking = w.knee.looking(); w.looking && !was {
		w.since = now
	}
	if w.looking {
		w.longest = max(w.longest, now.Sub(w.since))
	}
	return counted, dirty
}

// brownout is a calm, three seconds of overload in which calls are so many times slower, and
// overload of a service that is well again, which alone is scored.
func brownout(slow, critical float64, seed uint64) simulation.Scenario {
	return simulation.Scenario{
		Service: simulation.Service{Workers: 8, Mean: 20 * ms, Sigma: 0.1, Deadline: time.Second},
		Classes: []simulation.Class{{Share: critical, Priority: patterns.Critical}, {Share: 1 - critical, Priority: patterns.Normal}},
		Phases:  []simulation.Phase{{Load: 0.37}, {At: 1500 * ms, Load: 3, Slow: slow}, {At: 4500 * ms, Load: 2}},
		Warm:    4500 * ms, Last: 12 * time.Second, Seed: seed,
	}
}

// The highest priority does not pay for probes, and so can fill what a probe leaves; what it
// could use in worse times is not what it can use now.
func TestHowManyAreCriticalAndHowBadItWasDoesNotKeepTheRestOut(t *testing.T) {
	for _, tt := range []struct {
		slow, critical, least float64
		most                  time.Duration
	}{
		{1, 0, 0.95, time.Second},
		{1, 0.1, 0.95, time.Second},
		{1, 0.3, 0.95, 1500 * ms},
		{1, 0.6, 0.95, 3 * time.Second},
		{15, 0, 0.75, 3 * time.Second},
		{15, 0.1, 0.55, 3 * time.Second},
		{15, 0.3, 0.75, 3 * time.Second},
	} {
		t.Run(fmt.Sprintf("%v times slower, %v of them critical", tt.slow, tt.critical), func(t *testing.T) {
			for seed := uint64(1); seed <= 10; seed++ {
				m := &watched{Machine: newSubject(Knee{})}
				s := brownout(tt.slow, tt.critical, seed)
				r := simulation.Run(s, m)
				got, critical := r.Goodput()/s.Service.Capacity(), float64(r.Classes[0].Good)/float64(r.Classes[0].Offered)
				if got < tt.least || m.longest > tt.most {
					t.Errorf("seed %d: %.3f of capacity, longest probe %v", seed, got, m.longest)
				}
				if tt.critical < 0.5 && critical < 0.96 {
					t.Errorf("seed %d: %.3f of the critical calls", seed, critical)
				}
			}
		})
	}
}
