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

func (m *slots) Acquire(patterns.Instant, uint64, *patterns.Request) patterns.Decision {
	switch {
	case m.shut || m.lent >= m.capacity && !m.waits:
		return patterns.Decision{Err: errNoSlot}
	case m.lent >= m.capacity:
		return patterns.Decision{Verdict: patterns.Wait}
	}
	m.take(1)
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *slots) Report(_ patterns.Instant, p patterns.PermitID, o patterns.Outcome, _ time.Duration) (counted, dirty bool) {
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
	return true, false
}

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
