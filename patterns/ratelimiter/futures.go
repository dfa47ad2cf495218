package ratelimiter

import (
	"fmt"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
)

// futures are the reservations whose time is to come, by budget. Such a budget is what it
// was before the first of them, and then they, each at its time. When one is given back,
// the others are charged again: whoever comes later gets what is free without it, if
// that is between them, and never what was promised to another.
type futures struct {
	of    map[fingerprint.Key]*future
	count int // reservations
	prune int // how many budgets there must be to look for those that are over
}

// future has the reservations of one budget.
type future struct {
	base []uint64  // before the first
	list []promise // by time
}

// promise is a reservation: n permits at an instant.
type promise struct {
	id uint64
	at patterns.Instant
	n  int64
}

const (
	// maxPromises bounds what it costs to give one of a budget's reservations back, and
	// maxFutures how many there are in all.
	maxPromises = 1 << 10
	maxFutures  = 1 << 16
)

// slot names the budget of a charge: keys without room for their own share some.
func (c charge) slot() fingerprint.Key { return slotOf(c.key, c.over) }

func slotOf(k fingerprint.Key, over bool) fingerprint.Key {
	if over {
		return fingerprint.Key{Low: 1 + k.Low%overflowShares}
	}
	return k
}

// over is when the last of them may be used.
func (f *future) over() patterns.Instant { return f.list[len(f.list)-1].at }

// find returns the reservations of a budget that are to come, or nil.
func (f *futures) find(now patterns.Instant, slot fingerprint.Key) *future {
	if len(f.of) == 0 {
		return nil
	}
	fut := f.of[slot]
	if fut != nil && fut.over() <= now {
		f.drop(slot)
		return nil
	}
	return fut
}

func (f *futures) drop(slot fingerprint.Key) {
	if fut := f.of[slot]; fut != nil {
		f.count -= len(fut.list)
		delete(f.of, slot)
	}
}

// room reports whether one more reservation of b may be made.
func (m *Machine) room(b *budget) bool {
	f := &m.futures
	if f.count >= maxFutures || len(f.of) >= f.prune {
		for slot := range f.of {
			f.find(m.hi, slot)
		}
		f.prune = 2*len(f.of) + 64
	}
	fut := f.find(m.hi, slotOf(b.key, b.over))
	if fut == nil {
		return f.count < maxFutures
	}
	m.elapse(fut, b)
	return f.count < maxFutures && len(fut.list) < maxPromises
}

// promise books n of b for an instant to come. There is room.
func (m *Machine) promise(b *budget, at patterns.Instant, n int64) (id uint64) {
	if b.fresh {
		m.keep(b)
	}
	if b.over {
		m.overflowed()
	}
	slot := slotOf(b.key, b.over)
	fut := m.futures.find(m.hi, slot)
	if fut == nil {
		if m.futures.of == nil {
			m.futures.of = make(map[fingerprint.Key]*future)
		}
		fut = &future{base: slices.Clone(b.state)}
		m.futures.of[slot] = fut
	}
	c := charge{key: b.key, since: b.law.Since(b.state, int64(at)), n: n, over: b.over}
	b.law.Promise(b.state, int64(at), n)
	id = m.booked.put(m.hi, m.hi.Add(time.Duration(b.law.Reset(b.state, int64(m.hi)))), c)
	i := len(fut.list)
	for i > 0 && fut.list[i-1].at > at {
		i--
	}
	fut.list = slices.Insert(fut.list, i, promise{id, at, n})
	m.futures.count++
	if i < len(fut.list)-1 {
		m.replay(fut, b)
	}
	return id
}

// between follows a charge of n of b now, if there are reservations to come: what others
// gave back left a gap before one of them.
func (m *Machine) between(b *budget, n int64) {
	if fut := m.futures.find(m.hi, slotOf(b.key, b.over)); fut != nil {
		m.elapse(fut, b)
		b.law.Charge(fut.base, int64(m.hi), n)
		m.replay(fut, b)
	}
}

// amend changes what was before the reservations of a budget, if it has some, and charges
// them again.
func (m *Machine) amend(slot fingerprint.Key, b *budget, change func(state []uint64)) {
	fut := m.futures.find(m.hi, slot)
	if fut == nil {
		change(b.state)
		return
	}
	change(fut.base)
	m.replay(fut, b)
}

// elapse makes the reservations whose time has come part of what was before the others.
func (m *Machine) elapse(fut *future, b *budget) {
	for len(fut.list) > 0 && fut.list[0].at <= m.hi {
		b.law.Promise(fut.base, int64(fut.list[0].at), fut.list[0].n)
		fut.list = fut.list[1:]
		m.futures.count--
	}
}

func (m *Machine) replay(fut *future, b *budget) {
	copy(b.state, fut.base)
	for _, p := range fut.list {
		if g := m.booked.find(p.id); g != nil {
			g.since = b.law.Since(b.state, int64(p.at))
		}
		b.law.Promise(b.state, int64(p.at), p.n)
	}
}

// unpromise gives back a reservation whose time is to come. It returns false if it has come.
func (m *Machine) unpromise(slot fingerprint.Key, b *budget, id uint64) bool {
	fut := m.futures.find(m.hi, slot)
	if fut == nil {
		return false
	}
	m.elapse(fut, b)
	i := slices.IndexFunc(fut.list, func(p promise) bool { return p.id == id })
	if i < 0 {
		return false
	}
	fut.list = slices.Delete(fut.list, i, i+1)
	m.futures.count--
	m.replay(fut, b)
	if len(fut.list) == 0 {
		delete(m.futures.of, slot)
	}
	return true
}

// check returns what is wrong with the reservations to come, or "".
func (f *futures) check() string {
	count := 0
	for _, fut := range f.of {
		count += len(fut.list)
		if len(fut.list) == 0 || !slices.IsSortedFunc(fut.list, func(a, b promise) int { return int(min(max(a.at-b.at, -1), 1)) }) {
			return "reservations are out of order"
		}
	}
	if count != f.count {
		return fmt.Sprintf("there are %d reservations to come, counted %d", count, f.count)
	}
	return ""
}
