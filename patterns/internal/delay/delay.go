// Package delay decides how long to wait between the attempts of one call.
package delay

import (
	"math"
	"time"
)

// Backoff is how long to wait between the attempts of a call: how that grows, up to what,
// and by how much chance. It is a value: compare it with ==, and print it. It may be used
// from any goroutine.
//
// The zero Backoff says nothing, so that a Config can have a default for it; its waits are 0.
type Backoff struct {
	shape  shape
	jitter jitter
	base   time.Duration
	most   time.Duration
	factor float64 // of exponential
	around float64 // of jitterAround
	custom *custom
}

type shape uint8

const (
	unset shape = iota
	constant
	linear
	exponential
	decorrelated
	smooth
	function
)

type jitter uint8

const (
	exact jitter = iota
	full
	equal
	jitterAround
)

// custom is behind a pointer since functions cannot be compared.
type custom struct {
	name string
	wait func(attempt int, u float64) time.Duration
}

// Constant waits for d each time, exactly; d is 0 or more.
func Constant(d time.Duration) Backoff {
	return Backoff{shape: constant, base: d, most: math.MaxInt64}
}

// Linear waits for base after the first attempt, then for twice, three times, four times
// that, and never longer than most, exactly.
func Linear(base, most time.Duration) Backoff {
	return Backoff{shape: linear, base: base, most: most}
}

// Exponential waits for base after the first attempt, and twice as long after each further
// one, up to most, with FullJitter. See By for another factor.
func Exponential(base, most time.Duration) Backoff {
	return Backoff{shape: exponential, jitter: full, base: base, most: most, factor: 2}
}

// Decorrelated waits for a time drawn between base and three times the wait before, at
// most most: it grows with luck instead of by count, so that callers which began together
// spread. It has no other jitter.
func Decorrelated(base, most time.Duration) Backoff {
	return Backoff{shape: decorrelated, base: base, most: most}
}

// Smooth grows like Exponential, where about half of the first waits are shorter than base;
// but its jitter is such that the retries of many callers come as a smooth stream, without
// the heaps and gaps that a jittered power of two has. It has no other jitter.
//
// It is what Polly calls DecorrelatedJitterBackoffV2.
func Smooth(base, most time.Duration) Backoff {
	return Backoff{shape: smooth, base: base, most: most}
}

// Custom waits for what wait returns, at least 0 and at most most, exactly. It is called
// on the caller's goroutine with the number of attempts so far, 1 or more, and a number u
// drawn from [0, 1). name is what it prints as. A Custom equals its copies only.
func Custom(name string, most time.Duration, wait func(attempt int, u float64) time.Duration) Backoff {
	return Backoff{shape: function, most: most, custom: &custom{name, wait}}
}

// By returns b with another factor than 2, for an Exponential: finite, 1 or more.
func (b Backoff) By(factor float64) Backoff {
	b.factor = factor
	return b
}

// Exact returns b without jitter: callers that failed together come back together.
func (b Backoff) Exact() Backoff {
	b.jitter, b.around = exact, 0
	return b
}

// FullJitter returns b with waits drawn from nothing to all of what they are without
// jitter. It spreads best.
func (b Backoff) FullJitter() Backoff {
	b.jitter, b.around = full, 0
	return b
}

// EqualJitter returns b with waits drawn from half to all of what they are without jitter.
func (b Backoff) EqualJitter() Backoff {
	b.jitter, b.around = equal, 0
	return b
}

// Around returns b with waits drawn from up to a share less to as much more than what they
// are without jitter: 0.25 makes 1s 750ms to 1.25s. It is above 0, up to 1. Growth ends
// early enough for the longest of them to be the most there may be, so that even then they
// are spread.
func (b Backoff) Around(share float64) Backoff {
	b.jitter, b.around = jitterAround, share
	return b
}
