package timeout

import (
	"cmp"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the timeout's policy. The zero value is valid: 30 seconds. A field left zero
// means its default.
type Config struct {
	// PerAttempt is how long a call may take, or inside of a retry each attempt of it, from
	// 1 µs to 24 h. With Quantile it is the limit until enough calls were seen. Default 30s.
	PerAttempt time.Duration

	// Abandon lets callers go at the deadline even if their function does not return: it
	// runs on a goroutine of its own, where it is left behind. Default off.
	Abandon bool

	// MaxAbandoned is how many functions may be left behind at a time, from 1 to 1,000,000.
	// At that many calls are refused with ErrAbandoned. Needs Abandon. Default off, and with
	// Abandon 100.
	MaxAbandoned int

	// OnFailure is what callers get if the timeout's own actor fails for good:
	// patterns.FailOpen goes on by the limit that it had, patterns.FailClosed refuses. It is
	// fixed while the timeout runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the timeout's Config call it.
	pattern = "timeout"

	minLimit     = time.Microsecond
	maxLimit     = 24 * time.Hour
	maxAbandoned = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.PerAttempt = cmp.Or(c.PerAttempt, 30*time.Second)
	if c.Abandon {
		c.MaxAbandoned = cmp.Or(c.MaxAbandoned, 100)
	}
	return c
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	f.Check(c.PerAttempt == 0 || c.PerAttempt >= minLimit && c.PerAttempt <= maxLimit, "PerAttempt", c.PerAttempt,
		fmt.Sprintf("must be from %v to %v", minLimit, maxLimit))
	f.Check(c.MaxAbandoned >= 0 && c.MaxAbandoned <= maxAbandoned, "MaxAbandoned", c.MaxAbandoned,
		fmt.Sprintf("must be from 1 to %d", maxAbandoned))
	f.Check(c.MaxAbandoned <= 0 || c.Abandon, "MaxAbandoned", c.MaxAbandoned, "needs Abandon")
	f.Common(patterns.Strict, c.OnFailure)
}

// successor validates next, which is to replace c in a timeout that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("timeout", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}
