package quantile

import (
	"errors"
	"math"
	"math/bits"
	"time"
)

const (
	// parts is how many buckets an octave has.
	parts   = 13
	octaves = 63
	// buckets are those of the octaves, and one for 0.
	buckets = octaves*parts + 1
)

// edges are where the buckets of an octave begin and end, in 128ths of its beginning: as
// near to even ratios as that allows.
var edges = [parts + 1]uint64{128, 135, 142, 150, 158, 167, 176, 186, 196, 207, 218, 230, 243, 256}

// partOf says in which bucket of its octave a number is, by the 7 bits after its first one.
var partOf = [128]uint8{
	0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4,
	4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 10, 10, 10, 10, 10, 10,
	10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
}

// Histogram counts durations in buckets of 5.5 % width: what it says of them is right
// within 3 %, or 1 ns. It knows every Duration from 0 up; those below count as 0. It takes
// 3.3 KB, forgets nothing until Reset, and its zero value is empty.
type Histogram struct {
	count uint64
	cells [buckets]uint32
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) { h.add(bucket(d)) }

func (h *Histogram) add(i int) bool {
	if h.cells[i] == math.MaxUint32 {
		return false // full: one more would make none
	}
	h.cells[i]++
	h.count++
	return true
}

// Count is how many durations were counted: of one bucket, up to 2^32-1.
func (h *Histogram) Count() uint64 { return h.count }

// Merge counts all that o counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.cells {
		n = min(n, math.MaxUint32-h.cells[i])
		h.cells[i] += n
		h.count += uint64(n)
	}
}

// Reset forgets all.
func (h *Histogram) Reset() { *h = Histogram{} }

// Quantile returns the duration below or at which a share q of all are, by nearest rank: q
// is from 0, the shortest, to 1, the longest. ok is false if there is none.
func (h *Histogram) Quantile(q float64) (d time.Duration, ok bool) {
	if h.count == 0 {
		return 0, false
	}
	rank, seen := nearestRank(q, h.count), uint64(0)
	for i, n := range h.cells {
		if seen += uint64(n); seen >= rank {
			return middle(i), true
		}
	}
	return 0, false // unreachable: rank is at most count
}

// Check returns an error if the count is not that of the buckets.
func (h *Histogram) Check() error {
	sum := uint64(0)
	for _, n := range h.cells {
		sum += uint64(n)
	}
	if sum != h.count {
		return errors.New("quantile: the histogram does not add up")
	}
	return nil
}

// bucket returns the index of the bucket that d is in.
func bucket(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	zeros := bits.LeadingZeros64(uint64(d))
	top := uint64(d) << zeros >> 56 // its first 8 bits: 1xxxxxxx
	return 1 + (63-zeros)*parts + int(partOf[top&127])
}

// bounds returns the first and the last duration of a bucket. Below 128 ns it may have none,
// and then they make no sense.
func bounds(i int) (low, high uint64) {
	if i == 0 {
		return 0, 0
	}
	octave, part := (i-1)/parts, (i-1)%parts
	return scale(edges[part], octave), scale(edges[part+1], octave) - 1
}

// scale returns edge·2^octave/128, rounded up.
func scale(edge uint64, octave int) uint64 {
	if octave >= 7 {
		return edge << (octave - 7)
	}
	return (edge + 127>>octave) >> (7 - octave)
}

// middle returns the duration that is off by the same share from both ends of a bucket.
func middle(i int) time.Duration {
	low, high := bounds(i)
	if low == high {
		return time.Duration(low)
	}
	m := uint64(math.Round(2 / (1/float64(low) + 1/float64(high))))
	return time.Duration(min(max(m, low), high))
}

// nearestRank is q·n, rounded up: from 1 to n.
func nearestRank(q float64, n uint64) uint64 {
	if q >= 1 {
		return n
	}
	// What the product is too large by is taken off, or 0.07 of 100 would be the 8th.
	r := math.Ceil(q * float64(n) * (1 - 0x1p-51))
	if !(r > 1) { // NaN too
		return 1
	}
	return uint64(r)
}
