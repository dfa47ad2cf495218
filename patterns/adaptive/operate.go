package adaptive

import (
	"errors"
	"fmt"
	"math"

	"github.com/bulwark-go/bulwark/patterns"
)

// Operate carries out an operator's command:
//
//   - Reset ends a forced state, forgets what was learned and begins at Initial.
//   - ForceOpen, ForceClosed and MetricsOnly hold that state for op.For, or until
//     the next command if that is 0. The limit is kept for afterwards.
//
// The error, if any, is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.For < 0 {
		return &patterns.ConfigError{Pattern: pattern, Field: "For", Value: op.For, Problem: "must not be negative"}
	}
	switch op.Kind {
	case patterns.Reset:
		m.relearn(float64(m.cfg.Initial))
		m.become(Adapting, CauseReset, op.Note)
	case patterns.ForceOpen:
		m.force(ForcedOpen, op)
	case patterns.ForceClosed:
		m.force(ForcedClosed, op)
	case patterns.MetricsOnly:
		m.force(MetricsOnly, op)
	default:
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a limiter can do"}
	}
	return nil
}

func (m *Machine) force(s State, op patterns.Operation) {
	m.become(s, CauseForced, op.Note)
	if op.For > 0 {
		m.due = m.hi.Add(op.For)
	}
}

// become is the only place where the state changes. It starts an epoch, because what
// calls say that began under other rules is not about these.
func (m *Machine) become(to State, cause Cause, note string) {
	m.epoch++
	m.since, m.lent = m.epoch, false
	m.events.Put(StateChanged{Name: m.name, From: m.state, To: to, Cause: cause, Epoch: m.epoch, At: m.wall(m.hi), Note: note})
	m.state, m.cause, m.due = to, cause, patterns.Never
	m.refusals = [causes]*LimitError{}
	m.dirty = true
}

// relearn begins with a limit and nothing else.
func (m *Machine) relearn(limit float64) {
	m.find(m.cfg.Algorithm.New(m.cfg.bounds()))
	m.finder.Set(m.cfg.bounds(), limit)
	m.take()
	m.cutoff.rest()
	m.latency, m.spread, m.waited = 0, 0, nil
}

// Reconfigure changes the policy. State, epoch, permits and the estimate stay, as far
// as the new bounds allow; what else was learned stays if the Algorithm does.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.cfg = c
	limit := m.finder.Estimate()
	if c.Algorithm != old.Algorithm || m.knee == nil && (c.MaxLatency > 0) != (old.MaxLatency > 0) {
		m.find(c.Algorithm.New(c.bounds()))
	}
	m.finder.Set(c.bounds(), limit)
	m.take()
	if m.line.law.Target, m.line.law.Interval = c.Target, c.Interval; c.Queue != old.Queue {
		m.line = newLine(&c)
		m.line.begun = m.hi
	}
	if c.Fair != old.Fair || c.MaxTenants != old.MaxTenants || c.Partitions != old.Partitions {
		m.regroup()
	}
	m.lends = c.lends()
	m.idle = m.idle && m.lends
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	m.dirty = true
}

// regroup forgets the tenants: calls in flight count for nobody any more.
func (m *Machine) regroup() {
	m.tenants = newTenants(&m.cfg, m.seed)
	m.grouped = m.cfg.grouped()
	m.cutoff.greedy = 0
	for i := range m.slots {
		if s := &m.slots[i]; s.id != 0 {
			s.tenant, s.greedy = 0, false
			m.tenants.all[0].inFlight += s.weight
		}
	}
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("adaptive: "+problem))
		}
	}
	out, byLevel, greedy, byTenant := m.leased, [levels]int32{}, 0, make(map[int32]int32)
	for i := range m.slots {
		if s := &m.slots[i]; s.id != 0 {
			out += int(s.weight)
			byLevel[s.level] += s.weight
			byTenant[s.tenant] += s.weight
			if s.greedy && m.grouped {
				greedy += int(s.weight)
			}
		}
	}
	check(m.state.Valid(), fmt.Sprintf("state is %v", m.state))
	check(m.limit >= m.cfg.Min && m.limit <= m.cfg.Max, fmt.Sprintf("limit %d is out of bounds", m.limit))
	check(m.limit == int(m.finder.Estimate()), "limit and estimate differ")
	check(m.low == (m.knee != nil && m.knee.looking()) && m.grouped == m.cfg.grouped() && m.lends == m.cfg.lends() && (m.lends || !m.idle), "flags are wrong")
	check(m.leased >= 0 && m.inFlight == out, fmt.Sprintf("%d in flight, but %d permits are out", m.inFlight, out))
	check(m.cutoff.inFlight == byLevel && m.cutoff.greedy == greedy, "priorities do not add up")
	for i, t := range m.tenants.all {
		check(!m.grouped || t.inFlight == byTenant[int32(i)], fmt.Sprintf("tenant %d has %d in flight, and %d permits", i, t.inFlight, byTenant[int32(i)]))
	}
	for i, r := range m.cutoff.reserve {
		check(r >= 0 && r <= float64(m.cfg.Max), fmt.Sprintf("reserve %d is %v", i, r))
	}
	check(m.cutoff.fair >= 0 && m.cutoff.fair <= float64(m.cfg.Max), "fair reserve is out of bounds")
	check(!math.IsNaN(m.latency), "latency is not a number")
	check(m.since >= 1 && m.since <= m.epoch, fmt.Sprintf("learning since epoch %d, and this is %d", m.since, m.epoch))
	check(m.due == patterns.Never || m.state != Adapting, "due without a reason")
	return errors.Join(errs...)
}

// Repair rebuilds what Check complains of: the counts from the permits that are out,
// and a Limit that keeps the estimate, or else begins at Min. Forced states stay.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	limit := float64(m.cfg.Min)
	if m.finder != nil {
		limit = m.cfg.bounds().clamp(m.finder.Estimate())
	}
	state, due := m.state, m.due
	if !state.Valid() {
		state, due = Adapting, patterns.Never
	}
	m.relearn(limit)
	m.cutoff.inFlight, m.cutoff.greedy = [levels]int32{}, 0
	m.leased = max(m.leased, 0)
	m.inFlight = m.leased
	m.regroup()
	for i := range m.slots {
		if s := &m.slots[i]; s.id != 0 {
			m.inFlight += int(s.weight)
			m.cutoff.inFlight[s.level] += s.weight
		}
	}
	m.become(state, CauseRepaired, "")
	if state != Adapting {
		m.due = due
	}
}
