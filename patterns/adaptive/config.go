package adaptive

import (
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Config is the limiter's policy. The zero value is valid and means the defaults. A
// field left zero means its default.
type Config struct {
	// Algorithm finds the limit: Knee, AIMD, Vegas, Gradient or Gradient2, or Window
	// around one of them. Default Knee.
	Algorithm Algorithm

	// Initial is the limit to begin with, in [Min, Max]. Default 20, and 100 for AIMD.
	Initial int
	// Min is the least that the limit may fall to, 1 or more. Default 1, and 10 for AIMD.
	Min int
	// Max is the most that it may grow to, in [Min, 4194304]. Default 10000, and 1000
	// for AIMD.
	Max int

	// MaxLatency is a latency that is never healthy: as long as calls take longer on
	// average the limit falls, to Min if need be, and nothing is learned that would call
	// it normal. Default none.
	MaxLatency time.Duration

	// MaxWaiting is how many callers may wait for a place, 0 to 1,000,000, the higher
	// priorities first. Default 0: who finds no place is refused.
	MaxWaiting int
	// MaxWait is how long a caller waits at most, if its context does not end sooner.
	// Default off: as long as its context lets it.
	MaxWait time.Duration
	// Queue says who of those that wait goes first: FIFO, LIFO, AdaptiveLIFO, or CoDel,
	// which also refuses some that have waited for long. Default FIFO.
	Queue Queue
	// Target is the time in the queue, above 0, that CoDel tolerates. Default 5ms.
	Target time.Duration
	// Interval is how long waiting must have been above Target before CoDel refuses, and
	// how long there must have been somebody waiting before AdaptiveLIFO turns the queue
	// round. It is no less than Target. Default 100ms, or Target if that is more.
	Interval time.Duration
	// RefuseFrom is how many times the limit may wait before some are refused, the
	// lower priorities first: none there, all at RefuseAll, and between them a share
	// that grows evenly. It is above 0, at most 1000. Default off: all may wait until there
	// are MaxWaiting.
	RefuseFrom float64
	// RefuseAll is how many times the limit must wait before all are refused, above
	// RefuseFrom and at most 1500. Default off, or 1.5 times RefuseFrom if that is set.
	RefuseAll float64
	// DeadlineForTurn takes the Deadline of a request that waits for when its turn must
	// have come. Default off: for when its answer must be there. Either way it is refused as
	// soon as that is not to be expected, going by what calls take now.
	DeadlineForTurn bool

	// Fair shares a contended limit among the tenants that Request.Key names: who
	// holds less than an equal share goes before who holds more. Default off.
	Fair bool
	// Partitions, made by Guarantee, gives some keys a share of their own, in place of
	// an equal one. Default none.
	Partitions *Partitions
	// MaxTenants bounds how many keys are told apart, 1 to 1,000,000; the others count
	// as one tenant. Default 10000.
	MaxTenants int

	// CallTimeout bounds each guarded call through its context; it is fixed while the
	// limiter runs. Default off.
	CallTimeout time.Duration

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk while less than half of the limit is used; it is fixed while the limiter
	// runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the limiter's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// It is fixed while the limiter runs. Default FailOpen.
	OnFailure patterns.FailPolicy
}

const (
	pattern    = "adaptive"
	maxLimit   = 1 << 22 // what the shell's ledger can hold
	maxRatio   = 1000
	maxWaiting = 1_000_000
	maxTenants = 1_000_000
	maxFactor  = 1000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	if c.Algorithm == nil {
		c.Algorithm = Knee{}
	}
	least, most, first := 1, 10_000, 20
	if _, ok := core(c.Algorithm).(AIMD); ok {
		least, most, first = 10, 1000, 100
	}
	if c.Min == 0 && c.Max > 0 {
		least = min(least, c.Max)
	}
	orDefault(&c.Min, least)
	orDefault(&c.Max, max(most, c.Min))
	orDefault(&c.Initial, max(c.Min, min(first, c.Max)))
	orDefault(&c.Target, 5*time.Millisecond)
	orDefault(&c.Interval, max(100*time.Millisecond, c.Target))
	orDefault(&c.RefuseAll, 1.5*c.RefuseFrom)
	orDefault(&c.MaxTenants, 10_000)
	return c
}

// Validate returns every fault of c, each a *patterns.ConfigError, or nil.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.complain(f)
	return f.Err()
}

func (c *Config) complain(f *faults.Faults) {
	d := c.withDefaults()
	d.Algorithm.complain(f)
	f.Check(d.Min >= 1, "Min", c.Min, "must be 1 or more")
	f.Check(d.Max >= d.Min && d.Max <= maxLimit, "Max", c.Max, fmt.Sprintf("must be in [Min, %d], and Min is %d", maxLimit, d.Min))
	f.Check(d.Initial >= d.Min && d.Initial <= d.Max, "Initial", c.Initial, fmt.Sprintf("must be in [Min, Max], which is [%d, %d]", d.Min, d.Max))
	f.Check(c.MaxLatency >= 0, "MaxLatency", c.MaxLatency, "must not be negative")
	c.complainOfQueue(f, &d)
	f.Check(d.MaxTenants >= 1 && d.MaxTenants <= maxTenants, "MaxTenants", c.MaxTenants, "must be in [1, 1000000]")
	f.Check(c.CallTimeout >= 0, "CallTimeout", c.CallTimeout, "must not be negative")
	c.Partitions.complain(f)
	f.Common(c.Mode, c.OnFailure)
}

func (c *Config) complainOfQueue(f *faults.Faults, d *Config) {
	f.Check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting, "must be in [0, 1000000]")
	f.Check(c.MaxWait >= 0, "MaxWait", c.MaxWait, "must not be negative")
	f.Check(c.Queue.Valid(), "Queue", c.Queue, "must be FIFO, LIFO, AdaptiveLIFO or CoDel")
	needs := func(set bool, field string, value any) {
		f.Check(!set || c.MaxWaiting != 0, field, value, "needs MaxWaiting")
	}
	needs(c.MaxWait > 0, "MaxWait", c.MaxWait)
	needs(c.Queue.Valid() && c.Queue != FIFO, "Queue", c.Queue)
	needs(c.RefuseFrom > 0, "RefuseFrom", c.RefuseFrom)
	needs(c.DeadlineForTurn, "DeadlineForTurn", c.DeadlineForTurn)
	f.Check(d.Target > 0, "Target", c.Target, "must not be negative")
	f.Check(d.Interval >= d.Target, "Interval", c.Interval, fmt.Sprintf("must be Target, which is %v, or more", d.Target))
	f.Check(c.RefuseFrom >= 0 && c.RefuseFrom <= maxFactor, "RefuseFrom", c.RefuseFrom, "must not be negative, and at most 1000")
	f.Check(c.RefuseFrom > 0 || c.RefuseAll == 0, "RefuseAll", c.RefuseAll, "needs RefuseFrom")
	f.Check(!(c.RefuseFrom > 0) || d.RefuseAll > c.RefuseFrom && d.RefuseAll <= maxFactor*1.5, "RefuseAll", c.RefuseAll, "must be above RefuseFrom and at most 1500")
}

// successor validates next, which is to replace c in a limiter that runs. What callers
// hold was made for c's Mode, OnFailure and CallTimeout.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("limiter", "Mode", c.Mode, next.Mode)
	f.Fixed("limiter", "OnFailure", c.OnFailure, next.OnFailure)
	f.Fixed("limiter", "CallTimeout", c.CallTimeout, next.CallTimeout)
	next.complain(f)
	return f.Err()
}

// grouped reports whether tenants are told apart.
func (c *Config) grouped() bool { return c.Fair || c.Partitions != nil }

// lends reports whether there are leases whose calls need not be timed.
func (c *Config) lends() bool {
	_, _, leased := c.Mode.Lease()
	return leased && c.MaxLatency == 0
}

func (c *Config) bounds() Bounds {
	return Bounds{Initial: c.Initial, Min: c.Min, Max: c.Max, MaxLatency: c.MaxLatency}
}

// orDefault sets a zero field to its default.
func orDefault[T comparable](field *T, d T) {
	var zero T
	if *field == zero {
		*field = d
	}
}
