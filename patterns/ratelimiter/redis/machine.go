package redislimiter

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter/redis/internal/store"
)

// Machine is the rules of a shared rate limiter, and all that this instance knows of it.
//
// It reads no clock, takes no lock, starts no goroutine and asks nobody: it refers requests
// to Redis, makes up batches of them, and decides by the answers. It must not be used from
// two goroutines at once.
type Machine struct {
	state ratelimiter.State
	dirty bool // something changed that the shell must be told

	hi    patterns.Instant // the largest now seen
	until patterns.Instant // when a forced state ends
	epoch uint64
	again patterns.Instant // when the one that was last told to wait may pass

	cfg       Config // with its defaults
	law       *law
	overrides map[string]*law

	run     run
	habits  habits
	making  *batch
	flying  *batch
	spare   []*batch
	lastKey string

	charges map[uint64]charge // of permits that are out

	reservations reservations
	ahead        patterns.Queue // who waits before the question that is being answered

	back    []charge // to be given back
	outage  outage
	stocks  stocks
	sweepAt patterns.Instant

	sums    Totals
	notices notices
	name    string
	origin  time.Time
	seed    [2]uint64
	events  eventqueue.Queue
}

// law is some rates, and how Redis counts by them.
type law struct {
	law   *store.Law
	rates []ratelimiter.Rate
	most  int64 // that may ever pass at once
}

// charge is what a permit has used.
type charge struct {
	key   string
	n     int64
	since int64 // see store.Check

	booking *store.Booking // if it was reserved
}

const (
	// maxBack is how many permits that were not used may wait to be given back.
	maxBack      = 1 << 16
	maxOverrides = 10_000
	latest       = 1 << 61
)

// params is what a Machine is made of.
type params struct {
	name   string
	origin time.Time
	now    patterns.Instant
	config Config // valid
	run    run
	seed   [2]uint64
	unfit  string // what is wrong with the client
	habits habits // of the client
}

func newMachine(p params) *Machine {
	m := &Machine{
		name: p.name, origin: p.origin, run: p.run, habits: p.habits, seed: p.seed, epoch: 1, hi: min(p.now, latest),
		until: patterns.Never, again: patterns.Never, sweepAt: patterns.Never,
		charges: make(map[uint64]charge), stocks: newStocks(), overrides: make(map[string]*law),
		reservations: newReservations(),
	}
	m.adopt(p.config.withDefaults())
	if p.unfit != "" {
		m.events.Put(ClientUnfit{Name: m.name, Problems: p.unfit, At: m.wall(m.hi)})
		m.dirty = true
	}
	return m
}

func (m *Machine) adopt(c Config) {
	m.cfg = c
	m.law, _ = newLaw(c, c.rates())
	m.outage.adopt(m)
}

func newLaw(c Config, rates []ratelimiter.Rate) (*law, error) {
	counts, err := lawOf(c.Algorithm, rates)
	if err != nil {
		return nil, err
	}
	l := &law{law: counts, rates: rates}
	for i, r := range rates {
		if most := cmp.Or(r.Burst, r.Count); i == 0 || most < l.most {
			l.most = most
		}
	}
	return l, nil
}

func (m *Machine) lawOf(key string) *law {
	if len(m.overrides) > 0 {
		if l := m.overrides[key]; l != nil {
			return l
		}
	}
	return m.law
}

// Acquire refers r to Redis, unless it knows the answer: from a lease, an operator, or the
// policy for outages.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.settle(now)
	n := weight(r)
	switch {
	case m.state == ratelimiter.ForcedOpen:
		return m.refuse(m.forcedError())
	case m.state == ratelimiter.ForcedClosed:
		return m.grant()
	case n < 1 || n > m.lawOf(r.Key).most:
		return m.refuse(m.tooHeavy(n, r.Key, store.Answer{Limit: m.lawOf(r.Key).most}))
	case m.spend(id, r, n):
		return m.grant()
	case !m.mayCall():
		return m.without(r)
	}
	return patterns.Decision{Verdict: patterns.Refer, Dirty: m.flush()}
}

// Report ends a permit. What it used stays used, however the call went.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.settle(now)
	delete(m.charges, p.ID)
	return p.Epoch == m.epoch, m.flush()
}

// Release ends a permit that was not used, and gives back what it took.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	if c, ok := m.charges[p.ID]; ok {
		delete(m.charges, p.ID)
		m.putBack(c)
	}
	return m.flush()
}

// putBack gives c back: to the lease of its key if there is one, or with the next call. It
// returns false if it cannot.
func (m *Machine) putBack(c charge) bool {
	if s := m.stocks.of(c.key); s != nil && c.booking == nil && s.takesBack(c.n) {
		s.tokens += c.n
		return true
	}
	if len(m.back) >= maxBack || m.cfg.Algorithm == ratelimiter.SlidingLog {
		m.sums.NotReturned += uint64(c.n)
		return false
	}
	m.back = append(m.back, c)
	m.dirty = true
	return true
}

// Consult answers what it can, and refers the rest to Redis.
func (m *Machine) Consult(now patterns.Instant, question any) (c patterns.Consultation) {
	m.settle(now)
	switch q := question.(type) {
	case ratelimiter.Peek, ratelimiter.Take, ratelimiter.TakeUpTo:
		if m.state == ratelimiter.Limiting && m.mayCall() {
			return patterns.Consultation{Refer: true}
		}
		c = m.unansweredQuestion(q, nil)
	case Forget:
		if m.mayCall() && m.cfg.Algorithm == ratelimiter.TokenBucket {
			return patterns.Consultation{Refer: true}
		}
		c.Err = ErrUnsupported
	case ratelimiter.Reserve:
		c = m.reserve(q)
	case ratelimiter.CancelReservation:
		c = m.cancel(q)
	case ratelimiter.Override:
		c = m.override(q)
	case ratelimiter.RemoveOverride:
		before := m.overrides[q.Key] != nil
		delete(m.overrides, q.Key)
		m.reservations.forgetKey(q.Key)
		c.Answer = ratelimiter.Overridden{Before: before}
	}
	m.ahead = patterns.Queue{}
	c.Dirty = m.flush()
	return c
}

// override gives one key rates of its own, in this instance.
func (m *Machine) override(q ratelimiter.Override) (c patterns.Consultation) {
	next := m.cfg
	next.Rate, next.Tiers = q.Rate, q.Tiers
	next = next.withDefaults()
	err := next.Validate()
	if err == nil && len(m.overrides) >= maxOverrides && m.overrides[q.Key] == nil {
		err = &patterns.ConfigError{Pattern: pattern, Field: "Override", Value: maxOverrides, Problem: "keys have rates of their own already"}
	}
	if err != nil {
		return patterns.Consultation{Err: err}
	}
	l, err := newLaw(next, next.rates())
	if err != nil {
		return patterns.Consultation{Err: err}
	}
	before := m.overrides[q.Key] != nil
	m.overrides[string(append([]byte(nil), q.Key...))] = l
	m.reservations.forgetKey(q.Key)
	return patterns.Consultation{Answer: ratelimiter.Overridden{Before: before}, Freed: true}
}

// Refers is true unless leases or a policy decide here.
func (m *Machine) Refers() bool {
	return m.state == ratelimiter.Limiting && m.cfg.LeaseFor == 0 && !m.outage.down
}

// Punctual is true if the client heeds deadlines, or is known to be done sooner.
func (m *Machine) Punctual() bool { return m.habits.punctual(m.cfg.callTimeout()) }

// Room is how many requests may queue.
func (m *Machine) Room() int { return m.cfg.MaxQueue }

// Wants reports whether there is something to send that nobody waits for.
func (m *Machine) Wants(patterns.Instant) bool {
	if m.outage.down {
		return m.hi >= m.outage.retryAt && m.flying == nil
	}
	return len(m.back) > 0 || m.outage.owed.len() > 0 || m.wantsLease()
}

// Farewell gives all leases back.
func (m *Machine) Farewell(now patterns.Instant) {
	m.settle(now)
	m.dissolveAll()
}

// Tick ends a forced state, and looks through the leases.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	m.sweep()
	if m.hi >= m.outage.retryAt {
		m.dirty = true // the shell sends what is wanted
	}
	return m.flush()
}

// Wake is when a forced state ends, leases are to be looked through, or Redis is tried again.
func (m *Machine) Wake() patterns.Instant {
	at := min(m.until, m.sweepAt)
	if m.outage.retryAt > m.hi { // else the shell knows
		at = min(at, m.outage.retryAt)
	}
	return at
}

// Epoch is the version of the state.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields the events since the last Drain.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is false: leases and outages end by time.
func (m *Machine) Timeless() bool { return false }

// Measured is false: how long a guarded call took is nothing to a limiter.
func (m *Machine) Measured() bool { return false }

// Spends is true.
func (m *Machine) Spends() bool { return true }

// Refusal says that every request is refused while ForcedOpen.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) {
	if m.state != ratelimiter.ForcedOpen {
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
		m.become(ratelimiter.Limiting, ratelimiter.CauseForcedElapsed, "")
	}
}

func (m *Machine) grant() patterns.Decision {
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

func (m *Machine) refuse(err error) patterns.Decision {
	return patterns.Decision{Dirty: m.flush(), Err: err}
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

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	if !m.state.Valid() || m.law == nil {
		return errors.New("redislimiter: the state is none")
	}
	for _, s := range m.stocks.all {
		if s.tokens < 0 || s.lent < 0 {
			return fmt.Errorf("redislimiter: the lease of %q has less than nothing", s.key)
		}
	}
	return nil
}

// Repair gives up all that is held here, and never opens the gate.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = min(max(m.hi, now), latest)
	if !m.state.Valid() {
		m.state = ratelimiter.Limiting
	}
	m.stocks = newStocks()
	clear(m.charges)
	clear(m.reservations.of)
	m.back, m.making, m.spare = nil, nil, nil
	m.become(m.state, ratelimiter.CauseRepaired, "")
}
