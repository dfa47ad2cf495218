package redislimiter

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// Config is the limiter's policy. It needs Rate or Tiers, and Client or URL; every other
// field left zero means its default.
type Config struct {
	// Rate is how much may pass, of all instances together. Default none: this or Tiers must
	// be given.
	Rate ratelimiter.Rate

	// Tiers are several rates that hold at once, instead of Rate, at most 4. A request uses
	// all of them or none. Default none.
	Tiers ratelimiter.Tiers

	// Algorithm is TokenBucket or SlidingLog; a log's count is at most 10,000. It is fixed
	// while the limiter runs. Default TokenBucket.
	Algorithm ratelimiter.Algorithm

	// Client is who is asked. The limiter never closes it. It is fixed while the limiter
	// runs. Default none: this or URL must be given.
	Client redis.UniversalClient

	// URL says where Redis is, instead of Client: redis://user:password@host:6379/0, or
	// rediss:// for TLS; with several hosts and ?cluster=true a Cluster, and with
	// ?master=name those are Sentinels, and user, password and database are the master's. In a
	// user or password / ? # % are written %2F %3F %23 %25. The limiter dials, and closes what it
	// dialed. It is fixed while the limiter runs. Default none.
	URL string

	// Prefix is what all keys in Redis begin with, at most 64 bytes without braces. Limiters
	// with the same Prefix, Algorithm and keys share their limits. It is fixed while the
	// limiter runs. Default "bulwark:" and the limiter's name.
	Prefix string

	// Timeout is how long nobody waits longer for an answer of Redis that hangs, from 1ms to
	// 1m. A call has half of it: a request may have to wait for the call before its own.
	// Default 100ms.
	Timeout time.Duration

	// OnOutage is what requests get while Redis does not answer: FailOpen, FailClosed or
	// Local. Default FailOpen.
	OnOutage Outage

	// Instances is how many instances share the limit, 1 to 1,000,000: in an outage Local
	// gives each of them that part of it, and leases take no more. Default 1.
	Instances int

	// Failures is how many calls in a row fail before Redis is given up for a while, 1 to
	// 1,000. Default 3.
	Failures int

	// RetryEvery is how often Redis, given up, is tried with one call, from 10ms to 1h.
	// Default 500ms.
	RetryEvery time.Duration

	// MaxBatch is how many requests one call carries, 1 to 16,384. Default 1,024.
	MaxBatch int

	// MaxQueue is how many requests may queue for the next call, 1 to 1,000,000; further ones
	// are refused. Default 65,536.
	MaxQueue int

	// MaxWaiting is how many callers of each key may wait for their turn, when Redis says that
	// it is not yet, up to 1,000,000. Zero means what it says. Default 0.
	MaxWaiting int

	// MaxWait is how long a caller waits for its turn at most. Needs MaxWaiting. Default off:
	// as long as its context lets it.
	MaxWait time.Duration

	// LeaseFor is how long permits may be held here that were taken in advance, from 10ms to
	// 1m. TokenBucket only. Default off, or 200ms if Mode is Leased.
	LeaseFor time.Duration

	// MaxLease is how many permits of a key may be held here, from 1 to 1,000,000. Default
	// half of the burst divided by Instances.
	MaxLease int

	// Mode is patterns.Strict, or patterns.Leased for requests without a key and weight that
	// spend the permits of a lease without asking even the actor. It is fixed while the
	// limiter runs. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the limiter's own actor fails for good. It is fixed
	// while the limiter runs. Default patterns.FailOpen.
	OnFailure patterns.FailPolicy
}

// Outage is what requests get while Redis does not answer.
type Outage uint8

const (
	// FailOpen lets every request pass.
	FailOpen Outage = iota
	// FailClosed refuses every request, with an *OutageError.
	FailClosed
	// Local keeps this instance's part of the limit here: the rates and bursts divided by
	// Config.Instances.
	Local

	outages
)

// Valid reports whether o is one of the policies above.
func (o Outage) Valid() bool { return o < outages }

func (o Outage) String() string {
	switch o {
	case FailOpen:
		return "fail-open"
	case FailClosed:
		return "fail-closed"
	case Local:
		return "local"
	}
	return fmt.Sprintf("outage(%d)", uint8(o))
}

// MarshalText returns the policy's name, such as "fail-open".
func (o Outage) MarshalText() ([]byte, error) {
	if !o.Valid() {
		return nil, &patterns.TextError{Text: o.String(), Want: outageText}
	}
	return []byte(o.String()), nil
}

// UnmarshalText reads a policy's name. The error is a *patterns.TextError.
func (o *Outage) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	for one := range outages {
		if one.String() == name {
			*o = one
			return nil
		}
	}
	return &patterns.TextError{Text: string(text), Want: outageText}
}

const (
	outageText      = "one of fail-open, fail-closed, local"
	pattern         = "redislimiter"
	maxPrefix       = 64
	defaultTimeout  = 100 * time.Millisecond
	defaultRetry    = 500 * time.Millisecond
	defaultBatch    = 1 << 10
	defaultQueue    = 1 << 16
	defaultLeaseFor = 200 * time.Millisecond
	maxMillion      = 1_000_000
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	full := func(r *ratelimiter.Rate) {
		if *r != (ratelimiter.Rate{}) {
			r.Burst = cmp.Or(r.Burst, r.Count)
		}
	}
	full(&c.Rate)
	for i := range c.Tiers {
		full(&c.Tiers[i])
	}
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Instances = cmp.Or(c.Instances, 1)
	c.Failures = cmp.Or(c.Failures, 3)
	c.RetryEvery = cmp.Or(c.RetryEvery, defaultRetry)
	c.MaxBatch = cmp.Or(c.MaxBatch, defaultBatch)
	c.MaxQueue = cmp.Or(c.MaxQueue, defaultQueue)
	if _, _, leased := c.Mode.Lease(); leased {
		c.LeaseFor = cmp.Or(c.LeaseFor, defaultLeaseFor)
	}
	return c
}

// named returns c with a Prefix of its own for a limiter of that name.
func (c Config) named(name string) Config {
	if c.Prefix == "" {
		c.Prefix = "bulwark:" + strings.TrimSpace(name)
	}
	return c
}

// rates are those that hold.
func (c Config) rates() []ratelimiter.Rate {
	if c.Rate != (ratelimiter.Rate{}) {
		return []ratelimiter.Rate{c.Rate}
	}
	n := len(c.Tiers)
	for n > 0 && c.Tiers[n-1] == (ratelimiter.Rate{}) {
		n--
	}
	return c.Tiers[:n]
}

// Validate returns every fault of c at once, joined, each a *patterns.ConfigError.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

// successor validates next, which is to replace c in a limiter that runs.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	if next.Prefix == "" {
		next.Prefix = c.Prefix
	}
	f.Fixed("limiter", "Algorithm", c.Algorithm, next.Algorithm)
	f.Check(c.Client == next.Client, "Client", fmt.Sprintf("%T", next.Client), "cannot be changed while the limiter runs")
	f.Check(c.URL == next.URL, "URL", hidden(next.URL), "cannot be changed while the limiter runs")
	f.Fixed("limiter", "Prefix", c.Prefix, next.Prefix)
	f.Fixed("limiter", "Mode", c.Mode, next.Mode)
	f.Fixed("limiter", "OnFailure", c.OnFailure, next.OnFailure)
	next.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	c.checkRates(f)
	c.checkServer(f)
	inRange := func(field string, n, least, most int) {
		f.Check(n == 0 || n >= least && n <= most, field, n, fmt.Sprintf("must be from %d to %d", least, most))
	}
	lasts := func(field string, d, least, most time.Duration) {
		f.Check(d == 0 || d >= least && d <= most, field, d, fmt.Sprintf("must be from %v to %v", least, most))
	}
	lasts("Timeout", c.Timeout, time.Millisecond, time.Minute)
	f.Check(c.OnOutage.Valid(), "OnOutage", c.OnOutage, "is none")
	inRange("Instances", c.Instances, 1, maxMillion)
	inRange("Failures", c.Failures, 1, 1000)
	lasts("RetryEvery", c.RetryEvery, 10*time.Millisecond, time.Hour)
	inRange("MaxBatch", c.MaxBatch, 1, 1<<14)
	inRange("MaxQueue", c.MaxQueue, 1, maxMillion)
	inRange("MaxWaiting", c.MaxWaiting, 1, maxMillion)
	f.Check(c.MaxWait >= 0, "MaxWait", c.MaxWait, "must not be negative")
	f.Check(c.MaxWait <= 0 || c.MaxWaiting != 0, "MaxWait", c.MaxWait, "needs MaxWaiting")
	lasts("LeaseFor", c.LeaseFor, 10*time.Millisecond, time.Minute)
	leases := c.withDefaults().LeaseFor != 0
	f.Check(!leases || c.Algorithm == ratelimiter.TokenBucket, "LeaseFor", c.LeaseFor, "is for TokenBucket only")
	inRange("MaxLease", c.MaxLease, 1, maxMillion)
	f.Check(c.MaxLease == 0 || leases, "MaxLease", c.MaxLease, "needs LeaseFor")
	f.Common(c.Mode, c.OnFailure)
}

// checkRates finds what the local limiter finds wrong with the rates, and what Redis cannot
// count exactly.
func (c Config) checkRates(f *faults.Faults) {
	f.Check(c.Algorithm == ratelimiter.TokenBucket || c.Algorithm == ratelimiter.SlidingLog,
		"Algorithm", c.Algorithm, "must be token-bucket or sliding-log")
	alike := ratelimiter.Config{Rate: c.Rate, Tiers: c.Tiers, Algorithm: c.Algorithm, MaxKeys: ratelimiter.NoKeys}
	if err := alike.Validate(); err != nil {
		for _, fault := range unjoined(err) {
			if e, ok := errors.AsType[*patterns.ConfigError](fault); ok && e.Field != "Algorithm" {
				f.Check(false, e.Field, e.Value, e.Problem)
			}
		}
		return
	}
	if _, err := lawOf(c.Algorithm, c.withDefaults().rates()); err != nil {
		f.Check(false, "Rate", ratelimiter.Several(c.rates()...), err.Error())
	}
}

func unjoined(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func (c Config) checkServer(f *faults.Faults) {
	switch {
	case c.Client == nil && c.URL == "":
		f.Check(false, "Client", nil, "must be set, or URL")
	case c.Client != nil && c.URL != "":
		f.Check(false, "URL", hidden(c.URL), "must not be set, because Client is")
	case c.URL != "":
		_, problems := parse(c.URL)
		for _, problem := range problems {
			f.Check(false, "URL", hidden(c.URL), problem)
		}
	}
	f.Check(len(c.Prefix) <= maxPrefix && !strings.ContainsAny(c.Prefix, "{}"), "Prefix", c.Prefix,
		fmt.Sprintf("must be at most %d bytes without braces; set it if the limiter's name is not", maxPrefix))
}

// lawOf makes rates what Redis counts by.
func lawOf(a ratelimiter.Algorithm, rates []ratelimiter.Rate) (*store.Law, error) {
	tiers := make([]store.Tier, len(rates))
	for i, r := range rates {
		tiers[i] = store.Tier{Count: r.Count, Period: r.Per, Burst: cmp.Or(r.Burst, r.Count)}
	}
	return store.NewLaw(algorithmOf(a), tiers...)
}

func algorithmOf(a ratelimiter.Algorithm) store.Algorithm {
	if a == ratelimiter.SlidingLog {
		return store.SlidingLog
	}
	return store.TokenBucket
}
