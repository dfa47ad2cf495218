package backpressure

import (
	"cmp"
	"fmt"
	"math"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

const (
	// NoQueue as Config.MaxWaiting: nobody waits, producers are refused instead.
	NoQueue = -1
	// Drained as Config.LowWater: go on only when nothing is pending.
	Drained = -1
)

// Config is the valve's policy. The zero value is valid and means the defaults. A field
// left zero means its default.
type Config struct {
	// MaxPending is how much work may be pending at most, from 1 to 2,147,483,647. A
	// permit is one, or its Request's Weight. Default 1000.
	MaxPending int

	// HighWater is how much pending work makes newcomers wait, from 1 to MaxPending.
	// Default 800, or 80 % of MaxPending, rounded up.
	HighWater int

	// LowWater is to how little it must fall until they go on, below HighWater; Drained
	// means 0. Default 200, or 20 % of MaxPending, rounded down; and below HighWater.
	LowWater int

	// MaxWaiting is how many producers may wait, up to 1,000,000; NoQueue means none.
	// Default 1000.
	MaxWaiting int

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk for speed. Requests with a weight, priority or HoldFor are never leased. It
	// is fixed while the valve runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the valve's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// It is fixed while the valve runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the valve's Config call it.
	pattern = "backpressure"

	maxPending = math.MaxInt32
	maxWaiting = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.MaxPending = cmp.Or(c.MaxPending, 1000)
	c.HighWater = cmp.Or(c.HighWater, share(c.MaxPending, 80, 99))
	if c.LowWater == 0 {
		c.LowWater = cmp.Or(max(0, min(share(c.MaxPending, 20, 0), c.HighWater-1)), Drained)
	}
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 1000)
	return c
}

// share returns percent of n, rounded up if round is 99 and down if it is 0.
func share(n int, percent, round int64) int { return int((int64(n)*percent + round) / 100) }

// low is the low water mark as a number.
func (c Config) low() int { return max(0, c.LowWater) }

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	d := c.withDefaults()
	f.Check(c.MaxPending >= 0 && c.MaxPending <= maxPending, "MaxPending", c.MaxPending,
		fmt.Sprintf("must be from 1 to %d", maxPending))
	if c.MaxPending >= 0 && c.MaxPending <= maxPending {
		f.Check(d.HighWater >= 1 && d.HighWater <= d.MaxPending, "HighWater", c.HighWater,
			fmt.Sprintf("must be from 1 to MaxPending, which is %d", d.MaxPending))
		if d.HighWater >= 1 && d.HighWater <= d.MaxPending {
			f.Check(d.low() < d.HighWater, "LowWater", c.LowWater, fmt.Sprintf("must be below HighWater, which is %d", d.HighWater))
		}
	}
	f.Check(c.LowWater >= Drained, "LowWater", c.LowWater, "must not be negative, but for Drained")
	f.Check(c.MaxWaiting >= NoQueue && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting,
		fmt.Sprintf("must be NoQueue, or from 1 to %d", maxWaiting))
	f.Common(c.Mode, c.OnFailure)
}

// successor validates next, which is to replace c in a valve that runs. What producers
// hold was made for c's Mode and OnFailure.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("valve", "Mode", c.Mode, next.Mode)
	f.Fixed("valve", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}
