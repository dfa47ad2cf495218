package backoff

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// NoJitter, as Config.Jitter, leaves delays as they are.
const NoJitter = -1

const (
	// DefaultBase is what Config.Base is if it is 0.
	DefaultBase = 100 * time.Millisecond
	// DefaultFactor is what Config.Factor is if it is 0.
	DefaultFactor = 2.0
	// DefaultMax is what Config.Max is if it is 0.
	DefaultMax = 30 * time.Second
	// DefaultResetAfter is what Config.ResetAfter is if it is 0.
	DefaultResetAfter = time.Minute
	// DefaultJitter is what Config.Jitter is if it is 0.
	DefaultJitter = 0.2

	// MaxDelay bounds Config.Max: 73 years, so that no jitter overflows.
	MaxDelay = time.Duration(1 << 61)
)

// Config says how delays grow.
type Config struct {
	// Base is the delay after the first failure: more than 0, up to Max. Default 100ms.
	Base time.Duration

	// Factor is how many times longer each further delay is: finite, 1 or more.
	// Default 2.
	Factor float64

	// Max is the longest delay before jitter: Base to MaxDelay. Default 30s, or Base
	// if that is longer.
	Max time.Duration

	// ResetAfter is how long after its restart was due a child must have run for its
	// next failure to count as the first again: more than 0. Default 1m0s.
	ResetAfter time.Duration

	// Jitter is how much longer, as a share of the delay, the longest jitter makes it:
	// more than 0, up to 1, or NoJitter. Default 0.2.
	Jitter float64
}

// Validate returns every fault of c, each a *patterns.ConfigError, joined; nil if
// there is none.
func (c Config) Validate() error {
	d := c.withDefaults()
	var faults []error
	check := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: "backoff", Field: field, Value: value, Problem: problem})
		}
	}
	// Written so that NaN is a fault.
	check(d.Base > 0 && d.Base <= MaxDelay, "Base", c.Base, fmt.Sprintf("must be above 0, up to %v", MaxDelay))
	check(d.Factor >= 1 && d.Factor-d.Factor == 0, "Factor", c.Factor, "must be at least 1 and finite")
	check(d.Max >= d.Base && d.Max > 0 && d.Max <= MaxDelay, "Max", c.Max, fmt.Sprintf("must be Base to %v", MaxDelay))
	check(d.ResetAfter > 0, "ResetAfter", c.ResetAfter, "must be above 0")
	check(d.Jitter == NoJitter || d.Jitter > 0 && d.Jitter <= 1, "Jitter", c.Jitter, "must be NoJitter, or above 0, up to 1")
	return errors.Join(faults...)
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Base = cmp.Or(c.Base, DefaultBase)
	c.Factor = cmp.Or(c.Factor, DefaultFactor)
	if c.Max == 0 {
		c.Max = max(DefaultMax, min(c.Base, MaxDelay))
	}
	c.ResetAfter = cmp.Or(c.ResetAfter, DefaultResetAfter)
	c.Jitter = cmp.Or(c.Jitter, DefaultJitter)
	return c
}
