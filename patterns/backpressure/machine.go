package backpressure

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// Machine is the rules of a valve, and all of its state: how much is pending, and
// whether it is hot.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// It keeps no queue: it answers Wait, says in Join whether the request may, and is asked
// again, the head of the queue first, whenever a permit ended. While calm it looks at no
// time at all. The moment at which it gets hot is only known at the next input: it asks to
// be woken at once, and announces it then.
type Machine struct {
	// What an ordinary turn reads and writes is on one cache line: that is what a turn on
	// another processor has to fetch. See TestAnOrdinaryTurnStaysOnOneCacheLine.
	pending int
	peak    int                 // the most that was ever pending
	high    int                 // the high water mark
	limit   int                 // the most that may be pending
	hi      patterns.Instant    // the largest now seen: time never runs backwards
	epoch   uint64              // begins when it gets hot: leases end
	heavy   *permits.Table[int] // what permits weigh that are not 1
	hot     bool
	short   bool // calm, but somebody waits for more room than there was, or has
	leased  bool // permits may be lent to cells
	owes    bool // a Pressure that waits for a reading of the clock
	dirty   bool // something changed that the shell must be told

	low    int
	since  patterns.Instant // of hot, or of not hot
	heats  uint64           // how often it got hot
	heated time.Duration    // for how long it was hot, until since
	waited patterns.WaitTimes
	asking struct { // what was last answered with Wait
		weight   int
		priority patterns.Priority
	}

	cfg    Config // with its defaults
	name   string
	origin time.Time

	full    [causes]*PressureError // the last one made for each cause
	tooMuch *WeightError           // the last one made
	events  eventqueue.Queue
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the valve's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
}

// NewMachine returns a calm Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, epoch: 1, hi: p.Now, since: p.Now}
	m.adopt(p.Config.withDefaults())
	return m
}

func (m *Machine) adopt(c Config) {
	m.cfg, m.limit, m.high, m.low = c, c.MaxPending, c.HighWater, c.low()
	_, _, m.leased = c.Mode.Lease()
}

// Acquire makes r.Weight pending, unless it is hot or there is no room: then it answers
// Wait where producers may wait, and otherwise refuses with a *PressureError. What could
// never be granted it refuses with a *WeightError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	if m.hot || m.short || r.Weight > 1 || r.Asked != 0 { // otherwise there is room below the high water mark
		return m.acquireAny(id, r)
	}
	m.add(1)
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// acquireAny is Acquire for a request that is not quite ordinary, or cannot be granted.
func (m *Machine) acquireAny(id uint64, r *patterns.Request) patterns.Decision {
	w := max(1, r.Weight)
	if w > m.limit {
		return patterns.Decision{Dirty: m.flush(), Err: m.tooHeavy(w)}
	}
	if m.hot || m.pending > m.limit-w {
		return m.lack(w, r)
	}
	if r.Asked != 0 {
		m.waited.Add(m.hi.Sub(r.Asked))
	}
	if m.short && r.Priority <= m.asking.priority { // which then waits no more
		m.short, m.dirty = false, true
	}
	if w > 1 {
		if m.heavy == nil {
			m.heavy = new(permits.Table[int])
		}
		m.heavy.Put(id, w)
	}
	m.add(w)
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// lack answers a request that cannot be granted now. If it is the first that finds too
// little room, all leases end because of it, and what they give back may be enough.
func (m *Machine) lack(weight int, r *patterns.Request) patterns.Decision {
	first := !m.hot && !m.short
	if first {
		m.short, m.dirty = true, true
		if m.leased {
			m.epoch++
		}
	}
	if r.Asked == 0 && m.cfg.MaxWaiting == NoQueue && !(first && m.leased) {
		return patterns.Decision{Dirty: m.flush(), Err: m.refusal(CauseHot, 0)}
	}
	m.asking.weight, m.asking.priority = weight, r.Priority
	return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
}

// Report ends what was pending. How it ended is nothing to a valve.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.settle(now)
	w := 1
	if m.heavy != nil {
		if known, ok := m.heavy.Take(p.ID); ok {
			w = known
		}
	}
	m.sub(w)
	return true, m.flush()
}

// Release ends what was pending.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	_, dirty = m.Report(now, p, patterns.Ignored, 0)
	return dirty
}

// Tick announces what the clock had to be read for.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	return m.flush()
}

// Wake is at once if there is something to announce.
func (m *Machine) Wake() patterns.Instant {
	if m.owes {
		return m.hi.Add(1)
	}
	return patterns.Never
}

// Epoch begins anew whenever it gets hot, so that leases end.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is true while calm, unless somebody waits for more room than there is.
func (m *Machine) Timeless() bool { return !m.hot && !m.short }

// Measured is false: how long work took is nothing to a valve.
func (m *Machine) Measured() bool { return false }

// Refusal is never known in advance: it may cool at any moment.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }

// Lease lends at most an eighth of the room below the high water mark, and none while hot
// or while somebody waits.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	n := min(want, (m.high-m.pending)/leaseShare)
	if m.hot || m.short || n < 2 {
		return 0
	}
	m.add(n)
	return n
}

// leaseShare of the room goes into one lease, so that what one cell does not use does
// not keep much from the others.
const leaseShare = 8

// SettleLease takes back what was lent. It always counts, whatever its epoch.
func (m *Machine) SettleLease(now patterns.Instant, _ uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	n := max(0, t.Success+t.Failure+t.Dropped+t.Ignored+t.Unused)
	if m.owes && t.Unused > 0 && m.pending-n < m.high { // never hot: it was only lent
		m.hot, m.owes, m.dirty = false, false, true
		m.heats--
	}
	m.sub(n)
	return true, m.flush()
}

// SlowAfter is 0: how long work took is nothing to a valve.
func (m *Machine) SlowAfter() time.Duration { return 0 }

func (m *Machine) add(n int) {
	m.pending += n
	if m.pending > m.peak {
		m.peak = m.pending
	}
	if m.pending >= m.high && !m.hot {
		m.become(true)
	}
}

// sub never takes more than there is.
func (m *Machine) sub(n int) {
	m.pending = max(0, m.pending-n)
	if m.hot && m.pending <= m.low {
		m.become(false)
	}
}

// become is where it gets hot or calm. Getting hot, it does not know the time: the shell
// was spared the clock until now, and reads it from here on.
func (m *Machine) become(hot bool) {
	if m.owes {
		m.announce()
	}
	m.hot, m.short, m.dirty = hot, false, true
	if hot {
		m.epoch++
		m.heats++
		m.owes = true
		return
	}
	m.announce()
}

// announce puts the event of the last transition, now that the time is known.
func (m *Machine) announce() {
	after := m.hi.Sub(m.since)
	if !m.hot {
		m.heated += after
	}
	m.since = m.hi
	m.events.Put(Pressure{Name: m.name, On: m.hot, Pending: m.pending, Limit: m.limit, After: after, Epoch: m.epoch, At: m.wall(m.hi)})
	m.owes, m.dirty = false, true
}

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
