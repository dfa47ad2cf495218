package circuitbreaker

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/ratio"
)

// Machine is the rules of a circuit breaker, and all of its state:
//
//	Closed --too many failed or slow--> Open --open time over--> HalfOpen
//	   ^                                  ^------probe failed------'  |
//	   '----------------------------probes passed--------------------'
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its
// own time, and the same inputs give the same outputs. It must not be used from two
// goroutines at once.
//
// Open ends when somebody asks, not when its time is over, so that a breaker nobody
// calls needs no timer: it rests in Open, and its Snapshot says Eligible.
type Machine struct {
	state   State
	ramping bool  // Closed: not every call is admitted yet
	dirty   bool  // something changed that the shell must be told
	cause   Cause // of the last transition

	epoch uint64           // grows with every transition; permits carry it
	hi    patterns.Instant // the largest now seen: time never runs backwards
	due   patterns.Instant // when overdue has something to do
	since patterns.Instant // of the last transition
	until patterns.Instant // Open: when the first probe may go

	failures  int // in a row, up to now
	successes int // in a row, up to now
	recent    recent
	trial     trial // HalfOpen
	ramp      ramp  // Closed and ramping
	opens     int   // openings in a row, which lengthen the next one

	lastFailure patterns.Instant
	everFailed  bool // lastFailure means something

	cfg        Config // with its defaults
	minSamples uint64
	failRatio  ratio.Ratio
	slowRatio  ratio.Ratio

	name     string
	origin   time.Time
	seed     uint64
	rand     *rand.Rand // made of seed when first needed
	schedule []time.Duration

	refusal   *OpenError // the last one made, and what it was made for
	refusalAt patterns.Instant
	events    eventqueue.Queue
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the breaker's, for errors and events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
	// Seed decides what OpenJitter draws. 0 draws nothing: open times are not
	// lengthened.
	Seed uint64
}

// NewMachine returns a closed Machine in epoch 1.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{
		name: p.Name, origin: p.Origin, seed: p.Seed,
		epoch: 1, hi: p.Now, since: p.Now, due: patterns.Never, until: patterns.Never,
	}
	m.adopt(p.Config.withDefaults())
	m.recent = newRecent(m.cfg.Window)
	return m
}

// Acquire grants a permit, or refuses with an *OpenError. It never answers Wait and
// does not look at the Request.
func (m *Machine) Acquire(now patterns.Instant, id uint64, _ *patterns.Request) patterns.Decision {
	m.settle(now)
	switch m.state {
	case Closed:
		if m.ramping && !m.rampAdmits() {
			return m.refuse(CauseRamp, patterns.Never)
		}
		return m.grant()
	case Open:
		if m.hi < m.until {
			return m.refuse(m.cause, m.until)
		}
		m.become(HalfOpen, CauseOpenElapsed, "")
		return m.acquireProbe(id)
	case HalfOpen:
		return m.acquireProbe(id)
	case ForcedOpen:
		return m.refuse(m.cause, m.due)
	}
	return m.grant()
}

// Report records how the call of permit p ended. A slow call is one that took
// longer than Config.SlowCall.
func (m *Machine) Report(now patterns.Instant, p patterns.PermitID, o patterns.Outcome, elapsed time.Duration) (counted, dirty bool) {
	m.settle(now)
	if p.Epoch == m.epoch {
		switch m.state {
		case Closed, MetricsOnly:
			counted = true
			if o != patterns.Ignored {
				m.record(o != patterns.Success, m.slow(elapsed))
			}
		case HalfOpen:
			counted = m.reportProbe(p.ID, o, elapsed)
		case ForcedClosed:
			counted = true
		}
	}
	return counted, m.flush()
}

// Release ends permit p without a verdict. The slot of a probe is free again.
func (m *Machine) Release(now patterns.Instant, p patterns.PermitID) (dirty bool) {
	m.settle(now)
	if p.Epoch == m.epoch && m.state == HalfOpen {
		m.reportProbe(p.ID, patterns.Ignored, 0)
	}
	return m.flush()
}

// Tick makes every transition that is due by now. Open time is not: see Machine.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.settle(now)
	return m.flush()
}

// Wake is when a silent probe is to be settled or a forced state ends.
func (m *Machine) Wake() patterns.Instant { return m.due }

// Epoch is the version of the state. Every transition begins a new one, and reports
// from older ones do not count.
func (m *Machine) Epoch() uint64 { return m.epoch }

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the
// oldest are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Timeless is false wherever the next success could open the circuit, because the
// open time would start at an old now: under the slow rule, and while a first
// failure makes it possible that the result that completes MinSamples is a success.
func (m *Machine) Timeless() bool {
	switch m.state {
	case Closed:
		return !m.ramping && !m.recent.timed && !m.slowRatio.On() && m.successIsHarmless()
	case MetricsOnly:
		return m.due == patterns.Never && !m.recent.timed
	case ForcedOpen, ForcedClosed:
		return m.due == patterns.Never
	}
	return false
}

// Measured reports whether Config.SlowCall is set.
func (m *Machine) Measured() bool { return m.cfg.SlowCall > 0 }

// Refusal says that every request is refused while Open or ForcedOpen. Once its
// instant has come, ask.
func (m *Machine) Refusal() (err error, until patterns.Instant, ok bool) {
	switch m.state {
	case Open:
		until = m.until
	case ForcedOpen:
		until = m.due
	default:
		return nil, 0, false
	}
	return m.refuse(m.cause, until).Err, until, true
}

// become is the only place where the state changes. It starts an epoch and forgets
// what belonged to the last one.
func (m *Machine) become(to State, cause Cause, note string) {
	m.epoch++
	m.events.Put(StateChanged{
		Name: m.name, From: m.state, To: to, Cause: cause, Epoch: m.epoch, At: m.wall(m.hi), Note: note,
	})
	m.state, m.cause, m.since = to, cause, m.hi
	m.due, m.until = patterns.Never, patterns.Never
	m.recent.reset()
	m.trial.clear()
	m.ramping = false
	m.refusal = nil
	m.dirty = true
	switch to {
	case Open: // the run of failures that opened it stays to be seen
	case HalfOpen:
		m.trial.begin(&m.cfg)
	default:
		m.failures, m.successes = 0, 0
	}
	if to.Forced() {
		m.opens = 0
	}
}

// settle sets the time and makes the transitions that are due.
func (m *Machine) settle(now patterns.Instant) {
	if now > m.hi {
		m.hi = now
	}
	if m.hi >= m.due {
		m.overdue()
	}
}

func (m *Machine) overdue() {
	switch {
	case m.due == patterns.Never: // now is Never too
	case m.state == HalfOpen:
		m.expireProbes()
	case m.state == ForcedOpen:
		m.become(Closed, CauseForcedElapsed, "")
		m.startRamp()
	case m.state.Forced():
		m.become(Closed, CauseForcedElapsed, "")
	}
}

func (m *Machine) grant() patterns.Decision {
	return patterns.Decision{Verdict: patterns.Grant, Dirty: m.flush(), Epoch: m.epoch}
}

// refuse makes one error per epoch and retryAt, and shares it among all the calls
// refused. No state refuses for two reasons.
func (m *Machine) refuse(cause Cause, retryAt patterns.Instant) patterns.Decision {
	if m.refusal == nil || m.refusalAt != retryAt {
		m.refusalAt = retryAt
		m.refusal = &OpenError{Name: m.name, State: m.state, Cause: cause, RetryAt: m.wall(retryAt)}
	}
	return patterns.Decision{Verdict: patterns.Refuse, Dirty: m.flush(), Err: m.refusal}
}

// flush returns whether the shell must be told of something, and that it was.
func (m *Machine) flush() bool {
	if !m.dirty { // writing would take the cache line from another processor
		return false
	}
	m.dirty = false
	return true
}

// wall returns the wall time of an instant, and the zero Time for Never.
func (m *Machine) wall(at patterns.Instant) time.Time {
	if at == patterns.Never {
		return time.Time{}
	}
	return m.origin.Add(time.Duration(at))
}

func (m *Machine) slow(elapsed time.Duration) bool {
	return m.cfg.SlowCall > 0 && elapsed > m.cfg.SlowCall
}
