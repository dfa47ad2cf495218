package bulkhead

import (
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
)

// compartment is a set of slots of its own.
type compartment struct {
	taken     int
	saturated bool // somebody found no slot, and it was not relieved since
	waits     bool // somebody waits, unless they have left since
	watched   bool
	since     patterns.Instant // of saturated
	key       string

	newer, older *compartment // of those that are idle
}

// hold is what one permit took, if it is not one slot of main.
type hold struct {
	of     *compartment
	weight int
}

// acquireAny is Acquire for a request that is not quite ordinary, or finds no slot.
func (m *Machine) acquireAny(id uint64, r *patterns.Request) patterns.Decision {
	weight := max(1, r.Weight)
	if err := m.impossible(r, weight); err != nil {
		return patterns.Decision{Dirty: m.flush(), Err: err}
	}
	c := m.compartmentOf(r)
	if c != &m.main && (c == nil || c.taken == 0) && m.used >= m.cfg.MaxPartitions {
		return patterns.Decision{Dirty: m.flush(), Err: m.refusal(CausePartitions, m.cfg.MaxPartitions, m.used, 0)}
	}
	if c == nil {
		c = m.open(r.Key)
	}
	if c.taken > m.limit-weight {
		return m.lack(c, weight, r)
	}
	if r.Asked != 0 {
		c.waits = false
		if m.waited == nil {
			m.waited = new(patterns.WaitTimes)
		}
		m.waited.Add(m.hi.Sub(r.Asked))
	}
	if c != &m.main || weight > 1 {
		if m.holds == nil {
			m.holds = new(permits.Table[hold])
		}
		m.holds.Put(id, hold{of: c, weight: weight})
	}
	m.take(c, weight)
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// impossible returns the refusal of what could never be granted.
func (m *Machine) impossible(r *patterns.Request, weight int) error {
	if weight > m.limit {
		if e := m.heavy; e == nil || e.Weight != weight || e.Limit != m.limit {
			m.heavy = &WeightError{Name: m.name, Weight: weight, Limit: m.limit}
		}
		return m.heavy
	}
	if m.keyed && len(r.Key) > MaxKey {
		if m.long == nil || m.long.Size != len(r.Key) {
			m.long = &KeyError{Name: m.name, Size: len(r.Key)}
		}
		return m.long
	}
	return nil
}

// lack answers a request for which there are not enough slots. If it is the first, all
// leases end because of it, and what they give back may be enough.
func (m *Machine) lack(c *compartment, weight int, r *patterns.Request) patterns.Decision {
	first := !c.saturated
	if first {
		m.saturate(c)
	}
	if r.Asked == 0 && m.cfg.MaxWaiting == 0 && !(first && m.leased) {
		return patterns.Decision{Dirty: m.flush(), Err: m.refusal(CauseSlots, m.limit, c.taken, 0)}
	}
	c.waits = c.waits || r.Asked != 0
	m.asking = hold{of: c, weight: weight}
	return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
}

// release is Release for a permit that may have taken something else than one slot of
// main, or whose slot somebody may lack.
func (m *Machine) release(id uint64) (dirty bool) {
	h := hold{of: &m.main, weight: 1}
	if m.holds != nil {
		if known, ok := m.holds.Take(id); ok {
			h = known
		}
	}
	m.give(h.of, h.weight)
	return m.flush()
}

func (m *Machine) take(c *compartment, n int) {
	if c != &m.main {
		if c.taken == 0 {
			m.occupy(c)
		}
		m.parted += n
	}
	c.taken += n
	m.peak = max(m.peak, m.main.taken+m.parted)
}

// give takes n slots back. It is never too many: a compartment that would have less than
// none taken has none.
func (m *Machine) give(c *compartment, n int) {
	n = min(n, c.taken)
	c.taken -= n
	if m.keyed {
		m.freed = c
	}
	if c.saturated && m.calm(c) {
		m.ease(c)
	}
	if c != &m.main {
		m.parted -= n
		if c.taken == 0 {
			m.vacate(c)
		}
	}
}

// saturate notes that c is short of slots. Whatever clock the caller was spared until
// now, it is read from here on.
func (m *Machine) saturate(c *compartment) {
	c.saturated, c.since = true, m.hi
	m.saturated++
	if c == &m.main {
		m.epoch++
	}
	ev := Saturated{Name: m.name, Key: c.key, Limit: m.limit, InFlight: c.taken}
	if m.saturated == 1 {
		m.owed, m.owes = ev, true
	} else {
		ev.At = m.wall(m.hi)
		m.tell(ev)
	}
	m.dirty = true
}

// tell puts an event behind the one that is owed.
func (m *Machine) tell(e patterns.Event) {
	if m.owes {
		m.announce()
	}
	m.events.Put(e)
	m.dirty = true
}

func (m *Machine) announce() {
	m.owes, m.dirty = false, true
	m.owed.At = m.wall(m.hi)
	m.events.Put(m.owed)
	if c := m.compartmentOf(&patterns.Request{Key: m.owed.Key}); c != nil {
		c.since = m.hi
	}
}

// calm reports whether so few of c's slots are taken that it may count as relieved.
func (m *Machine) calm(c *compartment) bool { return c.taken <= m.limit/2 }

// ease relieves c, which is calm, unless somebody waits for its slots: then they are
// asked for right after this, and whether that was the last is seen a little later.
func (m *Machine) ease(c *compartment) {
	if !c.waits {
		m.relieve(c)
		return
	}
	c.waits = false
	if !c.watched {
		c.watched = true
		m.watched = append(m.watched, c)
	}
	if m.look == patterns.Never {
		m.lookIn(calmAfter)
	}
}

func (m *Machine) relieve(c *compartment) {
	c.saturated, c.waits = false, false
	m.saturated--
	m.tell(Relieved{
		Name: m.name, Key: c.key, Limit: m.limit, InFlight: c.taken, After: m.hi.Sub(c.since), At: m.wall(m.hi),
	})
}

// calmAfter is how soon to look whether somebody still waits, where that is not known,
// and lookEvery how often at least, should one who needs many slots wait for long.
const (
	calmAfter = time.Millisecond
	lookEvery = 100 * time.Millisecond
)

func (m *Machine) lookIn(d time.Duration) {
	m.look, m.pause = m.hi.Add(d), d
	m.dirty = true
}

// lookAround relieves what is watched, calm, and waited for by nobody. Who still waits is
// asked for after a Tick, if that was dirty.
func (m *Machine) lookAround() {
	m.look, m.dirty = patterns.Never, true
	all := m.watched
	m.watched = m.watched[:0]
	for _, c := range all {
		c.watched = false
		if c.saturated && m.calm(c) {
			m.ease(c)
		}
	}
	clear(all[len(m.watched):])
	if len(m.watched) > 0 {
		m.lookIn(min(2*m.pause, lookEvery))
	}
}

// compartmentOf returns the one of r's key, or nil.
func (m *Machine) compartmentOf(r *patterns.Request) *compartment {
	if r.Key == "" || !m.keyed {
		return &m.main
	}
	return m.partitions[r.Key]
}

// maxIdle is how many partitions with no slots taken are kept, because most keys come
// again, and because somebody may be about to take what was just given back.
const maxIdle = 64

// idlers are partitions that have no slots taken, by how long ago they had.
type idlers struct {
	newest, oldest *compartment
	n              int
}

// open makes a partition, idle.
func (m *Machine) open(key string) *compartment {
	if m.partitions == nil {
		m.partitions = make(map[string]*compartment)
	}
	var c *compartment
	if m.idle.n >= maxIdle {
		c = m.close()
	}
	if c == nil || c.watched {
		c = new(compartment)
	}
	*c = compartment{key: strings.Clone(key)} // which may be a part of something large
	m.partitions[c.key] = c
	m.idle.add(c)
	return c
}

// close forgets the partition that has been idle for longest.
func (m *Machine) close() *compartment {
	c := m.idle.oldest
	if c.saturated {
		m.relieve(c)
	}
	m.idle.remove(c)
	delete(m.partitions, c.key)
	return c
}

// occupy is called as the first slot of c is taken.
func (m *Machine) occupy(c *compartment) {
	m.idle.remove(c)
	m.used++
}

// vacate is called when c has no slots taken any more.
func (m *Machine) vacate(c *compartment) {
	m.used--
	if m.idle.n >= maxIdle {
		m.close()
	}
	m.idle.add(c)
}

func (l *idlers) add(c *compartment) {
	c.newer, c.older = nil, l.newest
	if l.newest != nil {
		l.newest.newer = c
	} else {
		l.oldest = c
	}
	l.newest = c
	l.n++
}

func (l *idlers) remove(c *compartment) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		l.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		l.oldest = c.newer
	}
	c.newer, c.older = nil, nil
	l.n--
}
