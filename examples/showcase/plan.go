package main

import "time"

// phase is how the backend is.
type phase int

const (
	healthy phase = iota
	failing       // answers 500 at once
	slow          // answers well, but late
	healed

	phases
)

func (p phase) String() string { return [...]string{"healthy", "failing", "slow", "healed"}[p] }

// plan says when the backend is how. Everybody reads it from the same clock, so there
// is nothing to tell each other.
type plan struct {
	begins [phases + 1]time.Time // the last is the end
}

func newPlan(start time.Time, total time.Duration) (p plan) {
	shares := [phases]time.Duration{3, 5, 5, 6}
	sum := time.Duration(0)
	for i, share := range shares {
		p.begins[i] = start.Add(total * sum / 19)
		sum += share
	}
	p.begins[phases] = start.Add(total)
	return p
}

func (p plan) at(t time.Time) phase {
	for ph := healed; ph > healthy; ph-- {
		if !t.Before(p.begins[ph]) {
			return ph
		}
	}
	return healthy
}

func (p plan) start() time.Time  { return p.begins[healthy] }
func (p plan) outage() time.Time { return p.begins[failing] }
func (p plan) heals() time.Time  { return p.begins[healed] }
func (p plan) end() time.Time    { return p.begins[phases] }
