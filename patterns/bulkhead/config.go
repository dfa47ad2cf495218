package bulkhead

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the bulkhead's policy. The zero value is valid: 10 slots, and nobody waits.
// A field left zero means its default.
type Config struct {
	// MaxConcurrent is how many slots there are, in each partition, from 1 to
	// 2,147,483,647. A call takes one, or its Request's Weight of them. Default 10.
	MaxConcurrent int

	// MaxWaiting is how many callers may wait for a slot, in each partition, up to
	// 1,000,000, which is also the most in all partitions together. Zero means what it
	// says: whoever finds no slot is refused. Default 0.
	MaxWaiting int

	// MaxWait is how long a caller waits at most, if its context, or the Deadline of its
	// message, does not end sooner. Needs MaxWaiting. Default off: as long as those let
	// it.
	MaxWait time.Duration

	// MaxPartitions is how many keys may have permits out at once, up to 1,000,000.
	// Each key of a Request then has MaxConcurrent slots and a queue of its own; so do
	// requests without a key, which do not count as a partition. Default off: keys mean
	// nothing.
	MaxPartitions int

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk for speed. Requests with a key, weight, priority or HoldFor are never
	// leased. It is fixed while the bulkhead runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the bulkhead's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// It is fixed while the bulkhead runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the bulkhead's Config call it.
	pattern = "bulkhead"

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

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	f.Check(c.MaxConcurrent >= 0 && c.MaxConcurrent <= maxConcurrent, "MaxConcurrent", c.MaxConcurrent,
		fmt.Sprintf("must be from 1 to %d", maxConcurrent))
	f.Check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting,
		fmt.Sprintf("must be from 0, which means that nobody waits, to %d", maxWaiting))
	f.Check(c.MaxWait >= 0, "MaxWait", c.MaxWait, "must not be negative")
	f.Check(c.MaxWait <= 0 || c.MaxWaiting != 0, "MaxWait", c.MaxWait, "needs MaxWaiting")
	f.Check(c.MaxPartitions >= 0 && c.MaxPartitions <= maxPartitions, "MaxPartitions", c.MaxPartitions,
		fmt.Sprintf("must be from 0, which means off, to %d", maxPartitions))
	f.Common(c.Mode, c.OnFailure)
}

// successor validates next, which is to replace c in a bulkhead that runs. What callers
// hold was made for c's Mode and OnFailure.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("bulkhead", "Mode", c.Mode, next.Mode)
	f.Fixed("bulkhead", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}
