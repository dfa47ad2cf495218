package retry

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/internal/retrybudget"
)

// None as BudgetConfig.Ratio or MinPerSecond: nothing is allowed by it.
const None = -1

// BudgetConfig is how many retries and hedges a budget allows. The zero value is valid. A
// field left zero means its default.
type BudgetConfig struct {
	// Ratio is how many there may be for each call of the last Window, above 0, up to 1; None
	// means that calls earn nothing. Default 0.2.
	Ratio float64

	// MinPerSecond is how many there may be besides, each second on the average of Window,
	// for those who call rarely, up to 1,000,000; None means none. Default 10.
	MinPerSecond int

	// Window is how long a call counts, from 1s to 1h. Default 10s.
	Window time.Duration

	// OnFailure is what is allowed if the budget's own actor fails for good:
	// patterns.FailOpen allows everything, patterns.FailClosed nothing. It is fixed while the
	// budget runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// budgetPattern is what errors of a budget's Config call it.
	budgetPattern = "retrybudget"

	maxPerSecond = 1_000_000
	maxWindow    = time.Hour
)

func (c BudgetConfig) withDefaults() BudgetConfig {
	c.Ratio = cmp.Or(c.Ratio, 0.2)
	c.MinPerSecond = cmp.Or(c.MinPerSecond, 10)
	c.Window = cmp.Or(c.Window, 10*time.Second)
	return c
}

// window is c, which has its defaults, for the rules.
func (c BudgetConfig) window() retrybudget.WindowConfig {
	return retrybudget.WindowConfig{Share: max(0, c.Ratio), PerSecond: max(0, c.MinPerSecond), TTL: c.Window}
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c BudgetConfig) Validate() error {
	f := faults.Of(budgetPattern)
	c.check(f)
	return f.Err()
}

func (c BudgetConfig) check(f *faults.Faults) {
	r := c.Ratio
	f.Check(r >= 0 && r <= 1 || r == None, "Ratio", r, "must be above 0, up to 1, or None")
	f.Check(c.MinPerSecond >= None && c.MinPerSecond <= maxPerSecond, "MinPerSecond", c.MinPerSecond,
		fmt.Sprintf("must be from 1 to %d, or None", maxPerSecond))
	f.Check(c.Window == 0 || c.Window >= time.Second && c.Window <= maxWindow, "Window", c.Window,
		fmt.Sprintf("must be from 1s to %v", maxWindow))
	f.Common(patterns.Strict, c.OnFailure)
}

// successor validates next, which is to replace c in a budget that runs.
func (c BudgetConfig) successor(next BudgetConfig) error {
	f := faults.Of(budgetPattern)
	f.Fixed("budget", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

// earned is how many of n calls, which came within gap, were within the last window: they
// are taken to have come evenly.
func (c BudgetConfig) earned(n uint64, gap time.Duration) int {
	if gap <= c.Window {
		return int(min(n, math.MaxInt32))
	}
	return int(min(float64(n)*(float64(c.Window)/float64(gap)), math.MaxInt32))
}
