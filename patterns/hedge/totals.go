package hedge

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Totals are how calls and their attempts ended, since the hedge was spawned.
type Totals struct {
	// Calls is how many have ended: FirstWon + ExtraWon + Failed + Panicked + HungUp + Refused.
	Calls uint64
	// FirstWon were answered by their first attempt, and ExtraWon by another. An error that
	// the Judge ignores is an answer.
	FirstWon, ExtraWon uint64
	// Failed had no attempt that was answered.
	Failed uint64
	// Panicked ended by a panic or runtime.Goexit of the function.
	Panicked uint64
	// HungUp ended with their caller's context.
	HungUp uint64
	// Refused were never made: the hedge was stopped, or guards inside refused all attempts.
	Refused uint64

	// Attempts are all that were made, of the calls that have ended, and the others of those
	// that have not.
	Attempts uint64
	// Extra is how many of them were not first ones.
	Extra uint64
	// Suppressed is how many were not made because Config.Budget was spent, and Crowded because
	// Config.MaxLosers were running.
	Suppressed, Crowded uint64
	// Lost is how many attempts were cancelled because their call had ended, and Losers how
	// many of those still run.
	Lost, Losers uint64
}

// The kinds of what callers count: a message for each would cost more than the hedge. How
// calls end comes first.
const (
	firstWon = iota
	extraWon
	failed
	panicked
	hungUp
	refused

	ends // how many ways there are

	unmade = iota - 1 // calls without a first attempt
	extras
	suppressed
	crowds
	lost
	gone // of the lost ones

	kinds = iota - 1
)

// counting is a Machine that looks up what callers counted whenever somebody wants to know.
type counting struct {
	*Machine
	tallies *actors.Tallies
}

func (c counting) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	var n [kinds]uint64
	c.tallies.Totals(n[:])
	s := c.Machine.Snapshot(now, counts)
	s.Totals = Totals{
		FirstWon: n[firstWon], ExtraWon: n[extraWon], Failed: n[failed], Panicked: n[panicked], HungUp: n[hungUp],
		Refused: n[refused], Extra: n[extras], Suppressed: n[suppressed], Crowded: n[crowds],
		Lost: n[lost], Losers: losers(&n),
	}
	for _, n := range n[:ends] {
		s.Calls += n
	}
	s.Attempts = s.Calls - min(s.Calls, n[unmade]) + n[extras]
	return s
}

// losers is how many run of those that were lost. One that has ended may have been counted
// while the others were.
func losers(n *[kinds]uint64) uint64 { return n[lost] - min(n[lost], n[gone]) }
