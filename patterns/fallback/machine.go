package fallback

import (
	"container/list"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/digest"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
)

// Machine is what the fallback's actor knows: the last good values, and what is told of.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its own
// time, and the same inputs give the same outputs. It must not be used from two goroutines
// at once.
//
// It grants no permits. Calls go by the plan that it publishes.
type Machine[T any] struct {
	permitless.Rules

	hi     patterns.Instant // the largest now seen: time never runs backwards
	epoch  uint64
	cfg    Config[T] // with its defaults
	name   string
	origin time.Time
	dirty  bool             // something changed that the shell must be told
	armed  patterns.Instant // the last Wake that it was told of

	plan  *plan[T]
	kept  map[string]*good
	ages  *list.List       // of *good, the newest first
	sweep patterns.Instant // when to look for values that are too old

	fallen, failed digest.Digest
	last           fell
	lastFailed     *Error
	events         eventqueue.Queue
}

// plan is what callers go by, and never changes.
type plan[T any] struct {
	steps          []Step[T]
	keeps          bool // last good values
	stale          bool // even those that are old
	keepRejections bool
}

// Params is what a Machine is made of.
type Params[T any] struct {
	// Name is the fallback's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config[T]
}

// NewMachine returns a Machine in epoch 1.
func NewMachine[T any](p Params[T]) *Machine[T] {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine[T]{name: p.Name, origin: p.Origin, hi: p.Now, epoch: 1, armed: patterns.Never}
	m.forget()
	m.adopt(p.Config.withDefaults())
	return m
}

func (m *Machine[T]) adopt(c Config[T]) {
	m.cfg = c
	m.plan = &plan[T]{keeps: c.LastGood > 0, stale: c.StaleFor > 0, keepRejections: c.KeepRejections}
	if c.Steps != nil {
		m.plan.steps = c.Steps.all
	}
	m.dirty = true
	m.prune()
}

// Plan returns what callers go by from now on.
func (m *Machine[T]) Plan() any { return m.plan }

// Consult keeps good values, returns them, and hears of fallbacks.
func (m *Machine[T]) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.settle(now)
	var answer any = true
	switch q := question.(type) {
	case *good:
		m.keep(q)
	case ask:
		answer = m.find(q)
	case fell:
		m.fallen.Add()
		m.last = q
	case exhausted:
		m.failed.Add()
		m.lastFailed = q.err
	default:
		return patterns.Consultation{}
	}
	m.report()
	return patterns.Consultation{Answer: answer, Dirty: m.flush()}
}

// keep makes g the last good value of its key.
func (m *Machine[T]) keep(g *good) {
	if m.cfg.LastGood == 0 || len(g.key) > MaxKey {
		return
	}
	g.at = m.hi
	if old := m.kept[g.key]; old != nil {
		g.place = old.place
		g.place.Value = g
		m.ages.MoveToFront(g.place)
	} else {
		g.place = m.ages.PushFront(g)
	}
	m.kept[g.key] = g
	m.prune()
}

// find returns the last good value of a key, if it is young enough.
func (m *Machine[T]) find(q ask) found {
	limit := m.cfg.LastGood
	if q.stale {
		limit = m.cfg.StaleFor
	}
	g := m.kept[q.key]
	if g == nil {
		return found{}
	}
	if age := m.hi.Sub(g.at); age < limit {
		return found{ok: true, value: g.value, age: age}
	}
	return found{}
}

// prune drops what is too old, or too much, and sets when to do so again.
func (m *Machine[T]) prune() {
	for m.ages.Len() > 0 {
		oldest := m.ages.Back().Value.(*good)
		if m.ages.Len() <= m.cfg.MaxKeys && m.hi.Sub(oldest.at) < m.cfg.age() {
			break
		}
		m.ages.Remove(oldest.place)
		delete(m.kept, oldest.key)
	}
	switch {
	case m.ages.Len() == 0:
		m.sweep = patterns.Never
	case m.sweep == patterns.Never || m.sweep <= m.hi: // not at each new value
		m.sweep = m.ages.Back().Value.(*good).at.Add(m.cfg.age())
	}
}

// forget drops every last good value.
func (m *Machine[T]) forget() {
	m.kept, m.ages, m.sweep = map[string]*good{}, list.New(), patterns.Never
}

// report makes the events that are due.
func (m *Machine[T]) report() {
	if n := m.fallen.Take(m.hi); n > 0 {
		m.tell(FellBack{Name: m.name, By: m.last.by, Err: m.last.err, Count: n, At: m.wall(m.hi)})
		m.last = fell{}
	}
	if n := m.failed.Take(m.hi); n > 0 {
		m.tell(Exhausted{Name: m.name, Err: m.lastFailed, Count: n, At: m.wall(m.hi)})
		m.lastFailed = nil
	}
}

// Tick drops what is too old, and tells of what has not been told yet.
func (m *Machine[T]) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	if m.hi >= m.sweep {
		m.prune()
	}
	m.report()
	return m.flush()
}

// Wake is when there is more to tell of, or a value gets too old.
func (m *Machine[T]) Wake() patterns.Instant {
	return min(m.fallen.Due(), m.failed.Due(), m.sweep)
}

// Epoch changes with a Repair only.
func (m *Machine[T]) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine[T]) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

func (m *Machine[T]) settle(now patterns.Instant) { m.hi = max(m.hi, now) }

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine[T]) flush() (dirty bool) {
	wake := m.Wake()
	dirty = m.dirty || wake != m.armed
	m.dirty, m.armed = false, wake
	return dirty
}

func (m *Machine[T]) tell(e patterns.Event) {
	m.events.Put(e)
	m.dirty = true
}

func (m *Machine[T]) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
