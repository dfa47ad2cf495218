package adaptive

import (
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Config is the limiter's policy. The zero value is valid and means the defaults. A
// field left zero means its default.
type Config struct {
	// Algorithm finds the limit: Knee, AIMD, Vegas, Gradient or Gradient2.
	// Default Knee.
	Algorithm Algorithm

	// Initial is the limit to begin with, in [Min, Max]. Default 20, and 100 for AIMD.
	Initial int
	// Min is the least that the limit may fall to, 1 or more. Default 1, and 10 for AIMD.
	Min int
	// Max is the most that it may grow to, in [Min, 4194304]. Default 10000, and 1000
	// for AIMD.
	Max int

	// MaxWaiting is how many callers may wait for a place, in order of priority and
	// then of arrival, 0 to 1,000,000; it is fixed while the limiter runs. Default 0: who
	// finds no place is refused.
	MaxWaiting int

	// Fair shares a contended limit among the tenants that Request.Key names: who
	// holds less than an equal share goes before who holds more. Default off.
	Fair bool
	// Partitions, made by Guarantee, gives some keys a share of their own, in place of
	// an equal one. Default none.
	Partitions *Partitions
	// MaxTenants bounds how many keys are told apart, 1 to 1,000,000; the others count
	// as one tenant. Default 10000.
	MaxTenants int

	// CallTimeout bounds each guarded call through its context; it is fixed while the
	// limiter runs. Default off.
	CallTimeout time.Duration

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk while less than half of the limit is used; it is fixed while the limiter
	// runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the limiter's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// It is fixed while the limiter runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	maxLimit   = 1 << 22 // what the shell's ledger can hold
	maxRatio   = 1000
	maxWaiting = 1_000_000
	maxTenants = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	if c.Algorithm == nil {
		c.Algorithm = Knee{}
	}
	least, most, first := 1, 10_000, 20
	if _, ok := c.Algorithm.(AIMD); ok {
		least, most, first = 10, 1000, 100
	}
	if c.Min == 0 && c.Max > 0 {
		least = min(least, c.Max)
	}
	orDefault(&c.Min, least)
	orDefault(&c.Max, max(most, c.Min))
	orDefault(&c.Initial, max(c.Min, min(first, c.Max)))
	orDefault(&c.MaxTenants, 10_000)
	return c
}

// Validate returns every fault of c, each a *ConfigError, or nil.
func (c Config) Validate() error {
	var f faults
	d := c.withDefaults()
	d.Algorithm.complain(&f)
	f.check(d.Min >= 1, "Min", c.Min, "must be 1 or more")
	f.check(d.Max >= d.Min && d.Max <= maxLimit, "Max", c.Max, fmt.Sprintf("must be in [Min, %d], and Min is %d", maxLimit, d.Min))
	f.check(d.Initial >= d.Min && d.Initial <= d.Max, "Initial", c.Initial, fmt.Sprintf("must be in [Min, Max], which is [%d, %d]", d.Min, d.Max))
	f.check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting, "must be in [0, 1000000]")
	f.check(d.MaxTenants >= 1 && d.MaxTenants <= maxTenants, "MaxTenants", c.MaxTenants, "must be in [1, 1000000]")
	f.check(c.CallTimeout >= 0, "CallTimeout", c.CallTimeout, "must not be negative")
	f.partitions(c.Partitions)
	if err := c.Mode.Validate(); err != nil {
		f.check(false, "Mode", c.Mode, err.Error())
	}
	f.check(c.OnFailure.Valid(), "OnFailure", c.OnFailure, "must be FailOpen or FailClosed")
	return errors.Join(f...)
}

// successor validates next, which is to replace c in a limiter that runs. What callers
// hold was made for c's Mode, OnFailure, CallTimeout and MaxWaiting.
func (c Config) successor(next Config) error {
	var f faults
	fixed := func(same bool, field string, value, is any) {
		f.check(same, field, value, fmt.Sprintf("is fixed while the limiter runs, at %v", is))
	}
	fixed(next.Mode == c.Mode, "Mode", next.Mode, c.Mode)
	fixed(next.OnFailure == c.OnFailure, "OnFailure", next.OnFailure, c.OnFailure)
	fixed(next.CallTimeout == c.CallTimeout, "CallTimeout", next.CallTimeout, c.CallTimeout)
	fixed(next.MaxWaiting == c.MaxWaiting, "MaxWaiting", next.MaxWaiting, c.MaxWaiting)
	return errors.Join(append(f, next.Validate())...)
}

func (c *Config) bounds() Bounds { return Bounds{Initial: c.Initial, Min: c.Min, Max: c.Max} }

// faults collects what is wrong. Checks are written so that NaN fails them.
type faults []error

func (f *faults) check(ok bool, field string, value any, problem string) {
	if !ok {
		*f = append(*f, &ConfigError{Field: field, Value: value, Problem: problem})
	}
}

// orDefault sets a zero field to its default.
func orDefault[T comparable](field *T, d T) {
	var zero T
	if *field == zero {
		*field = d
	}
}
