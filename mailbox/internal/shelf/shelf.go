// Package shelf keeps the messages of a bounded mailbox in order: lanes that share the
// actor by weight, limits, deadlines, CoDel, and what has to go when there is no room. It
// has no lock and no clock: its host has.
package shelf

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/internal/codel"
	"github.com/bulwark-go/bulwark/mailbox/internal/lanes"
)

// Instant is a reading of the host's clock, in nanoseconds.
type Instant int64

// Config of a Shelf. Limits that are 0 are none.
type Config struct {
	Weights []int         // of the lanes, the least important first; none means one lane
	Count   int           // items
	Cost    int64         // sum of their costs
	Age     time.Duration // of the oldest
	// Target and Interval are CoDel's, in each lane. 0 is no CoDel.
	Target, Interval time.Duration
	// Newest serves the newest of a lane first while its CoDel drops.
	Newest bool
}

// Item is a message on the shelf.
type Item[M any] struct {
	Message  M
	Lane     int // of Config.Weights
	Cost     int64
	Since    Instant // when it came; never before that of an earlier one
	Deadline Instant // when it is of no use any more; 0 is never
	number   uint64
}

func (i *Item[M]) expired(now Instant) bool { return i.Deadline != 0 && now >= i.Deadline }

// Why says why an item left the shelf without being served.
type Why uint8

const (
	Evicted Why = iota // something else needed its place
	Expired            // its deadline was over
	Shed               // CoDel dropped it
)

// Drop is told of an item that left without being served. It must not touch the Shelf.
type Drop[M any] func(Item[M], Why)

// Shelf holds messages. It is not safe for concurrent use.
type Shelf[M any] struct {
	// Reserved is how many places of Count are kept for those who were promised one.
	Reserved int

	cfg    Config
	turns  *lanes.Scheduler // nil if there is one lane
	ready  uint64           // the lanes that are not empty
	lanes  []lane[M]
	last   queue[Item[M]] // those that nothing may overtake, and that nobody drops
	count  int            // in lanes
	cost   int64          // of those
	number uint64         // of the last that came
}

type lane[M any] struct {
	queue[Item[M]]
	law  codel.CoDel[Instant]
	cost int64
}

// New returns an empty shelf. Config is valid. Shelves of the same M may share a pool.
func New[M any](cfg Config, pool Pool) *Shelf[M] {
	if cfg.Count == 0 {
		cfg.Count = math.MaxInt
	}
	s := &Shelf[M]{cfg: cfg, lanes: make([]lane[M], max(1, len(cfg.Weights)))}
	for i := range s.lanes {
		s.lanes[i].pool = pool
		s.lanes[i].law = codel.CoDel[Instant]{Target: cfg.Target, Interval: cfg.Interval}
	}
	s.last.pool = pool
	if len(s.lanes) > 1 {
		weights := slices.Clone(cfg.Weights)
		slices.Reverse(weights)
		s.turns = lanes.New(weights)
	}
	return s
}

// Len returns how many messages there are.
func (s *Shelf[M]) Len() int { return s.count + s.last.len() }

// Count returns how many messages count against the limit.
func (s *Shelf[M]) Count() int { return s.count }

// Cost returns what those cost.
func (s *Shelf[M]) Cost() int64 { return s.cost }

// Depths returns how many there are in each lane.
func (s *Shelf[M]) Depths() []int {
	d := make([]int, len(s.lanes))
	for i := range s.lanes {
		d[i] = s.lanes[i].len()
	}
	return d
}

// Overloaded reports whether CoDel drops in any lane.
func (s *Shelf[M]) Overloaded() bool {
	for i := range s.lanes {
		if s.lanes[i].law.Dropping() {
			return true
		}
	}
	return false
}

// Oldest returns when the oldest message came.
func (s *Shelf[M]) Oldest() (since Instant, ok bool) {
	first := s.oldest(s.ready)
	if s.last.len() > 0 && (first == nil || s.last.front().number < first.number) {
		first = s.last.front()
	}
	if first == nil {
		return 0, false
	}
	return first.Since, true
}

// oldest returns the oldest item of a set of lanes, or nil.
func (s *Shelf[M]) oldest(set uint64) (first *Item[M]) {
	for set &= s.ready; set != 0; set &= set - 1 {
		if it := s.lanes[bits.TrailingZeros64(set)].front(); first == nil || it.number < first.number {
			first = it
		}
	}
	return first
}

// Room reports whether an item of that cost may come.
func (s *Shelf[M]) Room(now Instant, cost int64) bool {
	return s.fits(now, cost, s.count, s.cost, s.ready)
}

// fits is Room for a shelf with so many items, of that cost, in those lanes.
func (s *Shelf[M]) fits(now Instant, cost int64, count int, sum int64, set uint64) bool {
	if count+s.Reserved >= s.cfg.Count || s.cfg.Cost > 0 && cost > s.cfg.Cost-sum {
		return false
	}
	if s.cfg.Age > 0 {
		if first := s.oldest(set); first != nil && time.Duration(now-first.Since) > s.cfg.Age {
			return false
		}
	}
	return true
}

// Push adds an item, room or not.
func (s *Shelf[M]) Push(it Item[M]) {
	s.number++
	it.number = s.number
	l := &s.lanes[it.Lane]
	l.pushBack(it)
	l.cost += it.Cost
	s.count++
	s.cost += it.Cost
	s.ready |= 1 << it.Lane
}

// PushLast adds an item that nothing which comes later overtakes. It counts against no
// limit and is never dropped.
func (s *Shelf[M]) PushLast(it Item[M]) {
	s.number++
	it.number = s.number
	s.last.pushBack(it)
}

// DropOldest makes room for an item of that cost by dropping the oldest. It reports
// whether there is room then; if that cannot be, it drops nothing.
func (s *Shelf[M]) DropOldest(now Instant, cost int64, drop Drop[M]) bool {
	return s.makeRoom(now, cost, ^uint64(0), func() int { return s.oldest(s.ready).Lane }, drop)
}

// DropBelow is DropOldest, but drops only what is in lanes below the item's, and the
// lowest first.
func (s *Shelf[M]) DropBelow(now Instant, at int, cost int64, drop Drop[M]) bool {
	return s.makeRoom(now, cost, 1<<at-1, func() int { return bits.TrailingZeros64(s.ready) }, drop)
}

func (s *Shelf[M]) makeRoom(now Instant, cost int64, victims uint64, next func() int, drop Drop[M]) bool {
	s.expire(now, drop)
	if s.Room(now, cost) {
		return true
	}
	count, sum := s.count, s.cost
	for set := victims & s.ready; set != 0; set &= set - 1 {
		l := &s.lanes[bits.TrailingZeros64(set)]
		count, sum = count-l.len(), sum-l.cost
	}
	if !s.fits(now, cost, count, sum, s.ready&^victims) {
		return false
	}
	for !s.Room(now, cost) {
		drop(s.take(next(), false), Evicted)
	}
	return true
}

// Expire makes room by dropping what is of no use any more, as far as it is at the head of
// a lane. It reports whether there is room for an item of that cost then.
func (s *Shelf[M]) Expire(now Instant, cost int64, drop Drop[M]) bool {
	s.expire(now, drop)
	return s.Room(now, cost)
}

// expire drops what is at the head of a lane and of no use any more.
func (s *Shelf[M]) expire(now Instant, drop Drop[M]) {
	for set := s.ready; set != 0; set &= set - 1 {
		i := bits.TrailingZeros64(set)
		for l := &s.lanes[i]; l.len() > 0 && l.front().expired(now); {
			drop(s.take(i, false), Expired)
		}
	}
}

// take removes the oldest of a lane, or the newest.
func (s *Shelf[M]) take(i int, newest bool) Item[M] {
	l := &s.lanes[i]
	var it Item[M]
	if newest {
		it = l.popBack()
	} else {
		it = l.popFront()
	}
	s.forget(&it)
	return it
}

// forget stops counting an item that left its lane.
func (s *Shelf[M]) forget(it *Item[M]) {
	l := &s.lanes[it.Lane]
	l.cost -= it.Cost
	s.count--
	s.cost -= it.Cost
	if l.len() == 0 {
		s.ready &^= 1 << it.Lane
	}
}

// Pop returns the item whose turn it is. Those that it finds expired, or that CoDel
// drops, are dropped on the way.
func (s *Shelf[M]) Pop(now Instant, drop Drop[M]) (Item[M], bool) {
	for {
		set, limit := s.ready, uint64(math.MaxUint64)
		if s.last.len() > 0 {
			limit = s.last.front().number
			if set = s.before(limit); set == 0 {
				return s.last.popFront(), true
			}
		}
		if set == 0 {
			return Item[M]{}, false
		}
		if it, ok := s.popLane(s.next(set), limit, now, drop); ok {
			return it, true
		}
	}
}

// before returns the lanes whose oldest came before that number.
func (s *Shelf[M]) before(number uint64) (set uint64) {
	for left := s.ready; left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); s.lanes[i].front().number < number {
			set |= 1 << i
		}
	}
	return set
}

// next returns the lane of set whose turn it is. There is one. Of two whose turn it is
// the scheduler takes the first, so it is told of the most important one first.
func (s *Shelf[M]) next(set uint64) int {
	if s.turns == nil {
		return 0
	}
	top := len(s.lanes) - 1
	i, _ := s.turns.Next(bits.Reverse64(set) >> (63 - top))
	return top - i
}

// popLane returns the next item of a lane whose number is below limit, if one is left
// after all drops.
func (s *Shelf[M]) popLane(i int, limit uint64, now Instant, drop Drop[M]) (Item[M], bool) {
	l := &s.lanes[i]
	for l.len() > 0 && l.front().number < limit {
		if l.front().expired(now) {
			drop(s.take(i, false), Expired)
			continue
		}
		// The law judges by the oldest whoever is served: those of one lane that are
		// served newest first would look as if nobody waited.
		if s.cfg.Target > 0 && l.law.Drop(now, l.front().Since, l.len() == 1) {
			drop(s.take(i, false), Shed)
			continue
		}
		it := s.take(i, s.cfg.Newest && l.law.Dropping() && s.last.len() == 0)
		if it.expired(now) {
			drop(it, Expired)
			continue
		}
		return it, true
	}
	if l.len() == 0 {
		l.law.Empty()
	}
	return Item[M]{}, false
}

// Filter drops every item that is not to be kept, and keeps the order of the others.
func (s *Shelf[M]) Filter(keep func(*Item[M]) bool, drop func(Item[M])) {
	for i := range s.lanes {
		l := &s.lanes[i]
		for range l.len() {
			it := l.popFront()
			if keep(&it) {
				l.pushBack(it)
				continue
			}
			s.forget(&it)
			drop(it)
		}
	}
	for range s.last.len() {
		it := s.last.popFront()
		if keep(&it) {
			s.last.pushBack(it)
			continue
		}
		drop(it)
	}
}
