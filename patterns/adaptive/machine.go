package adaptive

import (
	"iter"
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

// Machine is the rules of an adaptive limiter, and all of its state: how many permits
// are out, and a Limit that says how many may be. It reads no clock, takes no lock and
// starts no goroutine: every input brings its own time, and the same inputs give the
// same outputs. It must not be used from two goroutines at once.
type Machine struct {
	// What every turn looks at comes first, on few cache lines: two callers that take turns
	// on two processors hand them back and forth.
	state   State
	low     bool             // the knee looks below itself for a moment
	grouped bool             // tenants are told apart
	lends   bool             // in leases, whose calls need not be timed
	idle    bool             // and so few are in flight that no call is timed
	lent    bool             // there are leases of this epoch
	dirty   bool             // something changed that the shell must be told
	hi      patterns.Instant // the largest now seen: time never runs backwards
	due     patterns.Instant // when a forced state ends
	saidAt  patterns.Instant // when the last LimitChanged was
	epoch   uint64
	since   uint64 // the epoch in which learning began

	limit    int // what finder said last
	inFlight int // weights of all permits out
	cutoff   cutoff
	slots    []slot
	latency  float64 // moving average in ns
	spread   float64 // moving average of how far calls are from it, in ns
	knee     *knee   // finder, if it is one
	finder   Limit
	leased   int // weights of the permits that are not in slots

	cause   Cause // of the last change of state
	tenants tenants
	line    line
	waited  *patterns.WaitTimes // nil if nobody has yet

	cfg    Config // with its defaults
	name   string
	origin time.Time
	seed   uint64

	refusals  [causes]*LimitError // the last ones made
	refusedAt patterns.Instant    // when they were
	announced int                 // the limit of the last event
	events    eventqueue.Queue
}

// slot is what is known of a permit that is out.
type slot struct {
	id       uint64 // 0 if there is none
	inFlight int32  // when it was granted, itself included
	weight   int32
	tenant   int32
	level    int8
	full     bool // it took the last place
	greedy   bool // its tenant had its share
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the limiter's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
	// Seed makes the hashes of keys hard to guess.
	Seed uint64
}

// NewMachine returns a Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{
		name: p.Name, origin: p.Origin, seed: p.Seed, cfg: p.Config.withDefaults(),
		epoch: 1, since: 1, hi: p.Now, due: patterns.Never, saidAt: p.Now, refusedAt: p.Now,
	}
	m.line = newLine(&m.cfg)
	m.tenants = newTenants(&m.cfg, p.Seed)
	m.grouped = m.cfg.grouped()
	m.lends = m.cfg.lends()
	m.idle = m.lends
	m.find(m.cfg.Algorithm.New(m.cfg.bounds()))
	m.announced = m.limit
	return m
}

// Acquire grants a permit if there is a place for the request, and otherwise refuses
// it with a *LimitError, or has it wait where callers may.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	// What nearly all are: nothing is kept for anybody, and there is a place.
	if m.state == Adapting && !m.cutoff.held && !m.grouped && !m.low && !m.idle &&
		r.Asked == 0 && r.Deadline == 0 && r.Weight <= 1 && m.inFlight < m.limit {
		if i := int(uint32(id)) - 1; uint(i) < uint(len(m.slots)) && m.slots[i].id == 0 {
			m.inFlight++
			m.slots[i].fill(id, m.inFlight, r.Priority, m.inFlight == m.limit)
			m.cutoff.inFlight[r.Priority-patterns.Background]++
			return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
		}
	}
	return m.admit(id, r)
}

func (m *Machine) admit(id uint64, r *patterns.Request) patterns.Decision {
	if m.idle && 2*m.inFlight >= m.limit {
		m.idle, m.dirty = false, true
	}
	c := m.claim(r)
	if r.Asked == 0 {
		m.came(&c)
	}
	switch {
	case m.state == ForcedOpen:
		return m.refuse(CauseForced)
	case m.state != Adapting:
		return m.grant(id, &c, math.MaxInt32)
	case r.Deadline != 0 && m.hi >= r.Deadline:
		return m.refuse(CauseDeadline)
	case c.weight > m.cfg.Max:
		return m.refuse(CauseWeight)
	case m.overstayed(r):
		return m.giveUp(&c, CauseSojourn)
	case m.hopeless(r):
		return m.giveUp(&c, CauseDeadline)
	}
	room := m.room(c.level, c.entitled)
	// Whatever is kept, something runs: who never calls never learns.
	if m.inFlight+c.weight <= room || m.inFlight == 0 {
		return m.grant(id, &c, room)
	}
	if r.Asked != 0 && !c.entitled && m.inFlight+c.weight <= m.room(c.level, true) {
		return m.giveUp(&c, CauseShare) // or tenants that have not had their share would wait behind it
	}
	return m.decline(r, &c, room)
}

// room is how many may be in flight once a call of that kind is granted. A Knee that
// looks below itself for a moment does not make the highest priority pay for it, and
// what is kept for others shrinks with the limit.
func (m *Machine) room(level int, entitled bool) int {
	limit, kept := m.limit, m.cutoff.kept(level, entitled)
	if m.low {
		firm := max(int(m.knee.probe.resume), limit)
		if level == levels-1 {
			limit = firm
		} else {
			kept *= float64(limit) / float64(firm)
		}
	}
	return limit - int(math.Ceil(kept))
}

// claim is a request in the terms of the rules.
type claim struct {
	weight   int
	level    int
	tenant   int32
	entitled bool
	asked    patterns.Instant // since when it waits, 0 for a newcomer
}

func (m *Machine) claim(r *patterns.Request) claim {
	c := claim{weight: max(r.Weight, 1), level: int(r.Priority - patterns.Background), entitled: true, asked: r.Asked}
	if m.grouped {
		c.tenant = m.tenants.find(m.hi, r.Key, m.cfg.Partitions)
		c.entitled = m.tenants.entitled(c.tenant, float64(m.limit))
	}
	return c
}

// came counts a newcomer, of use or not.
func (m *Machine) came(c *claim) {
	if m.cutoff.held {
		m.cutoff.ask(m.hi, c.level, c.weight, time.Duration(m.latency), float64(m.limit))
	}
}

func (m *Machine) grant(id uint64, c *claim, room int) patterns.Decision {
	m.inFlight += c.weight
	m.keep(&slot{
		id: id, inFlight: int32(min(m.inFlight, math.MaxInt32)), weight: int32(c.weight), tenant: c.tenant,
		level: int8(c.level), full: m.inFlight >= room, greedy: !c.entitled,
	})
	if m.cutoff.held {
		m.cutoff.shrink(c.level, c.entitled)
	}
	if c.asked != 0 {
		m.waitedSince(c.asked)
	}
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// decline has a request wait where it may, and else refuses it.
func (m *Machine) decline(r *patterns.Request, c *claim, room int) patterns.Decision {
	m.recall()
	if r.Asked != 0 || m.cfg.MaxWaiting > 0 && !r.NoWait && m.mayWait(room) {
		if r.Asked == 0 && m.cutoff.held {
			m.cutoff.asked[c.level] -= c.weight // Join counts it
		}
		return m.wait(r)
	}
	return m.giveUp(c, m.scarcity(c))
}

// scarcity is what there is too little of.
func (m *Machine) scarcity(c *claim) Cause {
	switch {
	case m.inFlight+c.weight > m.limit:
		return CauseLimit
	case !c.entitled && m.cutoff.fair >= 1:
		return CauseShare
	}
	return CausePriority
}

func (m *Machine) giveUp(c *claim, why Cause) patterns.Decision {
	return patterns.Decision{Verdict: patterns.Refuse, Err: m.turnAway(c, why), Dirty: m.flush()}
}

// turnAway refuses a call that others took the place of: its priority and tenant want more
// kept for them.
func (m *Machine) turnAway(c *claim, why Cause) error {
	m.cutoff.refused(m.hi, c.level, c.entitled, float64(m.limit))
	return m.refusal(why)
}

// recall ends the leases, because there are callers who need what may be unused in them.
func (m *Machine) recall() {
	if m.lent {
		m.lent = false
		m.epoch++
		m.dirty = true
	}
}

// Report ends the permit p and teaches the limit how it went: Dropped is a loss, Ignored
// teaches nothing.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool) {
	m.settle(now)
	inFlight, full := m.end(p.ID)
	counted = p.Epoch >= m.since
	if m.lends && !m.timed(o, &elapsed) {
		return counted, m.flush()
	}
	if counted && o != patterns.Ignored && (m.state == Adapting || m.state == MetricsOnly) {
		m.learn(Sample{
			Now: m.hi, RTT: elapsed, InFlight: int(inFlight), Left: m.inFlight, Full: full, Dropped: o == patterns.Dropped,
		})
	}
	return counted, m.flush()
}

// timed reports whether there is something to learn from a call of which it may be unknown
// how long it took; what was lost took as long as others.
func (m *Machine) timed(o patterns.Outcome, elapsed *time.Duration) bool {
	if !m.idle && 4*m.inFlight < m.limit {
		m.idle, m.dirty = true, true
	}
	if *elapsed > 0 {
		return true
	}
	*elapsed = time.Duration(max(m.latency, 1))
	return o == patterns.Dropped
}

func (m *Machine) learn(s Sample) {
	m.time(float64(s.RTT), s.Dropped)
	if m.knee != nil {
		m.limit = m.knee.Observe(s)
		m.low = m.knee.looking()
	} else {
		m.limit = m.finder.Observe(s)
	}
	if m.hi-m.saidAt >= announceEvery {
		m.announce()
	}
}

// time follows what calls take. A lost one takes at least what it took until it was given
// up, unless it was turned away at once.
func (m *Machine) time(rtt float64, lost bool) {
	if lost && rtt <= m.latency {
		return
	}
	m.spread += (math.Abs(rtt-m.latency) - m.spread) / 16
	m.latency += (rtt - m.latency) / 16
}

// patience is what hardly any call takes longer than. TCP's retransmission timer,
// Jacobson 1988.
func (m *Machine) patience() float64 { return m.latency + 4*m.spread }

// Release ends permit p without a verdict.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	m.end(p.ID)
	return m.flush()
}

// Tick ends a forced state whose time is over.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	return m.flush()
}

// Wake is when a forced state ends.
func (m *Machine) Wake() patterns.Instant { return m.due }

// Epoch grows when leases are called back, and when what was learned is thrown away:
// reports of permits from before that free their places and teach nothing.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is false: every report is a measurement.
func (m *Machine) Timeless() bool { return false }

// Measured is true, but for a lender that has hardly any calls in flight: theirs is not the
// latency that says anything about the limit.
func (m *Machine) Measured() bool { return !m.idle }

// Refusal says that every request is refused while ForcedOpen.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) {
	if m.state != ForcedOpen {
		return nil, 0, false
	}
	return m.refusal(CauseForced), m.due, true
}

// settle sets the time and makes the transition that is due.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
	}
	if m.hi >= m.due && m.due != patterns.Never {
		m.become(Adapting, CauseForcedElapsed, "")
	}
}

// find makes l what finds the limit.
func (m *Machine) find(l Limit) {
	m.finder = l
	m.knee, _ = l.(*knee)
	m.take()
}

// take takes what the finder says for the limit.
func (m *Machine) take() {
	m.limit = int(m.finder.Estimate())
	m.low = m.knee != nil && m.knee.looking()
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	if !m.dirty {
		return false
	}
	m.dirty = false
	return true
}
