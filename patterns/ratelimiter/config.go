package ratelimiter

import (
	"cmp"
	"fmt"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// Config is the limiter's policy. It needs a Rate, or Tiers; every other field left
// zero means its default.
type Config struct {
	// Rate is how much may pass. Default none: this or Tiers must be given.
	Rate Rate

	// Tiers are several rates that hold at once, instead of Rate, at most 4. A request
	// uses all of them or none. Default none.
	Tiers Tiers

	// Algorithm is how the rates are kept. Default TokenBucket.
	Algorithm Algorithm

	// WarmUpFor is how long WarmUp takes to reach the rate under full demand, up to 366
	// days. Only WarmUp has it, and needs it. Default off.
	WarmUpFor time.Duration

	// ColdFactor is how many times slower than the rate WarmUp begins, from 1 to 1000.
	// Default 3.
	ColdFactor float64

	// MaxKeys is how many keys are told apart, up to 16,777,216. Each key of a Request has
	// the rates to itself; so have all requests without a key together. A key takes 27 to
	// 60 bytes where a permit of the rate takes whole nanoseconds, and its memory is free
	// again when it has used nothing that still counts. Further keys share 64 budgets.
	// NoKeys means that keys mean nothing. From 32,768 on the keys are dealt out to one actor
	// per processor, each with room for up to 4 % more than its share, so that an uneven
	// deal overflows none. Default 100,000, or as many as take 256 MiB.
	MaxKeys int

	// MaxWaiting is how many callers may wait for their turn, up to 1,000,000; where there
	// are keys, how many of each key, and of all keys no more than 65,536 or MaxWaiting,
	// whichever is more. Zero means what it says: whoever cannot pass now is refused.
	// Default 0.
	MaxWaiting int

	// MaxWait is how long a caller waits at most, if its context does not end sooner. One
	// whose turn is known to come later is refused at once. Needs MaxWaiting.
	// Default off: as long as its context lets it.
	MaxWait time.Duration

	// Mode is patterns.Strict or patterns.Leased: one message per permit, or permits
	// in bulk for speed. Only TokenBucket leases, and never more than half of a burst;
	// requests with a key or weight are never leased. Default Strict.
	Mode patterns.Mode

	// OnFailure is what callers get if the limiter's own actor fails for good:
	// patterns.FailOpen lets them through unguarded, patterns.FailClosed refuses them.
	// Default FailOpen.
	OnFailure patterns.FailPolicy
}

// Algorithm says how a rate is kept. The zero value is TokenBucket.
type Algorithm uint8

const (
	// TokenBucket lets a burst pass at once and refills it evenly: never more than
	// burst + rate · time in any time. One or two words per key.
	TokenBucket Algorithm = iota
	// SlidingWindow counts in windows and weighs the one before: close to what SlidingLog
	// does, at worst almost twice the count in a window. Three words per key.
	SlidingWindow
	// SlidingLog remembers every permit: never more than the count in any window, and
	// never fewer than that allows. Count is at most 10,000, and as many words per key.
	SlidingLog
	// FixedWindow counts in windows that begin at multiples of the period of UTC: up to
	// twice the count around a border. Two words per key.
	FixedWindow
	// Smooth spaces permits evenly and knows no burst. A heavy request makes those behind
	// it wait. One or two words per key.
	Smooth
	// WarmUp is Smooth that begins slowly after idle time. Two words per key.
	WarmUp

	algorithms
)

// Valid reports whether a is one of the algorithms above.
func (a Algorithm) Valid() bool { return a < algorithms }

func (a Algorithm) String() string {
	switch a {
	case TokenBucket:
		return "token-bucket"
	case SlidingWindow:
		return "sliding-window"
	case SlidingLog:
		return "sliding-log"
	case FixedWindow:
		return "fixed-window"
	case Smooth:
		return "smooth"
	case WarmUp:
		return "warm-up"
	}
	return fmt.Sprintf("algorithm(%d)", uint8(a))
}

// NoKeys as MaxKeys means that all requests have the rates together, whatever their key.
const NoKeys = -1

const (
	maxShards     = 64
	maxLog        = 10_000
	maxColdFactor = 1000
	maxKeys       = 1 << 24
	maxWaiting    = 1_000_000
	// maxWaitingKeys bounds how many wait in the queues of all keys together, unless
	// MaxWaiting is more.
	maxWaitingKeys = 1 << 16
	// defaultKeys is how many keys are told apart unless they take more than
	// defaultKeyWords.
	defaultKeys     = 100_000
	defaultKeyWords = 1 << 25
	// keyWords are those of a fingerprint.
	keyWords = 2
	// maxKeyWords bounds what all keys together may come to take: 8 GiB.
	maxKeyWords = 1 << 30
)

// withDefaults returns c with every zero field that has a default set to it.
func (c Config) withDefaults() Config {
	if c.Rate != (Rate{}) {
		c.Rate = c.Rate.withDefaults()
	}
	c.Tiers = c.Tiers.withDefaults()
	c.ColdFactor = cmp.Or(c.ColdFactor, 3)
	if c.MaxKeys == 0 {
		c.MaxKeys = c.defaultKeys()
	}
	return c
}

// defaultKeys is what MaxKeys is by default. Only logs are long enough to make it less.
func (c Config) defaultKeys() int {
	words := int64(keyWords)
	if c.Algorithm == SlidingLog {
		for _, r := range c.rates() {
			words += 2 + min(max(r.Count, 0), maxLog)
		}
	}
	return int(min(defaultKeys, defaultKeyWords/words))
}

// keyed reports whether keys mean something.
func (c Config) keyed() bool { return c.MaxKeys > 0 }

// rates are those that hold.
func (c Config) rates() []Rate {
	if c.Rate != (Rate{}) {
		return []Rate{c.Rate.withDefaults()}
	}
	return c.Tiers.withDefaults().rates()
}

// minShardKeys is how many keys a shard is worth.
const minShardKeys = 1 << 14

// shards is how many actors have the keys among them, on so many processors. With few keys
// it is one: then MaxKeys is kept exactly.
func (c Config) shards(processors int) int {
	return max(1, min(processors, c.MaxKeys/minShardKeys, maxShards))
}

// Validate returns every fault of c at once, joined, each a *patterns.ConfigError.
func (c Config) Validate() error {
	f := faults.Of(pattern)
	c.check(f)
	return f.Err()
}

// successor validates next, which is to replace c in a limiter that runs. What callers hold
// was made for c's Mode, OnFailure and actors.
func (c Config) successor(next Config) error {
	f := faults.Of(pattern)
	f.Fixed("limiter", "Mode", c.Mode, next.Mode)
	f.Fixed("limiter", "OnFailure", c.OnFailure, next.OnFailure)
	f.Check(next.withDefaults().keyed() == c.withDefaults().keyed(), "MaxKeys", next.MaxKeys, "cannot be switched on or off while the limiter runs")
	next.check(f)
	return f.Err()
}

func (c Config) check(f *faults.Faults) {
	checkRates(f, c)
	f.Check(c.Algorithm.Valid(), "Algorithm", c.Algorithm, "is none")
	warm := c.Algorithm == WarmUp
	f.Check(c.WarmUpFor >= 0 && c.WarmUpFor <= maxPer, "WarmUpFor", c.WarmUpFor, "must be longer than 0 and at most 366 days")
	f.Check(!warm || c.WarmUpFor != 0, "WarmUpFor", c.WarmUpFor, "must be set, because Algorithm is WarmUp")
	f.Check(warm || c.WarmUpFor == 0, "WarmUpFor", c.WarmUpFor, "is for WarmUp only")
	f.Check(c.ColdFactor == 0 || c.ColdFactor >= 1 && c.ColdFactor <= maxColdFactor,
		"ColdFactor", c.ColdFactor, fmt.Sprintf("must be from 1 to %d", maxColdFactor))

	f.Check(c.MaxKeys >= NoKeys && c.MaxKeys <= maxKeys, "MaxKeys", c.MaxKeys,
		fmt.Sprintf("must be NoKeys, or from 1 to %d", maxKeys))
	f.Check(c.MaxWaiting >= 0 && c.MaxWaiting <= maxWaiting, "MaxWaiting", c.MaxWaiting,
		fmt.Sprintf("must be from 0, which means that nobody waits, to %d", maxWaiting))
	f.Check(c.MaxWait >= 0, "MaxWait", c.MaxWait, "must not be negative")
	f.Check(c.MaxWait <= 0 || c.MaxWaiting != 0, "MaxWait", c.MaxWait, "needs MaxWaiting")
	f.Common(c.Mode, c.OnFailure)
	if !f.Any() && c.keyed() {
		words := c.MaxKeys * c.build(0).Words()
		f.Check(words <= maxKeyWords, "MaxKeys", c.MaxKeys, fmt.Sprintf("keys of %v would take %d GiB", c.Algorithm, words>>27))
	}
}

func checkRates(f *faults.Faults, c Config) {
	if c.Rate == (Rate{}) && c.Tiers == (Tiers{}) {
		f.Check(false, "Rate", c.Rate, "must be set, or Tiers")
		return
	}
	if c.Rate != (Rate{}) {
		f.Check(c.Tiers == (Tiers{}), "Tiers", c.Tiers, "must not be set, because Rate is")
		checkRate(f, "Rate", c.Rate, c.Algorithm)
	}
	for _, r := range c.Tiers.rates() {
		checkRate(f, "Tiers", r, c.Algorithm)
	}
}

func checkRate(f *faults.Faults, field string, r Rate, a Algorithm) {
	if problem := r.problem(); problem != "" {
		f.Check(false, field, r, problem)
		return
	}
	r = r.withDefaults()
	f.Check(a == TokenBucket || r.Burst == r.Count, field, r, "has a burst, which only TokenBucket can have")
	f.Check(a != SlidingLog || r.Count <= maxLog, field, r, fmt.Sprintf("must be of at most %d, because Algorithm is SlidingLog", maxLog))
}

// build makes the rules of c, which is valid. Windows begin at multiples of their
// period from offset.
func (c Config) build(offset int64) *rate.Tiers {
	c = c.withDefaults()
	var rules []rate.Rule
	for _, r := range c.rates() {
		rules = append(rules, c.rule(r, offset))
	}
	return rate.NewTiers(rules...)
}

func (c Config) rule(r Rate, offset int64) rate.Rule {
	per := int64(r.Per)
	switch c.Algorithm {
	case SlidingWindow:
		return rate.NewCounter(r.Count, per, offset%per)
	case SlidingLog:
		return rate.NewLog(r.Count, per)
	case FixedWindow:
		return rate.NewFixed(r.Count, per, offset%per)
	case Smooth:
		return rate.NewPacing(r.Count, per)
	case WarmUp:
		return rate.NewWarmUp(r.Count, per, int64(c.WarmUpFor), c.ColdFactor)
	}
	return rate.NewBucket(r.Count, per, r.Burst)
}

// utc returns the Instant, on a clock that began at origin, that periods are counted
// from as UTC counts them. For an origin some 292 years from 1970 it is any Instant.
func utc(origin time.Time) int64 { return -origin.UnixNano() }
