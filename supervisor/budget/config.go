package budget

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// DefaultBurst is what Config.Burst is if it is 0.
	DefaultBurst = 10
	// DefaultEvery is what Config.Every is if it is 0.
	DefaultEvery = time.Second

	// MaxBurst bounds Config.Burst.
	MaxBurst = 1 << 15
	// MaxEvery bounds Config.Every: 39 hours, so that no burst overflows.
	MaxEvery = time.Duration(1 << 47)
)

// Config says how many restarts there may be.
type Config struct {
	// Burst is how many restarts there may be at once: 1 to MaxBurst. Default 10.
	Burst int

	// Every is how long it takes until there may be one more: above 0, up to MaxEvery.
	// Default 1s.
	Every time.Duration
}

// Validate returns every fault of c, each a *patterns.ConfigError, joined; nil if
// there is none.
func (c Config) Validate() error {
	d := c.withDefaults()
	var faults []error
	check := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: "budget", Field: field, Value: value, Problem: problem})
		}
	}
	check(d.Burst >= 1 && d.Burst <= MaxBurst, "Burst", c.Burst, fmt.Sprintf("must be 1 to %d", MaxBurst))
	check(d.Every > 0 && d.Every <= MaxEvery, "Every", c.Every, fmt.Sprintf("must be above 0, up to %v", MaxEvery))
	return errors.Join(faults...)
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Burst = cmp.Or(c.Burst, DefaultBurst)
	c.Every = cmp.Or(c.Every, DefaultEvery)
	return c
}
