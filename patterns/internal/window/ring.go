package window

import (
	"errors"
	"fmt"
	"math/bits"
)

const (
	failedBit = 1
	slowBit   = 2

	cellBits     = 2
	cellsPerWord = 64 / cellBits
	lineWords    = 8
	everyCell    = 0x5555_5555_5555_5555 // 1 in each cell of a word
)

// Ring holds the last n results, two bits each. It forgets nothing with time. Make
// one with NewRing.
type Ring struct {
	next  int // the cell to write, which is the oldest once the ring is full
	total Counts
	words []uint64
	size  int
}

// NewRing returns an empty Ring for the last size results; size is at least 1.
func NewRing(size int) Ring {
	n := (size + cellsPerWord - 1) / cellsPerWord
	// With whole cache lines to itself it shares none with what other cores write.
	return Ring{words: make([]uint64, n, (n+lineWords-1)&^(lineWords-1)), size: size}
}

// Size is how many results the ring has room for.
func (r *Ring) Size() int { return r.size }

// Counts returns what is held.
func (r *Ring) Counts() Counts { return r.total }

// Add records one result and forgets the oldest one if there is no room.
func (r *Ring) Add(failed, slow bool) {
	var cell uint64
	if failed {
		cell = failedBit
	}
	if slow {
		cell |= slowBit
	}
	word, shift := &r.words[r.next/cellsPerWord], uint(r.next%cellsPerWord)*cellBits
	old := *word >> shift
	// Cells never written are 0, so there is nothing to subtract for them.
	r.total.Failures += cell&failedBit - old&failedBit
	r.total.Slow += cell&slowBit/slowBit - old&slowBit/slowBit
	if r.total.Calls < uint64(r.size) {
		r.total.Calls++
	}
	*word ^= (old&(failedBit|slowBit) ^ cell) << shift
	if r.next++; r.next == r.size {
		r.next = 0
	}
}

// AddN records n results of one kind, a word of cells at a time.
func (r *Ring) AddN(n int, failed, slow bool) {
	var pattern uint64
	if failed {
		pattern = everyCell * failedBit
	}
	if slow {
		pattern |= everyCell * slowBit
	}
	for left := min(n, r.size); left > 0; {
		offset := r.next % cellsPerWord
		k := min(left, cellsPerWord-offset, r.size-r.next)
		mask := ^uint64(0) >> (64 - k*cellBits) << (offset * cellBits)
		word := &r.words[r.next/cellsPerWord]
		r.total.Failures += countBits(pattern&mask, failedBit) - countBits(*word&mask, failedBit)
		r.total.Slow += countBits(pattern&mask, slowBit) - countBits(*word&mask, slowBit)
		*word = *word&^mask | pattern&mask
		r.total.Calls = min(r.total.Calls+uint64(k), uint64(r.size))
		if r.next += k; r.next == r.size {
			r.next = 0
		}
		left -= k
	}
}

// countBits returns in how many cells of the word the bit is set.
func countBits(word, bit uint64) uint64 { return uint64(bits.OnesCount64(word & (everyCell * bit))) }

// Reset forgets everything.
func (r *Ring) Reset() {
	clear(r.words)
	r.next, r.total = 0, Counts{}
}

// Resized returns a Ring for size results that holds the newest of r's.
func (r *Ring) Resized(size int) Ring {
	out := NewRing(size)
	held := int(r.total.Calls)
	for age := min(held, size); age > 0; age-- {
		cell := r.cell((r.next - age + r.size) % r.size)
		out.Add(cell&failedBit != 0, cell&slowBit != 0)
	}
	return out
}

// Check returns an error if the totals are not those of the cells.
func (r *Ring) Check() error {
	if r.size < 1 || len(r.words)*cellsPerWord < r.size || r.next < 0 || r.next >= r.size {
		return errors.New("window: ring out of shape")
	}
	want := Counts{Calls: r.total.Calls}
	for i := range r.size {
		cell := r.cell(i)
		want.Failures += cell & failedBit
		want.Slow += cell & slowBit / slowBit
	}
	if r.total != want || want.Calls > uint64(r.size) ||
		want.Failures > want.Calls || want.Slow > want.Calls {
		return fmt.Errorf("window: ring counts %+v but holds %+v", r.total, want)
	}
	return nil
}

func (r *Ring) cell(i int) uint64 {
	return r.words[i/cellsPerWord] >> (uint(i%cellsPerWord) * cellBits) & (failedBit | slowBit)
}
