package rules

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

const (
	// NoHold, as Config.HoldFor, refuses messages to a child that waits for a restart,
	// however short the wait.
	NoHold = -1
	// Hold, as Config.HoldFor, never refuses them: they wait with the child.
	Hold = time.Duration(math.MaxInt64)

	// DefaultHoldFor is what Config.HoldFor is if it is 0.
	DefaultHoldFor = time.Second
	// DefaultPeriod is what BreakerConfig.Period is if it is 0.
	DefaultPeriod = 10 * time.Second
	// DefaultIntensity is what BreakerConfig.Intensity is if it is 0.
	DefaultIntensity = 5
	// DefaultOpenFor is what the OpenFor of BreakerConfig and CorrelatedConfig is if
	// it is 0.
	DefaultOpenFor = time.Minute
	// DefaultProbes is what BreakerConfig.Probes is if it is 0.
	DefaultProbes = 1
	// DefaultProbeFor is what the ProbeFor of BreakerConfig and CorrelatedConfig is if
	// it is 0.
	DefaultProbeFor = 10 * time.Second
	// DefaultQuarantinePeriod is what QuarantineConfig.Period is if it is 0.
	DefaultQuarantinePeriod = time.Hour
	// DefaultWithin is what CorrelatedConfig.Within is if it is 0.
	DefaultWithin = 10 * time.Second
	// DefaultMinFailed is what CorrelatedConfig.MinFailed is if it is 0.
	DefaultMinFailed = 3

	// MaxProbes bounds BreakerConfig.Probes.
	MaxProbes = 10_000
)

// Config says how children are supervised. The zero value is valid: one for one,
// restarted at once, 10 restarts in 10 s.
//
// Backoff, Breaker, Quarantine, Budget and Correlated are each off while all of their
// fields are zero; where one is set, the others that are zero have their defaults.
type Config struct {
	// Name is what events and log entries call the supervising actor. Default: the id
	// of its PID.
	Name string

	// Scope says who is restarted with a child that failed: One, All or Rest.
	// Default One.
	Scope Scope

	// Intensity is how many restarts, of all children together, are allowed in what
	// period; one more hands the failure up. Default 10 in 10s, but
	// intensity.Unlimited if something of what follows is set.
	Intensity intensity.Config

	// Backoff makes a child that keeps failing wait longer before each restart.
	// Default off: children are restarted at once.
	Backoff backoff.Config

	// Breaker stops restarting a child that keeps failing, lets its mailbox refuse, and
	// tries it again after a while with a few messages. Default off.
	Breaker BreakerConfig

	// Quarantine parks a child that failed too often until somebody releases it.
	// Default off.
	Quarantine QuarantineConfig

	// Budget is what the children have together for restarts; who finds it empty waits,
	// the longest suspended first. A restart of several children counts once.
	// Default off.
	Budget budget.Config

	// Correlated takes many children that fail at about the same time for a failure of
	// what they depend on: it stops restarting them one by one and probes with one.
	// Needs Scope One. Default off.
	Correlated CorrelatedConfig

	// HoldFor bounds how long messages wait in the mailbox of a child that waits for a
	// restart: where it is known to take longer, they are refused at once. NoHold
	// refuses always, Hold never. Needs a mailbox that knows mailbox.Gate. Default 1s.
	HoldFor time.Duration

	// AtTop is what happens where a failure cannot be handed up, because nobody is
	// above: KeepRunning, the child and those restarted with it are stopped, or
	// StopSelf, the supervising actor is stopped with all its children. Default
	// KeepRunning.
	AtTop AtTop
}

// BreakerConfig is circuit-breaking supervision, for each child on its own.
type BreakerConfig struct {
	// Intensity is how many failures within Period are still answered with a restart;
	// one more opens the circuit: 1 to intensity.MaxRestarts. Default 5.
	Intensity int

	// Period is how long a failure counts: above 0, up to intensity.MaxPeriod.
	// Default 10s.
	Period time.Duration

	// OpenFor is how long the child stays suspended the first time: above 0.
	// Default 1m.
	OpenFor time.Duration

	// OpenFactor multiplies the open time for each opening in a row, 1 or more and
	// finite. Default 1.
	OpenFactor float64

	// MaxOpenFor bounds what OpenFactor makes of OpenFor; it is not below OpenFor.
	// Default OpenFor if OpenFactor is 1, otherwise 16 times OpenFor.
	MaxOpenFor time.Duration

	// OpenJitter lengthens each open time by a random share of at most this, in [0, 1).
	// Default off.
	OpenJitter float64

	// ResetOpensAfter is how long the circuit must stay closed before OpenFactor
	// starts from OpenFor again. Default off: forgotten as soon as it closes.
	ResetOpensAfter time.Duration

	// Probes is how many messages the restarted child is given; if it serves them all
	// without failing, the circuit closes: 1 to MaxProbes. Default 1.
	Probes int

	// ProbeFor is how long a restarted child must run without failing for the circuit
	// to close where its mailbox does not know mailbox.Gate, and so cannot count
	// messages: above 0. Default 10s.
	ProbeFor time.Duration
}

// QuarantineConfig is when a child is parked.
type QuarantineConfig struct {
	// Failures is how many failures within Period are put up with; one more parks the
	// child: 1 to intensity.MaxRestarts. Default off.
	Failures int

	// Period is how long a failure counts: above 0, up to intensity.MaxPeriod.
	// Default 1h.
	Period time.Duration
}

// CorrelatedConfig is when failures of several children are taken for one.
type CorrelatedConfig struct {
	// Share is the share of children, in (0, 1), of which more must have failed within
	// Within. Default off.
	Share float64

	// Within is how long a child counts as failed: above 0. Default 10s.
	Within time.Duration

	// MinFailed is how many children must have failed at least, 2 or more. Default 3.
	MinFailed int

	// OpenFor is how long nobody is restarted: above 0. Default 1m.
	OpenFor time.Duration

	// OpenFactor multiplies OpenFor for each opening in a row, 1 or more and finite.
	// Default 1.
	OpenFactor float64

	// MaxOpenFor bounds what OpenFactor makes of OpenFor; it is not below OpenFor.
	// Default OpenFor if OpenFactor is 1, otherwise 16 times OpenFor.
	MaxOpenFor time.Duration

	// ProbeFor is how long the one child that is restarted as a probe must run without
	// failing before the others are, unless it serves a message before: above 0.
	// Default 10s.
	ProbeFor time.Duration
}

// on report whether anything is set.
func (c BreakerConfig) on() bool    { return c != BreakerConfig{} }
func (c QuarantineConfig) on() bool { return c != QuarantineConfig{} }
func (c CorrelatedConfig) on() bool { return c != CorrelatedConfig{} }

// Normal returns c with its zero fields filled in.
func (c Config) Normal() Config {
	regulated := c.Backoff != backoff.Config{} || c.Budget != budget.Config{} ||
		c.Breaker.on() || c.Quarantine.on() || c.Correlated.on()
	if regulated && c.Intensity == (intensity.Config{}) {
		c.Intensity.Restarts = intensity.Unlimited
	}
	c.HoldFor = cmp.Or(c.HoldFor, DefaultHoldFor)
	if b := &c.Breaker; b.on() {
		b.Intensity = cmp.Or(b.Intensity, DefaultIntensity)
		b.Period = cmp.Or(b.Period, DefaultPeriod)
		b.OpenFor = cmp.Or(b.OpenFor, DefaultOpenFor)
		b.OpenFactor = cmp.Or(b.OpenFactor, 1)
		b.Probes = cmp.Or(b.Probes, DefaultProbes)
		b.ProbeFor = cmp.Or(b.ProbeFor, DefaultProbeFor)
	}
	if q := &c.Quarantine; q.on() {
		q.Period = cmp.Or(q.Period, DefaultQuarantinePeriod)
	}
	if g := &c.Correlated; g.on() {
		g.Within = cmp.Or(g.Within, DefaultWithin)
		g.MinFailed = cmp.Or(g.MinFailed, DefaultMinFailed)
		g.OpenFor = cmp.Or(g.OpenFor, DefaultOpenFor)
		g.OpenFactor = cmp.Or(g.OpenFactor, 1)
		g.ProbeFor = cmp.Or(g.ProbeFor, DefaultProbeFor)
	}
	return c
}

// Validate returns every fault of c at once, joined, each a *patterns.ConfigError.
func (c Config) Validate() error {
	f := &faults{}
	d := c.Normal()
	f.check(c.Scope <= Rest, "Scope", c.Scope, "must be One, All or Rest")
	f.within("Intensity", d.Intensity.Validate())
	if c.Backoff != (backoff.Config{}) {
		f.within("Backoff", c.Backoff.Validate())
	}
	if c.Budget != (budget.Config{}) {
		f.within("Budget", c.Budget.Validate())
	}
	if b := d.Breaker; b.on() {
		f.counts("Breaker", "Intensity", b.Intensity, b.Period)
		f.check(c.Breaker.OpenFor >= 0, "Breaker.OpenFor", c.Breaker.OpenFor, "must be above 0")
		f.within("Breaker", ofBreaker(d.Breaker).Validate())
		f.check(b.Probes >= 1 && b.Probes <= MaxProbes, "Breaker.Probes", b.Probes, fmt.Sprintf("must be 1 to %d", MaxProbes))
		f.check(b.ProbeFor > 0, "Breaker.ProbeFor", b.ProbeFor, "must be above 0")
	}
	if q := d.Quarantine; q.on() {
		f.counts("Quarantine", "Failures", q.Failures, q.Period)
	}
	if g := d.Correlated; g.on() {
		f.check(c.Scope == One, "Correlated", g.Share, "needs Scope One: otherwise children are restarted together anyway")
		f.check(g.Share > 0 && g.Share < 1, "Correlated.Share", g.Share, "must be in (0, 1)")
		f.check(g.Within > 0, "Correlated.Within", g.Within, "must be above 0")
		f.check(g.MinFailed >= 2, "Correlated.MinFailed", g.MinFailed, "must be at least 2")
		f.check(c.Correlated.OpenFor >= 0, "Correlated.OpenFor", c.Correlated.OpenFor, "must be above 0")
		f.within("Correlated", ofGroup(g).Validate())
		f.check(g.ProbeFor > 0, "Correlated.ProbeFor", g.ProbeFor, "must be above 0")
	}
	f.check(c.HoldFor >= NoHold, "HoldFor", c.HoldFor, "must be NoHold or above 0")
	f.check(c.AtTop <= StopSelf, "AtTop", c.AtTop, "must be KeepRunning or StopSelf")
	return errors.Join(f.found...)
}

// ofBreaker is the circuit of one child: it opens when it is told to, and one probe
// decides, which stands for Probes messages.
func ofBreaker(b BreakerConfig) circuitbreaker.Config {
	return circuitbreaker.Config{
		ConsecutiveFailures: 1, Probes: 1, ProbeTimeout: math.MaxInt64,
		OpenFor: b.OpenFor, OpenFactor: b.OpenFactor, MaxOpenFor: b.MaxOpenFor, OpenJitter: b.OpenJitter,
		ResetOpensAfter: b.ResetOpensAfter,
	}
}

// ofGroup is the circuit of all children together.
func ofGroup(g CorrelatedConfig) circuitbreaker.Config {
	return circuitbreaker.Config{
		ConsecutiveFailures: 1, Probes: 1, ProbeTimeout: math.MaxInt64,
		OpenFor: g.OpenFor, OpenFactor: g.OpenFactor, MaxOpenFor: g.MaxOpenFor,
	}
}

// faults collects what is wrong with a Config.
type faults struct{ found []error }

// check adds a fault unless ok.
func (f *faults) check(ok bool, field string, value any, problem string) {
	if !ok {
		f.found = append(f.found, &patterns.ConfigError{Pattern: "supervisor", Field: field, Value: value, Problem: problem})
	}
}

func (f *faults) counts(part, field string, n int, period time.Duration) {
	f.check(n >= 1 && n <= intensity.MaxRestarts, part+"."+field, n, fmt.Sprintf("must be 1 to %d", intensity.MaxRestarts))
	f.check(period > 0 && period <= intensity.MaxPeriod, part+".Period", period, fmt.Sprintf("must be above 0, up to %v", intensity.MaxPeriod))
}

// within adds the faults of a part, a join of *patterns.ConfigError.
func (f *faults) within(part string, err error) {
	join, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, e := range join.Unwrap() {
		if fault, ok := errors.AsType[*patterns.ConfigError](e); ok {
			f.check(false, part+"."+fault.Field, fault.Value, fault.Problem)
		}
	}
}
