package adaptive

import (
	"math"
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are a sixteenth of an octave wide, so that
// a quantile is right within 3 %.
type histogram [histogramOctaves * histogramParts]uint32

const (
	histogramParts   = 16
	histogramOctaves = 60
)

func (h *histogram) add(d time.Duration) {
	x := uint64(max(d, histogramParts))
	octave := bits.Len64(x) - 5 // the five highest bits are 1xxxx
	h[min(octave*histogramParts+int(x>>octave)-histogramParts, len(h)-1)]++
}

// quantile returns the middle of the bucket that holds the q-quantile of n durations, by
// nearest rank.
func (h *histogram) quantile(q float64, n int) time.Duration {
	rank := uint64(max(math.Ceil(q*float64(n)), 1))
	seen := uint64(0)
	for i, count := range h {
		if seen += uint64(count); seen >= rank {
			octave := i / histogramParts
			low := uint64(i%histogramParts+histogramParts) << octave
			return time.Duration(low + uint64(1)<<octave/2)
		}
	}
	return 0
}
