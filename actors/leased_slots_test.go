package actors

import (
	"fmt"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// slots is a Lessor with a hard capacity: what a bulkhead will be. In its books a
// permit is lent from its lease or grant until it came back.
type slots struct {
	capacity int
	lent     int
	epoch    uint64
	shut     bool // there is a Refusal

	successes int // that it knows of
	failures  int
	folds     []int // the successes that each failure found counted
	worst     int   // the most that was ever lent
	tooMany   int   // times that more came back than was lent

	onSuccess func(m *slots) (dirty bool)
	onReturn  func(m *slots) (dirty bool)
	onTick    func(m *slots) (dirty bool)
	slow      time.Duration
	waits     bool // instead of refusing
	seats     int  // for those who wait
	order     patterns.Order
	keys      map[string]bool // in Keyed order: each has a slot of its own, taken or not
	keyOf     map[uint64]string
	freed     string
	onWait    func(m *slots) // in an Acquire that waits, which is dirty then
	onReport  func(m *slots) // in a Report, which is dirty then
}

var errNoSlot = fmt.Errorf("%w: no slot", patterns.ErrRejected)

func newSlots(capacity int) *slots { return &slots{capacity: capacity, epoch: 1} }

func (m *slots) take(n int) {
	m.lent += n
	m.worst = max(m.worst, m.lent)
}

func (m *slots) give(n int) {
	if m.lent -= n; m.lent < 0 {
		m.tooMany++
	}
}

func (m *slots) Acquire(_ patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	switch {
	case m.order == patterns.Keyed && r.Key != "":
		return m.acquireOf(r.Key, id)
	case m.shut || m.lent >= m.capacity && !m.waits:
		return patterns.Decision{Err: errNoSlot}
	case m.lent >= m.capacity:
		return m.wait()
	}
	m.take(1)
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *slots) wait() patterns.Decision {
	if f := m.onWait; f != nil {
		m.onWait = nil
		f(m)
		return patterns.Decision{Verdict: patterns.Wait, Dirty: true}
	}
	return patterns.Decision{Verdict: patterns.Wait}
}

// acquireOf is Acquire for a key's own slot.
func (m *slots) acquireOf(key string, id uint64) patterns.Decision {
	if m.keys[key] {
		return m.wait()
	}
	if m.keys == nil {
		m.keys, m.keyOf = map[string]bool{}, map[uint64]string{}
	}
	m.keys[key], m.keyOf[id] = true, key
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *slots) Report(_ patterns.Instant, p patterns.PermitID, o patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	if f := m.onReport; f != nil {
		m.onReport, dirty = nil, true
		f(m)
	}
	if key, ok := m.keyOf[p.ID]; ok {
		delete(m.keyOf, p.ID)
		m.keys[key], m.freed = false, key
		return true, dirty
	}
	m.freed = ""
	m.give(1)
	if p.Epoch != m.epoch {
		return false, false
	}
	if o == patterns.Success {
		m.successes++
	} else {
		m.failures++
		m.folds = append(m.folds, m.successes)
	}
	return true, dirty
}

func (m *slots) Join(_ patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	if r.NoWait || q.Waiting >= m.seats {
		return 0, false, errNoSlot
	}
	return patterns.Never, false, nil
}

func (*slots) Expired(patterns.Instant, *patterns.Request) (bool, error) { return false, errNoSlot }
func (m *slots) Order() patterns.Order                                   { return m.order }
func (*slots) Again() patterns.Instant                                   { return patterns.Never }
func (m *slots) Freed() (string, bool)                                   { return m.freed, false }

func (m *slots) Release(patterns.Instant, patterns.PermitID) bool {
	m.give(1)
	return false
}

func (m *slots) Lease(_ patterns.Instant, want int) int {
	if m.shut {
		return 0
	}
	n := max(0, min(want, m.capacity-m.lent))
	m.take(n)
	return n
}

func (m *slots) SettleLease(_ patterns.Instant, epoch uint64, t patterns.Tally) (counted, dirty bool) {
	m.give(t.Success + t.Unused)
	m.freed = ""
	if t.Unused > 0 && m.onReturn != nil {
		dirty = m.onReturn(m)
	}
	if epoch != m.epoch {
		return false, dirty
	}
	m.successes += t.Success
	if t.Success > 0 && m.onSuccess != nil {
		dirty = m.onSuccess(m) || dirty
	}
	return true, dirty
}

func (m *slots) Operate(_ patterns.Instant, op patterns.Operation) error {
	switch op.Kind {
	case patterns.ForceOpen:
		m.shut = true
	case patterns.ForceClosed:
		m.shut = false
	case patterns.Reset:
		m.epoch++
	}
	return nil
}

func (m *slots) Refusal() (error, patterns.Instant, bool) { return errNoSlot, patterns.Never, m.shut }
func (m *slots) SlowAfter() time.Duration                 { return m.slow }
func (m *slots) Measured() bool                           { return m.slow > 0 }
func (m *slots) Epoch() uint64                            { return m.epoch }
func (m *slots) Tick(patterns.Instant) bool               { return m.onTick != nil && m.onTick(m) }
func (*slots) Wake() patterns.Instant                     { return patterns.Never }
func (*slots) Timeless() bool                             { return true }
func (*slots) Check() error                               { return nil }
func (m *slots) Repair(patterns.Instant)                  { m.epoch++ }
func (*slots) Drain() iter.Seq[patterns.Event]            { return func(func(patterns.Event) bool) {} }

// bareShell is a shell without an actor: the test is its turn, and its only caller.
func bareShell(m *slots, size, cellCount int) *shell {
	s := &shell{
		name: "bare", origin: time.Now(), armed: patterns.Never, rules: m, lessor: m,
		cells: newCells(patterns.Leased(size, time.Hour), Shard{}), relay: new(relay), begun: true,
	}
	s.outbox.init()
	for len(s.cells.all) < cellCount {
		s.cells.all = append(s.cells.all, newCells(patterns.Leased(size, time.Hour), Shard{}).all...)
	}
	s.cells.all = s.cells.all[:cellCount]
	for i := range s.cells.all {
		s.cells.all[i].index = i
	}
	s.cells.learn(m)
	s.openGate()
	return s
}
