package loadshedder

import (
	"errors"
	"fmt"
	"maps"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/throttle"
)

// Operate carries out an operator's command:
//
//   - Reset ends a forced state and forgets what was learned: the share that is admitted,
//     who comes, reserves, waits, the peak. Permits, those who wait and the counters of what
//     was shed stay, and so do measurements.
//   - ForceOpen, ForceClosed and MetricsOnly hold that state for op.For, or until the next
//     command if that is 0.
//
// The error, if any, is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.For < 0 {
		return &patterns.ConfigError{Pattern: "loadshedder", Field: "For", Value: op.For, Problem: "must not be negative"}
	}
	to, cause := Automatic, CauseForced
	switch op.Kind {
	case patterns.Reset:
		m.forget()
		cause = CauseReset
	case patterns.ForceOpen:
		to = ForcedOpen
	case patterns.ForceClosed:
		to = ForcedClosed
	case patterns.MetricsOnly:
		to = MetricsOnly
	default:
		return &patterns.ConfigError{Pattern: "loadshedder", Field: "Kind", Value: op.Kind, Problem: "is not something a shedder can do"}
	}
	m.become(to, cause, op.Note)
	if to != Automatic && op.For > 0 {
		m.due = m.hi.Add(op.For)
	}
	m.rearm()
	return nil
}

// become is the only place where the state changes. It starts an epoch, so that leases end.
func (m *Machine) become(to State, cause Cause, note string) {
	m.epoch++
	m.events.Put(StateChanged{Name: m.name, From: m.state, To: to, Cause: cause, Epoch: m.epoch, Note: note, At: m.wall(m.hi)})
	m.state, m.cause, m.due = to, cause, patterns.Never
	m.refusals = refusals{at: m.hi}
	m.dirty = true
	m.calmDown()
	m.rearm()
}

// forget begins with nothing learned.
func (m *Machine) forget() {
	m.cutoff = cutoff{arrivals: m.cutoff.arrivals, rolled: m.hi, spare: m.hi}
	m.cutoff.divide(0)
	m.control = control{cutting: m.control.cutting, admit: 1, at: m.hi}
	m.queue.laws = newLaws(m.cfg.QueueDelay)
	m.queue.rate, m.queue.rated, m.queue.stayed = 0, false, patterns.WaitTimes{}
	m.peak = m.inFlight
	m.level.arm(m.inFlight, m.peak)
	if m.users.table != nil {
		m.users = newUsers(m.cfg.MaxKeys)
	}
	m.throttle.Reset()
}

// Reconfigure changes the policy. State, epoch, permits, those who wait and what was
// measured and learned stay, as far as the new rules have a use for it. Mode and OnFailure
// stay what they were.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old := m.cfg
	c.Mode, c.OnFailure = old.Mode, old.OnFailure
	if c = c.withDefaults(); c == old {
		return
	}
	m.adopt(c)
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
}

// adopt goes over to a Config, from the one before, if any.
func (m *Machine) adopt(c Config) {
	old := m.cfg
	m.cfg, m.limit = c, c.MaxInFlight
	if c.QueueDelay != old.QueueDelay {
		m.queue.laws = newLaws(c.QueueDelay)
	}
	if !c.NewestFirst {
		m.queue.newest = false
	}
	for s, t := range c.thresholds() {
		m.rig(Signal(s), t)
	}
	if c.Throttle != Off {
		rules := throttle.Config{K: c.Throttle, Window: c.ThrottleWindow, Buckets: throttleParts, MinRequests: throttleLeast, MaxShare: throttleMost}
		if old.Throttle == Off || old == (Config{}) {
			m.throttle = throttle.New(rules)
		} else {
			m.throttle.Reconfigure(m.hi, rules)
		}
	}
	switch {
	case !c.Fair:
		m.users = users{}
	case m.users.table == nil:
		m.users = newUsers(c.MaxKeys)
	default:
		m.users.table.SetMax(c.MaxKeys)
	}
	m.level.above, m.level.clear = marksOf(m.limit, 1), marksOf(m.limit, c.ClearBelow)
	m.steer(m.control.at)
	m.calmDown()
	m.rearm()
}

const (
	// Config.ThrottleWindow has so many parts,
	throttleParts = 60
	// and nobody is shed for it before there were so many requests in it,
	throttleLeast = 20
	// and never more than this share, so that it is seen when they are accepted again.
	throttleMost = 0.95
)

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("loadshedder: "+problem))
		}
	}
	held := 0
	for _, w := range m.holds.All() {
		check(w > 1, "a permit of weight 1 is kept")
		held += w
	}
	check(m.state.Valid(), fmt.Sprintf("state is %v", m.state))
	check(m.inFlight >= held, "less is in flight than permits weigh")
	check(m.peak >= m.inFlight, "the peak was missed")
	check(m.inFlight <= m.level.high && m.inFlight >= m.level.low, "a level was missed")
	check(m.control.admit > 0 && m.control.admit <= 1, fmt.Sprintf("the share that is admitted is %v", m.control.admit))
	check(m.strain.on || m.strain.look == patterns.Never, "looks for the end of no strain")
	check(!m.strain.on || m.strain.look != patterns.Never || m.owes, "a strain without an end")
	check(!m.strain.shedding || m.strain.on, "shedding in a calm")
	check(m.due == patterns.Never || m.state != Automatic, "due without a reason")
	check(!m.cutoff.held || m.strain.on, "places are kept in a calm")
	check(m.queue.waiting >= 0, "fewer than none wait")
	check(!m.calm || m.state == Automatic && !m.strain.on && !m.control.cutting && !m.throttled() && !m.cfg.Fair, "no calm")
	for g := range grades {
		check(m.cutoff.reserve[g] >= 0 && m.cutoff.seen[g] >= 0, "less than nothing is kept or seen")
		check(m.cutoff.open[g] >= 0 && m.cutoff.open[g] <= 1, "a share is out of bounds")
		check(m.cutoff.debt[g] >= 0 && m.cutoff.debt[g] < 1, "a debt is out of bounds")
	}
	if m.throttled() {
		errs = append(errs, m.throttle.Check())
	}
	return errors.Join(errs...)
}

// Repair rebuilds what cannot be trusted. Permits of weight 1 are not known one by one:
// what was counted stays counted. A share that is no share admits the least, until
// something is measured.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	held := 0
	for id, w := range maps.Collect(m.holds.All()) {
		if w <= 1 {
			m.holds.Take(id)
			continue
		}
		held += w
	}
	m.inFlight = max(m.inFlight, held, 0)
	admit, cutting := m.control.admit, m.control.cutting
	m.forget()
	m.control.cutting = cutting
	if cutting {
		if m.control.admit = admit; !(admit > 0 && admit <= 1) {
			m.control.admit = leastAdmit
		}
	}
	m.queue.waiting = max(m.queue.waiting, 0)
	s := &m.strain
	s.on, s.look, s.shedding = s.on || s.shedding, patterns.Never, s.shedding && s.said
	m.owes = s.on
	m.level = levelWatch{said: min(m.level.said, Critical), cut: min(m.level.cut, Critical), look: patterns.Never}
	cfg, state, due := m.cfg, m.state, m.due
	m.cfg = Config{}
	m.adopt(cfg)
	if !state.Valid() {
		state, due = Automatic, patterns.Never
	}
	m.become(state, CauseRepaired, "")
	if state != Automatic {
		m.due = due
	}
	m.rearm()
}
