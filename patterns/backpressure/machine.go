package backpressure

import (
	"errors"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// Machine is the rules of a valve, and all of its state: how much is pending, and
// whether it is hot.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// It keeps no queue: it answers Wait, and is asked again, the head of the queue first,
// whenever a permit ended. Decisions look at no time at all. The moment at which it gets
// hot is only known at the next input: it asks to be woken at once, and announces it then.
type Machine struct {
	pending int
	high    int
	low     int
	limit   int
	hot     bool
	owes    bool // a Pressure that waits for a reading of the clock
	dirty   bool // something changed that the shell must be told

	epoch uint64           // begins when it gets hot: leases end
	hi    patterns.Instant // the largest now seen: time never runs backwards
	since patterns.Instant // of hot, or of not hot

	peak   int            // the most that was ever pending
	heats  uint64         // how often it got hot
	heated time.Duration  // for how long it was hot, until since
	heavy  map[uint64]int // what permits weigh that are not 1

	cfg    Config // with its defaults
	name   string
	origin time.Time

	refusal *PressureError // the last one made
	weight  *WeightError   // the last one made
	events  eventQueue
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
}

// past is the Deadline of a Request that does not wait.
const past = patterns.Instant(-1 << 63)

// Acquire makes r.Weight pending, unless it is hot or there is no room: then it answers
// Wait where producers may wait, and otherwise refuses with a *PressureError. What could
// never be granted it refuses with a *WeightError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	w := max(1, r.Weight)
	switch {
	case w > m.limit:
		if m.weight == nil || m.weight.Weight != w || m.weight.Limit != m.limit {
			m.weight = &WeightError{Name: m.name, Weight: w, Limit: m.limit}
		}
		return patterns.Decision{Dirty: m.flush(), Err: m.weight}
	case !m.hot && m.pending <= m.limit-w:
		if w > 1 {
			m.weigh(id, w)
		}
		m.add(w)
		return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
	case m.cfg.MaxWaiting != NoQueue && r.Deadline != past:
		return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
	}
	if e := m.refusal; e == nil || e.Pending != m.pending || e.Limit != m.limit {
		m.refusal = &PressureError{Name: m.name, Cause: CauseHot, Pending: m.pending, Limit: m.limit}
	}
	return patterns.Decision{Dirty: m.flush(), Err: m.refusal}
}

// Report ends what was pending. How it ended is nothing to a valve.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	return true, m.Release(now, p)
}

// Release ends what was pending.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	w := 1
	if len(m.heavy) > 0 {
		if known, ok := m.heavy[p.ID]; ok {
			w = known
			delete(m.heavy, p.ID)
		}
	}
	m.sub(w)
	return m.flush()
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
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.drain() }

// Timeless is true while calm.
func (m *Machine) Timeless() bool { return !m.hot }

// Measured is false: how long work took is nothing to a valve.
func (m *Machine) Measured() bool { return false }

// Refusal is never known in advance: it may cool at any moment.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) { return nil, 0, false }

// Lease lends at most an eighth of the room below the high water mark, and none while hot.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	n := min(want, (m.high-m.pending)/leaseShare)
	if m.hot || n < 2 {
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
	m.sub(max(0, t.Success+t.Failure+t.Dropped+t.Ignored+t.Unused))
	return true, m.flush()
}

// SlowAfter is 0: how long work took is nothing to a valve.
func (m *Machine) SlowAfter() time.Duration { return 0 }

func (m *Machine) weigh(id uint64, w int) {
	if m.heavy == nil {
		m.heavy = make(map[uint64]int)
	}
	m.heavy[id] = w
}

func (m *Machine) add(n int) {
	m.pending += n
	m.peak = max(m.peak, m.pending)
	if !m.hot && m.pending >= m.high {
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

// become is the only place where it gets hot or calm. Getting hot, it does not know the
// time: the shell was spared the clock until now, and reads it from here on.
func (m *Machine) become(hot bool) {
	m.hot, m.dirty = hot, true
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
	m.events.put(Pressure{Name: m.name, On: m.hot, Pending: m.pending, Limit: m.limit, After: after, Epoch: m.epoch, At: m.wall(m.hi)})
	m.dirty = true
}

// settle sets the time and announces what waited for it.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
	}
	if m.owes {
		m.owes = false
		m.announce()
	}
}

// Operate carries out a Reset, which forgets the peak and how often and for how long it was
// hot, and touches no permit. A valve has no meaning for other commands; the error is a
// *ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &ConfigError{Field: "Kind", Value: op.Kind, Problem: "is not something a valve can do"}
	}
	m.peak, m.heats, m.heated = m.pending, 0, 0
	if m.hot {
		m.heats, m.heated = 1, -m.hi.Sub(m.since) // which makes 0 of it as of now
	}
	return nil
}

// Reconfigure changes the marks and keeps what is pending. It is hot or calm by the new
// marks at once; between them it stays what it was. MaxWaiting stays what it was,
// because the queue is not the Machine's.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	c.MaxWaiting = old.MaxWaiting
	if c == old {
		return
	}
	m.adopt(c)
	m.events.put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
	m.add(0)
	m.sub(0)
	m.settle(now)
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("backpressure: "+problem))
		}
	}
	sum := 0
	for _, w := range m.heavy {
		sum += w
	}
	check(m.pending >= sum, "less is pending than permits weigh")
	check(m.hot || m.pending < m.high, "calm at the high water mark")
	check(!m.hot || m.pending > m.low, "hot at the low water mark")
	check(m.peak >= m.pending, "the peak is below what is pending")
	check(!m.owes || m.hot, "owes an event without being hot")
	return errors.Join(errs...)
}

// Repair adds up again what is pending, and never to less than permits are known to
// weigh. Permits of weight 1 are not known one by one: what was counted stays counted.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	sum := 0
	for id, w := range m.heavy {
		if w < 2 {
			delete(m.heavy, id)
			continue
		}
		sum += w
	}
	m.pending = max(m.pending, sum)
	m.peak = max(m.peak, m.pending)
	m.owes = false
	m.epoch++
	switch {
	case !m.hot && m.pending >= m.high, m.hot && m.pending <= m.low:
		m.hot = !m.hot
		m.announce()
	}
	m.dirty = true
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	d := m.dirty
	m.dirty = false
	return d
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
