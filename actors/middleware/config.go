package middleware

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Policy says what becomes of a message that the guard refuses.
type Policy uint8

const (
	// Answer: its sender gets a *RejectedError at once.
	Answer Policy = iota
	// Stash: it waits in the actor's stash until the guard lets it through.
	Stash

	policies
)

func (p Policy) String() string {
	switch p {
	case Answer:
		return "answer"
	case Stash:
		return "stash"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// Limits and defaults of a ReceiveConfig.
const (
	DefaultStash   = 1000
	MaxStash       = 1 << 20
	DefaultTTL     = 5 * time.Second
	MaxTTL         = 24 * time.Hour
	DefaultRecheck = 50 * time.Millisecond
	MinRecheck     = time.Millisecond
)

// ReceiveConfig is how a Receiver guards an actor. The zero value is valid: messages
// that the guard refuses are answered.
type ReceiveConfig struct {
	// Refused is what becomes of a message that the guard refuses: Answer or Stash.
	// Default Answer.
	Refused Policy
	// Stash is how many messages each actor may have stashed, 1 to 1,048,576; one more is
	// answered. Default 1,000. It needs the policy Stash, and so do the others below.
	Stash int
	// TTL is how long a message may be stashed until it is answered with ErrExpired:
	// above 0, up to 24h. Default 5s.
	TTL time.Duration
	// Recheck is how long after a refusal that does not say when to come again the guard
	// is asked again on behalf of a stashed message: at least 1ms. Default 50ms.
	Recheck time.Duration
}

// Validate returns every fault, each a *patterns.ConfigError, joined.
func (c ReceiveConfig) Validate() error {
	var faults faults
	c = c.withDefaults()
	faults.check(c.Refused < policies, "Refused", c.Refused, "must be Answer or Stash")
	if c.Refused == Answer {
		faults.check(c.Stash == 0, "Stash", c.Stash, "needs the policy Stash")
		faults.check(c.TTL == 0, "TTL", c.TTL, "needs the policy Stash")
		faults.check(c.Recheck == 0, "Recheck", c.Recheck, "needs the policy Stash")
		return faults.joined()
	}
	faults.check(c.Stash >= 1 && c.Stash <= MaxStash, "Stash", c.Stash, "must be 1 to 1048576")
	faults.check(c.TTL > 0 && c.TTL <= MaxTTL, "TTL", c.TTL, "must be above 0, up to 24h")
	faults.check(c.Recheck >= MinRecheck, "Recheck", c.Recheck, "must be at least 1ms")
	return faults.joined()
}

func (c ReceiveConfig) withDefaults() ReceiveConfig {
	if c.Refused == Stash {
		c.Stash = cmp.Or(c.Stash, DefaultStash)
		c.TTL = cmp.Or(c.TTL, DefaultTTL)
		c.Recheck = cmp.Or(c.Recheck, DefaultRecheck)
	}
	return c
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) check(ok bool, field string, value any, problem string) {
	if !ok {
		*f = append(*f, &patterns.ConfigError{Pattern: "middleware", Field: field, Value: value, Problem: problem})
	}
}

func (f faults) joined() error { return errors.Join(f...) }
