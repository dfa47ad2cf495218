package store

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

const (
	// whole is the first whole number after which a float64, which is all that a script
	// has, does not tell one from the next.
	whole = 1 << 53
	// maxFill is the longest that a burst may take to come back, in µs: until 2112, that
	// long from now is below whole.
	maxFill   = 1 << 52
	maxPeriod = 366 * 24 * time.Hour
	maxBurst  = 1_000_000_000_000
	// maxTiers is how many tiers a law has at most.
	maxTiers = 4
	// MaxLog is the highest Count of a SlidingLog, each permit of which takes memory.
	MaxLog = 10_000
)

// Law is some tiers that hold at once. It may be used by any number of goroutines.
type Law struct {
	algorithm Algorithm
	tiers     []Tier
	numbers   []byte      // as the script reads them
	rules     *rate.Tiers // the same in µs; of TokenBucket only
}

// Tiers returns the tiers with their defaults.
func (l *Law) Tiers() []Tier { return l.tiers }

// Law returns one to four tiers as one, or a *LawError if they cannot be kept exactly.
// Whoever changes a rate makes a new law: tokens that a key has under the old one stay.
func (s *Store) Law(tiers ...Tier) (*Law, error) { return NewLaw(s.config.Algorithm, tiers...) }

// NewLaw is Law for the stores of an algorithm.
func NewLaw(a Algorithm, tiers ...Tier) (*Law, error) {
	if len(tiers) < 1 || len(tiers) > maxTiers {
		return nil, &LawError{Problem: fmt.Sprintf("there must be 1 to %d tiers, not %d", maxTiers, len(tiers))}
	}
	l := &Law{algorithm: a, tiers: make([]Tier, len(tiers))}
	l.numbers = appendNumber(l.numbers, uint64(len(tiers)))
	rules := make([]rate.Rule, len(tiers))
	for i, t := range tiers {
		if t.Burst == 0 || l.algorithm == SlidingLog {
			t.Burst = t.Count
		}
		l.tiers[i] = t
		if problem := t.problem(l.algorithm); problem != "" {
			return nil, &LawError{Tier: i, Problem: problem}
		}
		rules[i] = l.add(t)
	}
	if l.algorithm == TokenBucket {
		l.rules = rate.NewTiers(rules...)
	}
	return l, nil
}

// add appends the numbers of t, and returns its rule.
func (l *Law) add(t Tier) rate.Rule {
	count, period := t.reduced()
	if l.algorithm == SlidingLog {
		l.numbers = appendNumber(l.numbers, uint64(t.Count))
		l.numbers = appendNumber(l.numbers, uint64(t.Period/time.Microsecond))
		return nil
	}
	burst := uint64(t.Burst)
	for _, x := range []uint64{count, period, burst, burst * period / count, burst * period % count} {
		l.numbers = appendNumber(l.numbers, x)
	}
	return rate.NewBucket(int64(count), int64(period), t.Burst)
}

// reduced returns the count per so many µs in lowest terms.
func (t Tier) reduced() (count, period uint64) {
	count, period = uint64(t.Count), uint64(t.Period/time.Microsecond)
	a, b := count, period
	for b != 0 {
		a, b = b, a%b
	}
	return count / a, period / a
}

func (t Tier) problem(a Algorithm) string {
	switch {
	case t.Count < 1:
		return fmt.Sprintf("the count must be at least 1, not %d", t.Count)
	case a == SlidingLog && t.Count > MaxLog:
		return fmt.Sprintf("the count must be at most %d with a log, not %d", MaxLog, t.Count)
	case t.Period < time.Microsecond || t.Period > maxPeriod:
		return fmt.Sprintf("the period must be 1µs to 366 days, not %v", t.Period)
	case t.Period%time.Microsecond != 0:
		return fmt.Sprintf("the period must be a whole number of microseconds, not %v", t.Period)
	case t.Burst < 1:
		return fmt.Sprintf("the burst must be at least 1, not %d", t.Burst)
	case t.Burst > maxBurst:
		return fmt.Sprintf("the burst must be at most %d, not %d", int64(maxBurst), t.Burst)
	}
	count, period := t.reduced()
	high, low := bits.Mul64(uint64(t.Burst), period)
	if count >= whole || high > 0 || low >= whole-2*period || low >= whole-2*count {
		return fmt.Sprintf("%d per %v with a burst of %d cannot be counted exactly to the microsecond: the burst must be below %d, or the count a divisor of the period",
			t.Count, t.Period, t.Burst, max(1, whole/max(period, 1)))
	}
	if low/count > maxFill {
		return fmt.Sprintf("a burst of %d at %d per %v takes more than 142 years to come back", t.Burst, t.Count, t.Period)
	}
	return ""
}
