package outlier

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Config is when a host is ejected. The zero value is valid. A field left zero means its
// default.
type Config struct {
	// Consecutive is how many failures in a row eject a host, 1 or more. Default 5.
	Consecutive int

	// EjectFor is how long a host is ejected the first time, and how much longer each time
	// after that, from 1 ms to 24 h. A sweep that finds it well makes that one less. Default 30s.
	EjectFor time.Duration

	// MaxEjectFor bounds that; it is not below EjectFor. Default 5m, or EjectFor if that is
	// more.
	MaxEjectFor time.Duration

	// MaxEjected is the share of hosts that may be ejected, in (0, 1]. One may be in any case,
	// if there is another, and the last one never is. Default 0.5.
	MaxEjected float64

	// Interval is how often hosts are compared with each other, from 1 ms to 24 h. Default 10s.
	Interval time.Duration

	// Deviations is how far below the mean of all a host's share of successes must be for it to
	// be ejected, in standard deviations, above 0. Default 1.9.
	Deviations float64

	// MinHosts is how many hosts must have had MinRequests in an Interval, or none is compared,
	// 2 or more. Default 5.
	MinHosts int

	// MinRequests is how many requests a host must have had in an Interval to be compared, 1 or
	// more. Default 100.
	MinRequests int
}

// WithDefaults returns c with every zero field set to its default.
func (c Config) WithDefaults() Config {
	c.Consecutive = cmp.Or(c.Consecutive, 5)
	c.EjectFor = cmp.Or(c.EjectFor, 30*time.Second)
	c.MaxEjectFor = cmp.Or(c.MaxEjectFor, max(5*time.Minute, c.EjectFor))
	c.MaxEjected = cmp.Or(c.MaxEjected, 0.5)
	c.Interval = cmp.Or(c.Interval, 10*time.Second)
	c.Deviations = cmp.Or(c.Deviations, 1.9)
	c.MinHosts = cmp.Or(c.MinHosts, 5)
	c.MinRequests = cmp.Or(c.MinRequests, 100)
	return c
}

// Faults returns every fault of c, of a field of that name, as a *patterns.ConfigError.
func (c Config) Faults(pattern, field string) (faults []error) {
	c = c.WithDefaults()
	check := func(ok bool, what string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field + "." + what, Value: value, Problem: problem})
		}
	}
	lasting := func(what string, d time.Duration) {
		check(d >= time.Millisecond && d <= 24*time.Hour, what, d, "must be from 1ms to 24h")
	}
	check(c.Consecutive >= 1, "Consecutive", c.Consecutive, "must be 1 or more")
	lasting("EjectFor", c.EjectFor)
	lasting("MaxEjectFor", c.MaxEjectFor)
	check(c.MaxEjectFor >= c.EjectFor, "MaxEjectFor", c.MaxEjectFor, fmt.Sprintf("must not be below EjectFor, %v", c.EjectFor))
	check(c.MaxEjected > 0 && c.MaxEjected <= 1, "MaxEjected", c.MaxEjected, "must be in (0, 1]")
	lasting("Interval", c.Interval)
	check(c.Deviations > 0 && c.Deviations <= math.MaxFloat64, "Deviations", c.Deviations, "must be above 0 and finite")
	check(c.MinHosts >= 2, "MinHosts", c.MinHosts, "must be 2 or more")
	check(c.MinRequests >= 1, "MinRequests", c.MinRequests, "must be 1 or more")
	return faults
}
