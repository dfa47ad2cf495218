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
// Again when the one it has told so may pass, and is asked again then. So one who
// leaves the queue leaves no hole in it, and never do more pass than the rates allow.
type Machine struct {
	state State
	dirty bool // something changed that the shell must be told

	hi    patterns.Instant // the largest now seen: time never runs backwards
	until patterns.Instant // when a forced state ends
	epoch uint64           // grows with every change of state; permits carry it

	law     *law
	single  []uint64 // the state of requests without a key
	keyed   bool     // keys mean something
	keys    *keys    // of requests with one; nil before the first
	at      budget   // where the last key stood
	all     budget   // where requests without a key stand
	lent    lent
	grants  grants
	queue   queue
	booked  bookings
	futures futures

	refused  [MaxTiers]uint64 // by each rate, since the start
	exceeded uint64           // passed only because of MetricsOnly
	overflow uint64           // requests that met a shared budget
	refusals refusals
	limited  notice
	crowded  notice

	cfg    Config // with its defaults
	name   string
	shard  int
	shards int
	seed   fingerprint.Seed
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
	// one. Needed unless Config.MaxKeys is NoKeys.
	Seed [2]uint64
	// Shard says which of Shards Machines this is, that have the keys of one limiter
	// among them. Shards of 0 means 1. The first speaks for all of them of what an operator
	// did.
	Shard, Shards int
}

// latest bounds now, so that no sum of it and a span overflows: 73 years.
const latest = 1 << 61

// NewMachine returns a Machine in epoch 1 of which nothing has been used.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{
		name: p.Name, shard: p.Shard, shards: max(1, p.Shards), seed: p.Seed, origin: p.Origin,
		epoch: 1, hi: min(p.Now, latest), until: patterns.Never,
	}
	m.queue.again = patterns.Never
	m.adopt(p.Config.withDefaults())
	m.single = make([]uint64, m.law.Words())
	m.law.Start(m.single, int64(m.hi))
	return m
}

// adopt makes c, which has its defaults, the policy.
func (m *Machine) adopt(c Config) {
	m.cfg, m.law, m.keyed = c, newLaw(c, m.origin), c.keyed()
	_, ttl, leased := c.Mode.Lease()
	m.lent.adopt(m.law.Tiers, ttl, leased)
}

// known returns the keys, which are made when they are first needed.
func (m *Machine) known() *keys {
	if m.keys == nil {
		m.keys = newKeys(m.seed, m.law, shareOf(m.cfg.MaxKeys, m.shards), m.hi)
	}
	return m.keys
}

// law is what holds for a budget.
type law struct {
	*rate.Tiers
	rates []Rate // of each tier
}

func newLaw(c Config, origin time.Time) *law {
	return &law{c.build(utc(origin)), c.rates()}
}

// Acquire uses r.Weight of r.Key's budget. If it has too little, Acquire answers Wait where
// r may wait and its turn comes in time, and otherwise refuses with a *LimitError. What
// could never pass it refuses with a *WeightError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	n := weight(r)
	switch {
	case m.state != Limiting:
		return m.acquireForced(id, r, n)
	case r.Asked != 0:
		return m.acquireWaiting(id, r, n)
	case m.keyed && r.Key != "":
		return m.acquireKey(id, r, n)
	case n < 1:
		return m.tooHeavy(n, m.law.rates[0], m.law.Rule(0).Capacity())
	}
	since := int64(0)
	if !r.Spend {
		since = m.law.Since(m.single, int64(m.hi))
	}
	if wait, tier := m.law.Take(m.single, int64(m.hi), n); wait != 0 {
		return m.lack(r, m.find(""), n, wait, tier)
	}
	if len(m.futures.of) > 0 {
		m.between(m.find(""), n)
	}
	if !r.Spend {
		m.grants.put(id, charge{since: since, n: n})
	}
	return m.grant()
}

func (m *Machine) acquireKey(id uint64, r *patterns.Request, n int64) patterns.Decision {
	b := m.find(r.Key)
	if n < 1 {
		return m.tooHeavy(n, b.law.rates[0], b.law.Rule(0).Capacity())
	}
	m.queue.forget(b.key)
	if b.fresh || b.over {
		if wait, tier := b.law.Wait(b.state, int64(m.hi), n); wait != 0 {
			return m.lack(r, b, n, wait, tier)
		}
		if c := m.charge(b, n, m.hi); !r.Spend {
			m.grants.put(id, c)
		}
		return m.grant()
	}
	since := int64(0)
	if !r.Spend {
		since = b.law.Since(b.state, int64(m.hi))
	}
	if wait, tier := b.law.Take(b.state, int64(m.hi), n); wait != 0 {
		return m.lack(r, b, n, wait, tier)
	}
	if len(m.futures.of) > 0 {
		m.between(b, n)
	}
	if !r.Spend {
		m.grants.put(id, charge{key: b.key, since: since, n: n})
	}
	return m.grant()
}

// acquireWaiting is Acquire for a request that has waited. It uses what was there when its
// time came, however late it is asked for.
func (m *Machine) acquireWaiting(id uint64, r *patterns.Request, n int64) patterns.Decision {
	b := m.find(r.Key)
	m.queue.forget(b.key)
	if wait, tier := b.law.Wait(b.state, int64(m.hi), n); wait != 0 {
		return m.lack(r, b, n, wait, tier)
	}
	if c := m.charge(b, n, min(r.Asked, m.hi)); !r.Spend {
		m.grants.put(id, c)
	}
	return m.grant()
}

// find returns where a key stands; without keys, all of them stand at the same place.
// It is valid until the next find.
func (m *Machine) find(key string) *budget {
	switch {
	case !m.keyed || key == "":
		m.all = budget{law: m.law, state: m.single}
		return &m.all
	case m.keys == nil || !m.keys.known || !m.keys.again(key):
		k := m.known()
		k.find(m.hi, k.print(key), &m.at)
		k.known = !m.at.fresh && !m.at.over && len(key) <= maxRecent
	}
	return &m.at
}

// charge uses n of b, for somebody who has asked for them since an instant.
func (m *Machine) charge(b *budget, n int64, since patterns.Instant) charge {
	if b.fresh {
		m.keep(b)
	}
	c := charge{key: b.key, since: b.law.Since(b.state, int64(m.hi)), n: n, over: b.over}
	b.law.Late(b.state, int64(since), int64(m.hi), n)
	if len(m.futures.of) > 0 {
		m.between(b, n)
	}
	if b.over {
		m.overflowed()
	}
	return c
}

// keep makes a record of a key that has none.
func (m *Machine) keep(b *budget) {
	m.keys.keep(m.hi, b)
	if m.keys.sweepAt == patterns.Never {
		m.keys.sweepAt = m.hi.Add(sweepLate)
		m.dirty = true
	}
}

// Report ends a permit. What it used stays used, however the call went.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.settle(now)
	m.queue.freed = nobody
	m.grants.drop(p.ID)
	return p.Epoch == m.epoch, m.flush()
}

// Release ends a permit that was not used, and gives back what it took, less what has
// come again in the meantime: a bucket that was full would have run over.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	m.queue.freed = nobody
	if c, ok := m.grants.end(p.ID); ok { // else a change of the rules has made it forgotten
		m.refund(c)
	}
	return m.flush()
}

// refund gives c back. The key of c may be gone: then there is nothing that it lacks.
func (m *Machine) refund(c charge) {
	b := m.chargedTo(c)
	m.queue.free(c.key)
	if b.state != nil {
		m.amend(c.slot(), &b, func(state []uint64) { b.law.Refund(state, c.since, int64(m.hi), c.n) })
	}
}

// chargedTo returns the budget that c was taken from; without a state if that is gone.
func (m *Machine) chargedTo(c charge) budget {
	b := budget{law: m.law, state: m.single}
	if c.key != (fingerprint.Key{}) {
		switch o := m.keys.overrides[c.key]; {
		case o != nil:
			b.law, b.state = o.law, o.state
		case c.over:
			b.state = m.keys.share(c.key)
		default:
			b.state = m.keys.table.Find(c.key)
		}
	}
	return b
}

// Tick makes what is due by now happen: a forced state ends, keys that say nothing any
// more are dropped.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.keys != nil {
		m.keys.tick(m.hi)
	}
	return m.flush()
}

// Wake is when a forced state ends, or keys are to be looked through.
func (m *Machine) Wake() patterns.Instant {
	if m.keys != nil {
		return min(m.until, m.keys.sweepAt)
	}
	return m.until
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

// Unhurried is true: a permit that is reported stays used, whenever that is.
func (m *Machine) Unhurried() bool { return true }

// Spends is true: a permit that is used up as it is granted is all that most callers want.
func (m *Machine) Spends() bool { return true }

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
