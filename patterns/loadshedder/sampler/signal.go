package sampler

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Signal is one thing that is measured, or a set of them: CPU|Memory.
type Signal uint16

// The signals. Each is a share from 0 to 1 except SchedLatency.
const (
	// CPU is how much of the CPU time that the process may use was used since the last
	// Read: by its control group of the group's quota and CPUs, or by everybody of the
	// machine's where there is no quota. See Scope.
	CPU Signal = 1 << iota

	// Throttled is the share of the quota's periods in which the group ran out of
	// quota and stood still. Of small quotas it tells more than CPU. There is none
	// without a quota.
	Throttled

	// Memory is the working set of the process's control group as a share of its
	// limit, or, where there is no limit, what is not available of the machine's.
	Memory

	// GoMemory is how much of GOMEMLIMIT is taken by what a garbage collection cannot
	// give back: live objects as of the last one, stacks and overhead. Its Raw is all
	// that Go has mapped, garbage included, which comes near the limit long before
	// there is a shortage. There is none without GOMEMLIMIT.
	GoMemory

	// SchedLatency is for how long goroutines that could run waited until they did, in
	// seconds: the 99th percentile since the value before, from at least 20 of them,
	// rounded up to the edge of the runtime's bucket.
	SchedLatency

	// GC is the share of GOMAXPROCS that garbage collection took, between the last
	// collection and the one before, without what it did on processors that were idle.
	// The runtime counts at the end of a collection, so that the value may be old: see
	// its At.
	GC

	// GCLimiter is 1 if the runtime switched on its limiter of garbage collection since
	// the last Read, and otherwise 0. It does that when collecting would take more than
	// half of the CPU: GOMEMLIMIT is too low for what is live.
	GCLimiter

	// CPUPressure, MemoryPressure and IOPressure are the share of time since the last
	// Read in which some task waited for CPU, memory or I/O, in the process's control
	// group where the kernel says so, or else on the machine.
	CPUPressure
	MemoryPressure
	IOPressure

	// MemoryStall and IOStall are the share of time in which all tasks waited at once.
	MemoryStall
	IOStall

	// All is every signal.
	All Signal = 1<<iota - 1
)

// names are in the order of the bits.
var names = [...]string{
	"cpu", "throttled", "memory", "go memory", "scheduling latency", "gc", "gc limiter",
	"cpu pressure", "memory pressure", "io pressure", "memory stall", "io stall",
}

// pressures are the signals that come from pressure stall information.
const pressures = CPUPressure | MemoryPressure | IOPressure | MemoryStall | IOStall

// Has reports whether all of t are in s.
func (s Signal) Has(t Signal) bool { return s&t == t }

// Each yields the signals of which s is the set.
func (s Signal) Each() iter.Seq[Signal] {
	return func(yield func(Signal) bool) {
		for rest := s & All; rest != 0; rest &= rest - 1 {
			if !yield(rest & -rest) {
				return
			}
		}
	}
}

// index is the place of a single signal, -1 of a set.
func (s Signal) index() int {
	if bits.OnesCount16(uint16(s)) != 1 || s&All == 0 {
		return -1
	}
	return bits.TrailingZeros16(uint16(s))
}

// String returns a name such as "cpu"; the names of a set are joined by "+".
func (s Signal) String() string {
	if s == 0 {
		return "none"
	}
	var all []string
	for one := range s.Each() {
		all = append(all, names[one.index()])
	}
	if unknown := s &^ All; unknown != 0 {
		all = append(all, fmt.Sprintf("signal(%#x)", uint16(unknown)))
	}
	return strings.Join(all, "+")
}
