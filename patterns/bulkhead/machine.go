package bulkhead

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Machine is the rules of a bulkhead, and all of its state.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// It keeps no queue: it answers Wait, and is asked again, the head of the queue first,
// whenever a slot may have become free. While nobody lacks a slot it looks at no time
// at all, so the moment at which it becomes Saturated is only known at the next input:
// it asks to be woken at once, and announces it then.
type Machine struct {
	limit int         // of each compartment
	main  compartment // of requests without a key, or of all of them
	dirty bool        // something changed that the shell must be told
	owes  bool        // a Saturated that waits for a reading of the clock
	waits bool        // somebody waits, unless they have left since

	epoch uint64           // begins when the main compartment gets short of slots: leases end
	hi    patterns.Instant // the largest now seen: time never runs backwards
	due   patterns.Instant // when the head of the queue may have waited for long enough
	look  patterns.Instant // when to see whether nobody lacks a slot any more

	taken     int // slots, in all compartments
	peak      int // the most that were ever taken
	saturated int // compartments

	partitions map[string]*compartment // that have slots taken
	spare      *compartment            // the last one that had none left, to be used again
	holds      map[uint64]hold         // what permits took that are not one slot of main

	cfg    Config // with its defaults
	name   string
	origin time.Time
	waited WaitTimes

	owed   Saturated
	full   [3]*FullError // the last one made for each cause
	heavy  *WeightError  // the last one made
	long   *KeyError     // the last one made
	events eventQueue
}

// compartment is a set of slots of its own.
type compartment struct {
	key       string
	taken     int
	saturated bool
	since     patterns.Instant // of saturated
}

// hold is what one permit took.
type hold struct {
	of     *compartment
	weight int
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
	cfg := p.Config.withDefaults()
	return &Machine{
		name: p.Name, origin: p.Origin, epoch: 1, hi: p.Now, due: patterns.Never, look: patterns.Never,
		cfg: cfg, limit: cfg.MaxConcurrent,
	}
}

// Acquire takes r.Weight slots of r.Key's compartment. If there are none it answers
// Wait where callers may wait, and otherwise refuses with a *FullError. What it could
// never grant it refuses with a *WeightError or a *KeyError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	c := &m.main
	if r.Weight > 1 || r.Key != "" && m.cfg.MaxPartitions > 0 {
		return m.acquireHold(id, r)
	}
	if c.taken >= m.limit {
		return m.lack(c, r)
	}
	if m.saturated > 0 && !m.turn(r) {
		return m.tired()
	}
	m.take(c, 1)
	return m.grant()
}

// Report gives the permit's slots back. How the call ended is nothing to a bulkhead.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	return true, m.Release(now, p)
}

// Release gives the permit's slots back.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	h := hold{of: &m.main, weight: 1}
	if len(m.holds) > 0 {
		if known, ok := m.holds[p.ID]; ok {
			h = known
			delete(m.holds, p.ID)
		}
	}
	m.give(h.of, h.weight)
	return m.flush()
}

// Tick announces what the clock had to be read for. Waiting callers that have waited for
// long enough are refused when the shell asks for them, which it does after a Tick.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.look {
		m.look = patterns.Never
		m.ease(&m.main)
	}
	return m.flush()
}

// Wake is when the head of the queue has waited for Config.MaxWait, or it may be time to
// be relieved; at once if there is something to announce.
func (m *Machine) Wake() patterns.Instant {
	if m.owes {
		return m.hi.Add(1)
	}
	return min(m.due, m.look)
}

// Epoch begins anew whenever somebody first finds no slot, so that leases end.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.drain() }

// Timeless is true while nobody lacks a slot.
func (m *Machine) Timeless() bool { return m.saturated == 0 }

// Measured is false: how long a call took is nothing to a bulkhead.
func (m *Machine) Measured() bool { return false }

// Refusal is never known in advance: a slot may become free at any moment.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }

// settle sets the time and does what waited for it.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
	}
	if m.saturated > 0 {
		m.overdue()
	}
}

func (m *Machine) overdue() {
	if m.owes {
		m.owes = false
		m.owed.At = m.wall(m.hi)
		m.events.put(m.owed)
		m.dirty = true
		if c := m.find(m.owed.Key); c != nil {
			c.since = m.hi
		}
	}
	if m.hi >= m.due {
		m.due = patterns.Never
	}
}

func (m *Machine) grant() patterns.Decision {
	m.waits = false
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// refuse makes one error per cause, and shares it as long as its numbers are right.
func (m *Machine) refuse(cause Cause, limit, inFlight int) patterns.Decision {
	m.waits = false
	e := &m.full[0]
	switch cause {
	case CauseMaxWait:
		e = &m.full[1]
	case CausePartitions:
		e = &m.full[2]
	}
	if *e == nil || (*e).Limit != limit || (*e).InFlight != inFlight {
		*e = &FullError{Name: m.name, Cause: cause, Limit: limit, InFlight: inFlight}
	}
	return patterns.Decision{Dirty: m.flush(), Err: *e}
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	d := m.dirty
	m.dirty = false
	return d
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
