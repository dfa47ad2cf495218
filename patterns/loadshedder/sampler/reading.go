package sampler

import (
	"errors"
	"iter"

	"github.com/bulwark-go/bulwark/patterns"
)

// Why a signal has no value. What matches none of these went wrong: a file could not be
// read, or not be understood, and the error says which.
var (
	// ErrOff is of a signal that the Options do not name.
	ErrOff = errors.New("sampler: the signal is off")

	// ErrPending is of a signal that will have a value: one that compares two readings
	// and has one, or waits for the first garbage collection.
	ErrPending = errors.New("sampler: no value yet")

	// ErrUnavailable is of a signal that there is not, here: no control groups, no
	// quota, no GOMEMLIMIT, a kernel without pressure stall information.
	ErrUnavailable = errors.New("sampler: not available here")
)

// Source is what a value is about.
type Source uint8

const (
	NoSource    Source = iota // there is no value
	FromGroup                 // the process's control group, or one above it
	FromProcess               // the process
	FromHost                  // the machine
	FromRuntime               // the Go runtime
)

func (s Source) String() string {
	switch s {
	case FromGroup:
		return "group"
	case FromProcess:
		return "process"
	case FromHost:
		return "host"
	case FromRuntime:
		return "runtime"
	}
	return "none"
}

// Sample is what a Reading says about one signal. If Err is not nil there is no value:
// all else is zero, and means nothing.
type Sample struct {
	// Value is for decisions: a share from 0 to 1, or seconds. See Signal.
	Value float64

	// Raw is for people: as measured, not cut off at 1. A group may overdraw its quota
	// for a moment.
	Raw float64

	// At is as of when the value is: the time of the Read that found it. GC and
	// SchedLatency may be older than the Reading.
	At patterns.Instant

	From Source
	Err  error
}

// Reading is what one Read found.
type Reading struct {
	At patterns.Instant

	// CPULimit is how many CPUs the process may use, which may be less than one: the
	// least of the quotas of its groups, and their and its own CPUs. 0 if not known:
	// neither CPU nor Throttled is on, or their files could not be read.
	CPULimit float64

	// MemoryUsed and MemoryLimit are the bytes that Memory is about. The limit is the
	// least of the group's and those above it, the machine's if there is none. Both are
	// 0 if Memory has no value.
	MemoryUsed, MemoryLimit uint64

	samples [len(names)]Sample
}

// Of returns what was found about one signal. Of a set or of none, ErrOff.
func (r Reading) Of(s Signal) Sample {
	if i := s.index(); i >= 0 {
		return r.samples[i]
	}
	return Sample{Err: ErrOff}
}

// All yields the signals that are on, with what was found about each.
func (r Reading) All() iter.Seq2[Signal, Sample] {
	return func(yield func(Signal, Sample) bool) {
		for i, s := range r.samples {
			if s.Err != ErrOff && !yield(1<<i, s) { //nolint:errorlint // never wrapped
				return
			}
		}
	}
}

// share is a Sample of now whose value is raw, which is not negative, cut off at 1.
func share(now patterns.Instant, raw float64, from Source) Sample {
	return Sample{Value: min(raw, 1), Raw: raw, At: now, From: from}
}
