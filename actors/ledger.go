package actors

import (
	"github.com/bulwark-go/bulwark/patterns"
)

// maxPermits bounds how many permits of one guard may be out.
const maxPermits = 1 << 22

// ledger knows every permit that is out, so that each ends once. A permit's ID is
// the shard of its guard, the number of its slot and the slot's generation; the slot is
// reused when the permit has ended, and then the old ID names nothing.
type ledger struct {
	slots  []slot // but the first one
	beyond *beyond
	live   uint64
	free   uint32 // slot to use next, +1; 0 means a new one
	made   uint32 // slots that there are
	first  slot   // at hand for guards that have one permit out at a time
}

// slot is small, so that the few in use share a cache line.
type slot struct {
	generation uint32 // odd while a permit is out
	nextFree   uint32
	epoch      uint64
}

// beyond is what only some guards need to know of permits.
type beyond struct {
	shard uint32             // of the guard, in the place that it has in an ID
	terms map[uint32]*term   // of those that have a holder or a deadline
	since []patterns.Instant // when granted, by slot, while the rules measure
}

// term is what some permits have beyond their identity: the holder is nil if there is
// a deadline only.
type term struct{ holder *holder }

// next returns the ID that the next permit gets.
func (l *ledger) next() uint64 {
	if l.free != 0 {
		return l.permitID(l.free-1, l.at(l.free-1).generation+1)
	}
	return l.permitID(l.made, 1)
}

func (l *ledger) at(index uint32) *slot {
	if index == 0 {
		return &l.first
	}
	return &l.slots[index-1]
}

// The number of a slot takes less than slotBits of an ID, and the shard the next eight.
const slotBits = 24

func (l *ledger) permitID(index, generation uint32) uint64 {
	return uint64(generation)<<32 | uint64(l.shard()+index+1)
}

// index is the number of the slot that id names, if it is one of the ledger's.
func (l *ledger) index(id uint64) uint32 { return uint32(id) - l.shard() - 1 }

func (l *ledger) shard() uint32 {
	if l.beyond == nil {
		return 0
	}
	return l.beyond.shard
}

func (l *ledger) full() bool { return l.live >= maxPermits }

// take enters the permit that next announced.
func (l *ledger) take(epoch uint64) {
	var s *slot
	if l.free != 0 {
		s = l.at(l.free - 1)
		l.free = s.nextFree
	} else {
		if l.made > 0 {
			l.slots = append(l.slots, slot{})
		}
		s = l.at(l.made)
		l.made++
	}
	s.generation++
	s.epoch = epoch
	l.live++
}

// find returns the slot of a permit that is out, or nil.
func (l *ledger) find(id uint64) *slot {
	index, generation := l.index(id), uint32(id>>32)
	if index >= l.made {
		return nil
	}
	if s := l.at(index); s.generation == generation && generation&1 == 1 {
		return s
	}
	return nil
}

// end strikes the permit out and returns what was known of it.
func (l *ledger) end(id uint64) (ended slot, t *term, ok bool) {
	s := l.find(id)
	if s == nil {
		return slot{}, nil, false
	}
	ended = *s
	s.generation++
	s.nextFree = l.free
	l.free = l.index(id) + 1
	l.live--
	if l.beyond != nil {
		if t = l.beyond.terms[uint32(id)]; t != nil {
			delete(l.beyond.terms, uint32(id))
		}
		if index := int(l.index(id)); index < len(l.beyond.since) {
			l.beyond.since[index] = 0 // the next permit's begins later, or nobody notes it
		}
	}
	return ended, t, true
}

// began notes when the permit was granted.
func (l *ledger) began(id uint64, at patterns.Instant) {
	index := int(l.index(id))
	b := l.more()
	for len(b.since) <= index {
		b.since = append(b.since, 0)
	}
	b.since[index] = at
}

// since is when the permit was granted, or 0 if nobody noted it.
func (l *ledger) since(id uint64) patterns.Instant {
	if index := int(l.index(id)); l.beyond != nil && l.find(id) != nil && index < len(l.beyond.since) {
		return l.beyond.since[index]
	}
	return 0
}

func (l *ledger) more() *beyond {
	if l.beyond == nil {
		l.beyond = &beyond{}
	}
	return l.beyond
}

func (l *ledger) setTerm(id uint64, t *term) {
	b := l.more()
	if b.terms == nil {
		b.terms = map[uint32]*term{}
	}
	b.terms[uint32(id)] = t
}
