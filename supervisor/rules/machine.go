package rules

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/backoff"
	"github.com/bulwark-go/bulwark/supervisor/budget"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// ID is what the host of a Machine calls a child.
type ID uint64

// Machine supervises the children of one actor. Each method brings its own time, and
// leaves in Effects what the host has to do; the host calls Tick at Wake. A child that
// failed is suspended, which proto.actor sees to. Times before the latest one seen are
// taken for that one. It must not be used from two goroutines at once.
type Machine struct {
	cfg       Config
	regulated regulators
	seed      uint64
	hi        patterns.Instant

	children   family
	due        byDue   // children whose state ends by itself
	queue      byOrder // children that only wait for the budget
	intensity  *intensity.Machine
	budget     *budget.Machine  // nil: no budget
	budgetAt   patterns.Instant // when the head of queue can be restarted
	group      *group           // nil: failures are never correlated
	orders     uint64           // how often a child went down
	blocking   int              // children that are
	barriers   uint64           // how many Settle effects there were
	probes     uint64           // how many Probe effects there were
	settled    uint64           // the latest that the host confirmed
	leaving    bool
	out, spare []Effect
}

// regulators are which parts of the Config are on.
type regulators struct{ backoff, breaker, quarantine bool }

// Params is what a Machine is made of.
type Params struct {
	// Config is the policy. New panics if it is invalid.
	Config Config
	// Seed decides what BreakerConfig.OpenJitter draws. 0 draws nothing.
	Seed uint64
}

// New returns a Machine without children.
func New(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	c := p.Config.Normal()
	m := &Machine{
		cfg: c, seed: p.Seed, hi: math.MinInt64, budgetAt: patterns.Never,
		regulated: regulators{c.Backoff != backoff.Config{}, c.Breaker.on(), c.Quarantine.on()},
	}
	if c.Budget != (budget.Config{}) {
		m.budget = budget.New(c.Budget)
	}
	if c.Correlated.on() {
		m.group = newGroup(c.Correlated)
	}
	return m
}

// Config returns the policy, with its defaults.
func (m *Machine) Config() Config { return m.cfg }

// Add adds a child that was spawned, after those that were.
func (m *Machine) Add(now patterns.Instant, id ID, kind RestartType) {
	m.at(now)
	m.children.add(&child{id: id, kind: kind, since: m.hi, due: patterns.Never, slot: none, place: none})
}

// Failure is a failure of a child.
type Failure struct {
	Child ID
	// Verdict is what is wanted, by whoever knows what the reason means.
	Verdict Directive
	// Gated says that the child's mailbox has a gate.
	Gated bool
	// Unspawned says that there is no child: it could not be spawned anew.
	Unspawned bool
	// U is a random number from 0 up to 1, for the jitter.
	U float64
}

// Failed decides what becomes of a child that failed, or that could not be spawned
// anew.
func (m *Machine) Failed(now patterns.Instant, f Failure) {
	m.at(now)
	c := m.children.get(f.Child)
	if c == nil {
		return
	}
	c.failures++
	if f.Unspawned {
		c.absent, c.shut = true, false
	} else {
		c.gated = f.Gated
	}
	switch {
	case c.state == Stopping || m.leaving:
		m.stop(c, CauseStopping)
	case c.kind == Temporary:
		m.stop(c, CauseTemporary)
	case f.Verdict == Stop:
		m.stop(c, CauseDecided)
	case f.Verdict == Escalate:
		m.giveUp(c, CauseDecided)
	case c.down: // it was taken along, or failed though it was suspended: it is restarted anyway
	case f.Unspawned: // there is nobody to resume, and nobody who has yet to see anything
		m.mend(c, f.U)
	case c.barrier > m.settled: // it failed before it saw the restart that it was sent
	case f.Verdict == Resume && c.state != HalfOpen:
		m.effect(Effect{Do: DoResume, Child: c.id})
	default:
		m.mend(c, f.U)
	}
}

// mend finds out when c is to be restarted, if at all.
func (m *Machine) mend(c *child, u float64) {
	switch {
	case m.parks(c):
		m.forgetProbe(c)
		m.block(c, Quarantined, CauseTooOften, patterns.Never)
	case m.group != nil && m.joinsGroup(c):
	case c.state == HalfOpen:
		m.probeFailed(c)
	case m.trips(c):
		m.open(c)
	case !m.allows():
		m.giveUp(c, CauseIntensity)
	default:
		var delay time.Duration
		if m.regulated.backoff {
			if c.retries == nil {
				c.retries = backoff.New(m.cfg.Backoff)
			}
			delay = c.retries.Fail(m.hi, u)
		}
		if delay > 0 {
			m.block(c, Restarting, CauseBackoff, m.hi.Add(delay))
			return
		}
		m.ready(c)
	}
}

// parks counts a failure, and reports whether it is one too many.
func (m *Machine) parks(c *child) bool {
	if !m.regulated.quarantine {
		return false
	}
	if c.parked == nil {
		c.parked = intensity.New(intensity.Config{Restarts: m.cfg.Quarantine.Failures, Period: m.cfg.Quarantine.Period})
	}
	return !c.parked.Restart(m.hi)
}

// trips counts a failure, and reports whether it opens the circuit of c.
func (m *Machine) trips(c *child) bool {
	if !m.regulated.breaker {
		return false
	}
	if c.tripped == nil {
		c.tripped = intensity.New(intensity.Config{Restarts: m.cfg.Breaker.Intensity, Period: m.cfg.Breaker.Period})
	}
	return !c.tripped.Restart(m.hi)
}

// allows counts a restart, and reports whether it may happen.
func (m *Machine) allows() bool {
	if m.intensity == nil {
		m.intensity = intensity.New(m.cfg.Intensity)
	}
	return m.intensity.Restart(m.hi)
}

// Gone says that a child has stopped. A permanent one that was not told to is spawned
// anew, as if it had failed; u is as in Failure.
func (m *Machine) Gone(now patterns.Instant, id ID, u float64) {
	m.at(now)
	c := m.children.get(id)
	if c == nil {
		return
	}
	if c.kind != Permanent || c.state == Stopping || m.leaving {
		m.remove(c)
		return
	}
	c.absent, c.shut = true, false
	if c.down {
		return
	}
	m.mend(c, u)
}

// Passed says that a probe served all the messages that Probe effect number probe gave it.
// Another effect may have taken the place of that one meanwhile: then it says nothing.
func (m *Machine) Passed(now patterns.Instant, id ID, probe uint64) {
	m.at(now)
	if c := m.children.get(id); c != nil && c.state == HalfOpen && c.probe == probe {
		c.shut = false // the mailbox has opened itself
		m.probePassed(c, CauseProbePassed)
	}
}

// Settled says that everything that was under way before Settle effect n has come.
func (m *Machine) Settled(n uint64) { m.settled = max(m.settled, n) }

// Release restarts a child that waits, whatever it waits for, but for its siblings and
// the budget. Its past is forgotten. It reports whether the child was waiting.
func (m *Machine) Release(now patterns.Instant, id ID) bool {
	m.at(now)
	c := m.children.get(id)
	if c == nil || !c.blocking {
		return false
	}
	if m.group == nil || m.group.probe != c {
		c.probing, c.circuit = false, nil
	}
	m.unblock(c)
	c.parked, c.tripped, c.retries = nil, nil, nil
	c.cause = CauseReleased
	m.ready(c)
	return true
}

// Dismiss stops a child for good, and reports whether there was one.
func (m *Machine) Dismiss(now patterns.Instant, id ID) bool {
	m.at(now)
	c := m.children.get(id)
	if c == nil {
		return false
	}
	m.stop(c, CauseDismissed)
	return true
}

// Retire says that a child is about to stop in good order, and stays away: from now on
// it is Temporary. One that is suspended is told to stop at once. It reports whether
// there is such a child.
func (m *Machine) Retire(now patterns.Instant, id ID) bool {
	m.at(now)
	c := m.children.get(id)
	if c == nil {
		return false
	}
	c.kind = Temporary
	if c.down {
		m.stop(c, CauseDismissed)
	}
	return true
}

// Leave says that the supervising actor stops, restarts, or is to be stopped in good
// order: from now on nobody is restarted. Children that are suspended could not finish
// what they have, and are stopped. Enter ends that.
func (m *Machine) Leave(now patterns.Instant) {
	m.at(now)
	m.leaving = true
	for c := m.children.first; c != nil; {
		next := c.next
		if c.down {
			m.stop(c, CauseStopping)
		}
		c = next
	}
}

// Enter says that a new incarnation of the supervising actor has started.
func (m *Machine) Enter() {
	m.leaving = false
	if m.group != nil && m.group.state == HalfOpen && m.group.probe == nil {
		m.nextProbe()
	}
}

// HandedUp says that a GiveUp was taken by somebody above: what is started next starts
// anew.
func (m *Machine) HandedUp() { m.intensity = nil }

// Tick does what is due by now.
func (m *Machine) Tick(now patterns.Instant) {
	m.at(now)
	for len(m.due) > 0 && m.due[0].due <= m.hi {
		m.overdue(m.due[0]) // whose state lasts, if not for longer, for ever
	}
	if m.group != nil && m.group.due <= m.hi {
		m.tryGroup()
	}
	if m.budgetAt <= m.hi {
		m.grant()
	}
}

// Wake is when something is due next: after now, once Tick(now) ran. Never if nothing
// is.
func (m *Machine) Wake() patterns.Instant {
	wake := m.budgetAt
	if len(m.due) > 0 {
		wake = min(wake, m.due[0].due)
	}
	if m.group != nil {
		wake = min(wake, m.group.due)
	}
	return wake
}

// Limit returns how many restarts are allowed in what period.
func (m *Machine) Limit() (restarts int, period time.Duration) {
	if m.intensity == nil {
		m.intensity = intensity.New(m.cfg.Intensity)
	}
	return m.intensity.Limit()
}

// overdue ends the state of c.
func (m *Machine) overdue(c *child) {
	switch c.state {
	case Open:
		m.halfOpen(c)
	case HalfOpen:
		m.probePassed(c, CauseQuiet)
	default:
		m.unschedule(c)
		m.ready(c)
	}
}

func (m *Machine) at(now patterns.Instant) { m.hi = max(m.hi, now) }
