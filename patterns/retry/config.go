package retry

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/delay"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is when and how often a call is made again. The zero value is valid: three
// attempts. A field left zero means its default. What counts as a failure is the Judge's
// business: see actors.WithJudge.
type Config struct {
	// Attempts is how often a call is made at most, the first time included, from 1 to
	// 1000. Default 3.
	Attempts int

	// Backoff is how long to wait before the next attempt. Default exponential 100ms ×2 up to
	// 10s, full jitter.
	Backoff Backoff

	// MaxElapsed is how long all attempts and waits may take together: no wait begins that
	// would not end sooner. An attempt under way is not cut off. Default off.
	MaxElapsed time.Duration

	// RetryRejected retries also what a guard refused, as errors that match
	// patterns.ErrRejected say: a breaker that is open, a bulkhead that is full. What no
	// guard could ever grant is not retried even so. Default off.
	RetryRejected bool

	// IgnoreRetryAfter waits no longer if an error knows when to come back, which
	// patterns.RetryAfter says. Default off: such an error's time is waited for, if that is
	// longer than Backoff's, and up to a tenth more.
	IgnoreRetryAfter bool

	// MaxRetryAfter is how much of such a time is waited for at most. Default 30s.
	MaxRetryAfter time.Duration

	// Overrides are other Attempts and Backoffs for some errors. Default none.
	Overrides *Overrides

	// Budget bounds the retries of all who share it to a share of their calls. Default none.
	Budget *Budget

	// OnFailure is what becomes of retrying if the retry's own actor fails for good:
	// patterns.FailOpen goes on by the last Config, patterns.FailClosed refuses calls. It is
	// fixed while the retry runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the retry's Config call it.
	pattern = "retry"

	maxAttempts = 1000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Backoff = cmp.Or(c.Backoff, Exponential(100*time.Millisecond, 10*time.Second))
	c.MaxRetryAfter = cmp.Or(c.MaxRetryAfter, 30*time.Second)
	return c
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	checkAttempts(f, "Attempts", c.Attempts)
	c.Backoff.Complain(f, "Backoff")
	f.Check(c.MaxElapsed >= 0, "MaxElapsed", c.MaxElapsed, "must not be negative")
	f.Check(c.MaxRetryAfter >= 0, "MaxRetryAfter", c.MaxRetryAfter, "must not be negative")
	c.Overrides.check(f)
	f.Common(patterns.Strict, c.OnFailure)
}

func checkAttempts(f *faults.Faults, field string, n int) {
	f.Check(n >= 0 && n <= maxAttempts, field, n, fmt.Sprintf("must be from 1 to %d", maxAttempts))
}

// successor validates next, which is to replace c in a retry that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("retry", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

// LogValue returns c as a group, in which a Budget is its name.
func (c Config) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.Int("attempts", c.Attempts), slog.String("backoff", c.Backoff.String()), slog.Duration("max_elapsed", c.MaxElapsed),
		slog.Bool("retry_rejected", c.RetryRejected), slog.Bool("ignore_retry_after", c.IgnoreRetryAfter),
		slog.Duration("max_retry_after", c.MaxRetryAfter), slog.Int("overrides", c.Overrides.len()),
	}
	if c.Budget != nil {
		attrs = append(attrs, slog.String("budget", c.Budget.Name()))
	}
	return slog.GroupValue(attrs...)
}

// rule is how a call goes on whose latest attempt failed in some way.
type rule struct {
	attempts int
	backoff  delay.Backoff
	course   int // which of the call's courses it goes on with
}

// ruleFor returns the rule for err, of a Config with its defaults. It runs on the caller's
// goroutine, since it may ask err.
func (c *Config) ruleFor(err error) rule {
	r := rule{attempts: c.Attempts, backoff: c.Backoff}
	if o, i := c.Overrides.match(err); i > 0 {
		r = rule{attempts: cmp.Or(o.Attempts, r.attempts), backoff: cmp.Or(o.Backoff, r.backoff), course: i}
	}
	return r
}
