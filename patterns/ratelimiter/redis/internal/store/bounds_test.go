package store

import (
	"strconv"
	"testing"
	"time"
)

// No call keeps the server long, whatever it is asked.
func TestACallHasSoMuchAndNoMore(t *testing.T) {
	type bound struct {
		a      Algorithm
		checks func(law *Law) []Check
		least  int // calls
	}
	many := func(n int, check func(i int) Check) func(law *Law) []Check {
		return func(law *Law) (all []Check) {
			for i := range n {
				c := check(i)
				c.Law = law
				all = append(all, c)
			}
			return all
		}
	}
	for name, b := range map[string]bound{
		"keys":              {TokenBucket, many(1000, func(i int) Check { return Check{Key: strconv.Itoa(i), Weight: 1} }), 1000 / maxKeys},
		"runs of a key":     {TokenBucket, many(5000, func(i int) Check { return Check{Key: "k", Weight: int64(i%2 + 1)} }), 5000 / maxRuns},
		"runs of many":      {TokenBucket, many(5000, func(i int) Check { return Check{Key: strconv.Itoa(i % 10), Weight: int64(i/10%2 + 1)} }), 5000 / maxRuns},
		"permits of logs":   {SlidingLog, many(30, func(i int) Check { return Check{Key: strconv.Itoa(i), Weight: 5000} }), 30 * 5000 / maxCosts},
		"bookings of a key": {TokenBucket, many(1000, func(int) Check { return Check{Key: "k", Kind: Reserve, Weight: 1} }), 1000 / 64},
		"cancellations of many": {TokenBucket, many(1000, func(i int) Check {
			return Check{Key: strconv.Itoa(i % 20), Kind: Cancel, Weight: 1, Booking: &Booking{}}
		}), 1000 / 64},
		"what is given back": {TokenBucket, many(1000, func(int) Check { return Check{Key: "k", Kind: Return, Weight: 1} }), 1000 / 256},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, servers.Client(t), b.a)
			checks := b.checks(s.mustLaw(t, per(10_000, time.Hour, 10_000)))
			p := &plan{last: make(map[string]int32)}
			p.make(s, checks, make([]Answer, len(checks)))
			if len(p.calls) < b.least {
				t.Errorf("%d calls, want at least %d", len(p.calls), b.least)
			}
			for _, c := range p.calls {
				var runs int32
				var costs int64
				for _, e := range p.entries[c.from:c.to] {
					runs, costs = runs+e.runs, costs+e.costs
				}
				if c.to-c.from > maxKeys || runs > maxRuns || costs > maxCosts {
					t.Errorf("a call has %d keys, %d runs, and costs %d", c.to-c.from, runs, costs)
				}
			}
		})
	}
}

// What a plan remembers between calls is bounded too.
func TestAPlanForgetsWhatWasMuch(t *testing.T) {
	p := &plan{last: make(map[string]int32), next: make([]int32, 64*maxKeys+1)}
	p.clear()
	if cap(p.next) != 0 {
		t.Errorf("room for %d checks is kept", cap(p.next))
	}
}
