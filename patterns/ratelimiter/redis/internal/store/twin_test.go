package store

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// twin is what a store should be: the rules of local limiters, or a list, in memory.
type twin interface {
	decide(now int64, c *Check) Answer
}

// buckets is the twin of TokenBucket.
type buckets map[string]*bucket

type bucket struct {
	law   *Law
	words []uint64
}

func (b buckets) decide(now int64, c *Check) Answer {
	rules := c.Law.rules
	words := make([]uint64, rules.Words())
	k := b[c.Key]
	if k == nil {
		rules.Start(words, now)
	} else {
		k.convert(c.Law, words, now)
	}
	was := slices.Clone(words)
	a := decide(rules, words, now, c)
	changed := c.Kind != Peek && c.Weight > 0
	if k == nil && changed && c.Kind != Return {
		changed = !slices.Equal(was, words) // a refusal leaves no trace
	}
	if changed {
		b[c.Key] = &bucket{c.Law, words}
	}
	return a
}

// convert makes of k the words of a law, tier by tier.
func (k *bucket) convert(to *Law, words []uint64, now int64) {
	for i, t := range to.tiers {
		rule, w := to.rules.Rule(i), to.rules.Of(words, i)
		if i >= len(k.law.tiers) {
			rule.Start(w, now)
			continue
		}
		was, old := k.law.tiers[i], k.law.rules.Of(k.words, i)
		a, b := was.reduced()
		if c, d := t.reduced(); a == c && b == d && was.Burst == t.Burst {
			copy(w, old)
			continue
		}
		rule.Start(w, now)
		k.keepTokens(i, old, t, w, now)
	}
}

// keepTokens has a tier of another rate hold as many tokens, or as many as have room.
func (k *bucket) keepTokens(i int, old []uint64, to Tier, w []uint64, now int64) {
	c, p := k.law.tiers[i].reduced()
	debt := new(big.Rat).SetInt64(max(int64(old[0])-now, 0))
	if len(old) > 1 && int64(old[0]) >= now {
		debt.Add(debt, big.NewRat(int64(old[1]), int64(c)))
	}
	missing := debt.Mul(debt, big.NewRat(int64(c), int64(p)))
	missing.Add(missing, new(big.Rat).SetInt64(to.Burst-k.law.tiers[i].Burst))
	if missing.Sign() < 0 {
		return
	}
	c, p = to.reduced()
	parts := missing.Mul(missing, new(big.Rat).SetInt64(int64(p))) // of 1/c µs, rounded up
	up := new(big.Int).Add(parts.Num(), parts.Denom())
	up.Sub(up, big.NewInt(1)).Quo(up, parts.Denom())
	q, r := new(big.Int).QuoRem(up, big.NewInt(int64(c)), new(big.Int))
	w[0] = uint64(now + q.Int64())
	if len(w) > 1 {
		w[1] = r.Uint64()
	}
}

// logs is the twin of SlidingLog: the times of what passed, by key.
type logs map[string][]int64

func (l logs) decide(now int64, c *Check) Answer {
	a := Answer{At: now}
	all, widest := l[c.Key], int64(0)
	weight := c.Weight
	if c.Kind == Return {
		weight = 0
	}
	left := int64(1 << 60)
	windows := make([][]int64, len(c.Law.tiers))
	for t, tier := range c.Law.tiers {
		width := tier.Period.Microseconds()
		widest = max(widest, width)
		for _, at := range all {
			if at > now-width {
				windows[t] = append(windows[t], at)
			}
		}
		left = max(0, min(left, tier.Count-int64(len(windows[t]))))
	}
	switch c.Kind {
	case Take:
		if weight <= left {
			a.Taken = weight
		}
	case TakeUpTo:
		a.Taken = min(weight, left)
		weight = min(weight, 1)
	}
	refused := -1
	if a.Taken == 0 && weight > 0 {
		for t, tier := range c.Law.tiers {
			switch must := int64(len(windows[t])) + weight - tier.Count; {
			case weight > tier.Count:
				if a.RetryAfter >= 0 {
					a.RetryAfter, refused = -1, t
				}
			case must > 0 && a.RetryAfter >= 0:
				if w := micros(windows[t][must-1]-now) + tier.Period; w > a.RetryAfter {
					a.RetryAfter, refused = w, t
				}
			}
		}
	}
	if a.Taken > 0 {
		a.Since = now
		for t := range windows {
			windows[t] = append(windows[t], slices.Repeat([]int64{now}, int(a.Taken))...)
		}
		all = append(all, slices.Repeat([]int64{now}, int(a.Taken))...)
		all = slices.DeleteFunc(all, func(at int64) bool { return at <= now-widest })
		l[c.Key] = all
	}
	left = 1 << 60
	for t, tier := range c.Law.tiers {
		if room := max(0, tier.Count-int64(len(windows[t]))); refused == t || refused < 0 && room < left {
			a.Tier, a.Limit, a.Remaining, left = t, tier.Count, room, room
			if len(all) > 0 {
				a.ResetAfter = max(0, micros(all[len(all)-1]-now)+tier.Period)
			}
		}
	}
	return a
}

var periods = []time.Duration{
	time.Millisecond, 7 * time.Millisecond, time.Second, 7 * time.Second, time.Minute, time.Hour, 24 * time.Hour, maxPeriod,
}

// drawTiers draws tiers, of which a log's first is the widest, of that period: how much more
// than its window a log remembers when the window grows is not promised.
func drawTiers(t *rapid.T, a Algorithm, widest time.Duration) []Tier {
	tiers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Tier {
		tier := Tier{
			Count:  rapid.OneOf(rapid.Int64Range(1, 12), rapid.SampledFrom([]int64{97, 1000, 999_983})).Draw(t, "count"),
			Period: rapid.SampledFrom(periods).Draw(t, "period"),
			Burst:  rapid.OneOf(rapid.Int64Range(1, 20), rapid.Just[int64](280)).Draw(t, "burst"),
		}
		if a == SlidingLog {
			tier.Count, tier.Period = min(tier.Count, 12), min(tier.Period, widest)
		}
		return tier
	}), 1, maxTiers).Draw(t, "tiers")
	if a == SlidingLog {
		tiers[0].Period = widest
	}
	return tiers
}

// A limit that many share is the same as one that a process has for itself: whatever is
// asked, in whatever batches, and however rates change meanwhile.
func agreesWithItsTwin(t *testing.T, a Algorithm, newTwin func() twin) {
	s, c := newTimed(t, a)
	run, decisions := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		laws, widest := make([]*Law, 0, 3), rapid.SampledFrom(periods).Draw(r, "widest")
		for range rapid.IntRange(1, 3).Draw(r, "laws") {
			l, err := s.Law(drawTiers(r, a, widest)...)
			if err != nil {
				r.Skip(err)
			}
			laws = append(laws, l)
		}
		model := newTwin()
		c.now = today
		law := laws[0]
		var given []Answer
		for range rapid.IntRange(1, 12).Draw(r, "batches") {
			tier := law.tiers[0]
			one := max(1, tier.Period.Microseconds()/tier.Count)
			c.now += rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 3*one), rapid.Just(one), rapid.Just(one-1), rapid.Just(tier.Period.Microseconds())).Draw(r, "pause")
			checks := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) Check {
				if rapid.IntRange(0, 9).Draw(r, "change") == 0 {
					law = rapid.SampledFrom(laws).Draw(r, "law")
				}
				check := Check{
					Key:    strconv.Itoa(run) + "/" + rapid.SampledFrom([]string{"a", "a", "b", ""}).Draw(r, "key"),
					Law:    law,
					Kind:   rapid.SampledFrom([]Kind{Take, Take, Take, TakeUpTo, Peek, Return}).Draw(r, "kind"),
					Weight: rapid.OneOf(rapid.Int64Range(0, 3), rapid.Just[int64](1), rapid.Int64Range(0, 25)).Draw(r, "weight"),
				}
				if check.Kind == Return && len(given) > 0 && rapid.Bool().Draw(r, "since") {
					check.Since = rapid.SampledFrom(given).Draw(r, "grant").Since
				}
				return check
			}), 1, 20).Draw(r, "checks")
			answers := make([]Answer, len(checks))
			if err := s.Run(t.Context(), checks, answers); err != nil {
				r.Fatal(err)
			}
			for i := range checks {
				decisions++
				if want := model.decide(c.now, &checks[i]); answers[i] != want {
					r.Fatalf("check %d of %v at %d, %s:\ngot  %+v\nwant %+v", i, checks[i].Law.tiers, c.now-today, describe(checks), answers[i], want)
				}
				given = append(given, answers[i])
			}
		}
	})
	t.Log(decisions, "decisions")
}

func describe(checks []Check) (text string) {
	for _, c := range checks {
		text += fmt.Sprintf("\n%q %d %d since %d of %v", c.Key, c.Kind, c.Weight, max(c.Since-today, 0), c.Law.tiers)
	}
	return text
}

func TestBucketsAgreeWithTheLocalOnes(t *testing.T) {
	agreesWithItsTwin(t, TokenBucket, func() twin { return buckets{} })
}

func TestLogsAgreeWithAList(t *testing.T) {
	agreesWithItsTwin(t, SlidingLog, func() twin { return logs{} })
}
