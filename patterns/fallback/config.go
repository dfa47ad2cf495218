package fallback

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the fallback's policy, for calls that return a T. It needs Steps or LastGood; the
// zero value has nothing to fall back on and is invalid. A field left zero means its default.
type Config[T any] struct {
	// Steps are tried in order: see Chain. Default none.
	Steps *Steps[T]

	// LastGood is how old the last good value of a Request's key may be to be given before
	// any of the Steps, from 1 ms to 720 h. Callers share it. Default off.
	LastGood time.Duration

	// StaleFor is how old it may be to be given if all Steps failed, more than LastGood, up to
	// 720 h. Needs LastGood. Default off.
	StaleFor time.Duration

	// MaxKeys is how many last good values are kept, from 1 to 1,000,000: the oldest makes
	// room. Those of keys of more than MaxKey bytes are not kept. Needs LastGood. Default
	// off, and with LastGood 1,024.
	MaxKeys int

	// KeepRejections hands refusals of guards inside to the caller as they are. Default off:
	// to fall back on them is safe, since nothing was called.
	KeepRejections bool

	// OnFailure is what callers get if the fallback's own actor fails for good:
	// patterns.FailOpen goes on without last good values, patterns.FailClosed refuses. It is
	// fixed while the fallback runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	// pattern is what errors of the fallback's Config call it.
	pattern = "fallback"

	minAge  = time.Millisecond
	maxAge  = 720 * time.Hour
	maxKeys = 1_000_000
	// MaxKey is how many bytes a key may have whose last good value is kept.
	MaxKey = 1024
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config[T]) withDefaults() Config[T] {
	if c.LastGood > 0 && c.MaxKeys == 0 {
		c.MaxKeys = 1024
	}
	return c
}

// Validate returns every fault of c as a *patterns.ConfigError, joined, or nil.
func (c Config[T]) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

func (c Config[T]) check(f *faults.Faults) {
	problem := c.Steps.fault()
	f.Check(problem == "", "Steps", c.Steps, problem)
	f.Check(c.Steps != nil || c.LastGood != 0, "Steps", c.Steps, "there is nothing to fall back on, and no LastGood")
	f.Check(c.LastGood == 0 || c.LastGood >= minAge && c.LastGood <= maxAge, "LastGood", c.LastGood,
		fmt.Sprintf("must be from %v to %v", minAge, maxAge))
	switch {
	case c.StaleFor == 0:
	case c.LastGood == 0:
		f.Check(false, "StaleFor", c.StaleFor, "needs LastGood")
	default:
		f.Check(c.StaleFor > c.LastGood && c.StaleFor <= maxAge, "StaleFor", c.StaleFor, fmt.Sprintf("must be more than LastGood, and at most %v", maxAge))
	}
	f.Check(c.MaxKeys >= 0 && c.MaxKeys <= maxKeys, "MaxKeys", c.MaxKeys, fmt.Sprintf("must be from 1 to %d", maxKeys))
	f.Check(c.MaxKeys <= 0 || c.LastGood != 0, "MaxKeys", c.MaxKeys, "needs LastGood")
	f.Common(patterns.Strict, c.OnFailure)
}

// successor validates next, which is to replace c in a fallback that runs.
func (c Config[T]) successor(next Config[T]) error {
	f := faults.Of(pattern)
	f.Fixed("fallback", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

// age is how old a value may be to be of any use.
func (c Config[T]) age() time.Duration { return max(c.LastGood, c.StaleFor) }
