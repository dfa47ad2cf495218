package adaptive

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Sample is one call that ended, as a Limit sees it.
type Sample struct {
	// Now is when the call ended.
	Now patterns.Instant
	// RTT is how long it took, from permit to report.
	RTT time.Duration
	// InFlight is how many calls were out when it began, itself included.
	InFlight int
	// Left is how many were still out after it ended.
	Left int
	// Full: it took the last place, so that the limit is what bounds.
	Full bool
	// Dropped: lost to overload, so that RTT says nothing.
	Dropped bool
}

// began is when the call did.
func (s *Sample) began() patterns.Instant { return s.Now.Add(-max(s.RTT, 0)) }

// Limit turns samples into a limit. An implementation is pure: it has no clock and no
// randomness of its own, and the same samples give the same limits. Whatever the
// samples are, the limit stays within the Bounds it was made with.
type Limit interface {
	// Observe learns from s and returns the limit that holds from now on.
	Observe(s Sample) int
	// Estimate is the limit before it is rounded down.
	Estimate() float64
	// Set changes the bounds and makes l the estimate, as far as they allow. What else
	// was learned stays.
	Set(b Bounds, l float64)
}

// Bounds are where a Limit begins and what it must not leave.
type Bounds struct {
	Initial, Min, Max int
	// MaxLatency is what is never healthy; 0 if there is no such thing.
	MaxLatency time.Duration
}

// clamp returns x within the bounds, and Min for NaN.
func (b Bounds) clamp(x float64) float64 { return clamp(x, float64(b.Min), float64(b.Max)) }

// clamp returns x within [lo, hi], and lo for NaN.
func clamp(x, lo, hi float64) float64 {
	if !(x >= lo) {
		return lo
	}
	return min(x, hi)
}

// Algorithm is a way to find a limit: Knee, AIMD, Vegas, Gradient or Gradient2, or one of
// the last four in a Window. The zero value of each means its defaults. Algorithms can
// be compared.
type Algorithm interface {
	// New returns a Limit that begins at b.Initial.
	New(b Bounds) Limit
	// String returns the algorithm's name.
	String() string

	complain(f *faults.Faults)
}
