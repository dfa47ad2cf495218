package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a limiter knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name  string
	State State
	// Cause of the last change of state; CauseNone if there was none.
	Cause Cause
	// Epoch grows when what was learned is thrown away, and when leases are called back.
	Epoch uint64

	// Algorithm is the name of what finds the limit.
	Algorithm string
	// Limit is how many may be in flight, Estimate the same before it was rounded down.
	Limit    int
	Estimate float64
	// Used is the weight of the permits out, and Leased those of them that are lent in
	// advance, spent or not. It can be above a Limit that fell.
	Used, Leased int
	// Latency is the moving average of what calls take.
	Latency time.Duration
	// Waits are the times that calls waited before they were granted, since the start, the
	// last Reset or repair. Those that did not wait are not in it.
	Waits patterns.WaitTimes

	// Knee only: what was learned, 0 if nothing yet. Baseline is the latency without
	// queueing, Throughput the calls per second while the limit is used, Margin what
	// is added to Headroom × Baseline × Throughput.
	Baseline   time.Duration
	Throughput float64
	Margin     float64
	// Probing: the limit is lower for a moment, to see the baseline.
	Probing bool

	// Open is how much of the limit a request of each priority may fill, from
	// Background to Critical.
	Open [levels]int
	// Tenants is how many keys are told apart now.
	Tenants int

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the limiter was spawned.
	patterns.Counts
}

// Utilization is the share of the limit that is used. It can be above 1 while a Limit that
// fell waits for calls to end.
func (s Snapshot) Utilization() float64 { return float64(s.Used) / float64(max(s.Limit, 1)) }

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, State: m.state, Cause: m.cause, Epoch: m.epoch,
		Algorithm: m.cfg.Algorithm.String(), Limit: m.limit, Estimate: m.finder.Estimate(),
		Used: m.inFlight, Leased: m.leased, Latency: time.Duration(m.latency),
		Tenants: len(m.tenants.index), EventsLost: m.events.Lost(), Counts: counts,
	}
	if k := m.knee; k != nil {
		s.Baseline, s.Throughput, s.Margin = time.Duration(k.base), k.rate*float64(time.Second), k.margin
		s.Probing = k.looking()
	}
	if m.waited != nil {
		s.Waits = *m.waited
	}
	for i := range s.Open {
		s.Open[i] = max(0, m.room(i, true))
	}
	return s
}
