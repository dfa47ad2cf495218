package bulkhead

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Config is the bulkhead's policy. The zero value is valid: 10 slots, and nobody waits.
// A field left zero means its default.
type Config struct {
	// MaxConcurrent is how many slots there are, in each partition, from 1 to
	// 2,147,483,647. A call takes one, or its Request's Weight of them. Default 10.
	MaxConcurrent int

	// MaxWaiting is how many callers may wait for a slot, up to 1,000,000. Zero means
	// what it says: whoever finds no slot is refused. It cannot be changed while the
	// bulkhead runs. Default 0.
	MaxWaiting int

	// MaxWait is how long a caller waits at most, if its context does not end sooner.
	// Needs MaxWaiting. Default off: as long as its context lets it.
	MaxWait time.Duration

	// MaxPartitions is how many keys may have permits out at once, up to 1,000,000.
	// Each key of a Request then has MaxConcurrent slots of its own; so do requests
	// without a key, which do not count as a partition. Excludes MaxWaiting. Default
	// off: keys mean nothing.
	MaxPartitions int

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk for speed. Requests with a key or weight are never leased. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the bulkhead's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	maxConcurrent = math.MaxInt32
	maxWaiting    = 1_000_000
	maxPartitions = 1_000_000
	// MaxKey is how many bytes a partition's key may have.
	MaxKey = 1024
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.MaxConcurrent = cmp.Or(c.MaxConcurrent, 10)
	return c
}

// Validate returns every fault of c as a *ConfigError, joined, or nil.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, problem string) {
		if !ok {
			errs = append(errs, &ConfigError{Field: field, Value: value, Problem: problem})
		}
	}
	check(c.MaxConcurrent >= 0 && c.MaxConcurrent <= maxConcurrent, "MaxConcurrent", c.MaxConcurrent,
		fmt.Sprintf("must be from 1 to %d", maxConcurrent))
	check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting,
		fmt.Sprintf("must be from 0, which means that nobody waits, to %d", maxWaiting))
	check(c.MaxWait >= 0, "MaxWait", c.MaxWait, "must not be negative")
	check(c.MaxWait <= 0 || c.MaxWaiting != 0, "MaxWait", c.MaxWait, "needs MaxWaiting")
	check(c.MaxPartitions >= 0 && c.MaxPartitions <= maxPartitions, "MaxPartitions", c.MaxPartitions,
		fmt.Sprintf("must be from 0, which means off, to %d", maxPartitions))
	check(c.MaxPartitions <= 0 || c.MaxWaiting <= 0, "MaxPartitions", c.MaxPartitions,
		"excludes MaxWaiting: callers of one key would wait behind those of another")
	if err := c.Mode.Validate(); err != nil {
		check(false, "Mode", c.Mode, err.Error())
	}
	check(c.OnFailure.Valid(), "OnFailure", c.OnFailure, "must be FailOpen or FailClosed")
	return errors.Join(errs...)
}
