package bulkhead

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// Machine is the rules of a bulkhead, and all of its state.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// It keeps no queue: it answers Wait, says in Join whether the request may, and is asked
// again, the head of the queue first, whenever a slot may have become free. While nobody
// lacks a slot it looks at no time at all, so that the moment at which somebody does is
// only known at the next input: it asks to be woken at once, and announces it then.
type Machine struct {
	// What an ordinary turn reads and writes is on one cache line: that is what a turn on
	// another processor has to fetch. See TestAnOrdinaryTurnStaysOnOneCacheLine.
	limit     int              // of each compartment
	peak      int              // the most that were ever taken
	parted    int              // slots taken in partitions
	hi        patterns.Instant // the largest now seen: time never runs backwards
	epoch     uint64           // begins when the main compartment gets short of slots: leases end
	holds     *permits.Table[hold]
	saturated int32       // compartments
	keyed     bool        // keys mean something
	leased    bool        // slots may be lent to cells
	owes      bool        // a Saturated that waits for a reading of the clock
	dirty     bool        // something changed that the shell must be told
	main      compartment // of requests without a key, or of all of them

	partitions map[string]*compartment // that have slots taken, and some that had
	idle       idlers                  // those that have none
	used       int                     // those that have some
	freed      *compartment            // by the last permit that ended, if keyed
	asking     hold                    // what was last answered with Wait
	owed       Saturated

	look    patterns.Instant // when to see whether nobody lacks a slot any more
	pause   time.Duration    // before that
	watched []*compartment   // where to look

	cfg    Config // with its defaults
	name   string
	origin time.Time
	waited *patterns.WaitTimes // nil if nobody ever did

	full   [causes]*FullError // the last one made for each cause
	heavy  *WeightError       // the last one made
	long   *KeyError          // the last one made
	events eventqueue.Queue

	_ [16]byte // 512 bytes are what the allocator puts at the beginning of a cache line
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the bulkhead's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
}

// NewMachine returns an empty Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, epoch: 1, hi: p.Now, look: patterns.Never}
	m.adopt(p.Config.withDefaults())
	return m
}

func (m *Machine) adopt(c Config) {
	m.cfg, m.limit, m.keyed = c, c.MaxConcurrent, c.MaxPartitions > 0
	_, _, m.leased = c.Mode.Lease()
}

// Acquire takes r.Weight slots of r.Key's compartment. If there are none it answers
// Wait where callers may wait, and otherwise refuses with a *FullError. What it could
// never grant it refuses with a *WeightError or a *KeyError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	if r.Weight > 1 || r.Key != "" || r.Asked != 0 || m.main.taken >= m.limit {
		return m.acquireAny(id, r)
	}
	m.main.taken++
	if n := m.main.taken + m.parted; n > m.peak {
		m.peak = n
	}
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

// Report gives the permit's slots back. How the call ended is nothing to a bulkhead.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.settle(now)
	if m.holds != nil || m.saturated > 0 {
		return true, m.release(p.ID)
	}
	if m.main.taken > 0 {
		m.main.taken--
	}
	return true, false
}

// Release gives the permit's slots back.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	_, dirty = m.Report(now, p, patterns.Ignored, 0)
	return dirty
}

// Tick announces those compartments as relieved for whose slots nobody has waited since
// they were looked at last.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.look {
		m.lookAround()
	}
	return m.flush()
}

// Wake is when it may be time to be relieved; at once if there is something to announce.
func (m *Machine) Wake() patterns.Instant {
	if m.owes {
		return m.hi.Add(1)
	}
	return m.look
}

// Epoch begins anew whenever somebody first finds no slot, so that leases end.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is true while nobody lacks a slot.
func (m *Machine) Timeless() bool { return m.saturated == 0 }

// Measured is false: how long a call took is nothing to a bulkhead.
func (m *Machine) Measured() bool { return false }

// Refusal is never known in advance: a slot may become free at any moment.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }

// Lease lends at most an eighth of the free slots, and none while somebody lacks one.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	n := min(want, (m.limit-m.main.taken)/leaseShare)
	if m.main.saturated || n < 2 {
		return 0
	}
	m.take(&m.main, n)
	return n
}

// leaseShare of the free slots go into one lease, so that what one cell does not use
// does not keep much from the others.
const leaseShare = 8

// SettleLease takes back what was lent. Slots know no epoch, so it always counts.
func (m *Machine) SettleLease(now patterns.Instant, _ uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	n := max(0, t.Success+t.Failure+t.Dropped+t.Ignored+t.Unused)
	if c := &m.main; m.owes && m.owed.Key == "" && t.Unused > 0 && !c.waits && c.taken-n <= m.limit/2 { // never short: they were only lent
		c.saturated, m.owes, m.dirty = false, false, true
		m.saturated--
	}
	m.give(&m.main, n)
	return true, m.flush()
}

// SlowAfter is 0: how long a call took is nothing to a bulkhead.
func (m *Machine) SlowAfter() time.Duration { return 0 }

// settle sets the time, and announces what waited for it.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
		if m.owes {
			m.announce()
		}
	}
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	if !m.dirty { // writing would take the cache line from another processor
		return false
	}
	m.dirty = false
	return true
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
