package actors

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
)

// Tallies count what happens outside of any turn and too often for a message each: calls
// that a policy let through without asking anybody. They are several counts, of which those
// that one caller makes are on one cache line. They only grow: whoever keeps them elsewhere
// too loses nothing by hearing of them late, or twice. They are safe for concurrent use.
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
