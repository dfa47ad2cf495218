package circuitbreaker

import (
	"fmt"
	"slices"
	"time"
)

// scheduleLength is how many openings in a row a Schedule tells apart.
const scheduleLength = 64

// OpenSchedule is how long the circuit stays open the first, second, … time in a
// row. Make one with Schedule. Two Configs are equal if they share one.
type OpenSchedule struct{ times []time.Duration }

// Schedule asks f for the open time of each of the first 64 openings in a row,
// starting at 1; the last one repeats. f is called here and never again, so that no
// code of yours runs inside the breaker's actor.
func Schedule(f func(opening int) time.Duration) *OpenSchedule {
	if f == nil {
		return &OpenSchedule{}
	}
	s := &OpenSchedule{times: make([]time.Duration, scheduleLength)}
	for i := range s.times {
		s.times[i] = f(i + 1)
	}
	return s
}

func (s *OpenSchedule) slice() []time.Duration {
	if s == nil {
		return nil
	}
	return s.times
}

func (f checks) schedule(s *OpenSchedule) {
	if s == nil {
		return
	}
	f.Check(len(s.times) > 0, "OpenSchedule", nil, "was made of a nil function")
	if i := slices.IndexFunc(s.times, func(d time.Duration) bool { return d <= 0 }); i >= 0 {
		f.Check(false, "OpenSchedule", s.times[i], fmt.Sprintf("must be positive, also for opening %d", i+1))
	}
}
