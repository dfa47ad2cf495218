package store

import (
	"errors"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// size is how many numbers tell the script of l.
func (l *Law) size() int {
	if l.algorithm == SlidingLog {
		return 1 + 2*len(l.tiers)
	}
	return 1 + 5*len(l.tiers)
}

// answerBucket goes once more through what the script decided, from where it began. What
// it does not say need not be sent, and that both come to the same end is a proof that they
// agree on each request.
func (p *plan) answerBucket(e *entry, n *numbers, booked bool, now int64, checks []Check, answers []Answer) error {
	rules := e.law.rules
	p.words = grow(p.words, 2*rules.Words())
	words, end := p.words[:rules.Words()], p.words[rules.Words():]
	readBucket(rules, n, words)
	readBucket(rules, n, end)
	k := standing{rules: rules, words: words}
	if booked {
		k.read(n, now)
	}
	if n.bad {
		return nil
	}
	var before int32 = -1
	for i := e.head; i >= 0; i = p.next[i] {
		c, a := &checks[i], &answers[i]
		if before >= 0 && repeats(c, &checks[before], &answers[before]) {
			*a = answers[before]
		} else {
			*a = k.decide(now, c)
		}
		before = i
	}
	if !slices.Equal(words, end) {
		return &Fault{Class: Protocol, Err: errors.New("the script decided otherwise than the limiter would")}
	}
	return nil
}

// readBucket reads where each tier is full.
func readBucket(rules *rate.Tiers, n *numbers, words []uint64) {
	for t := range rules.Len() {
		w := rules.Of(words, t)
		w[0] = uint64(n.next())
		if rest := n.next(); len(w) > 1 {
			w[1] = uint64(rest)
		}
	}
}

// repeats reports whether c is answered as the check before, which changed nothing.
func repeats(c, before *Check, a *Answer) bool {
	return c.Kind < Return && c.Kind == before.Kind && c.Weight == before.Weight && a.Taken == 0
}

// decide is what the script does for one check.
func (k *standing) decide(now int64, c *Check) Answer {
	rules, words := k.rules, k.words
	a := Answer{At: now, Tier: -1}
	ask := c.Weight
	switch c.Kind {
	case TakeUpTo:
		a.Taken = min(c.Weight, rules.Remaining(words, now))
		if ask = a.Taken; ask == 0 {
			ask = min(c.Weight, 1)
		}
	case Take:
		a.Taken = c.Weight
	case Return:
		k.giveBack(now, c.Since, c.Weight)
		ask = 0
	case Reserve:
		a.Taken = c.Weight
	case Cancel:
		a.Taken = k.cancel(now, c)
		ask = 0
	}
	wait, tier := rules.Wait(words, now, ask)
	switch {
	case ask == 0:
	case wait == 0:
		if a.Taken > 0 {
			a.Since = k.take(now, a.Taken)
		}
	case wait > 0 && c.Kind == Reserve && k.reserve(now, wait, c, &a):
		a.RetryAfter = micros(wait)
	case wait < 0:
		a.Taken, a.RetryAfter, a.Tier = 0, -1, tier
	default:
		a.Taken, a.RetryAfter, a.Tier = 0, micros(wait), tier
	}
	least := rules.Rule(0).Remaining(rules.Of(words, 0), now)
	if a.Tier < 0 {
		a.Tier = 0
		for t := 1; t < rules.Len(); t++ {
			if left := rules.Rule(t).Remaining(rules.Of(words, t), now); left < least {
				a.Tier, least = t, left
			}
		}
	} else if a.Tier > 0 {
		least = rules.Rule(a.Tier).Remaining(rules.Of(words, a.Tier), now)
	}
	r := rules.Rule(a.Tier)
	a.Limit, a.Remaining = r.Capacity(), least
	a.ResetAfter = micros(r.Reset(rules.Of(words, a.Tier), now))
	return a
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func grow(words []uint64, n int) []uint64 {
	if cap(words) < n {
		return make([]uint64, n)
	}
	return words[:n]
}
