package hedge

import (
	"errors"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/latency"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// Machine is what the hedge's actor knows, and how it decides on a delay. The attempts
// themselves are made by callers.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its own
// time, and the same inputs give the same outputs. It must not be used from two goroutines
// at once.
type Machine struct {
	permitless.Rules

	hi     patterns.Instant // the largest now seen: time never runs backwards
	epoch  uint64
	cfg    Config // with its defaults
	name   string
	origin time.Time
	dirty  bool             // something changed that the shell must be told
	armed  patterns.Instant // the last Wake that it was told of

	plan   *plan
	first  *latency.Hedge   // nil if the delay follows no calls
	review patterns.Instant // when to look at the delay again, though there are no calls
	spoken patterns.Instant // when a DelayChanged may be next
	said   time.Duration    // the delay that everybody was told of
	last   string           // the last panic of a loser

	hedged  digest.Digest
	won     uint64 // of those that are to be told of
	crowded digest.Digest
	crashed digest.Digest
	events  eventqueue.Queue
}

// plan is what callers go by, and never changes.
type plan struct {
	Config
	delay time.Duration
}

// follows reports whether the delay follows calls.
func (p *plan) follows() bool { return p.Quantile > 0 }

// Params is what a Machine is made of.
type Params struct {
	// Name is the hedge's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
}

// NewMachine returns a Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, hi: p.Now, epoch: 1, armed: patterns.Never}
	m.adopt(p.Config.withDefaults())
	m.decide()
	m.said = m.plan.delay
	return m
}

// Plan returns what callers go by from now on.
func (m *Machine) Plan() any { return m.plan }

// decide makes the plan anew, if it is another one.
func (m *Machine) decide() {
	next := plan{Config: m.cfg, delay: m.delay()}
	if m.plan == nil || *m.plan != next {
		m.plan, m.dirty = &next, true
	}
}

// Consult hears of calls.
func (m *Machine) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.settle(now)
	switch q := question.(type) {
	case hedged:
		m.hear(q)
	case *samples.Batch:
		m.learn(q.All())
	case crowded:
		m.crowded.Add()
	case crashed:
		m.last = q.panic
		m.crashed.Add()
	default:
		return patterns.Consultation{}
	}
	m.report()
	return patterns.Consultation{Answer: true, Dirty: m.flush()}
}

// hear is of a call that made another attempt.
func (m *Machine) hear(q hedged) {
	if q.extra {
		m.hedged.Add()
	}
	if q.won {
		m.won++
	}
	m.outrun(q.outrun)
}

// report makes the events that are due.
func (m *Machine) report() {
	if n := m.hedged.Take(m.hi); n > 0 {
		m.tell(Hedged{Name: m.name, Delay: m.plan.delay, Count: n, Won: m.won, At: m.wall(m.hi)})
		m.won = 0
	}
	if n := m.crowded.Take(m.hi); n > 0 {
		m.tell(Crowded{Name: m.name, Losers: m.cfg.MaxLosers, Count: n, At: m.wall(m.hi)})
	}
	if n := m.crashed.Take(m.hi); n > 0 {
		m.tell(LoserPanicked{Name: m.name, Panic: m.last, Count: n, At: m.wall(m.hi)})
	}
}

// Tick tells of what has not been told yet, and looks at the delay.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.review {
		m.follow()
	}
	m.report()
	return m.flush()
}

// Wake is when there is more to tell of, or the delay may be another one.
func (m *Machine) Wake() patterns.Instant {
	return min(m.hedged.Due(), m.crowded.Due(), m.crashed.Due(), m.review)
}

// Epoch changes with a Repair only.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Operate carries out a Reset, which forgets how long calls took. A hedge has no meaning for
// other commands; the error is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.settle(now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a hedge can do"}
	}
	if m.first != nil {
		m.first.Reset()
		m.follow()
	}
	return nil
}

// Reconfigure changes the policy: calls that begin from now on go by it. What was learned is
// kept.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.settle(now)
	old, c := m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.adopt(c)
	m.decide()
	m.said = m.plan.delay // ConfigChanged says so
	m.follow()
	m.tell(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	switch {
	case m.plan == nil:
		return errors.New("hedge: no plan")
	case m.plan.Config != m.cfg, (m.first != nil) != (m.cfg.Quantile > 0):
		return errors.New("hedge: the plan is another one's")
	case m.first != nil && (m.plan.delay < m.cfg.Min || m.plan.delay > m.cfg.Max), m.plan.delay < minDelay:
		return errors.New("hedge: the delay is none that may be")
	case m.first != nil:
		return m.first.Check()
	}
	return nil
}

// Repair makes the plan anew, and forgets how long calls took.
func (m *Machine) Repair(now patterns.Instant) {
	m.settle(now)
	m.plan, m.first = nil, nil
	m.adopt(m.cfg)
	m.decide()
	m.epoch++
	m.dirty = true
}

func (m *Machine) settle(now patterns.Instant) { m.hi = max(m.hi, now) }

// flush returns whether the shell must be told of something, and that it was. With more to
// tell of later, its timer has to be set.
func (m *Machine) flush() (dirty bool) {
	wake := m.Wake()
	dirty = m.dirty || wake != m.armed
	m.dirty, m.armed = false, wake
	return dirty
}

func (m *Machine) tell(e patterns.Event) {
	m.events.Put(e)
	m.dirty = true
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
