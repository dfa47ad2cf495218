package hedge

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// Config is when another attempt is made, and how many may be. The zero value is valid: one,
// after a second. A field left zero means its default. What is an answer is the Judge's
// business: see actors.WithJudge.
type Config struct {
	// Delay is how long to wait for an answer before the next attempt is made beside those
	// that run, from 1 µs to 24 h. With Quantile it is the delay until enough calls were seen.
	// Default 1s.
	Delay time.Duration

	// MaxExtra is how many attempts of a call may be made besides the first, from 1 to 16,
	// each a Delay after the one before. Default 1.
	MaxExtra int

	// Quantile makes the delay follow the calls: it is what this share of the first attempts
	// took at most that were answered lately, above 0 and below 1. The rest of them, 0.05 of
	// all with 0.95, get another. Those that were outrun count as longer than they ran.
	// Default off.
	Quantile float64

	// Min and Max bound the delay that follows the calls, from 1 µs to 24 h; Delay lies between
	// them. Need Quantile. Default off, and with Quantile 1 ms, or Delay if it is less, and 1
	// minute, or Delay if it is more.
	Min, Max time.Duration

	// Window is the time that is remembered, from 100 ms to 24 h. Needs Quantile. Default off,
	// and with Quantile 1 minute.
	Window time.Duration

	// MinSamples is how many calls there must be in the Window before the delay follows them,
	// from 1 to 1,000,000. Needs Quantile. Default off, and with Quantile 100.
	MinSamples int

	// ReplaceFailed makes the next attempt at once when one has failed, as often as MaxExtra
	// allows, unless its error matches patterns.ErrFinal. An outage then gets that many times the calls, so have a Budget. Default off: a
	// call whose attempts have all failed has failed.
	ReplaceFailed bool

	// MaxLosers is about how many attempts may still run whose call has ended, because they do
	// not listen to their context, from 1 to 1,000,000. At that many no more are made besides
	// first ones. Default 1,000.
	MaxLosers int

	// Budget bounds the attempts besides first ones, and the retries, of all who share it to a
	// share of their calls. Default none.
	Budget *retry.Budget

	// OnFailure is what callers get if the hedge's own actor fails for good:
	// patterns.FailOpen goes on by the delay that it had, patterns.FailClosed refuses. It is
	// fixed while the hedge runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the hedge's Config call it.
	pattern = "hedge"

	minDelay   = time.Microsecond
	maxDelay   = 24 * time.Hour
	maxExtra   = 16
	minWindow  = 100 * time.Millisecond
	maxWindow  = 24 * time.Hour
	maxSamples = 1_000_000
	maxLosers  = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.Delay = cmp.Or(c.Delay, time.Second)
	c.MaxExtra = cmp.Or(c.MaxExtra, 1)
	c.MaxLosers = cmp.Or(c.MaxLosers, 1000)
	if c.Quantile > 0 {
		c.Min = cmp.Or(c.Min, min(time.Millisecond, c.Delay))
		c.Max = cmp.Or(c.Max, max(time.Minute, c.Delay))
		c.Window = cmp.Or(c.Window, time.Minute)
		c.MinSamples = cmp.Or(c.MinSamples, 100)
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
	f.Check(c.Delay == 0 || c.Delay >= minDelay && c.Delay <= maxDelay, "Delay", c.Delay,
		fmt.Sprintf("must be from %v to %v", minDelay, maxDelay))
	f.Check(c.MaxExtra >= 0 && c.MaxExtra <= maxExtra, "MaxExtra", c.MaxExtra, fmt.Sprintf("must be from 1 to %d", maxExtra))
	c.checkQuantile(f)
	f.Check(c.MaxLosers >= 0 && c.MaxLosers <= maxLosers, "MaxLosers", c.MaxLosers, fmt.Sprintf("must be from 1 to %d", maxLosers))
	f.Common(patterns.Strict, c.OnFailure)
}

func (c Config) checkQuantile(f *faults.Faults) {
	f.Check(c.Quantile >= 0 && c.Quantile < 1, "Quantile", c.Quantile, "must be above 0 and below 1")
	within := func(field string, value, least, most any, given, ok bool) {
		f.Check(!given || ok, field, value, fmt.Sprintf("must be from %v to %v", least, most))
		f.Check(!given || !ok || c.Quantile != 0, field, value, "needs Quantile")
	}
	within("Min", c.Min, minDelay, maxDelay, c.Min != 0, c.Min >= minDelay && c.Min <= maxDelay)
	within("Max", c.Max, minDelay, maxDelay, c.Max != 0, c.Max >= minDelay && c.Max <= maxDelay)
	within("Window", c.Window, minWindow, maxWindow, c.Window != 0, c.Window >= minWindow && c.Window <= maxWindow)
	within("MinSamples", c.MinSamples, 1, maxSamples, c.MinSamples != 0, c.MinSamples >= 1 && c.MinSamples <= maxSamples)
	if d := c.withDefaults(); !f.Any() && c.Quantile > 0 {
		f.Check(d.Min <= d.Delay, "Min", d.Min, fmt.Sprintf("is above Delay, %v", d.Delay))
		f.Check(d.Max >= d.Delay, "Max", d.Max, fmt.Sprintf("is below Delay, %v", d.Delay))
	}
}

// successor validates next, which is to replace c in a hedge that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("hedge", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

// LogValue returns c as a group, in which a Budget is its name.
func (c Config) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Duration("delay", c.Delay), slog.Int("max_extra", c.MaxExtra), slog.Float64("quantile", c.Quantile),
		slog.Duration("min", c.Min), slog.Duration("max", c.Max), slog.Duration("window", c.Window),
		slog.Int("min_samples", c.MinSamples), slog.Bool("replace_failed", c.ReplaceFailed), slog.Int("max_losers", c.MaxLosers),
	}
	if c.Budget != nil {
		attrs = append(attrs, slog.String("budget", c.Budget.Name()))
	}
	return slog.GroupValue(attrs...)
}
