package ratelimiter

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/rate"
)

// Machine is the rules of a rate limiter, and all of its state.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// It keeps no queue, and books no time for those who wait: it answers Wait, says with
// Wake when the one it has told so may pass, and is asked again then. So one who
// leaves the queue leaves no hole in it, and never do more pass than the rates allow.
type Machine struct {
	state State
	dirty bool // something changed that the shell must be told

	hi    patterns.Instant // the largest now seen: time never runs backwards
	due   patterns.Instant // when the first of those who wait may pass
	until patterns.Instant // when a forced state ends
	epoch uint64           // grows with every change of state; permits carry it

	law    *law
	single []uint64 // the state without keys
	keys   *keys    // nil without
	at     budget   // where the last request's key stood
	lent   lent
	grants grants

	refused  [MaxTiers]uint64 // by each rate, since the start
	exceeded uint64           // passed only because of MetricsOnly
	refusals refusals
	limited  notice
	overflow notice

	cfg    Config // with its defaults
	name   string
	origin time.Time
	events eventqueue.Queue
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
	// Seed is random and secret, so that nobody can make two keys that are taken for
	// one. Needed with Config.MaxKeys.
	Seed [2]uint64
}

// latest bounds now, so that no sum of it and a span overflows: 73 years.
const latest = 1 << 61

// NewMachine returns a Machine in epoch 1 of which nothing has been used.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{
		name: p.Name, origin: p.Origin, epoch: 1, hi: min(p.Now, latest),
		due: patterns.Never, until: patterns.Never, grants: newGrants(),
	}
	m.adopt(p.Config.withDefaults())
	m.single = make([]uint64, m.law.Words())
	m.law.Start(m.single, int64(m.hi))
	if m.cfg.MaxKeys > 0 {
		m.keys = newKeys(fingerprint.Seed(p.Seed), m.law, m.cfg.MaxKeys, m.hi)
	}
	return m
}

// adopt makes c, which has its defaults, the policy.
func (m *Machine) adopt(c Config) {
	m.cfg, m.law = c, newLaw(c, m.origin)
	_, ttl, leased := c.Mode.Lease()
	m.lent.adopt(m.law.Tiers, ttl, leased && c.MaxKeys == 0)
}

// law is what holds for a budget.
type law struct {
	*rate.Tiers
	rates []Rate // of each tier
}

func newLaw(c Config, origin time.Time) *law {
	return &law{c.build(utc(origin)), c.rates()}
}

// Acquire uses r.Weight of the budget, r.Key's if there are keys. If it has too little,
// Acquire answers Wait where callers may wait and r's turn comes in time, and otherwise
// refuses with a *LimitError. What could never pass it refuses with a *WeightError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	n := weight(r)
	switch {
	case m.state != Limiting:
		return m.acquireForced(id, r, n)
	case m.keys != nil:
		return m.acquireKey(id, r, n)
	case n < 1:
		return m.tooHeavy(n, m.law.rates[0], m.law.Rule(0).Capacity())
	}
	if wait, tier := m.law.Take(m.single, int64(m.hi), n); wait != 0 {
		return m.lack(r, m.find(""), n, wait, tier)
	}
	m.grants.put(id, charge{since: m.hi, n: n})
	return m.grant()
}

func (m *Machine) acquireKey(id uint64, r *patterns.Request, n int64) patterns.Decision {
	b := m.find(r.Key)
	if n < 1 {
		return m.tooHeavy(n, b.law.rates[0], b.law.Rule(0).Capacity())
	}
	if b.fresh || b.over {
		if wait, tier := b.law.Wait(b.state, int64(m.hi), n); wait != 0 {
			return m.lack(r, b, n, wait, tier)
		}
		m.grants.put(id, m.charge(b, n))
		return m.grant()
	}
	if wait, tier := b.law.Take(b.state, int64(m.hi), n); wait != 0 {
		return m.lack(r, b, n, wait, tier)
	}
	m.grants.put(id, charge{key: b.key, since: m.hi, n: n})
	return m.grant()
}

// find returns where a key stands; without keys, all of them stand at the same place.
// It is valid until the next find.
func (m *Machine) find(key string) *budget {
	switch {
	case m.keys == nil:
		m.at = budget{law: m.law, state: m.single}
	case !m.keys.known || !m.keys.again(key):
		m.keys.find(m.hi, m.keys.print(key), &m.at)
		m.keys.known = !m.at.fresh && !m.at.over && len(key) <= maxRecent
	}
	return &m.at
}

// charge uses n of b.
func (m *Machine) charge(b *budget, n int64) charge {
	if b.fresh {
		m.keys.keep(m.hi, b)
		if m.keys.sweepAt == patterns.Never {
			m.keys.sweepAt = m.hi.Add(sweepLate)
			m.dirty = true
		}
	}
	b.law.Charge(b.state, int64(m.hi), n)
	if b.over {
		m.overflowed()
	}
	return charge{key: b.key, since: m.hi, n: n, over: b.over}
}

// Report ends a permit. What it used stays used, however the call went.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.settle(now)
	m.grants.end(p.ID)
	return p.Epoch == m.epoch, m.flush()
}

// Release ends a permit that was not used, and gives back what it took, less what has
// come again in the meantime: a bucket that was full would have run over.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	if c, ok := m.grants.end(p.ID); ok { // else a change of the rules has made it forgotten
		m.refund(c)
	}
	return m.flush()
}

// refund gives c back. The key of c may be gone: then there is nothing that it lacks.
func (m *Machine) refund(c charge) {
	b := budget{law: m.law, state: m.single}
	if m.keys != nil {
		switch o := m.keys.overrides[c.key]; {
		case o != nil:
			b.law, b.state = o.law, o.state
		case c.over:
			b.state = m.keys.share(c.key)
		default:
			b.state = m.keys.table.Find(c.key)
		}
	}
	if b.state == nil {
		return
	}
	b.law.Refund(b.state, int64(c.since), int64(m.hi), c.n)
}

// Tick makes what is due by now happen: a forced state ends, somebody who waits is to
// be asked for, keys that say nothing any more are dropped.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.due {
		m.due = patterns.Never
		m.dirty = true
	}
	if m.keys != nil {
		m.keys.tick(m.hi)
	}
	return m.flush()
}

// Wake is when somebody who waits may pass, a forced state ends, or keys are to be
// looked through.
func (m *Machine) Wake() patterns.Instant {
	at := min(m.due, m.until)
	if m.keys != nil {
		at = min(at, m.keys.sweepAt)
	}
	return at
}

// Epoch is the version of the state. Commands, their end and repairs begin a new one.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is true while an operator has every request treated alike, without an end.
func (m *Machine) Timeless() bool {
	return (m.state == ForcedOpen || m.state == ForcedClosed) && m.until == patterns.Never
}

// Measured is false: how long a call took is nothing to a limiter.
func (m *Machine) Measured() bool { return false }

// Refusal says that every request is refused while ForcedOpen.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) {
	if m.state != ForcedOpen {
		return nil, 0, false
	}
	return m.forcedError(), m.until, true
}

// settle sets the time, and ends a forced state that is over.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = min(now, latest)
	}
	if m.hi >= m.until {
		m.become(Limiting, CauseForcedElapsed, "")
	}
	if m.lent.on {
		m.lent.settle(m.hi, m.single)
	}
}

func (m *Machine) grant() patterns.Decision {
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	d := m.dirty
	m.dirty = false
	return d
}

// askAgain has whoever waits asked for at once, because the rules have changed.
func (m *Machine) askAgain() {
	if m.due != patterns.Never {
		m.due = m.hi
	}
	m.dirty = true
}

// wall returns the wall time of an instant, and the zero Time for Never.
func (m *Machine) wall(at patterns.Instant) time.Time {
	if at == patterns.Never {
		return time.Time{}
	}
	return m.origin.Add(time.Duration(at))
}

// weight is what r asks for: 0 means 1.
func weight(r *patterns.Request) int64 {
	if r.Weight == 0 {
		return 1
	}
	return int64(r.Weight)
}
