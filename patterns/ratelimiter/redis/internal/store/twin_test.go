package store

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// twin is what a store should be: the rules of local limiters, or a list, in memory.
type twin interface {
	decide(now int64, c *Check) Answer
}

// buckets is the twin of TokenBucket: of each key what happened since its law held, and what
// is to come.
type buckets map[string]*bucket

type bucket struct {
	law    *Law
	words  []uint64 // before all that happened
	events []event
}

// event is a permit that is used at a time, or given back.
type event struct {
	at, n, since int64
	back         bool
	number       int64 // of a booking
}

func (b buckets) decide(now int64, c *Check) Answer {
	k := &bucket{law: c.Law, words: make([]uint64, c.Law.rules.Words())}
	old := b[c.Key]
	if old == nil {
		c.Law.rules.Start(k.words, now)
	} else {
		if !k.convert(old, now) {
			k.words, k.events = old.words, slices.Clone(old.events)
		}
	}
	a := k.answer(now, c)
	given := c.Kind == Return || c.Kind == Cancel && c.Booking.At <= now
	if c.Weight > 0 && c.Kind != Peek && (old != nil || a.Taken > 0 || given) {
		b[c.Key] = k // a refusal leaves no trace
	}
	return a
}

// at is where the key stands if nothing more happens, or what has happened by now.
func (k *bucket) at(now int64, all bool) []uint64 {
	words, events := slices.Clone(k.words), slices.Clone(k.events)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range events {
		rules := k.law.rules
		switch {
		case e.at > now && !all:
		case e.number > 0:
			rules.Promise(words, e.at, e.n)
		case !e.back:
			rules.Charge(words, e.at, e.n)
		default:
			for t := range rules.Len() {
				r, w := rules.Rule(t).(*rate.Bucket), rules.Of(words, t)
				if n := min(e.n, r.Capacity()); e.since == 0 {
					r.PutBack(w, e.at, n)
				} else {
					r.Refund(w, e.since, e.at, n)
				}
			}
		}
	}
	return words
}

func (k *bucket) answer(now int64, c *Check) Answer {
	said := func(words []uint64, weight int64) Answer {
		s := standing{rules: k.law.rules, words: words}
		return s.decide(now, &Check{Kind: Peek, Weight: weight})
	}
	words, before := k.at(now, true), k.at(now, false)
	n := c.Weight
	if c.Kind == TakeUpTo {
		if n = min(n, k.law.rules.Remaining(words, now)); n == 0 {
			return said(words, min(c.Weight, 1))
		}
	}
	refused := said(words, n)
	a := Answer{Taken: n}
	switch {
	case n == 0:
		return refused
	case c.Kind == Peek:
		return refused
	case c.Kind == Return:
		a.Taken = 0
		k.events = append(k.events, event{at: now, n: n, since: c.Since, back: true})
	case c.Kind == Cancel && c.Booking.At > now:
		i := slices.IndexFunc(k.events, func(e event) bool { return e.at > now && e.number == c.Booking.Number })
		if a.Taken = 0; i >= 0 {
			a.Taken = k.events[i].n
			k.events = slices.Delete(k.events, i, i+1)
		}
	case c.Kind == Cancel:
		k.events = append(k.events, event{at: now, n: n, since: c.Booking.Since, back: true})
		if a.Taken = 0; k.law.rules.Reset(before, now) > 0 {
			for t := range k.law.rules.Len() {
				rule := k.law.rules.Rule(t)
				if rule.Reset(k.law.rules.Of(k.at(now, false), t), now) < rule.Reset(k.law.rules.Of(before, t), now) {
					a.Taken = n
				}
			}
		}
	case refused.RetryAfter == 0:
		a.Since = k.law.rules.Since(before, now)
		k.events = append(k.events, event{at: now, n: n})
	case c.Kind == Reserve && refused.RetryAfter > 0 && refused.RetryAfter.Microseconds() <= c.Within && k.pending(now) < MaxBooked && k.tells(now, now+refused.RetryAfter.Microseconds(), words, n):
		at := now + refused.RetryAfter.Microseconds()
		a.Since, a.Number, a.RetryAfter = at, unnumbered, refused.RetryAfter
		k.events = append(k.events, event{at: at, n: n, number: unnumbered})
	default:
		return refused
	}
	all := said(k.at(now, true), 0)
	all.Taken, all.Since, all.Number, all.RetryAfter = a.Taken, a.Since, a.Number, a.RetryAfter
	return all
}

// unnumbered is a booking whose number the twin is told of.
const unnumbered = 1

// name numbers the last booking of a key, as no other is.
func (k *bucket) name(now, number int64) error {
	for _, e := range k.events {
		if e.at > now && e.number == number {
			return fmt.Errorf("two bookings are numbered %d", number)
		}
	}
	k.events[len(k.events)-1].number = number
	return nil
}

func (k *bucket) pending(now int64) (n int) {
	for _, e := range k.events {
		if e.number > 0 && e.at > now {
			n++
		}
	}
	return n
}

// tells reports whether what is booked can be told with the numbers that a script has.
func (k *bucket) tells(now, at int64, words []uint64, n int64) bool {
	for i, t := range k.law.tiers {
		c, p := t.reduced()
		span := max(at, int64(k.law.rules.Of(words, i)[0])) - now
		x := new(big.Int).Mul(big.NewInt(span), new(big.Int).SetUint64(c))
		x.Add(x, new(big.Int).SetUint64(uint64(n)*p+c))
		if x.Cmp(big.NewInt(whole/2)) >= 0 {
			return false
		}
	}
	return true
}

// convert makes of k what old is under another law, tier by tier; false if it is the same.
// Bookings are owed then, and no more.
func (k *bucket) convert(old *bucket, now int64) (changed bool) {
	words, rules := old.at(now, true), k.law.rules
	changed = len(old.law.tiers) != len(k.law.tiers)
	for i, t := range k.law.tiers {
		rule, w := rules.Rule(i), rules.Of(k.words, i)
		rule.Start(w, now)
		if i >= len(old.law.tiers) {
			continue
		}
		was, from := old.law.tiers[i], old.law.rules.Of(words, i)
		a, b := was.reduced()
		if c, d := t.reduced(); a == c && b == d && was.Burst == t.Burst {
			copy(w, from)
			continue
		}
		changed = true
		old.keepTokens(i, from, t, w, now)
	}
	return changed
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
	most := big.NewInt(whole - 1)
	if c == 1 {
		most.SetInt64(whole/2 - 1)
	}
	parts := missing.Mul(missing, new(big.Rat).SetInt64(int64(p))) // of 1/c µs, rounded up
	up := new(big.Int).Add(parts.Num(), parts.Denom())
	if up.Sub(up, big.NewInt(1)).Quo(up, parts.Denom()); up.Cmp(most) > 0 {
		up = most
	}
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
		kinds := []Kind{Take, Take, Take, TakeUpTo, Peek, Return}
		if a == TokenBucket && rapid.Bool().Draw(r, "books") {
			kinds = append(kinds, Reserve, Reserve, Reserve, Cancel, Cancel)
		}
		var bookings []Check // to be cancelled, again and again
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
					Kind:   rapid.SampledFrom(kinds).Draw(r, "kind"),
					Weight: rapid.OneOf(rapid.Int64Range(0, 3), rapid.Just[int64](1), rapid.Int64Range(0, 25)).Draw(r, "weight"),
				}
				if check.Kind == Return && len(given) > 0 && rapid.Bool().Draw(r, "since") {
					check.Since = rapid.SampledFrom(given).Draw(r, "grant").Since
				}
				switch {
				case check.Kind == Reserve:
					check.Within = rapid.OneOf(rapid.Just(one), rapid.Int64Range(0, 30*one), rapid.Just[int64](1<<60)).Draw(r, "within")
				case check.Kind == Cancel && len(bookings) > 0:
					booked := rapid.SampledFrom(bookings).Draw(r, "booking")
					check.Key, check.Weight, check.Booking = booked.Key, booked.Weight, booked.Booking
				case check.Kind == Cancel:
					check.Kind = Peek
				}
				return check
			}), 1, 20).Draw(r, "checks")
			answers := make([]Answer, len(checks))
			if err := s.Run(t.Context(), checks, answers); err != nil {
				r.Fatal(err)
			}
			for i := range checks {
				decisions++
				want := model.decide(c.now, &checks[i])
				if want.Number == unnumbered && answers[i].Number > 0 {
					want.Number = answers[i].Number
					if err := model.(buckets)[checks[i].Key].name(c.now, want.Number); err != nil {
						r.Fatal(err)
					}
				}
				if answers[i] != want {
					r.Fatalf("check %d of %v at %d, %s:\ngot  %+v\nwant %+v", i, checks[i].Law.tiers, c.now-today, describe(checks), answers[i], want)
				}
				given = append(given, answers[i])
				if answers[i].Taken > 0 && checks[i].Kind == Reserve {
					booked := checks[i]
					booked.Booking = &Booking{At: c.now + answers[i].RetryAfter.Microseconds(), Number: answers[i].Number, Since: answers[i].Since}
					bookings = append(bookings, booked)
				}
			}
		}
	})
	t.Log(decisions, "decisions")
}

func describe(checks []Check) (text string) {
	for _, c := range checks {
		text += fmt.Sprintf("\n%q %d %d since %d within %d %+v of %v", c.Key, c.Kind, c.Weight, max(c.Since-today, 0), c.Within, c.Booking, c.Law.tiers)
	}
	return text
}

func TestBucketsAgreeWithTheLocalOnes(t *testing.T) {
	agreesWithItsTwin(t, TokenBucket, func() twin { return buckets{} })
}

func TestLogsAgreeWithAList(t *testing.T) {
	agreesWithItsTwin(t, SlidingLog, func() twin { return logs{} })
}
