package main

import "time"

// scene is a part of the story.
type scene int

const (
	calm   scene = iota
	rush         // clients send three times what the backend can do
	greedy       // one customer sends four times what all others do together
	outage       // the backend fails, and then is slow
	hogs         // other work takes the processors
	healed

	scenes
)

func (s scene) String() string {
	return [...]string{"calm", "rush", "greedy", "outage", "hogs", "healed"}[s]
}

// plan says when which scene is. Everybody reads it from the same clock, so there is
// nothing to tell each other.
type plan struct {
	begins [scenes + 1]time.Time // the last is the end
}

func newPlan(start time.Time, total time.Duration) (p plan) {
	shares := [scenes]time.Duration{3, 6, 4, 6, 6, 5}
	var sum, all time.Duration
	for _, share := range shares {
		all += share
	}
	for i, share := range shares {
		p.begins[i] = start.Add(total * sum / all)
		sum += share
	}
	p.begins[scenes] = start.Add(total)
	return p
}

func (p plan) at(t time.Time) scene {
	for s := healed; s > calm; s-- {
		if !t.Before(p.begins[s]) {
			return s
		}
	}
	return calm
}

// slow is when the failing backend begins to be slow instead.
func (p plan) slow() time.Time {
	return p.begins[outage].Add(p.begins[hogs].Sub(p.begins[outage]) / 2)
}

func (p plan) start() time.Time { return p.begins[calm] }
func (p plan) end() time.Time   { return p.begins[scenes] }

func (p plan) length(s scene) time.Duration { return p.begins[s+1].Sub(p.begins[s]) }
