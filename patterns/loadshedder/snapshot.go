package loadshedder

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Snapshot is what a shedder knew at one moment. Snapshots can be compared.
type Snapshot struct {
	Name  string
	State State
	// Cause of the last change of state; CauseNone if there was none.
	Cause Cause
	// Epoch grows whenever a calm ends, and with the state.
	Epoch uint64

	// Level is that of this moment; the event waits until it has held for a while.
	Level Level
	// Limit is how many calls may run, and Used how many do, by weight, those lent to cells
	// in patterns.Leased mode included; Counts.InFlight is how many permits are out. Peak
	// is the most there ever were, since the start or the last Reset.
	Limit, Used, Peak int
	// MaxQueue is how many may wait, 0 if nobody; Counts.Waiting is how many do.
	MaxQueue int
	// Waits is how long those waited who were granted a place after it.
	Waits patterns.WaitTimes
	// Rate is how many calls end per second, by weight, as far as waits are estimated by
	// it; 0 if unknown: it is only known under strain.
	Rate float64

	// Pressure is how far the worst signal is above its threshold, 1 where it is as bad as
	// it gets. Admitted is the share of all requests that signals let in, and Throttled the
	// share that Config.Throttle sheds. Open is what they leave of each priority, from
	// Background to Critical.
	Pressure  float64
	Admitted  float64
	Throttled float64
	Open      [levels]float64
	// Kept is how many places are kept for each priority, against all lower ones.
	Kept [levels]float64
	// Signals are the measurements, by Signal.
	Signals [signals]SignalState

	// Strained: somebody found no place, not long ago. Shedding: somebody was shed, and the
	// shedder has not Recovered.
	Strained, Shedding bool
	// Keys is how many Config.Fair tells apart now.
	Keys int

	// Shed is how many requests were shed, by cause, and ShedByPriority by priority, from
	// Background to Critical. What Forced refuses without asking is in Rejected only.
	Shed           ShedCounts
	ShedByPriority [levels]uint64
	// Spared is how many of them MetricsOnly let through all the same.
	Spared uint64

	// EventsLost is how many events were dropped because nobody drained them.
	EventsLost uint64

	// Counts are the totals since the shedder was spawned.
	patterns.Counts
}

// SignalState is what is known of a signal.
type SignalState struct {
	// Threshold is Off if the signal is. It and what follows are shares, or seconds.
	Threshold float64
	// Known: there is a measurement that holds. Value is the moving average, Raw the last
	// measurement, and Age how old that is.
	Known      bool
	Value, Raw float64
	Age        time.Duration
	// On: it sheds requests if Raw is above Threshold.
	On bool
	// Failed is how often measuring it failed.
	Failed uint64
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.settle(now)
	s := Snapshot{
		Name: m.name, State: m.state, Cause: m.cause, Epoch: m.epoch,
		Level: m.level.now(m.inFlight), Limit: m.limit, Used: m.inFlight, Peak: max(m.peak, m.inFlight), MaxQueue: max(0, m.cfg.MaxQueue),
		Waits: m.queue.stayed, Rate: m.queue.rate,
		Pressure: m.pressure(), Admitted: m.control.admit,
		Strained: m.strain.on, Shedding: m.strain.shedding,
		Shed: countsOf(&m.strain.byCause), ShedByPriority: m.strain.byPriority, Spared: m.strain.spared,
		EventsLost: m.events.Lost(), Counts: counts,
	}
	if m.throttled() {
		s.Throttled = m.throttle.Share(m.hi)
	}
	if share := m.share(); share != m.cutoff.share {
		m.cutoff.divide(share)
	}
	for i := range levels {
		s.Open[i] = m.cutoff.openTo(i)
		s.Kept[i] = m.cutoff.reserve[2*i] + m.cutoff.reserve[2*i+1]
	}
	for i := range m.signals {
		s.Signals[i] = m.signals[i].state(m.hi)
	}
	if m.users.table != nil {
		s.Keys = m.users.table.Len()
	}
	return s
}

// openTo is the share of a priority that is admitted: of its grades, as many as came.
func (c *cutoff) openTo(level int) float64 {
	low, high := c.seen[2*level], c.seen[2*level+1]
	if low+high == 0 {
		return c.open[2*level+1]
	}
	return (low*c.open[2*level] + high*c.open[2*level+1]) / (low + high)
}

func (g *gauge) state(now patterns.Instant) SignalState {
	s := SignalState{Threshold: g.threshold, Known: g.known, Failed: g.failed, On: g.on}
	if g.known {
		s.Value, _ = g.mean.Value()
		s.Raw, s.Age = g.raw, now.Sub(g.at)
	}
	return s
}

// Utilization is the share of the limit that is used.
func (s *Snapshot) Utilization() float64 { return float64(s.Used) / float64(max(1, s.Limit)) }

// Cutoff is the lowest priority of which anybody is admitted.
func (s *Snapshot) Cutoff() patterns.Priority {
	for i, open := range s.Open {
		if open > 0 {
			return patterns.Background + patterns.Priority(i)
		}
	}
	return patterns.Critical
}

// ShedCounts are numbers of requests, by the Cause for which they were shed.
type ShedCounts struct {
	InFlight, Queue, MaxWait, Deadline, QueueDelay, Priority uint64
	CPU, Memory, SchedulingLatency, GC, Throttle, Forced     uint64
}

func countsOf(n *[causes]uint64) ShedCounts {
	return ShedCounts{
		InFlight: n[0], Queue: n[1], MaxWait: n[2], Deadline: n[3], QueueDelay: n[4], Priority: n[5],
		CPU: n[6], Memory: n[7], SchedulingLatency: n[8], GC: n[9], Throttle: n[10], Forced: n[11],
	}
}

// Total is the sum of all.
func (c ShedCounts) Total() uint64 {
	return c.InFlight + c.Queue + c.MaxWait + c.Deadline + c.QueueDelay + c.Priority +
		c.CPU + c.Memory + c.SchedulingLatency + c.GC + c.Throttle + c.Forced
}
