package retry

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
	"github.com/bulwark-go/bulwark/patterns/internal/retrybudget"
)

// BudgetMachine is the rules of a budget, and all of its state. It is pure, as Machine is.
//
// Callers count their first attempts themselves, and the Machine hears of them before each
// question, and else ten times in a Window.
type BudgetMachine struct {
	permitless.Rules
	name   string
	origin time.Time
	hi     patterns.Instant // the largest now seen: time never runs backwards
	cfg    BudgetConfig     // with its defaults
	rules  retrybudget.Window
	past   retrybudget.Counts // of rules that were forgotten
	calls  uint64             // that it heard of
	heard  patterns.Instant   // when
	look   patterns.Instant   // when to hear again
	denied limited
	events eventqueue.Queue
}

// allow is the question whether there may be one more retry. The answer is a bool.
type allow struct{}

// BudgetParams is what a BudgetMachine is made of.
type BudgetParams struct {
	// Name is the budget's, for events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewBudgetMachine panics if it is invalid: validate it first.
	Config BudgetConfig
}

// NewBudgetMachine returns a Machine that has seen no call.
func NewBudgetMachine(p BudgetParams) *BudgetMachine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	c := p.Config.withDefaults()
	m := &BudgetMachine{
		name: p.Name, origin: p.Origin, hi: p.Now, cfg: c,
		rules: retrybudget.NewWindow(c.window()), heard: p.Now,
	}
	m.look = m.hi.Add(m.slot())
	return m
}

// slot is how long the rules do not tell times apart.
func (m *BudgetMachine) slot() time.Duration { return m.cfg.Window / 10 }

// Counted hears how many calls there were ever.
func (m *BudgetMachine) Counted(now patterns.Instant, calls uint64) {
	m.hi = max(m.hi, now)
	if calls > m.calls {
		m.rules.Deposit(m.hi, m.cfg.earned(calls-m.calls, m.hi.Sub(m.heard)))
		m.calls = calls
	}
	m.heard, m.look = m.hi, m.hi.Add(m.slot())
}

// Consult answers whether there may be one more retry.
func (m *BudgetMachine) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.hi = max(m.hi, now)
	if _, ok := question.(allow); !ok {
		return patterns.Consultation{}
	}
	if m.rules.Take(m.hi) {
		return patterns.Consultation{Answer: true}
	}
	if n, due := m.denied.happened(m.hi); due {
		m.announce(n)
	}
	return patterns.Consultation{Answer: false, Dirty: true}
}

func (m *BudgetMachine) announce(n int) {
	m.events.Put(BudgetExhausted{Name: m.name, Suppressed: n, Total: m.counts().Suppressed, At: m.wall(m.hi)})
}

// Tick announces what could not be announced so soon after the last.
func (m *BudgetMachine) Tick(now patterns.Instant) (dirty bool) {
	if m.hi = max(m.hi, now); m.hi >= m.look {
		m.look = m.hi.Add(m.slot())
	}
	if n, due := m.denied.due(m.hi); due {
		m.announce(n)
		return true
	}
	return false
}

// Wake is when to hear of calls again, or to announce something.
func (m *BudgetMachine) Wake() patterns.Instant { return min(m.look, m.denied.wake()) }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the oldest
// are dropped, and counted in BudgetSnapshot.EventsLost.
func (m *BudgetMachine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Operate carries out a Reset, which forgets what was earned and spent. A budget has no
// meaning for other commands; the error is a *patterns.ConfigError.
func (m *BudgetMachine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.hi = max(m.hi, now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: budgetPattern, Field: "Kind", Value: op.Kind, Problem: "is not something a budget can do"}
	}
	m.forget()
	return nil
}

// forget begins with new rules.
func (m *BudgetMachine) forget() {
	m.past = m.counts()
	m.rules = retrybudget.NewWindow(m.cfg.window())
}

// counts are those of all rules.
func (m *BudgetMachine) counts() retrybudget.Counts {
	c := m.rules.Counts()
	c.Extras += m.past.Extras
	c.Suppressed += m.past.Suppressed
	return c
}

// Epoch is always 1: there are no permits that could become stale.
func (m *BudgetMachine) Epoch() uint64 { return 1 }

// Plan returns OnFailure, for callers that find no actor.
func (m *BudgetMachine) Plan() any { return m.cfg.OnFailure }

// Reconfigure allows by other rules from now on, and keeps what it remembers.
func (m *BudgetMachine) Reconfigure(now patterns.Instant, c BudgetConfig) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.hi = max(m.hi, now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.cfg = c
	m.rules.Reconfigure(m.hi, c.window())
	m.look = min(m.look, m.hi.Add(m.slot()))
	m.events.Put(BudgetChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// Snapshot returns the state as of now.
func (m *BudgetMachine) Snapshot(now patterns.Instant, counts patterns.Counts) BudgetSnapshot {
	m.hi = max(m.hi, now)
	c := m.counts()
	return BudgetSnapshot{
		Name: m.name, Calls: m.calls, Extras: c.Extras, Suppressed: c.Suppressed, Left: m.rules.Left(m.hi),
		Config: m.cfg, EventsLost: m.events.Lost(), Counts: counts,
	}
}

// Check returns an error if an invariant does not hold.
func (m *BudgetMachine) Check() error { return m.rules.Check() }

// Repair forgets what was earned: until more is, there is what MinPerSecond allows.
func (m *BudgetMachine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	m.forget()
	m.denied = limited{}
	m.look = m.hi.Add(m.slot())
}

func (m *BudgetMachine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
