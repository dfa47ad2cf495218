package retry

import (
	"errors"
	"iter"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
	"github.com/bulwark-go/bulwark/patterns/internal/permitless"
)

// Machine is what a retry's actor owns: the Config that all callers go by, what became of
// their calls, and what is announced of it. The attempts themselves are made by the callers.
//
// It reads no clock, takes no lock and starts no goroutine: every input brings its own time,
// and the same inputs give the same outputs. It must not be used from two goroutines at
// once.
type Machine struct {
	permitless.Rules
	name   string
	origin time.Time
	hi     patterns.Instant // the largest now seen: time never runs backwards
	cfg    *Config          // with its defaults; callers read it, so it never changes
	totals totals
	ended  [causes]limited
	latest [causes]exhausted // of those not announced
	failed string            // the last error
	at     patterns.Instant  // of it
	events eventqueue.Queue
}

// totals is what callers have counted, by kind. They only grow.
type totals [kinds]uint64

// The kinds of totals; those from kindExhausted on are the causes by index. What the
// commonest call counts comes first.
const (
	kindFirst = iota
	kindLater
	kindPassed
	kindPanicked
	kindRetries
	kindWaited // in nanoseconds
	kindExhausted

	kinds = kindExhausted + causes
)

// retried is a question whose answer nobody waits for: an attempt failed, and another follows.
type retried struct {
	attempt int
	wait    time.Duration
	err     string
}

// exhausted is one too: an attempt failed, and none follows.
type exhausted struct {
	cause    Cause
	attempts int
	elapsed  time.Duration
	err      string
}

// Params is what a Machine is made of.
type Params struct {
	// Name is the retry's, for events.
	Name string
	// Origin is the wall time of Instant 0.
	Origin time.Time
	// Now is when the Machine is made.
	Now patterns.Instant
	// Config is the policy. NewMachine panics if it is invalid: validate it first.
	Config Config
}

// NewMachine returns a Machine that has seen no call.
func NewMachine(p Params) *Machine {
	if err := p.Config.Validate(); err != nil {
		panic(err)
	}
	m := &Machine{name: p.Name, origin: p.Origin, hi: p.Now}
	m.cfg = new(p.Config.withDefaults())
	return m
}

// Epoch is always 1: there are no permits that could become stale.
func (m *Machine) Epoch() uint64 { return 1 }

// Plan returns the Config that callers go by, as a *Config.
func (m *Machine) Plan() any { return m.cfg }

// Counted takes over what callers have counted ever, by kind. It may come late or twice.
func (m *Machine) Counted(all []uint64) {
	for i, n := range all {
		m.totals[i] = max(m.totals[i], n)
	}
}

// Consult hears what callers tell.
func (m *Machine) Consult(now patterns.Instant, question any) patterns.Consultation {
	m.hi = max(m.hi, now)
	switch q := question.(type) {
	case retried:
		m.failed, m.at = q.err, m.hi
		m.events.Put(Retried{Name: m.name, Attempt: q.attempt, Wait: q.wait, Err: q.err, At: m.wall(m.hi)})
	case exhausted:
		m.failed, m.at = q.err, m.hi
		i := q.cause.index()
		m.latest[i] = q
		if n, due := m.ended[i].happened(m.hi); due {
			m.announce(i, n)
		}
	default:
		return patterns.Consultation{}
	}
	return patterns.Consultation{Answer: true, Dirty: true}
}

func (m *Machine) announce(cause, calls int) {
	q := m.latest[cause]
	m.latest[cause] = exhausted{}
	m.events.Put(Exhausted{
		Name: m.name, Cause: q.cause, Calls: calls, Attempts: q.attempts, Elapsed: q.elapsed, Err: q.err, At: m.wall(m.hi),
	})
}

// Tick announces what could not be announced so soon after the last.
func (m *Machine) Tick(now patterns.Instant) (dirty bool) {
	m.hi = max(m.hi, now)
	for i := range m.ended {
		if n, due := m.ended[i].due(m.hi); due {
			m.announce(i, n)
			dirty = true
		}
	}
	return dirty
}

// Wake is when there is something to announce.
func (m *Machine) Wake() patterns.Instant {
	at := patterns.Never
	for i := range m.ended {
		at = min(at, m.ended[i].wake())
	}
	return at
}

// Drain yields, oldest first, the events since the last Drain. Of more than 16 the oldest
// are dropped, and counted in Snapshot.EventsLost.
func (m *Machine) Drain() iter.Seq[patterns.Event] { return m.events.Drain() }

// Operate carries out a Reset, which forgets the last error. A retry has no meaning for
// other commands; the error is a *patterns.ConfigError.
func (m *Machine) Operate(now patterns.Instant, op patterns.Operation) error {
	m.hi = max(m.hi, now)
	if op.Kind != patterns.Reset {
		return &patterns.ConfigError{Pattern: pattern, Field: "Kind", Value: op.Kind, Problem: "is not something a retry can do"}
	}
	m.failed, m.at = "", 0
	return nil
}

// Reconfigure changes what callers go by, also those whose call is under way.
func (m *Machine) Reconfigure(now patterns.Instant, c Config) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	m.hi = max(m.hi, now)
	old, c := *m.cfg, c.withDefaults()
	if c == old {
		return
	}
	m.cfg = &c
	m.events.Put(ConfigChanged{Name: m.name, From: old, To: c, At: m.wall(m.hi)})
}

// Snapshot returns the state as of now.
func (m *Machine) Snapshot(now patterns.Instant, counts patterns.Counts) Snapshot {
	m.hi = max(m.hi, now)
	t := &m.totals
	of := func(c Cause) uint64 { return t[kindExhausted+c.index()] }
	s := Snapshot{
		Name: m.name, Config: *m.cfg, Counts: counts, EventsLost: m.events.Lost(),
		FirstTime: t[kindFirst], Later: t[kindLater], Passed: t[kindPassed], Panicked: t[kindPanicked],
		Retries: t[kindRetries], Waited: time.Duration(t[kindWaited]), LastError: m.failed,
		Exhausted: Exhaustion{
			Attempts: of(CauseAttempts), Elapsed: of(CauseElapsed), Deadline: of(CauseDeadline), Cancelled: of(CauseCancelled),
			Budget: of(CauseBudget), Refused: of(CauseRefused), Stopped: of(CauseStopped),
		},
	}
	s.Calls = s.FirstTime + s.Later + s.Passed + s.Panicked + s.Exhausted.Total()
	if m.at != 0 {
		s.LastErrorAt = m.wall(m.at)
	}
	return s
}

// Check returns an error if an invariant does not hold.
func (m *Machine) Check() error {
	for i := range m.ended {
		if l := &m.ended[i]; l.pending < 0 || l.pending > 0 && m.latest[i].cause.index() != i {
			return errors.New("retry: what is to be announced does not add up")
		}
	}
	return nil
}

// Repair forgets what is to be announced. The numbers come from the callers, again.
func (m *Machine) Repair(now patterns.Instant) {
	m.hi = max(m.hi, now)
	m.ended, m.latest = [causes]limited{}, [causes]exhausted{}
}

func (m *Machine) wall(at patterns.Instant) time.Time { return m.origin.Add(time.Duration(at)) }
