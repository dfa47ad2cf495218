package fallback

import (
	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// Totals are how calls ended, since the fallback was spawned.
type Totals struct {
	// Calls is how many there were.
	Calls uint64
	// Succeeded needed no fallback.
	Succeeded uint64
	// LastGood and LastStale were given the last good value, young or old, and ByStep what that
	// step gave, from the first.
	LastGood, LastStale uint64
	ByStep              [MaxSteps]uint64
	// Exhausted failed, and so did their fallback.
	Exhausted uint64
	// Passed failed, and there was no fallback for them: the error was ignored, or was none that a
	// step is for, or the function panicked.
	Passed uint64
	// HungUp ended with their caller's context.
	HungUp uint64
}

// end is how a call ended. Callers count them: a message for each would cost more than the
// fallback.
type end = int

const (
	succeeded end = iota
	lastGood
	stale
	spent
	passed
	cancelled
	byStep // and so on
	kinds  = byStep + MaxSteps
)

// counting is a Machine that looks up what callers counted whenever somebody wants to know.
type counting[T any] struct {
	*Machine[T]
	ends *actors.Tallies
}

func (c counting[T]) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	var n [kinds]uint64
	c.ends.Totals(n[:])
	s := c.Machine.Snapshot(now, counts)
	s.Totals = Totals{
		Succeeded: n[succeeded], LastGood: n[lastGood], LastStale: n[stale], Exhausted: n[spent], Passed: n[passed],
		HungUp: n[cancelled], ByStep: [MaxSteps]uint64(n[byStep:]),
	}
	for _, n := range n {
		s.Calls += n
	}
	return s
}
