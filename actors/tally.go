package actors

import (
	"math/bits"
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

// Tallies are several counts, of which those that one caller makes are on one cache line.
// They only grow: whoever keeps them elsewhere too loses nothing by hearing of them late,
// or twice. They are safe for concurrent use.
type Tallies struct {
	kinds, stride int
	last          uint32          // of the stripes, which are a power of two
	counts        []atomic.Uint64 // stride of them for each stripe
}

// NewTallies returns so many counts at zero, 1 or more.
func NewTallies(kinds int) *Tallies {
	const perLine = cacheLine / 8
	stride := (kinds + perLine - 1) / perLine * perLine
	stripes := 1 << bits.Len(uint(2*runtime.GOMAXPROCS(0)-1))
	return &Tallies{kinds: kinds, stride: stride, last: uint32(stripes - 1), counts: make([]atomic.Uint64, stripes*stride)}
}

// Add counts one of a kind, from 0.
func (t *Tallies) Add(kind int) { t.AddN(kind, 1) }

// AddN counts n of a kind, from 0.
func (t *Tallies) AddN(kind int, n uint64) {
	t.counts[int(rand.Uint32()&t.last)*t.stride+kind].Add(n)
}

// Totals puts what was counted ever into to, by kind, and returns it.
func (t *Tallies) Totals(to []uint64) []uint64 {
	to = to[:t.kinds]
	clear(to)
	for i := range t.counts {
		if kind := i % t.stride; kind < t.kinds {
			to[kind] += t.counts[i].Load()
		}
	}
	return to
}
