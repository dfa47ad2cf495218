package store

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLawsThatCannotBeKeptExactly(t *testing.T) {
	bucket, log := newStore(t, servers.Client(t), TokenBucket), newStore(t, servers.Client(t), SlidingLog)
	for _, test := range []struct {
		name  string
		s     *Store
		tiers []Tier
		want  string // "" is a good one
	}{
		{"none", bucket, nil, "1 to 4 tiers"},
		{"five", bucket, make([]Tier, 5), "1 to 4 tiers"},
		{"a count of zero", bucket, []Tier{per(0, time.Second, 1)}, "the count must be at least 1, not 0"},
		{"no period", bucket, []Tier{per(1, 0, 1)}, "the period must be"},
		{"a period in ns", bucket, []Tier{per(1, 1500*time.Nanosecond, 1)}, "whole number of microseconds"},
		{"a period of two years", bucket, []Tier{per(1, 2*maxPeriod, 1)}, "366 days"},
		{"a negative burst", bucket, []Tier{per(1, time.Second, -1)}, "the burst must be at least 1, not -1"},
		{"a huge burst", bucket, []Tier{per(1, time.Microsecond, 1<<62)}, "the burst must be at most"},
		{"a prime count per year", bucket, []Tier{per(999_983, maxPeriod, 999_983)}, "cannot be counted exactly"},
		{"a burst that takes 200 years", bucket, []Tier{per(1, maxPeriod, 200)}, "more than 142 years"},
		{"the second of two", bucket, []Tier{per(1, time.Second, 1), per(-1, time.Second, 1)}, "tier 1: the count"},
		{"as many as a year has µs", bucket, []Tier{per(1_000_000_000_000, maxPeriod, 280)}, ""},
		{"a million a day", bucket, []Tier{per(1_000_000, 24*time.Hour, 0)}, ""},
		{"a thousand per ns", bucket, []Tier{per(1_000_000_000_000, time.Millisecond, 1_000_000)}, ""},
		{"a long log", log, []Tier{per(10_001, time.Second, 0)}, "at most 10000 with a log"},
		{"a log of any burst", log, []Tier{per(10_000, time.Second, -7)}, ""},
	} {
		l, err := test.s.Law(test.tiers...)
		bad, ok := errors.AsType[*LawError](err)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want == "" && l.Tiers()[0].Burst < 1:
			t.Errorf("%s has no burst", test.name)
		case test.want != "" && (!ok || !strings.Contains(bad.Error(), test.want)):
			t.Errorf("%s: got %v, want something of %q", test.name, err, test.want)
		}
	}
}

// Tokens are neither gifted nor lost when a rate changes, and a process that has not heard
// of it yet does no harm.
func TestALiveChangeKeepsTokens(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	small, large := s.mustLaw(t, per(10, time.Second, 10)), s.mustLaw(t, per(7, time.Second, 20))
	left := func(l *Law) int64 { return s.run(t, Check{Key: "k", Law: l, Kind: Peek})[0].Remaining }
	s.run(t, Check{Key: "k", Law: small, Weight: 6})
	if got := left(large); got != 4 {
		t.Fatalf("4 of 10 became %d of 20", got)
	}
	for range 100 { // both at once, back and forth
		s.run(t, Check{Key: "k", Law: large, Weight: 99}, Check{Key: "k", Law: small, Weight: 99})
	}
	if got := left(small); got < 3 || got > 4 {
		t.Fatalf("4 became %d", got)
	}
	s.run(t, Check{Key: "k", Law: large, Kind: TakeUpTo, Weight: 99})
	c.now += 1_000_000
	if got := left(large); got != 7 {
		t.Errorf("a second later there are %d, want 7", got)
	}
	none := s.mustLaw(t, per(1, time.Hour, 2))
	if got := left(none); got != 2 {
		t.Errorf("7 of 20 became %d of 2", got)
	}
}
