package backoff

import (
	"cmp"
	"errors"
	"fmt"
	"time"
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

// ConfigError is one fault of a Config.
type ConfigError struct {
	Field string // name of the field
	Value any    // what it was
	Want  string // what it should have been
}

// Error names the field, its value and what it should have been.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("backoff: %s is %v, want %s", e.Field, e.Value, e.Want)
}

// Validate returns every fault of c, each a *ConfigError, joined; nil if there is
// none.
func (c Config) Validate() error {
	d := c.withDefaults()
	var faults []error
	// Written so that NaN is a fault.
	if d.Base <= 0 || d.Base > MaxDelay {
		faults = append(faults, &ConfigError{"Base", c.Base, fmt.Sprintf("more than 0, up to %v", MaxDelay)})
	}
	if !(d.Factor >= 1 && d.Factor-d.Factor == 0) {
		faults = append(faults, &ConfigError{"Factor", c.Factor, "1 or more, finite"})
	}
	if d.Max < d.Base || d.Max <= 0 || d.Max > MaxDelay {
		faults = append(faults, &ConfigError{"Max", c.Max, fmt.Sprintf("Base to %v", MaxDelay)})
	}
	if d.ResetAfter <= 0 {
		faults = append(faults, &ConfigError{"ResetAfter", c.ResetAfter, "more than 0"})
	}
	if d.Jitter != NoJitter && !(d.Jitter > 0 && d.Jitter <= 1) {
		faults = append(faults, &ConfigError{"Jitter", c.Jitter, "NoJitter or more than 0, up to 1"})
	}
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
