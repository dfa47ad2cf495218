package loadshedder

import (
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/permits"
	"github.com/bulwark-go/bulwark/patterns/internal/throttle"
)

// Machine is the rules of a load shedder, and all of its state.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// In a calm it only counts, and looks at no time at all. So the moment at which a calm
// ends is only known at the next input: it asks to be woken at once, and goes on then.
type Machine struct {
	// A call in a calm reads and writes these.
	calm     bool // nothing but the limit decides
	dirty    bool // something changed that the shell must be told
	inFlight int  // weights of all permits out
	limit    int
	level    levelWatch
	cutoff   cutoff
	epoch    uint64
	holds    permits.Table[int] // the weights of permits that are not 1

	state State
	cause Cause            // of the last change of state
	hi    patterns.Instant // the largest now seen: time never runs backwards
	due   patterns.Instant // when a forced state ends
	next  patterns.Instant // the earliest time at which there is something to do
	owes  bool             // something happened whose time is not known yet
	peak  int              // the most that was ever in flight

	strain   strain
	queue    queue
	signals  [signals]gauge
	control  control
	throttle throttle.Throttle
	users    users

	cfg    Config // with its defaults
	name   string
	origin time.Time
	seed   fingerprint.Seed

	refusals refusals
	heavy    *WeightError // the last one made
	events   eventqueue.Queue
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the shedder's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
	// Seed makes it impossible to choose keys that count as one.
	Seed [2]uint64
}

// NewMachine returns a Machine in epoch 1, which has measured nothing yet.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, seed: p.Seed, epoch: 1, hi: p.Now, due: patterns.Never}
	m.level.look, m.strain.look = patterns.Never, patterns.Never
	for i := range m.signals {
		m.signals[i].threshold = Off
	}
	m.forget()
	m.adopt(p.Config.withDefaults())
	return m
}

// Acquire grants r a place, refuses it with a *ShedError, or has it wait where callers
// may. What it could never grant it refuses with a *WeightError.
func (m *Machine) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	if m.calm && r.Weight <= 1 && m.inFlight < m.limit && r.Asked == 0 {
		m.cutoff.arrivals[gradeOf(r.Priority, true)]++
		m.add(1)
		return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
	}
	m.settle(now)
	w := max(1, r.Weight)
	switch {
	case m.state == ForcedOpen:
		return m.decline(r, m.shed(CauseForced, r))
	case m.state != Automatic:
		return m.pass(id, r, w)
	case w > m.limit:
		return m.decline(r, m.tooHeavy(w))
	case r.Asked != 0:
		return m.recall(id, r, w)
	}
	if m.inFlight > m.limit-w {
		m.strained()
		if m.cfg.MaxQueue != NoQueue {
			return patterns.Decision{Verdict: patterns.Wait, Dirty: m.flush()}
		}
	}
	grade := m.arrive(r)
	if cause := m.objection(grade, w); cause != CauseNone {
		return m.decline(r, m.shed(cause, r))
	}
	return m.grant(id, r, w, grade)
}

// objection is why a newcomer, which would not wait, is not granted; CauseNone if it is.
func (m *Machine) objection(grade, w int) Cause {
	if cause := m.cut(grade); cause != CauseNone {
		return cause
	}
	if m.inFlight > m.limit-w && m.cfg.MaxQueue != NoQueue { // MetricsOnly: others would wait
		if m.inFlight-m.limit >= m.cfg.MaxQueue {
			return CauseQueue
		}
		return CauseNone
	}
	if m.inFlight > m.limit-w {
		m.cutoff.refused(grade, m.limit)
		return CauseInFlight
	}
	if m.cfg.MaxQueue == NoQueue && m.cutoff.held && m.inFlight > 0 &&
		float64(m.inFlight+w)+m.cutoff.kept(grade) > float64(m.limit) {
		return CausePriority
	}
	return CauseNone
}

// pass grants r whatever the rules say, as an operator wishes; with MetricsOnly it counts
// what they say.
func (m *Machine) pass(id uint64, r *patterns.Request, w int) patterns.Decision {
	w = min(w, m.limit)
	grade := gradeOf(r.Priority, true)
	if m.state == MetricsOnly && r.Asked == 0 {
		grade = m.arrive(r)
		if cause := m.objection(grade, w); cause != CauseNone {
			m.strain.count(cause, r.Priority)
			m.strain.spared++
			m.strained()
		}
	}
	if r.Asked != 0 {
		m.queue.leave()
	}
	return m.grant(id, r, w, grade)
}

func (m *Machine) grant(id uint64, r *patterns.Request, w, grade int) patterns.Decision {
	if w > 1 {
		m.holds.Put(id, w)
	}
	if m.cfg.Fair {
		m.users.charge(m.hi, m.seed, r.Key, w)
	}
	if m.cutoff.held {
		m.cutoff.granted(grade)
	}
	m.add(w)
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// decline is the decision with which r is refused.
func (m *Machine) decline(r *patterns.Request, err error) patterns.Decision {
	if r.Asked != 0 {
		m.queue.leave()
	}
	return patterns.Decision{Dirty: m.flush(), Err: err}
}

// Report gives the permit's places back. How the call ended matters to Config.Throttle
// only: Dropped was not accepted, Ignored says nothing.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	if !m.calm {
		m.settle(now)
		if m.throttled() && o != patterns.Ignored && m.state != ForcedClosed {
			m.throttle.Record(m.hi, 1, o != patterns.Dropped)
		}
	}
	m.free(p.ID)
	return true, m.flush()
}

// Release gives the permit's places back.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	if !m.calm {
		m.settle(now)
	}
	m.free(p.ID)
	return m.flush()
}

func (m *Machine) free(id uint64) {
	w := 1
	if m.holds.Len() > 0 {
		if known, ok := m.holds.Take(id); ok {
			w = known
		}
	}
	m.sub(w)
}

func (m *Machine) add(w int) {
	if m.inFlight += w; m.inFlight > m.level.high {
		m.moved()
	}
}

// sub never takes more than there is.
func (m *Machine) sub(w int) {
	m.inFlight = max(0, m.inFlight-w)
	if m.inFlight < m.level.low {
		m.moved()
	}
	if m.strain.on {
		m.queue.completed(m.hi, w)
	}
}

func (m *Machine) moved() {
	m.peak = max(m.peak, m.inFlight)
	if m.level.moved(m.inFlight, m.peak) {
		m.owe()
	}
}

// Tick makes every transition that is due by now.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	return m.flush()
}

// Wake is when a transition is due; at once if one waits for the time to be known.
func (m *Machine) Wake() patterns.Instant {
	if m.owes {
		return m.hi.Add(1)
	}
	return m.next
}

// Epoch grows whenever a calm ends, so that leases end.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is true while nobody waits, nobody is shed and nothing is learned.
func (m *Machine) Timeless() bool {
	return !m.owes && !m.strain.on && !m.control.cutting && !m.throttled() && !m.cfg.Fair && m.due == patterns.Never
}

// Measured is false: how long a call took is nothing to a shedder.
func (m *Machine) Measured() bool { return false }

// Refusal says that every request is refused while ForcedOpen.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) {
	if m.state != ForcedOpen {
		return nil, 0, false
	}
	return m.refusal(CauseForced, patterns.Normal), m.due, true
}

// Lease lends at most an eighth of the free places, and only in a calm.
func (m *Machine) Lease(now patterns.Instant, want int) int {
	m.settle(now)
	n := min(want, (m.limit-m.inFlight)/leaseShare)
	if !m.calm || n < 2 {
		return 0
	}
	m.cutoff.arrivals[gradeOf(patterns.Normal, true)] += uint64(n)
	m.add(n)
	return n
}

// leaseShare of the free places go into one lease, so that what one cell does not use
// does not keep much from the others.
const leaseShare = 8

// SettleLease takes back what was lent. It always counts, whatever its epoch.
func (m *Machine) SettleLease(now patterns.Instant, _ uint64, t patterns.Tally) (counted, dirty bool) {
	m.settle(now)
	m.sub(max(0, t.Success+t.Failure+t.Dropped+t.Ignored+t.Unused))
	return true, m.flush()
}

// SlowAfter is 0: how long a call took is nothing to a shedder.
func (m *Machine) SlowAfter() time.Duration { return 0 }

// throttled reports whether what is sent on is watched.
func (m *Machine) throttled() bool { return m.cfg.Throttle != Off }

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	if !m.dirty { // writing would take the cache line from another processor
		return false
	}
	m.dirty = false
	return true
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
