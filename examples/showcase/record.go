package main

import (
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// record is everything that happened, as each side saw it.
type record struct {
	plan     plan
	results  []result                      // the client
	arrivals []time.Time                   // the backend
	changes  []circuitbreaker.StateChanged // the breaker
	final    circuitbreaker.Snapshot       // of the breaker, when all calls had ended
}

func (r *record) count(is func(result) bool) (n int) {
	for _, x := range r.results {
		if is(x) {
			n++
		}
	}
	return n
}

func (r *record) arrivedBetween(from, to time.Time) (n int) {
	for _, at := range r.arrivals {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// first is when the breaker first went into state at from or later; zero if never.
func (r *record) first(state circuitbreaker.State, from time.Time) time.Time {
	for _, c := range r.changes {
		if c.To == state && !c.At.Before(from) {
			return c.At
		}
	}
	return time.Time{}
}

func (r *record) stateAt(t time.Time) (state circuitbreaker.State) {
	for _, c := range r.changes {
		if !c.At.After(t) {
			state = c.To
		}
	}
	return state
}

// slots is how many characters a strip is long.
const slots = 38

// strip draws one character for each slot of the plan's time that is over by now.
func (r *record) strip(now time.Time, draw func(from, to time.Time) rune) string {
	var b strings.Builder
	width := r.plan.end().Sub(r.plan.start()) / slots
	for i := range time.Duration(slots) {
		from := r.plan.start().Add(i * width)
		if to := from.Add(width); !to.After(now) {
			b.WriteRune(draw(from, to))
		}
	}
	return b.String()
}

// backend draws how the backend was.
func (r *record) backend(now time.Time) string {
	return r.strip(now, func(from, _ time.Time) rune { return []rune("·x~·")[r.plan.at(from)] })
}

// breaker draws the state at the end of each slot.
func (r *record) breaker(now time.Time) string {
	return r.strip(now, func(_, to time.Time) rune { return []rune("COH")[r.stateAt(to)] })
}

// traffic draws how much of a full load reached the backend.
func (r *record) traffic(now time.Time) string {
	return r.strip(now, func(from, to time.Time) rune {
		levels := []rune("▁▂▃▄▅▆▇")
		share := float64(r.arrivedBetween(from, to)) / (rate * to.Sub(from).Seconds())
		return levels[min(int(share*float64(len(levels))), len(levels)-1)]
	})
}
