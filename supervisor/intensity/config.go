package intensity

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Never, as Config.Restarts, means that nothing is ever restarted.
const Never = -1

// OTPResolution, as Config.Resolution, counts in whole seconds as Erlang/OTP does.
const OTPResolution = time.Second

const (
	// DefaultRestarts is what Config.Restarts is if it is 0.
	DefaultRestarts = 10
	// DefaultPeriod is what Config.Period is if it is 0.
	DefaultPeriod = 10 * time.Second

	// MaxRestarts bounds Config.Restarts, and with it the memory of a Machine:
	// 8 bytes for each.
	MaxRestarts = 1 << 16
	// MaxPeriod bounds Config.Period: 146 years.
	MaxPeriod = time.Duration(1 << 62)
)

// Config says how many restarts are allowed in what period.
type Config struct {
	// Restarts is how many restarts are allowed within Period: 1 to MaxRestarts, or
	// Never. Default 10.
	Restarts int

	// Period is how long a restart counts, its last nanosecond included: more than
	// 0, up to MaxPeriod, a whole multiple of Resolution. Default 10s.
	Period time.Duration

	// Resolution is what instants are cut down to before they are compared: 1 ns or
	// more. Default 1ns.
	Resolution time.Duration
}

// ConfigError is one fault of a Config.
type ConfigError struct {
	Field string // name of the field
	Value any    // what it was
	Want  string // what it should have been
}

// Error names the field, its value and what it should have been.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("intensity: %s is %v, want %s", e.Field, e.Value, e.Want)
}

// Validate returns every fault of c, each a *ConfigError, joined; nil if there is
// none.
func (c Config) Validate() error {
	d := c.withDefaults()
	var faults []error
	if d.Restarts != Never && (d.Restarts < 1 || d.Restarts > MaxRestarts) {
		faults = append(faults, &ConfigError{"Restarts", c.Restarts, fmt.Sprintf("Never or 1 to %d", MaxRestarts)})
	}
	if d.Period <= 0 || d.Period > MaxPeriod {
		faults = append(faults, &ConfigError{"Period", c.Period, fmt.Sprintf("more than 0, up to %v", MaxPeriod)})
	}
	if d.Resolution <= 0 {
		faults = append(faults, &ConfigError{"Resolution", c.Resolution, "1ns or more"})
	} else if d.Period%d.Resolution != 0 {
		faults = append(faults, &ConfigError{"Period", d.Period, fmt.Sprintf("a multiple of Resolution, %v", d.Resolution)})
	}
	return errors.Join(faults...)
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Restarts = cmp.Or(c.Restarts, DefaultRestarts)
	c.Period = cmp.Or(c.Period, DefaultPeriod)
	c.Resolution = cmp.Or(c.Resolution, 1)
	return c
}
