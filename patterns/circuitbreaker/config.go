package circuitbreaker

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the breaker's policy. The zero value is valid and means the defaults:
// open for a minute after 5 failures in a row, close after 2 good probes. A field
// left zero means its default. Failures are the outcomes Failure and Dropped.
type Config struct {
	// ConsecutiveFailures is how many failures in a row open the circuit, 1 or more.
	// Default 5, but off if FailureRatio is set and this is not.
	ConsecutiveFailures int

	// FailureRatio is the share of failures in Window, in (0, 1], that opens the
	// circuit. It is compared exactly, as the decimal it is written as. Default off.
	FailureRatio float64

	// SlowRatio is the share of slow calls in Window, in (0, 1], that opens the
	// circuit, whether they failed or not. Needs SlowCall. Default off.
	SlowRatio float64

	// SlowCall is how long a call may take before it is slow: longer, not as long.
	// Set without SlowRatio, slow calls are only counted. Default off.
	SlowCall time.Duration

	// Window is which results the two ratios look at: Last or During. Default
	// Last(100), but none if neither a ratio nor SlowCall is set: then nothing looks at
	// it, and keeping it costs a tenth of a call.
	Window Window

	// MinSamples is how many results Window must hold before a ratio is looked at, 1
	// or more; the result that makes it up is included. One above the size of a
	// Last window means that size. Default 10.
	MinSamples int

	// OpenFor is how long calls are refused the first time. Default 60s.
	OpenFor time.Duration

	// OpenFactor multiplies the open time for each opening in a row, 1 or more and
	// finite. Default 1.
	OpenFactor float64

	// MaxOpenFor bounds what OpenFactor makes of OpenFor; it is not below OpenFor.
	// Default OpenFor if OpenFactor is 1, otherwise 16 times OpenFor.
	MaxOpenFor time.Duration

	// OpenJitter lengthens each open time, MaxOpenFor too, by a random share of at
	// most this, in [0, 1), so that a fleet does not probe in step. Default off.
	OpenJitter float64

	// ResetOpensAfter is how long the circuit must stay closed before OpenFactor
	// starts from OpenFor again. Default off: forgotten as soon as it closes (or is
	// ramped up, if RampFor is set).
	ResetOpensAfter time.Duration

	// Probes is how many results decide a half-open circuit, 1 to 10,000.
	// Default 2.
	Probes int

	// ConcurrentProbes is how many probes may be out at once, 1 to Probes.
	// Default 1.
	ConcurrentProbes int

	// ProbeFailureRatio is the share of Probes, in (0, 1], whose failure opens the
	// circuit again, as soon as that is certain. Default off: one failure opens it.
	ProbeFailureRatio float64

	// ProbeTimeout is how long a probe may be silent before it counts as failed; it
	// is above CallTimeout. Default 30s, or twice CallTimeout if that is longer.
	ProbeTimeout time.Duration

	// RampFor is how long the share of admitted calls rises from RampStart to all
	// after probes closed the circuit, or a forced opening ran out. Default off.
	RampFor time.Duration

	// RampStart is the share admitted when the ramp begins, in (0, 1]. Default 0.1.
	RampStart float64

	// CallTimeout bounds each guarded call through its context; it is fixed while the
	// breaker runs. Default off.
	CallTimeout time.Duration

	// OpenSchedule, made by Schedule, replaces OpenFor, OpenFactor and MaxOpenFor.
	// Default none.
	OpenSchedule *OpenSchedule

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk for speed; it is fixed while the breaker runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the breaker's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// It is fixed while the breaker runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the breaker's Config call it.
	pattern = "circuitbreaker"

	defaultMaxOpenFactor = 16
	defaultBuckets       = 10
	maxLast              = 1 << 24 // 4 MiB of two bits each
	maxBuckets           = 1000
	maxProbes            = 10_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	if c.ConsecutiveFailures == 0 && c.FailureRatio == 0 {
		c.ConsecutiveFailures = 5
	}
	if c.FailureRatio != 0 || c.SlowRatio != 0 || c.SlowCall != 0 || c.Window.kind != byDefault {
		c.Window = c.Window.withDefaults()
	}
	c.MinSamples = cmp.Or(c.MinSamples, 10)
	c.OpenFor = cmp.Or(c.OpenFor, 60*time.Second)
	c.OpenFactor = cmp.Or(c.OpenFactor, 1)
	if c.MaxOpenFor == 0 {
		c.MaxOpenFor = c.OpenFor
		if c.OpenFactor > 1 {
			c.MaxOpenFor = saturate(c.OpenFor, defaultMaxOpenFactor)
		}
	}
	c.Probes = cmp.Or(c.Probes, 2)
	c.ConcurrentProbes = cmp.Or(c.ConcurrentProbes, 1)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, max(30*time.Second, saturate(c.CallTimeout, 2)))
	c.RampStart = cmp.Or(c.RampStart, 0.1)
	return c
}

// Validate returns every fault of c at once, joined, each a *patterns.ConfigError.
func (c Config) Validate() error {
	f := newChecks()
	c.check(f)
	return f.Err()
}

func (c Config) check(f checks) {
	d := c.withDefaults()

	f.Check(c.ConsecutiveFailures >= 0, "ConsecutiveFailures", c.ConsecutiveFailures, "must be at least 1")
	f.share("FailureRatio", c.FailureRatio)
	f.share("SlowRatio", c.SlowRatio)
	f.duration("SlowCall", c.SlowCall)
	f.Check(c.SlowRatio == 0 || c.SlowCall != 0, "SlowCall", c.SlowCall, "must be set, because SlowRatio is")
	f.window(c.Window)
	f.Check(c.MinSamples >= 0, "MinSamples", c.MinSamples, "must be at least 1")

	f.duration("OpenFor", c.OpenFor)
	f.Check(c.OpenFactor == 0 || c.OpenFactor >= 1 && !math.IsInf(c.OpenFactor, 1),
		"OpenFactor", c.OpenFactor, "must be at least 1 and finite")
	f.duration("MaxOpenFor", c.MaxOpenFor)
	f.Check(c.MaxOpenFor <= 0 || c.MaxOpenFor >= d.OpenFor,
		"MaxOpenFor", c.MaxOpenFor, fmt.Sprintf("must not be below OpenFor, %v", d.OpenFor))
	f.Check(c.OpenJitter >= 0 && c.OpenJitter < 1, "OpenJitter", c.OpenJitter, "must be in [0, 1)")
	f.duration("ResetOpensAfter", c.ResetOpensAfter)

	f.Check(c.Probes >= 0 && c.Probes <= maxProbes, "Probes", c.Probes, "must be in [1, 10000]")
	f.Check(c.ConcurrentProbes >= 0 && (c.Probes < 0 || c.ConcurrentProbes <= d.Probes),
		"ConcurrentProbes", c.ConcurrentProbes, fmt.Sprintf("must be in [1, Probes], and Probes is %d", d.Probes))
	f.share("ProbeFailureRatio", c.ProbeFailureRatio)
	f.duration("ProbeTimeout", c.ProbeTimeout)
	f.Check(c.ProbeTimeout <= 0 || c.ProbeTimeout > c.CallTimeout,
		"ProbeTimeout", c.ProbeTimeout, fmt.Sprintf("must be above CallTimeout, %v", c.CallTimeout))

	f.duration("RampFor", c.RampFor)
	f.share("RampStart", c.RampStart)
	f.duration("CallTimeout", c.CallTimeout)
	f.Common(c.Mode, c.OnFailure)
	f.schedule(c.OpenSchedule)
}

// successor validates next, which is to replace c in a breaker that runs. What
// callers hold was made for c's Mode, OnFailure and CallTimeout.
func (c Config) successor(next Config) error {
	f := newChecks()
	f.Fixed("breaker", "Mode", c.Mode, next.Mode)
	f.Fixed("breaker", "OnFailure", c.OnFailure, next.OnFailure)
	f.Fixed("breaker", "CallTimeout", c.CallTimeout, next.CallTimeout)
	next.check(f)
	return f.Err()
}

// checks are those that several fields need, and collect what is wrong.
type checks struct{ *faults.Faults }

func newChecks() checks { return checks{faults.Of(pattern)} }

func (f checks) share(field string, v float64) {
	f.Check(v >= 0 && v <= 1, field, v, "must be in (0, 1]")
}

func (f checks) duration(field string, d time.Duration) {
	f.Check(d >= 0, field, d, "must not be negative")
}

func (f checks) window(w Window) {
	switch w.kind {
	case byCount:
		f.Check(w.size >= 1 && w.size <= maxLast, "Window", w, fmt.Sprintf("must be of 1 to %d results", maxLast))
		f.Check(!w.bucketed, "Window", w, "has Buckets, which only During can have")
	case byTime:
		f.Check(w.span >= 1, "Window", w, "must be longer than 0")
		f.Check(!w.bucketed || w.buckets >= 1 && w.buckets <= maxBuckets, "Window", w, fmt.Sprintf("must be of 1 to %d buckets", maxBuckets))
	default:
		f.Check(!w.bucketed, "Window", w, "has Buckets, which only During can have")
	}
}

// saturate returns d times n, and the longest Duration where that overflows.
func saturate(d time.Duration, n int64) time.Duration {
	if d > math.MaxInt64/time.Duration(n) {
		return math.MaxInt64
	}
	return d * time.Duration(n)
}
