package actors

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// Tally counts what happens outside of any turn and too often for a message each: calls
// that a policy let through without asking anybody. It is safe for concurrent use. Whoever
// next sends the actor a message takes what was counted along.
type Tally struct {
	stripes []stripe
	total   atomic.Uint64 // of what was taken
}

// NewTally returns a Tally at zero.
func NewTally() *Tally { return &Tally{stripes: make([]stripe, 2*runtime.GOMAXPROCS(0))} }

// Add counts one.
func (t *Tally) Add() { t.stripes[rand.Uint32()%uint32(len(t.stripes))].n.Add(1) }

// Take returns what was counted since the last Take. What is counted meanwhile is in this
// one or in the next, once.
func (t *Tally) Take() (n uint64) {
	for i := range t.stripes {
		if s := &t.stripes[i]; s.n.Load() != 0 {
			n += s.n.Swap(0)
		}
	}
	t.total.Add(n)
	return n
}

// Total returns what was counted ever.
func (t *Tally) Total() (n uint64) {
	for i := range t.stripes {
		n += t.stripes[i].n.Load()
	}
	return n + t.total.Load()
}
