package patterns

import (
	"math"
	"math/bits"
	"time"
)

// waitBuckets are powers of two of a microsecond, the last one for 67 s and more.
const waitBuckets = 28

// WaitTimes is a histogram of how long callers waited. It can be compared and copied.
type WaitTimes struct {
	// Buckets counts the waits shorter than 1 µs, 2 µs, 4 µs and so on, each in the
	// first that holds it; the last one has no bound.
	Buckets [waitBuckets]uint64
	// Sum is of all waits, and Max the longest of them.
	Sum, Max time.Duration
}

// Add counts one wait of d.
func (w *WaitTimes) Add(d time.Duration) {
	d = max(d, 0)
	w.Buckets[min(bits.Len64(uint64(d/time.Microsecond)), waitBuckets-1)]++
	w.Max = max(w.Max, d)
	if w.Sum += d; w.Sum < 0 {
		w.Sum = 1<<63 - 1
	}
}

// Bound is what the waits in bucket i are shorter than, and ok is false for the last.
func (w WaitTimes) Bound(i int) (d time.Duration, ok bool) {
	return time.Microsecond << i, i < waitBuckets-1
}

// Count is how many waits there were.
func (w WaitTimes) Count() (n uint64) {
	for _, b := range w.Buckets {
		n += b
	}
	return n
}

// Mean is the average wait; 0 if there was none.
func (w WaitTimes) Mean() time.Duration {
	n := w.Count()
	if n == 0 {
		return 0
	}
	return time.Duration(uint64(w.Sum) / n)
}

// Quantile returns a wait that a share q of all waits do not exceed: never too low, and at
// most twice too high. It is 0 if there were none.
func (w WaitTimes) Quantile(q float64) time.Duration {
	n := w.Count()
	if n == 0 {
		return 0
	}
	if !(q > 0) {
		q = 0
	}
	rank, seen := uint64(math.Ceil(min(q, 1)*float64(n))), uint64(0)
	for i, b := range w.Buckets {
		if seen += b; b > 0 && seen >= rank {
			if bound, ok := w.Bound(i); ok {
				return min(bound, w.Max)
			}
			break
		}
	}
	return w.Max
}
