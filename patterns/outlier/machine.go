package outlier

import (
	"errors"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
)

// Machine is what the ejector's actor knows, and how it decides who is ejected. Callers
// choose by what it publishes, and tell it how calls ended.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its own
// time, and the same inputs give the same outputs. It must not be used from two goroutines
// at once.
type Machine struct {
	permitless.Rules

	hi     patterns.Instant // the largest now seen: time never runs backwards
	epoch  uint64
	cfg    Config // with its defaults
	name   string
	origin time.Time
	dirty  bool             // something changed that the shell must be told
	armed  patterns.Instant // the last Wake that it was told of
	plan   *plan

	members []*member        // in the order of the Config
	slots   []*member        // by slot; nil where there is none
	out     int              // how many are ejected
	back    patterns.Instant // when the first of them is back, or Never
	sweep   patterns.Instant // when members are compared next
	heard   bool             // a call has ended since they were

	spared digest.Digest
	last   string // of those that were, the latest
	events eventqueue.Queue
}

// member is what is known of one.
type member struct {
	identity
	name      string
	era       uint64 // a call that began in an earlier one tells nothing
	ejected   bool
	ejections uint64
	since     patterns.Instant // it was ejected
	times     int              // EjectFor that it is ejected for
	row       int              // failures in a row
	requests  int              // that have ended since members were compared
	good      int              // of those
	total     uint64
	failed    uint64 // of those
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the ejector's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
}

// NewMachine returns a Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, hi: p.Now, epoch: 1, armed: patterns.Never, back: patterns.Never}
	m.adopt(p.Config.withDefaults())
	m.sweep = m.hi.Add(m.cfg.Interval)
	m.decide()
	return m
}

// Plan returns what callers choose by from now on.
func (m *Machine) Plan() any { return m.plan }

// decide makes the plan anew.
func (m *Machine) decide() {
	next := &plan{places: make([]place, len(m.members)), out: m.out, origin: m.origin}
	m.back = patterns.Never
	for i, b := range m.members {
		p := &next.places[i]
		*p = place{name: b.name, identity: b.identity, good: ended{b.identity, b.era, false}, bad: ended{b.identity, b.era, true}}
		if b.ejected {
			p.until = m.until(b)
			m.back = min(m.back, p.until)
		}
	}
	m.plan, m.dirty = next, true
}

// Consult hears how calls ended.
func (m *Machine) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.settle(now)
	q, ok := question.(ended)
	if !ok {
		return patterns.Consultation{}
	}
	m.hear(q)
	m.report()
	return patterns.Consultation{Answer: true, Dirty: m.flush()}
}

func (m *Machine) hear(q ended) {
	b := m.at(q.slot)
	if b == nil || b.mark != q.mark { // it was taken off the list
		return
	}
	b.total++
	if q.bad {
		b.failed++
	}
	if b.ejected || q.era != b.era { // it tells what is known, or was once
		return
	}
	m.heard = true
	b.requests++
	if !q.bad {
		b.good++
		b.row = 0
		return
	}
	if b.row++; b.row >= m.cfg.Consecutive {
		m.eject(b, Consecutive)
	}
}

// at returns the member of a slot, or nil.
func (m *Machine) at(slot int) *member {
	if slot < 0 || slot >= len(m.slots) {
		return nil
	}
	return m.slots[slot]
}

// settle does what is due by now, in the order in which it was: nobody is forgiven anything
// for a time that it was out.
func (m *Machine) settle(now patterns.Instant) {
	m.hi = max(m.hi, now)
	for min(m.back, m.sweep) <= m.hi {
		if m.back <= m.sweep {
			m.restore(m.back)
			continue
		}
		sweeps := int(min(m.hi, m.back-1).Sub(m.sweep)/m.cfg.Interval) + 1
		m.sweep = m.sweep.Add(time.Duration(sweeps) * m.cfg.Interval)
		for _, b := range m.members {
			if !b.ejected {
				b.times = max(0, b.times-sweeps)
			}
		}
		m.compare()
	}
}

// restore brings those back whose time was up at an instant.
func (m *Machine) restore(at patterns.Instant) {
	for _, b := range m.members {
		if b.ejected && m.until(b) <= at {
			m.use(b)
		}
	}
	m.decide()
}

// use brings b back.
func (m *Machine) use(b *member) {
	b.ejected = false
	b.row, b.requests, b.good = 0, 0, 0
	m.out--
	m.tell(Returned{Name: m.name, Member: b.name, Ejected: m.out, At: m.wall(m.hi)})
}

// compare ejects the members that have fewer successes than the others.
func (m *Machine) compare() {
	limit, ok := m.threshold()
	for _, b := range m.members {
		if ok && m.comparable(b) && b.rate() < limit {
			m.eject(b, SuccessRate)
		}
		b.requests, b.good = 0, 0
	}
	m.heard = false
}

// threshold is the share of successes, in percent, below which a member is an outlier: the
// mean of all in use, less some standard deviations of theirs.
func (m *Machine) threshold() (limit float64, ok bool) {
	n, sum := 0, 0.0
	for _, b := range m.members {
		if m.comparable(b) {
			n++
			sum += b.rate()
		}
	}
	if n < m.cfg.MinMembers {
		return 0, false
	}
	mean, squares := sum/float64(n), 0.0
	for _, b := range m.members {
		if m.comparable(b) {
			squares += (b.rate() - mean) * (b.rate() - mean)
		}
	}
	return mean - m.cfg.Deviations*math.Sqrt(squares/float64(n)), true
}

// comparable reports whether b has had enough calls. What an ejected one had is judged already.
func (m *Machine) comparable(b *member) bool { return !b.ejected && b.requests >= m.cfg.MinRequests }

func (b *member) rate() float64 { return 100 * float64(b.good) / float64(b.requests) }

// tiny is what a product of a share falls short of a whole number by at most: 0.07 of 100.
const tiny = 1e-9

// most is how many may be ejected.
func (m *Machine) most() int {
	return min(max(1, int(m.cfg.MaxEjected*float64(len(m.members))+tiny)), len(m.members)-1)
}

// eject keeps b out, unless too many are.
func (m *Machine) eject(b *member, why Reason) {
	if m.out >= m.most() {
		m.last = b.name
		m.spared.Add()
		return
	}
	b.ejected, b.since = true, m.hi
	b.ejections++
	b.era++
	m.out++
	if time.Duration(b.times)*m.cfg.EjectFor < m.cfg.MaxEjectFor {
		b.times++
	}
	m.tell(Ejected{
		Name: m.name, Member: b.name, Reason: why, For: m.until(b).Sub(m.hi), Ejected: m.out, Members: len(m.members), At: m.wall(m.hi),
	})
	m.decide()
}

// until is when b comes back.
func (m *Machine) until(b *member) patterns.Instant {
	return b.since.Add(min(time.Duration(b.times)*m.cfg.EjectFor, m.cfg.MaxEjectFor))
}

// report makes the event that is due.
func (m *Machine) report() {
	if n := m.spared.Take(m.hi); n > 0 {
		m.tell(Spared{Name: m.name, Member: m.last, Ejected: m.out, Count: n, At: m.wall(m.hi)})
	}
}

// Tick brings those back whose time is up, and compares members if it is time to.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	m.report()
	return m.flush()
}

// Wake is when a member is back, or when to compare them, or to tell of more.
func (m *Machine) Wake() patterns.Instant {
	wake := min(m.back, m.spared.Due())
	if m.heard {
		wake = min(wake, m.sweep)
	}
	return wake
}

// Epoch changes with a Repair only.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	out := 0
	for _, b := range m.members {
		switch {
		case b == nil || b.mark == nil || m.at(b.slot) != b:
			return errors.New("outlier: a member has no slot")
		case b.row < 0 || b.good < 0 || b.good > b.requests || b.times < 0 || b.failed > b.total:
			return errors.New("outlier: there are more of some calls than of all")
		case b.ejected:
			out++
		}
	}
	switch {
	case m.plan == nil || len(m.plan.places) != len(m.members) || m.plan.out != m.out:
		return errors.New("outlier: the plan is another one's")
	case out != m.out, m.out > 0 && m.out >= len(m.members):
		return errors.New("outlier: more are ejected than may be")
	}
	return nil
}

// Repair brings all back, and forgets how their calls ended but for the totals.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	m.members = slices.DeleteFunc(m.members, func(b *member) bool { return b == nil })
	m.slots = nil
	for _, b := range m.members {
		if b.mark == nil || b.slot < 0 || b.slot >= maxMembers || m.at(b.slot) != nil {
			b.mark = nil // it gets another one
		} else {
			m.slots = append(m.slots, make([]*member, max(0, b.slot+1-len(m.slots)))...)
			m.slots[b.slot] = b
		}
		b.failed = min(b.failed, b.total)
	}
	m.adopt(m.cfg)
	m.forget()
	m.sweep = m.hi.Add(m.cfg.Interval)
	m.epoch++
	m.decide()
}

// forget brings all back as if nothing had been. What is under way tells of what was.
func (m *Machine) forget() {
	for _, b := range m.members {
		b.ejected = false
		b.era++
		b.times, b.row, b.requests, b.good = 0, 0, 0, 0
	}
	m.out, m.heard = 0, false
}

// flush returns whether the shell must be told of something, and that it was. With more to
// do later, its timer has to be set.
func (m *Machine) flush() (dirty bool) {
	wake := m.Wake()
	dirty = m.dirty || wake != m.armed
	m.dirty, m.armed = false, wake
	return dirty
}

func (m *Machine) tell(e patterns.Event) {
	m.events.Put(e)
	m.dirty = true
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
