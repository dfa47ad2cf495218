// Package lanes shares one server among up to 64 queues by weight: stride scheduling.
package lanes

import (
	"math/bits"
	"slices"
)

// MaxLanes is how many queues there may be.
const MaxLanes = 64

// MaxWeight is the largest weight.
const MaxWeight = 1 << 20

// Scheduler says whose turn it is. It holds no queue: it is told each time which of them
// have somebody in them. A queue that is always asked for gets, of n turns, its weight's
// share of them to within one; it waits at most for ⌈sum of weights/its weight⌉ turns and
// one for each other queue. One that was empty gets no credit for it.
type Scheduler struct {
	strides []uint64 // common/weight
	passes  []uint64 // where each queue stands; the least is next
	global  uint64   // the pass of the last one served, before it
	ready   uint64   // those that had somebody in them at the last Next
}

// rebase is the pass from which on all are moved back. Strides are below it by far.
const rebase = 1 << 62

// New returns a Scheduler for queues of those weights, each in [1, MaxWeight], of which
// there are at most MaxLanes. What is out of range is moved into it.
func New(weights []int) *Scheduler {
	weights = slices.Clone(weights[:min(len(weights), MaxLanes)])
	common := uint64(1)
	for i, w := range weights {
		weights[i] = min(max(w, 1), MaxWeight)
		common = multiple(common, uint64(weights[i]))
	}
	s := &Scheduler{strides: make([]uint64, len(weights)), passes: make([]uint64, len(weights))}
	for i, w := range weights {
		s.strides[i] = common / uint64(w)
	}
	return s
}

// multiple returns the least common multiple, or, once that has more than 40 bits, a number
// so large that to divide it without a remainder no longer matters.
func multiple(a, b uint64) uint64 {
	const enough = 1 << 40
	if a >= enough {
		return a
	}
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	hi, lo := bits.Mul64(a/x, b)
	if hi != 0 || lo > enough {
		return enough
	}
	return lo
}

// Next returns the queue whose turn it is, of those whose bits are set in ready, and counts
// the turn as taken. ok is false if there is none.
func (s *Scheduler) Next(ready uint64) (lane int, ok bool) {
	ready &= s.all()
	for fresh := ready &^ s.ready; fresh != 0; fresh &= fresh - 1 {
		i := bits.TrailingZeros64(fresh)
		s.passes[i] = max(s.passes[i], s.global)
	}
	s.ready = ready
	if ready == 0 {
		return 0, false
	}
	lane = bits.TrailingZeros64(ready)
	for left := ready & (ready - 1); left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); s.passes[i] < s.passes[lane] {
			lane = i
		}
	}
	s.global = s.passes[lane]
	s.passes[lane] += s.strides[lane]
	if s.global >= rebase {
		s.moveBack()
	}
	return lane, true
}

// moveBack subtracts what all have behind them. A queue that stands below was idle, and
// will be moved up when it is not.
func (s *Scheduler) moveBack() {
	for i := range s.passes {
		s.passes[i] -= min(s.passes[i], s.global)
	}
	s.global = 0
}

func (s *Scheduler) all() uint64 {
	if len(s.strides) == MaxLanes {
		return ^uint64(0)
	}
	return 1<<len(s.strides) - 1
}
