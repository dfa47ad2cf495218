package actors

import "sync/atomic"

// Loads are how much is under way at each of several places, as callers count it who choose
// between them without asking anybody. They are safe for concurrent use.
type Loads struct {
	at   []atomic.Int32
	turn atomic.Uint32
}

// NewLoads returns Loads of so many places, at which nothing is under way.
func NewLoads(places int) *Loads { return &Loads{at: make([]atomic.Int32, places)} }

// Begin says that one more is under way at a place, from 0.
func (l *Loads) Begin(place int) { l.at[place].Add(1) }

// End says that one of those has ended.
func (l *Loads) End(place int) { l.at[place].Add(-1) }

// Of is how many are under way at a place.
func (l *Loads) Of(place int) int { return int(l.at[place].Load()) }

// Turn returns another number each time, from 0: where to begin to look.
func (l *Loads) Turn() int { return int((l.turn.Add(1) - 1) & (1<<31 - 1)) }
