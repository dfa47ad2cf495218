package retry

import (
	"time"

	"github.com/bulwark-go/bulwark/patterns/internal/delay"
)

// Backoff is how long to wait between the attempts of a call: how that grows, up to what,
// and by how much chance. It is a value: compare it with ==, and print it. Its methods By,
// Exact, FullJitter, EqualJitter and Around return it changed.
type Backoff = delay.Backoff

// Constant waits for d each time, exactly; d is 0 or more.
func Constant(d time.Duration) Backoff { return delay.Constant(d) }

// Linear waits for base after the first attempt, then for twice, three times, four times
// that, and never longer than most, exactly.
func Linear(base, most time.Duration) Backoff { return delay.Linear(base, most) }

// Exponential waits for base after the first attempt, and twice as long after each further
// one, up to most, with full jitter. Its method By sets another factor.
func Exponential(base, most time.Duration) Backoff { return delay.Exponential(base, most) }

// Decorrelated waits for a time drawn between base and three times the wait before, at most
// most. It has no other jitter.
func Decorrelated(base, most time.Duration) Backoff { return delay.Decorrelated(base, most) }

// Smooth grows like Exponential, with such jitter that the retries of many callers come as
// a smooth stream: what Polly calls DecorrelatedJitterBackoffV2. It has no other jitter.
func Smooth(base, most time.Duration) Backoff { return delay.Smooth(base, most) }

// Custom waits for what wait returns, at least 0 and at most most, exactly. It is called on
// the caller's goroutine with the number of attempts so far, 1 or more, and a number u
// drawn from [0, 1). name is what it prints as. A Custom equals its copies only.
func Custom(name string, most time.Duration, wait func(attempt int, u float64) time.Duration) Backoff {
	return delay.Custom(name, most, wait)
}
