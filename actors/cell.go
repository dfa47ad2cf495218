package actors

import (
	"math"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	// leasesPerCell is how many leases of one cell may have permits out before the
	// oldest ones are moved to the shell's list of stragglers.
	leasesPerCell = 8
	// wordBits permits share one settled word with their lease's number.
	wordBits = 32
	// maxCells is how many a permit's ID has room for, and shardCells how many of them
	// each shard of a guard may have.
	maxCells   = 1 << 15
	shardCells = maxCells / maxShards
)

// cells are where callers spend leased permits. There are two for each processor;
// a pool hints which one to try, so that goroutines of one processor mostly stay on
// one cell. Losing a hint, as at a garbage collection, costs time and nothing else.
type cells struct {
	// Only read, at every call.
	size int
	ttl  time.Duration
	all  []cell
	base int // index of the first
	hint sync.Pool
	// slowAfter is what a success may take, in nanoseconds, to stay with its lease.
	slowAfter atomic.Int64

	_        [cacheLine]byte
	turn     atomic.Uint32 // next cell to hint
	repeated atomic.Uint64 // reports that found their permit settled

	// Owned by the shell's turn.
	sweepAt    patterns.Instant // Never while no lease is out
	stragglers map[uint64]uint64
	gone       leaseTotals // of leases whose record was reused
	dirty      bool        // the rules, when they were given unused permits back
	returned   bool        // permits, since those who wait were last asked for

	maxStragglers int // without end, permits that nobody ever reports would pile up
}

// cell holds the permits of one lease at a time, and the records of some before it.
// Its permits' Settler is the cell itself, so that a report finds it at once.
type cell struct {
	spend   atomic.Uint64 // number of the lease, its limit, and how many are spent
	home    *Handle
	settled []atomic.Uint64 // of all its records: never another slice
	words   uint32          // of it for each record
	index   int
	_       [cacheLine - 56]byte

	records [leasesPerCell]leaseRecord
	_       [cacheLine]byte
}

const cacheLine = 64

// leaseRecord knows which permits of a lease ended. Each settled word carries the
// lease's number, so that a late report cannot settle a later lease's permit.
type leaseRecord struct {
	settled []atomic.Uint64 // its share of the cell's
	leaseAccount
}

// leaseAccount is what the shell knows of a lease. It is owned by the shell's turn.
type leaseAccount struct {
	number  uint32 // 0: unused
	epoch   uint64
	granted patterns.Instant
	lent    int
	over    bool // nothing more is spent of it
	issued  int  // permits that got a place, once it is over
	used    int  // permits that ended as they were spent, once it is over
	folded  int  // successes that the rules know of
	others  int  // permits that ended by message: failures, slow ones, released ones
}

// leaseTotals count permits of leases: handed to callers, ended, and ended by message.
type leaseTotals struct{ issued, settled, others uint64 }

// noCells are those of all Strict guards of a registry. Nobody writes to them.
func noCells() *cells { return &cells{sweepAt: patterns.Never} }

func newCells(mode patterns.Mode, shard Shard) *cells {
	size, ttl, _ := mode.Lease()
	cs := &cells{size: size, ttl: ttl, sweepAt: patterns.Never, maxStragglers: maxPermits, base: shard.Index * shardCells}
	words := (size + wordBits - 1) / wordBits
	most := maxCells
	if shard.Of > 1 {
		most = shardCells
	}
	cs.all = make([]cell, min(2*runtime.GOMAXPROCS(0), most))
	for i := range cs.all {
		c := &cs.all[i]
		c.index, c.words = cs.base+i, uint32(words)
		c.settled = make([]atomic.Uint64, leasesPerCell*words)
		for r := range c.records {
			c.records[r].settled = c.settled[r*words : (r+1)*words : (r+1)*words]
		}
	}
	cs.hint.New = func() any { return &cs.all[cs.turn.Add(1)%uint32(len(cs.all))] }
	return cs
}

// spend word: lease number, limit and spent count.
func packSpend(number uint32, limit, spent int) uint64 {
	return uint64(number)<<32 | uint64(uint16(limit))<<16 | uint64(uint16(spent))
}

func unpackSpend(w uint64) (number uint32, limit, spent int) {
	return uint32(w >> 32), int(uint16(w >> 16)), int(uint16(w))
}

// A leased permit's ID: the top bit, its cell, its lease's number, its place in it.
const leasedBit = 1 << 63

func leasedID(cell int, number uint32, place int) uint64 {
	return leasedBit | uint64(cell)<<48 | uint64(number)<<16 | uint64(place)
}

func splitLeasedID(id uint64) (cell int, number uint32, place int) {
	return int(id>>48) &^ (1 << 15), uint32(id >> 16), int(uint16(id))
}

// take spends one permit of the cell's lease.
func (c *cell) take() (id uint64, ok bool) {
	for {
		w := c.spend.Load()
		number, limit, spent := unpackSpend(w)
		if spent >= limit {
			return 0, false
		}
		if c.spend.CompareAndSwap(w, w+1) {
			return leasedID(c.index, number, spent), true
		}
	}
}

// use spends one permit of the cell's lease that ends as it is spent. It needs no place, so
// that the lease has one less: all it takes is this one step.
func (c *cell) use() bool {
	for {
		w := c.spend.Load()
		if _, limit, spent := unpackSpend(w); spent >= limit {
			return false
		}
		if c.spend.CompareAndSwap(w, w-oneLess) {
			return true
		}
	}
}

// oneLess is a limit of 1 in a spend word.
const oneLess = 1 << 16

// revoke ends the cell's lease: nothing more is spent of it. It returns what it was.
func (c *cell) revoke() (number uint32, limit, spent int) {
	for {
		w := c.spend.Load()
		number, limit, spent = unpackSpend(w)
		if spent >= limit || c.spend.CompareAndSwap(w, packSpend(number, spent, spent)) {
			return number, limit, spent
		}
	}
}

// issued is how many permits of the record's lease got a place. It is called in a turn.
func (c *cell) issued(r *leaseRecord) int {
	if number, _, spent := unpackSpend(c.spend.Load()); number == r.number {
		return spent
	}
	return r.issued
}

// usedUp is how many permits of the record's lease ended as they were spent. It is called
// in a turn.
func (c *cell) usedUp(r *leaseRecord) int {
	if number, limit, _ := unpackSpend(c.spend.Load()); number == r.number && !r.over {
		return r.lent - limit
	}
	return r.used
}

type claim uint8

const (
	claimed       claim = iota // the permit had not ended, and has now
	claimRepeated              // it had ended before
	claimUnknown               // its lease has no record any more
)

// claim ends the permit id.
func (cs *cells) claim(id uint64) claim {
	index, _, place := splitLeasedID(id)
	if c := cs.at(index); c != nil && place < cs.size {
		return c.claim(id)
	}
	return claimUnknown
}

// at returns the cell of that index, or nil.
func (cs *cells) at(index int) *cell {
	if i := index - cs.base; i >= 0 && i < len(cs.all) {
		return &cs.all[i]
	}
	return nil
}

// claim ends the permit id, which is one of the cell's.
func (c *cell) claim(id uint64) claim {
	number, place := uint32(id>>16), uint32(uint16(id))
	if number == 0 {
		return claimUnknown
	}
	word := &c.settled[number%leasesPerCell*c.words+place/wordBits]
	bit := uint64(1) << (place % wordBits)
	for {
		w := word.Load()
		switch {
		case uint32(w>>32) != number:
			return claimUnknown
		case w&bit != 0:
			return claimRepeated
		case word.CompareAndSwap(w, w|bit):
			return claimed
		}
	}
}

// Settle implements patterns.Settler: a success, unless it was slow, is noted in the
// cell, and everything else goes to the actor.
func (c *cell) Settle(id uint64, since patterns.Instant, o patterns.Outcome) bool {
	if o == patterns.Success && since == 0 {
		switch c.claim(id) {
		case claimed:
			return true
		case claimRepeated:
			c.home.shell.cells.repeated.Add(1)
			return false
		}
	}
	return c.home.Settle(id, since, o)
}

// Release implements patterns.Settler.
func (c *cell) Release(id uint64) { c.home.Release(id) }

// settledCount returns how many permits of the record's lease have ended.
func (r *leaseRecord) settledCount() (n int) {
	for i := range r.settled {
		n += bits.OnesCount32(uint32(r.settled[i].Load()))
	}
	return n
}

// learn asks the rules for what callers must know of them.
func (cs *cells) learn(from Lessor) {
	after := from.SlowAfter()
	if after <= 0 {
		after = math.MaxInt64
	}
	cs.slowAfter.Store(int64(after))
}

func (cs *cells) wake() patterns.Instant { return cs.sweepAt }
