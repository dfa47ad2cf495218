// Package ewma smooths samples that come at irregular times. A sample counts as what
// held since the one before it, so that splitting an interval changes nothing and a
// late sample weighs more than one that comes early.
package ewma

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Average is an exponentially weighted moving average. The zero Average does not
// smooth: its value is the last sample.
type Average struct {
	tau   time.Duration
	value float64
	at    patterns.Instant
	has   bool
}

// New returns an Average that follows a step to 63 % in tau, and to half in tau·ln 2.
// Without a positive tau it does not smooth. A fixed weight β per step of h is the tau
// of -h/ln β: 0.95 each 250 ms is 4.87 s.
func New(tau time.Duration) Average { return Average{tau: tau} }

// Add takes the sample x of now and reports whether it counted: one that is not later
// than the last, or is NaN or infinite, does not. The first one is the average.
func (a *Average) Add(now patterns.Instant, x float64) bool {
	if math.IsNaN(x) || math.IsInf(x, 0) || a.has && now <= a.at {
		return false
	}
	if !a.has || a.tau <= 0 {
		a.value, a.at, a.has = x, now, true
		return true
	}
	steps := float64(now.Sub(a.at)) / float64(a.tau)
	// Both weights are taken from the exponent, since 1 minus either loses all digits
	// where the other is small; and this form cannot overflow, as v + α(x-v) can.
	mixed := a.value*math.Exp(-steps) + x*-math.Expm1(-steps)
	// The true average is between the two, and rounding must not leave that.
	a.value, a.at = min(max(mixed, min(a.value, x)), max(a.value, x)), now
	return true
}

// Value returns the average as of the last sample; ok is false if there is none.
func (a *Average) Value() (value float64, ok bool) { return a.value, a.has }

// At returns the time of the last sample that counted, 0 if there is none.
func (a *Average) At() patterns.Instant { return a.at }

// Reset forgets the samples.
func (a *Average) Reset() { *a = Average{tau: a.tau} }
