package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// branch has every request decided at a head office: permits until its stock is used up.
type branch struct {
	rules
	bench
	office  *office
	within  time.Duration
	most    int // of an errand
	room    int
	order   patterns.Order
	again   patterns.Instant // for those who wait
	holding map[uint64]slip
	making  []slip
	returns []slip
	shut    error // the last errand failed: refuse everybody
	parting bool

	punctual bool
}

// slip is what an errand asks, and the answer.
type slip struct {
	key   string
	n     int // below 0 is given back
	peek  bool
	taken bool
	left  int
}

// office has the stock, and says when it opens.
type office struct {
	mu    sync.Mutex
	stock map[string]int
	call  func(ctx context.Context, slips []slip) error // before it decides
}

type courier struct {
	office *office
	slips  []slip
	failed error
}

func (c *courier) Carry(ctx context.Context) error {
	if c.office.call != nil {
		if err := c.office.call(ctx, c.slips); err != nil {
			return err
		}
	}
	for i := range c.slips {
		c.office.decide(&c.slips[i])
	}
	return nil
}

func (o *office) decide(s *slip) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.stock[s.key]
	if s.taken = left >= s.n; s.taken && !s.peek {
		left -= s.n
		o.stock[s.key] = left
	}
	s.left = left
}

// left is how much there is, to which it adds some.
func (o *office) left(key string, add int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stock[key] += add
	return o.stock[key]
}

var errSoldOut = fmt.Errorf("%w: sold out", patterns.ErrRejected)

type branchSnapshot struct {
	Holding int
	patterns.Counts
}

func newBranch(o *office) *branch {
	return &branch{
		rules: rules{epoch: 1}, bench: newBench(0), office: o, within: time.Second, most: 256, room: 1 << 12,
		order: patterns.Keyed, again: patterns.Never, holding: map[uint64]slip{},
	}
}

func (m *branch) Acquire(_ patterns.Instant, _ uint64, r *patterns.Request) patterns.Decision {
	m.trip("Acquire")
	if m.shut != nil {
		return patterns.Decision{Err: m.shut}
	}
	return patterns.Decision{Verdict: patterns.Refer}
}

func (m *branch) Refers() bool                { return m.shut == nil }
func (m *branch) Punctual() bool              { return m.punctual }
func (m *branch) Room() int                   { m.trip("Room"); return m.room }
func (m *branch) Wants(patterns.Instant) bool { return len(m.returns) > 0 }
func (m *branch) Order() patterns.Order       { return m.order }
func (m *branch) Again() patterns.Instant     { return m.again }

func (m *branch) Load(_ patterns.Instant, i int, r *patterns.Request, question any) bool {
	m.trip("Load")
	if i >= m.most {
		return false
	}
	s := slip{key: r.Key, n: max(1, r.Weight)}
	if key, ok := question.(string); ok {
		s = slip{key: key, peek: true}
	}
	m.making = append(m.making[:i], s)
	return true
}

func (m *branch) Depart(_ patterns.Instant, n int) (patterns.Errand, time.Duration) {
	m.trip("Depart")
	if n == 0 && len(m.returns) == 0 {
		return nil, 0
	}
	c := &courier{office: m.office, slips: append(m.making[:n], m.returns...)}
	m.making, m.returns = nil, nil
	return c, m.within
}

func (m *branch) Return(_ patterns.Instant, errand patterns.Errand, err error) bool {
	m.trip("Return")
	errand.(*courier).failed = err
	if err != nil && !errors.Is(err, patterns.ErrRejected) {
		err = fmt.Errorf("%w: %w", patterns.ErrRejected, err)
	}
	m.shut = err
	return err != nil
}

func (m *branch) Conclude(_ patterns.Instant, errand patterns.Errand, i int, id uint64, r *patterns.Request) patterns.Decision {
	m.trip("Conclude")
	c := errand.(*courier)
	if c.failed != nil {
		return patterns.Decision{Err: m.shut}
	}
	s := c.slips[i]
	if !s.taken {
		if m.seats > 0 && !r.NoWait {
			return patterns.Decision{Verdict: patterns.Wait}
		}
		return patterns.Decision{Err: errSoldOut}
	}
	m.holding[id] = s
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *branch) Consult(_ patterns.Instant, question any) patterns.Consultation {
	m.trip("Consult")
	switch question.(type) {
	case string:
		return patterns.Consultation{Refer: true}
	case int:
		return patterns.Consultation{Answer: question}
	}
	return patterns.Consultation{}
}

func (m *branch) Inform(_ patterns.Instant, errand patterns.Errand, i int, question any) patterns.Consultation {
	m.trip("Inform")
	c := errand.(*courier)
	if c.failed != nil {
		return patterns.Consultation{Err: c.failed}
	}
	return patterns.Consultation{Answer: c.slips[i].left}
}

func (m *branch) Disown(_ patterns.Instant, errand patterns.Errand, i int) bool {
	m.trip("Disown")
	if c := errand.(*courier); c.failed == nil && c.slips[i].taken && !c.slips[i].peek {
		m.giveBack(c.slips[i])
		return true
	}
	return false
}

func (m *branch) giveBack(s slip) { m.returns = append(m.returns, slip{key: s.key, n: -s.n}) }

func (m *branch) Farewell(patterns.Instant) { m.parting = true }

func (m *branch) Report(_ patterns.Instant, p patterns.PermitID, _ patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	delete(m.holding, p.ID)
	return true, false
}

func (m *branch) Release(_ patterns.Instant, p patterns.PermitID) bool {
	if s, ok := m.holding[p.ID]; ok {
		delete(m.holding, p.ID)
		m.giveBack(s)
	}
	return true
}

func (*branch) Spends() bool                                       { return false }
func (*branch) Operate(patterns.Instant, patterns.Operation) error { return nil }
func (m *branch) Reconfigure(_ patterns.Instant, _ semConfig)      { m.shut = nil }
func (m *branch) Snapshot(_ patterns.Instant, counts patterns.Counts) branchSnapshot {
	return branchSnapshot{Holding: len(m.holding), Counts: counts}
}

type branchGuard struct {
	*actors.Typed[semConfig, branchSnapshot]
}

func spawnBranch(t testing.TB, guards *actors.Registry, m *branch) branchGuard {
	t.Helper()
	g, err := actors.Spawn(guards, "branch", actors.Spec[semConfig, branchSnapshot]{
		Pattern: "branch", Validate: func(semConfig) error { return nil },
		New: func(actors.Origin) actors.Machine[semConfig, branchSnapshot] { return m },
	}, func(t *actors.Typed[semConfig, branchSnapshot]) branchGuard { return branchGuard{t} })
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g branchGuard) snapshot(t testing.TB) branchSnapshot {
	t.Helper()
	s, ok := g.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	if !s.Balanced() {
		t.Errorf("counts do not balance: %+v", s.Counts)
	}
	return s
}
