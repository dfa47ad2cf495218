package loadshedder

import (
	"fmt"
	"time"
)

// Signal is something that is measured of the machine.
type Signal uint8

const (
	// CPU is the share of the processors that the process may use, from 0 to 1.
	CPU Signal = iota
	// Memory is the share of the memory that the process may use, from 0 to 1.
	Memory
	// SchedulingLatency is how long the slowest hundredth of goroutines waited for a
	// processor, in seconds.
	SchedulingLatency
	// GC is the share of CPU time that the garbage collector took, from 0 to 1.
	GC

	signals
)

// Valid reports whether s is one of the signals above.
func (s Signal) Valid() bool { return s < signals }

func (s Signal) String() string {
	switch s {
	case CPU:
		return "cpu"
	case Memory:
		return "memory"
	case SchedulingLatency:
		return "scheduling-latency"
	case GC:
		return "gc"
	}
	return fmt.Sprintf("signal(%d)", uint8(s))
}

// cause is why requests are shed when s exceeds its threshold.
func (s Signal) cause() Cause { return Cause(s.String()) }

// Reading is one measurement of one signal.
type Reading struct {
	Signal Signal
	Value  float64
	// Err says why there is no Value. It is an event, and not a decision.
	Err error
}

// Observation is what was measured at one moment: the question that a shedder is asked
// with it, by Consult. The answer is a Sampling.
type Observation struct {
	// Age is how long ago that was.
	Age      time.Duration
	Readings []Reading
}

// Sampling is what a shedder wants measured, and how often; Off if not at all.
type Sampling struct {
	Interval time.Duration
	Signals  [signals]bool
}
