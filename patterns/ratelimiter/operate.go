package ratelimiter

import (
	"errors"
	"fmt"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/faults"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// Operate carries out an operator's command:
//
//   - Reset ends a forced state and forgets what was used, by all keys.
//   - ForceOpen refuses every request, ForceClosed lets every one pass and counts none,
//     MetricsOnly lets every one pass and counts those that the rates have room for.
//     Each holds for op.For, or until the next command if that is 0. Then the limiter
//     limits again, by what was used before and meanwhile.
//
// Each begins an epoch: permits that are out give nothing back any more. The error, if
// any, is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.For < 0 {
		return &patterns.ConfigError{Pattern: pattern, Field: "For", Value: op.For, Problem: "must not be negative"}
	}
	var to State
	switch op.Kind {
	case patterns.Reset:
		m.reset()
		m.become(Limiting, CauseReset, op.Note)
		return nil
	case patterns.ForceOpen:
		to = ForcedOpen
	case patterns.ForceClosed:
		to = ForcedClosed
	case patterns.MetricsOnly:
		to = MetricsOnly
	default:
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a limiter can do"}
	}
	m.become(to, CauseForced, op.Note)
	if op.For > 0 {
		m.until = m.hi.Add(op.For)
	}
	return nil
}

// become is the only place where the state changes. It starts an epoch.
func (m *Machine) become(to State, cause Cause, note string) {
	m.epoch++
	if m.shard == 0 || cause == CauseRepaired {
		m.events.Put(StateChanged{
			Name: m.name, From: m.state, To: to, Cause: cause, Epoch: m.epoch, At: m.wall(m.hi), Note: note,
		})
	}
	m.state = to
	m.until = patterns.Never
	m.forget()
	m.lent.forget()
	m.dirty = true
}

// forget makes all permits that are out, and reservations, give nothing back: the rules
// that they were charged under are no more.
func (m *Machine) forget() {
	m.grants.forget()
	m.booked.forget()
	m.futures = futures{}
}

func (m *Machine) reset() {
	m.law.Start(m.single, int64(m.hi))
	if m.keys != nil {
		m.keys.reset(m.hi)
	}
}

// acquireForced answers where an operator decides and not the rates.
func (m *Machine) acquireForced(id uint64, r *patterns.Request, n int64) patterns.Decision {
	switch {
	case m.state == ForcedOpen:
		return patterns.Decision{Dirty: m.flush(), Err: m.forcedError()}
	case m.state == MetricsOnly && n > 0:
		if b := m.find(r.Key); m.fits(b, n) {
			if c := m.charge(b, n, m.hi); !r.Spend {
				m.grants.put(id, c)
			}
		}
	}
	return m.grant()
}

func (m *Machine) forcedError() *LimitError {
	return m.refusals.find(m, refusal{cause: CauseForced, retryAt: m.until, resetAt: patterns.Never})
}

// Reconfigure changes the policy and keeps what was used. A bucket keeps its tokens, as
// many as have room: full stays what it was and is not made fuller. Otherwise what was
// used stays used. State and epoch stay; permits that are out, and reservations, give
// nothing back any more. Those who wait go on, however few may from now on, and are asked
// for again: one whose turn has become too late is refused when it is at the head. Mode,
// OnFailure and whether keys mean something stay what they were. Rates of single keys stay.
//
// Keys follow when they are next asked for, which takes no time now, and those that have
// used nothing that counts start anew. Only if a key then has more or fewer words (see
// Algorithm) all of them are rewritten at once: about a tenth of a second for a million.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	c.Mode, c.OnFailure = old.Mode, old.OnFailure
	if c.keyed() != old.keyed() {
		c.MaxKeys = old.MaxKeys
	}
	if c == old {
		return
	}
	from := m.law.Tiers
	m.adopt(c)
	single := make([]uint64, m.law.Words())
	from.Convert(m.single, m.law.Tiers, single, int64(m.hi))
	m.single = single
	if m.keys != nil {
		m.keys.change(m.hi, m.law, shareOf(c.MaxKeys, m.shards))
	}
	m.lent.withhold(m.hi, m.single)
	m.forget()
	if m.shard == 0 {
		m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
	}
	m.dirty = true
}

// Override gives one key rates of its own instead of the Config's, by the same
// Algorithm, and keeps what it used. At most 10,000 keys may have some; they do not count
// as MaxKeys. They stay until RemoveOverride. The error is a *patterns.ConfigError for each fault.
func (m *Machine) Override(now patterns.Instant, key string, rates ...Rate) error {
	m.settle(now)
	c := m.cfg
	c.Rate, c.Tiers = Rate{}, Several(rates...)
	f := faults.Of(pattern)
	f.Check(m.keyed, "MaxKeys", c.MaxKeys, "means that no key can have rates of its own")
	f.Check(key != "", "Key", `""`, "is of requests without a key, which have the rates of the Config")
	if err := errors.Join(f.Err(), c.Validate()); err != nil {
		return err
	}
	k := m.known()
	p := k.print(key)
	if !k.setOverride(m.hi, p, newLaw(c, m.origin)) {
		f.Check(false, "Override", maxOverrides, "keys have rates of their own already")
		return f.Err()
	}
	m.overridden(p)
	return nil
}

// overridden follows a change of the rates of one key.
func (m *Machine) overridden(k fingerprint.Key) {
	m.grants.forgetKey(k)
	m.booked.forgetKey(k)
	m.futures.drop(k)
	m.queue.free(k)
	m.dirty = true
}

// RemoveOverride lets the Config's rates hold for a key again, and keeps what it used.
// It returns false if the key has none of its own.
func (m *Machine) RemoveOverride(now patterns.Instant, key string) bool {
	m.settle(now)
	if m.keys == nil {
		return false
	}
	p := m.keys.print(key)
	if !m.keys.dropOverride(m.hi, p) {
		return false
	}
	m.overridden(p)
	return true
}

// Check returns an error if an invariant does not hold. Of keys, it looks at those that
// are shared or have rates of their own, and at how the others are stored.
func (m *Machine) Check() error {
	var errs []error
	check := func(ok bool, problem string) {
		if !ok {
			errs = append(errs, errors.New("ratelimiter: "+problem))
		}
	}
	check(m.state.Valid(), fmt.Sprintf("state is %v", m.state))
	check(m.state != Limiting || m.until == patterns.Never, "an end of being forced without being forced")
	check(m.lent.now >= 0 && m.lent.before >= 0, "less than nothing is lent")
	for _, places := range []int{len(m.grants.places), len(m.booked.places)} {
		check(places&(places-1) == 0, "permits have no place")
	}
	check(m.futures.check() == "", m.futures.check())
	sound := func(t *law, s []uint64, whose string) {
		problem := "its words are not as many as its rules need"
		if len(s) == t.Words() {
			problem = t.Check(s, int64(m.hi))
		}
		check(problem == "", whose+": "+problem)
	}
	sound(m.law, m.single, "the budget")
	if m.keys == nil {
		return errors.Join(errs...)
	}
	for i := range overflowShares {
		words := m.law.Words()
		sound(m.law, m.keys.shares[i*words:(i+1)*words], "a shared budget")
	}
	for _, o := range m.keys.overrides {
		sound(o.law, o.state, "the budget of a key")
	}
	return errors.Join(append(errs, m.keys.table.Check())...)
}

// Repair rebuilds what Check complains of, and never opens the gate: every budget
// starts used up, and fills from now on.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = min(max(m.hi, now), latest)
	state, until := m.state, m.until
	if !state.Valid() || state == Limiting {
		state, until = Limiting, patterns.Never
	}
	m.single = make([]uint64, m.law.Words())
	m.law.Drain(m.single, int64(m.hi))
	m.grants, m.booked = grants{}, bookings{last: m.booked.last, made: m.booked.made, undone: m.booked.undone}
	m.queue = queue{again: patterns.Never}
	if m.keyed {
		m.known().repair(m.hi)
	}
	m.become(state, CauseRepaired, "")
	m.until = until
}
