package actors

import (
	"math/bits"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// acquireLeased grants a permit out of a new lease for the cell, or a single one
// where the rules will not lease. It runs in a turn.
func (s *shell) acquireLeased(c *cell, r *patterns.Request) (id uint64, d patterns.Decision) {
	if s.closing || s.waiters.count > 0 {
		return s.acquireOne(r)
	}
	if id, ok := c.take(); ok { // another caller fetched a lease meanwhile
		return id, patterns.Decision{Verdict: patterns.Grant}
	}
	s.counts.Asked++ // should the rules panic, this was a request that was refused
	id, ok := s.renew(c)
	s.counts.Asked--
	if ok {
		return id, patterns.Decision{Verdict: patterns.Grant}
	}
	return s.acquireOne(r)
}

// renew gives the cell a new lease, if the rules grant one, and returns the first
// permit of it.
func (s *shell) renew(c *cell) (id uint64, ok bool) {
	if s.crashes != nil {
		s.crashes.before(Acquire{})
	}
	now := s.last
	if !s.timeless || s.cells.sweepAt == patterns.Never {
		now = s.now()
	}
	if s.rules.Tick(now) {
		s.settle()
	}
	if len(s.cells.stragglers) >= s.cells.maxStragglers {
		return 0, false
	}
	// Everything that can change the state comes before the rules are asked.
	number := s.makeRoom(c, now)
	s.foldCell(c, now)
	n := min(s.lessor.Lease(now, s.cells.size), s.cells.size)
	if n < 1 {
		return 0, false
	}
	s.openLease(c, number, n, now)
	return leasedID(c.index, number, 0), true
}

func (s *shell) acquireOne(r *patterns.Request) (id uint64, d patterns.Decision) {
	if s.waiters.count == 0 {
		s.cells.returned = false // the rules know of it as they decide
	}
	d = s.admit(r)
	return s.granting, d
}

// makeRoom ends the cell's lease, and frees the number and the record of the next.
func (s *shell) makeRoom(c *cell, now patterns.Instant) (number uint32) {
	number = s.closeLease(c) + 1
	if number == 0 {
		number = leasesPerCell // 0 means unused; this keeps the ring in step
	}
	s.retire(c, &c.records[number%leasesPerCell], now)
	s.settleClosed()
	return number
}

// openLease puts n fresh permits into the cell, the first of which is spent.
func (s *shell) openLease(c *cell, number uint32, n int, now patterns.Instant) {
	r := &c.records[number%leasesPerCell]
	r.leaseAccount = leaseAccount{number: number, epoch: s.rules.Epoch(), granted: now, lent: n}
	for i := range r.settled {
		r.settled[i].Store(uint64(number) << 32)
	}
	c.spend.Store(packSpend(number, n, 1))
	if s.cells.sweepAt == patterns.Never {
		s.cells.sweepAt = now.Add(s.cells.ttl)
		s.arm()
	}
}

// closeLease ends the cell's lease, gives what it did not spend back, and returns
// its number. What the rules make of that is carried out by settleClosed.
func (s *shell) closeLease(c *cell) uint32 {
	number, limit, spent := c.revoke()
	if r := &c.records[number%leasesPerCell]; number != 0 && r.number == number {
		if !r.over {
			r.used = r.lent - limit
		}
		r.issued, r.over = spent, true
		if unused := limit - spent; unused > 0 {
			_, dirty := s.lessor.SettleLease(s.last, r.epoch, patterns.Tally{Unused: unused})
			s.cells.dirty = s.cells.dirty || dirty
			s.cells.returned = true
		}
	}
	return number
}

// settleClosed follows closeLease, once no lease is half closed.
func (s *shell) settleClosed() {
	if s.cells.dirty {
		s.cells.dirty = false
		s.settle()
	}
}

// retire frees a record for another lease. Permits of the old one that are still
// out become stragglers, known by their ID alone.
func (s *shell) retire(c *cell, r *leaseRecord, now patterns.Instant) {
	if r.number == 0 {
		return
	}
	old := r.leaseAccount
	ended := 0
	for i := range r.settled {
		// Once the word has lost its lease's number, a late report comes by message.
		w := uint32(r.settled[i].Swap(0))
		issued := uint32(uint64(1)<<min(max(r.issued-i*wordBits, 0), wordBits) - 1)
		ended += bits.OnesCount32(w & issued)
		for out := issued &^ w; out != 0; out &= out - 1 {
			if s.cells.stragglers == nil {
				s.cells.stragglers = make(map[uint64]uint64)
			}
			place := i*wordBits + bits.TrailingZeros32(out)
			s.cells.stragglers[leasedID(c.index, r.number, place)] = r.epoch
		}
	}
	gone := &s.cells.gone
	gone.issued += uint64(old.issued + old.used)
	gone.settled += uint64(ended + old.used)
	gone.others += uint64(old.others)
	r.leaseAccount = leaseAccount{}
	s.foldSuccesses(&old, ended+old.used, now) // last, because the rules may panic
}

// foldCells tells the rules of every success that callers left in the cells.
func (s *shell) foldCells(now patterns.Instant) {
	for i := range s.cells.all {
		s.foldCell(&s.cells.all[i], now)
	}
}

func (s *shell) foldCell(c *cell, now patterns.Instant) {
	for i := range c.records {
		r := &c.records[i]
		if r.number == 0 || r.over && r.folded+r.others == r.issued+r.used {
			continue
		}
		s.foldSuccesses(&r.leaseAccount, r.settledCount()+c.usedUp(r), now)
	}
}

// foldSuccesses tells the rules of the lease's successes, ended permits being over.
func (s *shell) foldSuccesses(r *leaseAccount, ended int, now patterns.Instant) {
	fresh := ended - r.others - r.folded
	if fresh <= 0 {
		return
	}
	r.folded += fresh
	s.cells.returned = true
	counted, dirty := s.lessor.SettleLease(now, r.epoch, patterns.Tally{Success: fresh})
	if !counted {
		s.counts.Stale += uint64(fresh)
	}
	if dirty {
		s.settle()
	}
}

// revokeCells ends every lease: callers come back to the actor at their next call.
func (s *shell) revokeCells() {
	for i := range s.cells.all {
		s.closeLease(&s.cells.all[i])
	}
	s.settleClosed()
}

// sealCells makes every leased permit unknown, so that no report is taken which
// nobody would count any more.
func (s *shell) sealCells() {
	if s.lessor == nil {
		return
	}
	for i := range s.cells.all {
		c := &s.cells.all[i]
		s.closeLease(c)
		for j := range c.records {
			s.retire(c, &c.records[j], s.last)
		}
	}
	s.cells.stragglers = nil
}

// sweepCells takes back what leases did not spend in their time. It comes again as
// long as there is something to take back or a success to learn of.
func (s *shell) sweepCells(now patterns.Instant) {
	if now < s.cells.sweepAt {
		return
	}
	s.cells.sweepAt = now.Add(s.cells.ttl)
	s.foldCells(now)
	out := false
	for i := range s.cells.all {
		c := &s.cells.all[i]
		number, limit, spent := unpackSpend(c.spend.Load())
		if spent < limit {
			if r := &c.records[number%leasesPerCell]; now < r.granted.Add(s.cells.ttl) {
				out = true
			} else {
				s.closeLease(c)
			}
		}
		for j := range c.records {
			r := &c.records[j]
			out = out || c.issued(r)+c.usedUp(r) > r.folded+r.others
		}
	}
	if !out {
		s.cells.sweepAt = patterns.Never
	}
	s.settleClosed()
}

// leaseTotals sums all leases that ever were.
func (s *shell) leaseTotals() leaseTotals {
	sum := s.cells.gone
	for i := range s.cells.all {
		c := &s.cells.all[i]
		for j := range c.records {
			r := &c.records[j]
			if r.number == 0 {
				continue
			}
			used := c.usedUp(r)
			ended := r.settledCount() // before issued, so that it is never more
			sum.issued += uint64(c.issued(r) + used)
			sum.settled += uint64(ended + used)
			sum.others += uint64(r.others)
		}
	}
	return sum
}

// endLeased ends a leased permit by message and returns the epoch it was leased in.
// The ID may be anything.
func (s *shell) endLeased(id uint64) (epoch uint64, ok bool) {
	switch r := s.recordOf(id); {
	case r != nil && s.cells.claim(id) == claimed:
		r.others++
		return r.epoch, true
	case r == nil:
		if epoch, ok = s.cells.stragglers[id]; ok {
			delete(s.cells.stragglers, id)
			s.cells.gone.settled++
			s.cells.gone.others++
			return epoch, true
		}
	}
	s.counts.Repeated++
	return 0, false
}

// recordOf returns the record of the lease that issued the permit, or nil.
func (s *shell) recordOf(id uint64) *leaseRecord {
	index, number, place := splitLeasedID(id)
	c := s.cells.at(index)
	if c == nil || number == 0 {
		return nil
	}
	if r := &c.records[number%leasesPerCell]; r.number == number && place < c.issued(r) {
		return r
	}
	return nil
}

func (s *shell) reportLeased(id uint64, o patterns.Outcome, elapsed time.Duration) bool {
	if s.crashes != nil {
		s.crashes.before(Report{})
	}
	if s.lessor == nil {
		s.counts.Repeated++
		return false
	}
	epoch, ok := s.endLeased(id)
	if !ok {
		return false
	}
	if !o.Valid() {
		o = patterns.Failure
	}
	s.count(o)
	now := s.now()
	s.foldCells(now) // successes that came before this count before it
	counted, dirty := s.rules.Report(now, patterns.PermitID{Epoch: epoch, ID: id}, o, elapsed)
	if s.crashes != nil {
		s.crashes.after(Report{})
	}
	if !counted {
		s.counts.Stale++
	}
	s.freed(dirty)
	return counted
}

func (s *shell) releaseLeased(id uint64) {
	if s.lessor == nil {
		s.counts.Repeated++
		return
	}
	epoch, ok := s.endLeased(id)
	if !ok {
		return
	}
	s.counts.Reclaimed++
	s.giveBackLeased(epoch)
}

// ungrantLeased undoes a grant whose requester left before it could see it. The
// cells have counted the grant, so that the shell's own counts may go below zero.
func (s *shell) ungrantLeased(id uint64) {
	if epoch, ok := s.endLeased(id); ok {
		s.counts.Granted--
		s.counts.Cancelled++
		s.giveBackLeased(epoch)
	}
}

func (s *shell) giveBackLeased(epoch uint64) {
	_, dirty := s.lessor.SettleLease(s.now(), epoch, patterns.Tally{Unused: 1})
	s.cells.returned = true
	s.freed(dirty)
}

// callIn settles every lease, before an operator changes the rules under them.
func (s *shell) callIn(now patterns.Instant) {
	if s.lessor != nil {
		s.foldCells(now)
		s.revokeCells()
	}
}

// handOutLeased is handOut for a permit of a lease.
func (s *shell) handOutLeased(c *call, id uint64) {
	s.current = nil
	if !c.answer(id, nil) {
		s.ungrantLeased(id)
	}
}
