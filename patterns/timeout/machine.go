package timeout

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/latency"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
	"github.com/bulwark-go/bulwark/patterns/internal/samples"
)

// Machine is what the timeout's actor knows, and how it decides on a limit and on what may
// be left behind.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its own
// time, and the same inputs give the same outputs. It must not be used from two goroutines
// at once.
//
// It grants no permits. Calls go by the plan that it publishes, and it hears of those that
// were late.
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
	latest *latency.Timeout // nil if the limit follows no calls
	review patterns.Instant // when to look at the limit again, though there are no calls
	spoken patterns.Instant // when a LimitChanged may be next
	said   time.Duration    // the limit that everybody was told of
	strays map[*stray]struct{}
	left   uint64 // functions that were ever left behind
	panics uint64 // of those
	last   string // the last panic

	late    digest.Digest
	crashed digest.Digest
	events  eventqueue.Queue
}

// plan is what callers go by, and never changes.
type plan struct {
	limit   time.Duration
	follows bool            // the limit follows calls
	apart   bool            // the function runs on a goroutine of its own
	refusal *AbandonedError // of every call, or nil
	late    Error           // the cause of contexts whose time is over
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the timeout's, for errors and events.
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
	m := &Machine{name: p.Name, origin: p.Origin, hi: p.Now, epoch: 1, armed: patterns.Never, strays: map[*stray]struct{}{}}
	m.adopt(p.Config.withDefaults())
	m.decide()
	m.said = m.plan.limit
	return m
}

// Plan returns what callers go by from now on.
func (m *Machine) Plan() any { return m.plan }

// decide makes the plan anew, if it is another one.
func (m *Machine) decide() {
	next := plan{limit: m.limit(), follows: m.latest != nil, apart: m.cfg.Abandon}
	full := m.cfg.Abandon && len(m.strays) >= m.cfg.MaxAbandoned
	if m.plan != nil && m.plan.limit == next.limit && m.plan.follows == next.follows && m.plan.apart == next.apart &&
		(m.plan.refusal != nil) == full && (!full || m.plan.refusal.Max == m.cfg.MaxAbandoned) {
		return
	}
	if full {
		next.refusal = &AbandonedError{Name: m.name, Max: m.cfg.MaxAbandoned}
	}
	next.late = Error{Name: m.name, After: next.limit, Elapsed: next.limit}
	m.plan, m.dirty = &next, true
}

// Consult hears of calls that were late, and of functions that are to be left behind or
// have been.
func (m *Machine) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.settle(now)
	var answer any = true
	switch q := question.(type) {
	case late:
		m.late.Add()
		m.exceeded(q.limit)
	case *samples.Batch:
		m.learn(q)
	case leave:
		answer = m.leave(q.who)
	case left:
		m.ended(&q)
	default:
		return patterns.Consultation{}
	}
	m.report()
	return patterns.Consultation{Answer: answer, Dirty: m.flush()}
}

// leave reports whether there is room for one more.
func (m *Machine) leave(who *stray) bool {
	if len(m.strays) >= m.cfg.MaxAbandoned {
		return false
	}
	who.since = m.hi
	m.strays[who] = struct{}{}
	m.left++
	m.decide()
	return true
}

func (m *Machine) ended(q *left) {
	if _, ok := m.strays[q.who]; !ok {
		return
	}
	delete(m.strays, q.who)
	if q.never {
		m.left--
	}
	if q.panic != "" {
		m.panics++
		m.last = q.panic
		m.crashed.Add()
	}
	m.decide()
}

// report makes the events that are due.
func (m *Machine) report() {
	if n := m.late.Take(m.hi); n > 0 {
		m.tell(TimedOut{Name: m.name, Limit: m.plan.limit, Count: n, Abandoned: len(m.strays), At: m.wall(m.hi)})
	}
	if n := m.crashed.Take(m.hi); n > 0 {
		m.tell(AbandonedPanicked{Name: m.name, Panic: m.last, Count: n, At: m.wall(m.hi)})
	}
}

// Tick tells of what has not been told yet, and looks at the limit.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.review {
		m.follow()
	}
	m.report()
	return m.flush()
}

// Wake is when there is more to tell of, or the limit may be another one.
func (m *Machine) Wake() patterns.Instant {
	return min(m.late.Due(), m.crashed.Due(), m.review)
}

// Epoch changes with a Repair only.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

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
