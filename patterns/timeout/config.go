package timeout

import (
	"cmp"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the timeout's policy. The zero value is valid: 30 seconds. A field left zero
// means its default.
type Config struct {
	// PerAttempt is how long a call may take, or inside of a retry each attempt of it, from
	// 1 µs to 24 h. With Quantile it is the limit until enough calls were seen. Default 30s.
	PerAttempt time.Duration

	// Quantile makes the limit follow the calls: it is Factor times what this share of those
	// that succeeded lately took at most, above 0 and below 1, such as 0.99. Calls that took
	// too long count as longer still, and where they are more than twice as many as they
	// should be the limit doubles. Default off.
	Quantile float64

	// Factor is from 1 to 100. Needs Quantile. Default off, and with Quantile 2.
	Factor float64

	// Min and Max bound the limit that follows the calls, from 1 µs to 24 h; PerAttempt lies
	// between them. Need Quantile. Default off, and with Quantile 1 ms, or PerAttempt if it is
	// less, and PerAttempt.
	Min, Max time.Duration

	// Window is the time that is remembered, from 100 ms to 24 h. Needs Quantile. Default off,
	// and with Quantile 1 minute.
	Window time.Duration

	// MinSamples is how many calls there must be in the Window before the limit follows them,
	// from 1 to 1,000,000. Needs Quantile. Default off, and with Quantile 100.
	MinSamples int

	// Abandon lets callers go at the deadline even if their function does not return: it
	// runs on a goroutine of its own, where it is left behind. Default off.
	Abandon bool

	// MaxAbandoned is how many functions may be left behind at a time, from 1 to 1,000,000.
	// At that many calls are refused with ErrAbandoned. Needs Abandon. Default off, and with
	// Abandon 100.
	MaxAbandoned int

	// OnFailure is what callers get if the timeout's own actor fails for good:
	// patterns.FailOpen goes on by the limit that it had, patterns.FailClosed refuses. It is
	// fixed while the timeout runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the timeout's Config call it.
	pattern = "timeout"

	minLimit     = time.Microsecond
	maxLimit     = 24 * time.Hour
	maxAbandoned = 1_000_000
	maxFactor    = 100
	minWindow    = 100 * time.Millisecond
	maxWindow    = 24 * time.Hour
	maxSamples   = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.PerAttempt = cmp.Or(c.PerAttempt, 30*time.Second)
	if c.Quantile > 0 {
		c.Factor = cmp.Or(c.Factor, 2)
		c.Min = cmp.Or(c.Min, min(time.Millisecond, c.PerAttempt))
		c.Max = cmp.Or(c.Max, c.PerAttempt)
		c.Window = cmp.Or(c.Window, time.Minute)
		c.MinSamples = cmp.Or(c.MinSamples, 100)
	}
	if c.Abandon {
		c.MaxAbandoned = cmp.Or(c.MaxAbandoned, 100)
	}
	return c
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	f.Check(c.PerAttempt == 0 || c.PerAttempt >= minLimit && c.PerAttempt <= maxLimit, "PerAttempt", c.PerAttempt,
		fmt.Sprintf("must be from %v to %v", minLimit, maxLimit))
	c.checkQuantile(f)
	f.Check(c.MaxAbandoned >= 0 && c.MaxAbandoned <= maxAbandoned, "MaxAbandoned", c.MaxAbandoned,
		fmt.Sprintf("must be from 1 to %d", maxAbandoned))
	f.Check(c.MaxAbandoned <= 0 || c.Abandon, "MaxAbandoned", c.MaxAbandoned, "needs Abandon")
	f.Common(patterns.Strict, c.OnFailure)
}

func (c Config) checkQuantile(f *faults.Faults) {
	f.Check(c.Quantile >= 0 && c.Quantile < 1, "Quantile", c.Quantile, "must be above 0 and below 1")
	within := func(field string, value, least, most any, given, ok bool) {
		f.Check(!given || ok, field, value, fmt.Sprintf("must be from %v to %v", least, most))
		f.Check(!given || !ok || c.Quantile != 0, field, value, "needs Quantile")
	}
	within("Factor", c.Factor, 1, maxFactor, c.Factor != 0, c.Factor >= 1 && c.Factor <= maxFactor)
	within("Min", c.Min, minLimit, maxLimit, c.Min != 0, c.Min >= minLimit && c.Min <= maxLimit)
	within("Max", c.Max, minLimit, maxLimit, c.Max != 0, c.Max >= minLimit && c.Max <= maxLimit)
	within("Window", c.Window, minWindow, maxWindow, c.Window != 0, c.Window >= minWindow && c.Window <= maxWindow)
	within("MinSamples", c.MinSamples, 1, maxSamples, c.MinSamples != 0, c.MinSamples >= 1 && c.MinSamples <= maxSamples)
	if d := c.withDefaults(); !f.Any() && c.Quantile > 0 {
		f.Check(d.Min <= d.PerAttempt, "Min", d.Min, fmt.Sprintf("is above PerAttempt, %v", d.PerAttempt))
		f.Check(d.Max >= d.PerAttempt, "Max", d.Max, fmt.Sprintf("is below PerAttempt, %v", d.PerAttempt))
	}
}

// successor validates next, which is to replace c in a timeout that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("timeout", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}
