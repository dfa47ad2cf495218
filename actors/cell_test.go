package actors

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestLeasedIDsComeApartAsTheyWerePutTogether(t *testing.T) {
	for _, cell := range []int{0, 1, 7, 1<<14 + 1, maxCells - 1} {
		for _, number := range []uint32{1, 7, 8, 1 << 16, 1<<31 - 1, 1 << 31, math.MaxUint32} {
			for _, place := range []int{0, 1, 31, 32, 1023} {
				id := leasedID(cell, number, place)
				if c, n, p := splitLeasedID(id); c != cell || n != number || p != place {
					t.Errorf("cell %d, lease %d, place %d became %d, %d, %d", cell, number, place, c, n, p)
				}
				if id&leasedBit == 0 {
					t.Errorf("%x does not look leased", id)
				}
			}
		}
	}
}

func TestNoPermitOfTheLedgerLooksLeased(t *testing.T) {
	l := ledger{slots: make([]slot, 1), free: 1}
	l.first.generation = 1<<31 - 2 // after a thousand million uses
	if id := l.next(); id&leasedBit != 0 {
		t.Errorf("%x looks leased", id)
	}
}

func TestACellSpendsAsManyAsItsLeaseHolds(t *testing.T) {
	for _, limit := range []int{1, 2, 31, 32, 33, 64, patterns.MaxLeaseSize} {
		var c cell
		c.spend.Store(packSpend(math.MaxUint32, limit, 0))
		seen := map[uint64]bool{}
		for id, ok := c.take(); ok; id, ok = c.take() {
			seen[id] = true
		}
		if len(seen) != limit {
			t.Errorf("spent %d of %d", len(seen), limit)
		}
		if number, gotLimit, spent := unpackSpend(c.spend.Load()); number != math.MaxUint32 || gotLimit != limit || spent != limit {
			t.Errorf("the word became lease %d, %d of %d", number, spent, gotLimit)
		}
	}
}

func TestARevokedCellSpendsNothing(t *testing.T) {
	var c cell
	c.spend.Store(packSpend(9, 64, 0))
	c.take()
	c.take()
	c.revoke()
	c.revoke()
	if _, ok := c.take(); ok {
		t.Error("spent one more")
	}
	if _, limit, spent := unpackSpend(c.spend.Load()); limit != 2 || spent != 2 {
		t.Errorf("%d of %d", spent, limit)
	}
}

func TestClaimsThatNameNothing(t *testing.T) {
	s := bareShell(newSlots(1<<20), 64, 2)
	c := &s.cells.all[1]
	id, _ := s.renew(c)
	_, number, _ := splitLeasedID(id)
	for name, id := range map[string]uint64{
		"cell beyond the last":  leasedID(2, number, 0),
		"last cell there is":    leasedID(maxCells-1, number, 0),
		"no lease":              leasedID(1, 0, 0),
		"next lease":            leasedID(1, number+1, 0),
		"lease of another cell": leasedID(0, number, 0),
		"same record, later":    leasedID(1, number+leasesPerCell, 0),
		"same record, earlier":  leasedID(1, number-leasesPerCell, 0),
		"place beyond the size": leasedID(1, number, 64),
		"last place there is":   leasedID(1, number, math.MaxUint16),
	} {
		if got := s.cells.claim(id); got != claimUnknown {
			t.Errorf("%s: %v", name, got)
		}
		if _, ok := s.endLeased(id); ok {
			t.Errorf("%s: ended by message", name)
		}
	}
	if _, ok := s.endLeased(leasedID(1, number, 5)); ok {
		t.Error("ended a permit that was not spent yet")
	}
	if totals := s.leaseTotals(); totals != (leaseTotals{issued: 1}) {
		t.Errorf("%+v", totals)
	}
	if s.cells.claim(id) != claimed || s.cells.claim(id) != claimRepeated {
		t.Error("the permit itself")
	}
}

// twin is the obvious way to do what cells do: it remembers every permit.
type twin struct {
	permits   map[uint64]*twinPermit
	order     []uint64
	successes int
	others    int
	ended     int
	used      int // at once
}

type twinPermit struct {
	epoch uint64
	ended bool
}

// Every permit of every lease ends once, whatever the order in which leases are
// opened, revoked, swept and forgotten, and the totals and the lessor's books are
// those of somebody who remembers everything.
func TestCellsBehaveAsIfEveryPermitWereRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newSlots(rapid.IntRange(1, 400).Draw(t, "capacity"))
		size := rapid.SampledFrom([]int{2, 3, 31, 32, 33, 64, 100}).Draw(t, "size")
		s := bareShell(m, size, rapid.IntRange(1, 4).Draw(t, "cells"))
		defer s.disarm()
		w := &twin{permits: map[uint64]*twinPermit{}}
		if rapid.Bool().Draw(t, "near the end of the numbers") {
			for i := range s.cells.all {
				s.cells.all[i].spend.Store(packSpend(math.MaxUint32-uint32(rapid.IntRange(0, 20).Draw(t, "before")), 0, 0))
			}
		}
		cellOf := func(t *rapid.T) *cell {
			return &s.cells.all[rapid.IntRange(0, len(s.cells.all)-1).Draw(t, "cell")]
		}
		acquire := func(t *rapid.T, c *cell) bool {
			id, ok := c.take()
			if !ok {
				if id, ok = s.renew(c); !ok {
					return false
				}
			}
			if w.permits[id] != nil {
				t.Fatalf("%x was issued twice", id)
			}
			w.permits[id] = &twinPermit{epoch: m.epoch}
			w.order = append(w.order, id)
			return true
		}
		pick := func(t *rapid.T) uint64 {
			if len(w.order) == 0 {
				t.Skip("none out")
			}
			return w.order[rapid.IntRange(0, len(w.order)-1).Draw(t, "permit")]
		}
		succeed := func(t *rapid.T, id uint64) {
			p := w.permits[id]
			switch got := s.cells.claim(id); {
			case got == claimed && !p.ended:
				w.successes++
			case got == claimRepeated && p.ended:
				return
			case got == claimUnknown: // as Handle.Settle does it
				before := s.counts.Repeated
				s.reportLeased(id, patterns.Success, 0)
				if ended := s.counts.Repeated == before; ended == p.ended {
					t.Fatalf("%x had ended: %v, and ended by message: %v", id, p.ended, ended)
				}
				if p.ended {
					return
				}
				w.others++
			default:
				t.Fatalf("%x, ended %v: claim says %v", id, p.ended, got)
			}
			p.ended = true
			w.ended++
		}
		byMessage := func(t *rapid.T, id uint64, end func()) {
			p, before := w.permits[id], s.counts.Repeated
			end()
			if ended := s.counts.Repeated == before; ended == p.ended {
				t.Fatalf("%x had ended: %v, and ended: %v", id, p.ended, ended)
			}
			if !p.ended {
				p.ended = true
				w.ended++
				w.others++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				c := cellOf(t)
				for range rapid.IntRange(1, 40).Draw(t, "times") {
					if !acquire(t, c) {
						return
					}
				}
			},
			"use": func(t *rapid.T) {
				c := cellOf(t)
				for range rapid.IntRange(1, 40).Draw(t, "times") {
					if !c.use() {
						return
					}
					w.used++
					w.successes++
				}
			},
			"succeed": func(t *rapid.T) { succeed(t, pick(t)) },
			"succeed all": func(t *rapid.T) {
				for _, id := range w.order {
					if !w.permits[id].ended {
						succeed(t, id)
					}
				}
			},
			"fail": func(t *rapid.T) {
				id := pick(t)
				byMessage(t, id, func() { s.reportLeased(id, patterns.Failure, 0) })
			},
			"release": func(t *rapid.T) {
				id := pick(t)
				byMessage(t, id, func() { s.releaseLeased(id) })
			},
			"ungrant": func(t *rapid.T) {
				id := pick(t)
				if !w.permits[id].ended {
					byMessage(t, id, func() { s.ungrantLeased(id) })
				}
			},
			"revoke": func(*rapid.T) { s.revokeCells() },
			"reset": func(t *rapid.T) {
				if err := s.operate(patterns.Operation{Kind: patterns.Reset}); err != nil {
					t.Fatal(err)
				}
			},
			"sweep": func(*rapid.T) { s.sweepCells(patterns.Never - 1) },
			"fold":  func(*rapid.T) { s.foldCells(s.last) },
			"": func(t *rapid.T) {
				totals := s.leaseTotals()
				want := leaseTotals{issued: uint64(len(w.order) + w.used), settled: uint64(w.ended + w.used), others: uint64(w.others)}
				if totals != want {
					t.Fatalf("totals are %+v, want %+v", totals, want)
				}
				if c := s.totals(); !c.Balanced() {
					t.Fatalf("unbalanced: %+v", c)
				}
				s.foldCells(s.last)
				unspent := 0
				for i := range s.cells.all {
					_, limit, spent := unpackSpend(s.cells.all[i].spend.Load())
					unspent += limit - spent
				}
				if out := len(w.order) - w.ended + unspent; m.lent != out || m.worst > m.capacity || m.tooMany > 0 {
					t.Fatalf("lent %d, out %d; at most %d of %d; too many back %d times", m.lent, out, m.worst, m.capacity, m.tooMany)
				}
			},
		})
		for _, id := range w.order {
			if !w.permits[id].ended {
				succeed(t, id)
			}
		}
		s.revokeCells()
		s.foldCells(s.last)
		if m.lent != 0 || len(s.cells.stragglers) != 0 {
			t.Fatalf("%d lent, %d stragglers at the end", m.lent, len(s.cells.stragglers))
		}
	})
}

// A panic of the rules anywhere in the middle of a step loses no permit's count.
func TestAPanicOfTheRulesLosesNoLeasedCount(t *testing.T) {
	for _, where := range []string{"success", "unused"} {
		m := newSlots(1 << 20)
		s := bareShell(m, 2, 1)
		defer s.disarm()
		c := &s.cells.all[0]
		var ids []uint64
		acquire := func() {
			id, ok := c.take()
			if !ok {
				id, _ = s.renew(c)
			}
			ids = append(ids, id)
		}
		for range 2*leasesPerCell - 1 {
			acquire()
		}
		for _, id := range ids[:3] {
			s.cells.claim(id)
		}
		m.onSuccess = func(*slots) bool { panic("rules") }
		if where == "unused" {
			m.onReturn, m.onSuccess = m.onSuccess, nil
		}
		for range 3 {
			_ = s.attempt(func() error { s.retire(c, &c.records[1], s.last); return nil })
			_ = s.attempt(func() error { s.revokeCells(); return nil })
			_ = s.attempt(func() error { s.recover(); return nil })
		}
		if got := s.totals(); !got.Balanced() || got.InFlight != uint64(len(ids)-3) || got.Success != 3 {
			t.Errorf("%s: %+v", where, got)
		}
		m.onSuccess, m.onReturn = nil, nil
		for _, id := range ids {
			if s.cells.claim(id) == claimUnknown {
				s.reportLeased(id, patterns.Success, 0)
			}
		}
		if got := s.totals(); !got.Balanced() || got.InFlight != 0 {
			t.Errorf("%s: at the end %+v", where, got)
		}
	}
}

// While callers take and claim, leases are opened and revoked under them.
func TestCellsUnderFire(t *testing.T) {
	m := newSlots(1 << 30)
	s := bareShell(m, 33, 3)
	defer s.disarm()
	const callers, each = 8, 4000
	var issued, claims, repeats atomic.Uint64
	late := make(chan uint64, callers*each)
	empty := make(chan *cell) // the turn fills what is empty
	var callersDone sync.WaitGroup
	for i := range callers {
		callersDone.Go(func() {
			var held []uint64
			for n := 0; n < each; n++ {
				c := &s.cells.all[(i+n)%3]
				id, ok := c.take()
				for !ok {
					empty <- c
					id, ok = c.take()
				}
				issued.Add(1)
				held = append(held, id)
				if len(held) < 1+n%300 {
					continue
				}
				for _, id := range held {
					switch s.cells.claim(id) {
					case claimed:
						claims.Add(1)
					case claimRepeated:
						repeats.Add(1)
					case claimUnknown:
						late <- id
					}
				}
				held = held[:0]
			}
			for _, id := range held {
				if s.cells.claim(id) == claimed {
					claims.Add(1)
				} else {
					late <- id
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		callersDone.Wait()
		close(done)
	}()
	for running, turn := true, 0; running; turn++ {
		select {
		case c := <-empty:
			if id, ok := s.renew(c); ok { // the turn's own permit
				issued.Add(1)
				s.releaseLeased(id)
			}
		case <-done:
			running = false
		}
		if turn%16 == 0 {
			s.revokeCells()
		}
		if totals := s.leaseTotals(); totals.settled > totals.issued {
			t.Fatalf("more ended than were issued: %+v", totals)
		}
		runtime.Gosched()
	}
	close(late)
	byMessage := uint64(0)
	for id := range late {
		s.reportLeased(id, patterns.Success, 0)
		byMessage++
	}
	s.revokeCells()
	s.foldCells(s.last)
	totals := s.totals()
	if totals.Granted != issued.Load() || totals.Success != claims.Load()+byMessage || totals.InFlight != 0 || repeats.Load()+totals.Repeated != 0 {
		t.Errorf("%d issued, %d claimed, %d late, %d repeated; %+v", issued.Load(), claims.Load(), byMessage, repeats.Load(), totals)
	}
	if m.lent != 0 || m.tooMany != 0 {
		t.Errorf("%d lent, too many back %d times", m.lent, m.tooMany)
	}
	t.Logf("%d late of %d", byMessage, issued.Load())
}

// Whoever looks while calls begin and end never sees more of them ended than begun.
func TestTotalsAreNeverAheadOfTheirPermits(t *testing.T) {
	s := bareShell(newSlots(1<<30), patterns.MaxLeaseSize, 1)
	defer s.disarm()
	c := &s.cells.all[0]
	s.renew(c)
	var stop atomic.Bool
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for !stop.Load() {
				if id, ok := c.take(); ok {
					s.cells.claim(id)
				}
			}
		})
	}
	for range 10_000 {
		if totals := s.leaseTotals(); totals.settled > totals.issued {
			t.Errorf("more ended than were issued: %+v", totals)
			break
		}
		if _, limit, spent := unpackSpend(c.spend.Load()); spent == limit {
			s.renew(c)
		}
	}
	stop.Store(true)
	callers.Wait()
}

func TestOneOfManyClaimsOfAPermitIsTheFirst(t *testing.T) {
	s := bareShell(newSlots(1<<20), 64, 1)
	defer s.disarm()
	for range 500 {
		id, ok := s.cells.all[0].take()
		if !ok {
			id, _ = s.renew(&s.cells.all[0])
		}
		var firsts atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if s.cells.claim(id) == claimed {
					firsts.Add(1)
				}
			})
		}
		all.Wait()
		if firsts.Load() != 1 {
			t.Fatalf("%d were first", firsts.Load())
		}
	}
}

func TestLeaseNumbersWrapAroundInStep(t *testing.T) {
	s := bareShell(newSlots(1<<20), 2, 1)
	defer s.disarm()
	c := &s.cells.all[0]
	c.spend.Store(packSpend(math.MaxUint32-3, 0, 0))
	var numbers []uint32
	var ids []uint64
	for range 12 {
		for range 2 {
			id, ok := c.take()
			if !ok {
				id, _ = s.renew(c)
				_, number, _ := splitLeasedID(id)
				numbers = append(numbers, number)
			}
			ids = append(ids, id)
		}
	}
	top := uint32(math.MaxUint32)
	if want := []uint32{top - 2, top - 1, top, 8, 9, 10, 11, 12, 13, 14, 15, 16}; !slices.Equal(numbers, want) {
		t.Errorf("leases are numbered %v", numbers)
	}
	for i := 1; i < len(numbers); i++ {
		if (numbers[i-1]+1)%leasesPerCell != numbers[i]%leasesPerCell {
			t.Errorf("lease %d follows %d out of step", numbers[i], numbers[i-1])
		}
	}
	for _, id := range ids {
		if s.cells.claim(id) == claimUnknown {
			s.reportLeased(id, patterns.Success, 0)
		}
	}
	if got := s.totals(); got.Success != uint64(len(ids)) || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
}

// Leases that end while others spend of them lose no permit and count none twice.
func TestNothingIsLostWhileALeaseEnds(t *testing.T) {
	m := newSlots(1 << 30)
	s := bareShell(m, 64, 1)
	defer s.disarm()
	c := &s.cells.all[0]
	var spent atomic.Int64
	var done atomic.Bool
	var wg sync.WaitGroup
	taken := make([][]uint64, 2)
	for i := range 4 {
		wg.Go(func() {
			for ; !done.Load(); runtime.Gosched() {
				if i >= len(taken) {
					if c.use() {
						spent.Add(1)
					}
				} else if id, ok := c.take(); ok {
					spent.Add(1)
					taken[i] = append(taken[i], id)
				}
			}
		})
	}
	for range 500 {
		if id, ok := s.renew(c); ok {
			spent.Add(1)
			c.claim(id)
		}
		s.foldCells(s.last)
		runtime.Gosched()
		s.revokeCells()
	}
	done.Store(true)
	wg.Wait()
	for _, id := range slices.Concat(taken...) {
		if c.claim(id) != claimed { // its lease was forgotten
			s.reportLeased(id, patterns.Success, 0)
		}
	}
	s.revokeCells()
	s.foldCells(s.last)
	if got, want := s.leaseTotals().issued, uint64(spent.Load()); got != want || m.lent != 0 || s.leaseTotals().settled != want {
		t.Errorf("%+v, %d spent, %d lent", s.leaseTotals(), want, m.lent)
	}
}
