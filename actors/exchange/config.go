package exchange

import (
	"cmp"
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Limits and defaults of a Config.
const (
	DefaultMaxInFlight = 1024
	MaxMaxInFlight     = 1 << 20
	DefaultTimeout     = 30 * time.Second
	MaxTimeout         = 24 * time.Hour
)

// Config is what an Exchanger may do. The zero value is valid.
type Config struct {
	// MaxInFlight is how many exchanges may be under way at a time, each with a goroutine, 1
	// to 1,048,576. One more is refused with ErrFull. Default 1,024.
	MaxInFlight int
	// Timeout is how long an exchange may take, all attempts and waits included: above 0, up
	// to 24h. Within and By make it shorter or longer for one of them. Default 30s.
	Timeout time.Duration
}

// Validate returns every fault, each a *patterns.ConfigError, joined.
func (c Config) Validate() error {
	var faults faults
	c = c.withDefaults()
	faults.check(c.MaxInFlight >= 1 && c.MaxInFlight <= MaxMaxInFlight, "MaxInFlight", c.MaxInFlight, "must be 1 to 1048576")
	faults.check(c.Timeout > 0 && c.Timeout <= MaxTimeout, "Timeout", c.Timeout, "must be above 0, up to 24h")
	return faults.joined()
}

func (c Config) withDefaults() Config {
	c.MaxInFlight = cmp.Or(c.MaxInFlight, DefaultMaxInFlight)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return c
}

// Limits and defaults of a OnceConfig.
const (
	DefaultCapacity = 10_000
	MaxCapacity     = 1 << 24
	DefaultTTL      = 5 * time.Minute
	MaxTTL          = 24 * time.Hour
)

// OnceConfig is how much a Once remembers. The zero value is valid.
type OnceConfig struct {
	// Capacity is how many requests each actor remembers, those that it works on included, 1
	// to 16,777,216. One more makes it forget the oldest that was answered; if none was, it
	// is refused with ErrFull. Default 10,000.
	Capacity int
	// TTL is for how long a reply is remembered, and for how long one is waited for: above
	// 0, up to 24h. Make it longer than any exchange takes. Default 5m.
	TTL time.Duration
}

// Validate returns every fault, each a *patterns.ConfigError, joined.
func (c OnceConfig) Validate() error {
	var faults faults
	c = c.withDefaults()
	faults.check(c.Capacity >= 1 && c.Capacity <= MaxCapacity, "Capacity", c.Capacity, "must be 1 to 16777216")
	faults.check(c.TTL > 0 && c.TTL <= MaxTTL, "TTL", c.TTL, "must be above 0, up to 24h")
	return faults.joined()
}

func (c OnceConfig) withDefaults() OnceConfig {
	c.Capacity = cmp.Or(c.Capacity, DefaultCapacity)
	c.TTL = cmp.Or(c.TTL, DefaultTTL)
	return c
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) check(ok bool, field string, value any, problem string) {
	if !ok {
		*f = append(*f, &patterns.ConfigError{Pattern: "exchange", Field: field, Value: value, Problem: problem})
	}
}

func (f faults) joined() error { return errors.Join(f...) }
