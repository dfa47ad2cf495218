package intensity

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// Never, as Config.Restarts, means that nothing is ever restarted.
	Never = -1
	// Unlimited, as Config.Restarts, means that everything is always restarted.
	Unlimited = -2
)

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
	// Restarts is how many restarts are allowed within Period: 1 to MaxRestarts, Never
	// or Unlimited. Default 10.
	Restarts int

	// Period is how long a restart counts, its last nanosecond included: more than
	// 0, up to MaxPeriod, a whole multiple of Resolution. Default 10s.
	Period time.Duration

	// Resolution is what instants are cut down to before they are compared: 1 ns or
	// more. Default 1ns.
	Resolution time.Duration
}

// Validate returns every fault of c, each a *patterns.ConfigError, joined; nil if
// there is none.
func (c Config) Validate() error {
	d := c.withDefaults()
	var faults []error
	check := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: "intensity", Field: field, Value: value, Problem: problem})
		}
	}
	check(d.Restarts == Never || d.Restarts == Unlimited || d.Restarts >= 1 && d.Restarts <= MaxRestarts,
		"Restarts", c.Restarts, fmt.Sprintf("must be 1 to %d, Never or Unlimited", MaxRestarts))
	check(d.Period > 0 && d.Period <= MaxPeriod, "Period", c.Period, fmt.Sprintf("must be above 0, up to %v", MaxPeriod))
	check(d.Resolution > 0, "Resolution", c.Resolution, "must be 1ns or more")
	check(d.Resolution <= 0 || d.Period%d.Resolution == 0, "Period", d.Period, fmt.Sprintf("must be a multiple of Resolution, %v", d.Resolution))
	return errors.Join(faults...)
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Restarts = cmp.Or(c.Restarts, DefaultRestarts)
	c.Period = cmp.Or(c.Period, DefaultPeriod)
	c.Resolution = cmp.Or(c.Resolution, 1)
	return c
}
