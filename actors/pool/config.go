package pool

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor"
)

// Limits and defaults of a Config.
const (
	DefaultSize    = 4
	MaxSize        = 1024
	DefaultTimeout = 5 * time.Second
	MaxTimeout     = 24 * time.Hour
	DefaultPending = 10_000
	MaxPending     = 1 << 20
	DefaultRespawn = time.Second
	MinRespawn     = time.Millisecond
)

// Config is how a pool works. The zero value is valid.
type Config struct {
	// Size is how many members Spawn starts, 1 to 1,024. Default 4. Group has as many as it
	// is given, and must be given none here.
	Size int

	// Breaker is the circuit breaker of each member.
	Breaker circuitbreaker.Config

	// Timeout is how long a member may take to reply: above 0, up to 24h. No reply by then
	// is a Failure, and the requester is told. Default 5s.
	Timeout time.Duration

	// Pending is how many requests may be out to all members together, 1 to 1,048,576; one
	// more is refused. Default 10,000.
	Pending int

	// NoRetry has a request that a member's mailbox refused for being full answered so. By
	// default it is tried on one other member. Set it if members forward requests to actors
	// with full mailboxes of their own, as it may be one of those that refused.
	NoRetry bool

	// Supervision is what becomes of members that Spawn started and that panic. Default: as
	// a zero supervisor.Config says, restarted at once, and stopped at the eleventh time
	// within 10s. Group supervises nobody.
	Supervision supervisor.Config

	// Respawn is after what time a member that Spawn started, and that has stopped, is
	// replaced: at least 1ms. Default 1s.
	Respawn time.Duration
}

// Validate returns every fault, each a *patterns.ConfigError, joined.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	check := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: "pool", Field: field, Value: value, Problem: problem})
		}
	}
	check(c.Size >= 1 && c.Size <= MaxSize, "Size", c.Size, "must be 1 to 1024")
	check(c.Timeout > 0 && c.Timeout <= MaxTimeout, "Timeout", c.Timeout, "must be above 0, up to 24h")
	check(c.Pending >= 1 && c.Pending <= MaxPending, "Pending", c.Pending, "must be 1 to 1048576")
	check(c.Respawn >= MinRespawn, "Respawn", c.Respawn, "must be at least 1ms")
	for part, err := range map[string]error{"Breaker": c.Breaker.Validate(), "Supervision": c.Supervision.Validate()} {
		if err != nil {
			faults = append(faults, fmt.Errorf("pool: %s: %w", part, err))
		}
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	c.Size = cmp.Or(c.Size, DefaultSize)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.Pending = cmp.Or(c.Pending, DefaultPending)
	c.Respawn = cmp.Or(c.Respawn, DefaultRespawn)
	return c
}
