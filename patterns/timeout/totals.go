package timeout

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Totals are how calls ended, since the timeout was spawned.
type Totals struct {
	// Calls is how many there were.
	Calls uint64
	// Succeeded returned no error, however late.
	Succeeded uint64
	// TimedOut took longer than the limit.
	TimedOut uint64
	// Failed returned an error of their own, or panicked.
	Failed uint64
	// HungUp ended with their caller's context.
	HungUp uint64
	// Refused were never made: ErrAbandoned, or the refusal of a guard inside.
	Refused uint64
}

// end is how a call ended. Callers count them: a message for each would cost more than the
// timeout.
type end = int

const (
	succeeded end = iota
	timedOut
	failed
	cancelled
	refused
	kinds
)

// counting is a Machine that looks up what callers counted whenever somebody wants to know.
type counting struct {
	*Machine
	ends *actors.Tallies
}

func (c counting) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	var n [kinds]uint64
	c.ends.Totals(n[:])
	s := c.Machine.Snapshot(now, counts)
	s.Totals = Totals{
		Succeeded: n[succeeded], TimedOut: n[timedOut], Failed: n[failed], HungUp: n[cancelled], Refused: n[refused],
	}
	for _, n := range n {
		s.Calls += n
	}
	return s
}
