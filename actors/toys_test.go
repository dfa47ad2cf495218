package actors_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// rules is what every toy machine has and needs no variation of.
type rules struct {
	epoch   uint64
	panicIn string        // the method of that name panics once,
	panicOn int           // when it is called for the n-th time
	hold    chan struct{} // the next Snapshot waits for it
	holding chan struct{} // and says so by closing this
}

func (m *rules) trip(method string) {
	if m.panicIn == method {
		if m.panicOn--; m.panicOn > 0 {
			return
		}
		m.panicIn, m.panicOn = "", 0
		panic("rules panic in " + method)
	}
}

// pause lets a test do something while a turn is not over.
func (m *rules) pause() {
	if hold := m.hold; hold != nil {
		m.hold = nil
		close(m.holding)
		<-hold
	}
}

// occupy takes the turn of the guard whose rules these are, which snapshot asks for its
// Snapshot, until free is called.
func (m *rules) occupy(snapshot func()) (free func()) {
	hold, holding := make(chan struct{}), make(chan struct{})
	m.holding, m.hold = holding, hold
	var wg sync.WaitGroup
	wg.Go(snapshot)
	<-holding
	return func() {
		close(hold)
		wg.Wait()
	}
}

// bench is a Queuer with room for some.
type bench struct {
	seats int
	full  actors.Refusal
}

func newBench(seats int) bench {
	return bench{seats: seats, full: actors.Refusal{Reason: actors.ErrQueueFull}}
}

func (b *bench) Join(_ patterns.Instant, r *patterns.Request, q patterns.Queue) (until patterns.Instant, dirty bool, err error) {
	if r.NoWait || q.Waiting >= b.seats {
		return 0, false, &b.full
	}
	return patterns.Never, false, nil
}

func (b *bench) Expired(patterns.Instant, *patterns.Request) (bool, error) { return false, &b.full }
func (*bench) Order() patterns.Order                                       { return patterns.FIFO }
func (*bench) Again() patterns.Instant                                     { return patterns.Never }
func (*bench) Freed() (string, bool)                                       { return "", true }

func (m *rules) Epoch() uint64                          { return m.epoch }
func (*rules) Timeless() bool                           { return true }
func (*rules) Measured() bool                           { return false }
func (*rules) Wake() patterns.Instant                   { return patterns.Never }
func (*rules) Tick(patterns.Instant) bool               { return false }
func (*rules) Refusal() (error, patterns.Instant, bool) { return nil, 0, false }
func (*rules) Drain() iter.Seq[patterns.Event]          { return func(func(patterns.Event) bool) {} }
func (*rules) Check() error                             { return nil }
func (m *rules) Repair(patterns.Instant)                { m.epoch++ }

// semaphore admits requests up to a total weight, and lets the others wait.
type semaphore struct {
	rules
	bench
	cfg  semConfig
	held map[uint64]int // weight by permit
	used int

	broken   bool // Check fails
	repairs  int  // how often it was repaired
	reported []patterns.Outcome
}

type semConfig struct{ Limit, Poison int }

type semSnapshot struct {
	Used, Limit, Repairs int
	Epoch                uint64
	patterns.Counts
}

var errLimit = errors.New("limit must be at least 1")

func (c semConfig) validate() error {
	if c.Limit < 1 {
		return errLimit
	}
	return nil
}

func newSemaphore(c semConfig, seats int) *semaphore {
	return &semaphore{rules: rules{epoch: 1}, bench: newBench(seats), cfg: c, held: map[uint64]int{}}
}

func (m *semaphore) Wake() patterns.Instant {
	m.trip("Wake")
	return patterns.Never
}

func (m *semaphore) Acquire(_ patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	m.trip("Acquire")
	w := max(1, r.Weight)
	if m.cfg.Poison != 0 && w == m.cfg.Poison {
		panic("poisoned")
	}
	if m.used+w > m.cfg.Limit {
		return patterns.Decision{Verdict: patterns.Wait}
	}
	m.held[id] = w
	m.used += w
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *semaphore) Report(_ patterns.Instant, p patterns.PermitID, o patterns.Outcome, _ time.Duration) (counted, dirty bool) {
	m.trip("Report")
	m.reported = append(m.reported, o)
	m.free(p.ID)
	return p.Epoch == m.epoch, false
}

func (m *semaphore) Release(_ patterns.Instant, p patterns.PermitID) bool {
	m.trip("Release")
	m.free(p.ID)
	return false
}

func (m *semaphore) free(id uint64) {
	m.used -= m.held[id]
	delete(m.held, id)
}

func (m *semaphore) Operate(_ patterns.Instant, op patterns.Operation) error {
	m.trip("Operate")
	if op.Kind == patterns.Reset {
		return nil
	}
	return fmt.Errorf("%w: %v", actors.ErrUnsupported, op.Kind)
}

func (m *semaphore) Reconfigure(_ patterns.Instant, c semConfig) {
	m.trip("Reconfigure")
	m.cfg = c
}

func (m *semaphore) Snapshot(_ patterns.Instant, counts patterns.Counts) semSnapshot {
	m.trip("Snapshot")
	m.pause()
	return semSnapshot{Used: m.used, Limit: m.cfg.Limit, Repairs: m.repairs, Epoch: m.epoch, Counts: counts}
}

func (m *semaphore) Check() error {
	sum := 0
	for _, w := range m.held {
		sum += w
	}
	if m.broken || sum != m.used {
		return errors.New("permits do not add up")
	}
	return nil
}

func (m *semaphore) Repair(patterns.Instant) {
	m.broken = false
	m.repairs++
	m.epoch++
	m.used = 0
	for _, w := range m.held {
		m.used += w
	}
}

// sem is a caller's handle on a semaphore.
type sem struct {
	*actors.Typed[semConfig, semSnapshot]
	machine *semaphore // to be looked at when nothing runs
}

func semSpec(c semConfig, seats int, edit ...func(*actors.Spec[semConfig, semSnapshot])) (actors.Spec[semConfig, semSnapshot], *semaphore) {
	m := newSemaphore(c, seats)
	spec := actors.Spec[semConfig, semSnapshot]{
		Pattern: "semaphore", Config: c, Validate: semConfig.validate,
		New: func(o actors.Origin) actors.Machine[semConfig, semSnapshot] {
			m.full.Name = o.Name
			return m
		},
	}
	for _, e := range edit {
		e(&spec)
	}
	return spec, m
}

func spawnSem(t testing.TB, guards *actors.Registry, name string, limit, seats int, opts ...actors.Option) *sem {
	t.Helper()
	spec, m := semSpec(semConfig{Limit: limit}, seats)
	s, err := actors.Spawn(guards, name, spec, wrapSem(m), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wrapSem(m *semaphore) func(*actors.Typed[semConfig, semSnapshot]) *sem {
	return func(typed *actors.Typed[semConfig, semSnapshot]) *sem { return &sem{typed, m} }
}

// snapshot returns the snapshot, and fails the test if the counts do not balance.
func (s *sem) snapshot(t testing.TB) semSnapshot {
	t.Helper()
	snapshot, ok := s.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	if !snapshot.Balanced() {
		t.Errorf("counts do not balance: %+v", snapshot.Counts)
	}
	return snapshot
}

// valve makes everybody wait until an operator opens it, with Reset.
type valve struct {
	rules
	bench
	open  bool
	asked []string // keys of the requests granted, in order
}

type valveConfig struct{ Open bool }

type valveSnapshot struct {
	Open    bool
	Granted []string
	patterns.Counts
}

func (m *valve) Acquire(_ patterns.Instant, _ uint64, r *patterns.Request) patterns.Decision {
	if !m.open {
		return patterns.Decision{Verdict: patterns.Wait}
	}
	m.asked = append(m.asked, r.Key)
	return patterns.Decision{Verdict: patterns.Grant, Epoch: m.epoch}
}

func (m *valve) Report(patterns.Instant, patterns.PermitID, patterns.Outcome, time.Duration) (counted, dirty bool) {
	return true, false
}
func (m *valve) Release(patterns.Instant, patterns.PermitID) bool { return false }

func (m *valve) Operate(_ patterns.Instant, op patterns.Operation) error {
	m.open = op.Kind == patterns.Reset
	return nil
}
func (m *valve) Reconfigure(_ patterns.Instant, c valveConfig) { m.open = c.Open }

func (m *valve) Snapshot(_ patterns.Instant, counts patterns.Counts) valveSnapshot {
	return valveSnapshot{Open: m.open, Granted: slices.Clone(m.asked), Counts: counts}
}

type valveGuard struct {
	*actors.Typed[valveConfig, valveSnapshot]
}

func spawnValve(t testing.TB, guards *actors.Registry, name string, seats int) valveGuard {
	t.Helper()
	v, err := actors.Spawn(guards, name, actors.Spec[valveConfig, valveSnapshot]{
		Pattern: "valve", Validate: func(valveConfig) error { return nil },
		New: func(actors.Origin) actors.Machine[valveConfig, valveSnapshot] {
			return &valve{rules: rules{epoch: 1}, bench: newBench(seats)}
		},
	}, func(t *actors.Typed[valveConfig, valveSnapshot]) valveGuard { return valveGuard{t} })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (v valveGuard) openUp(t testing.TB) {
	t.Helper()
	if err := v.Operate(t.Context(), patterns.Operation{Kind: patterns.Reset}); err != nil {
		t.Fatal(err)
	}
}

// inbox is an actor that keeps what it gets, and asks for what a test wants it to.
type inbox struct {
	system *actor.ActorSystem
	pid    *actor.PID
	got    chan any
	quiet  atomic.Bool // keeps nothing
}

// do makes the inbox's actor run f in its turn.
type do func(c actor.Context)

func newInbox(t testing.TB, system *actor.ActorSystem, opts ...actor.PropsOption) *inbox {
	t.Helper()
	in := &inbox{system: system, got: make(chan any, 1<<12)}
	in.pid = system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case do:
			msg(c)
		case actors.Granted, actors.Rejected, actors.Demand, actors.Ack, actors.Refused, semSnapshot, valveSnapshot,
			deskSnapshot, deskAnswer,
			*actor.DeadLetterResponse, *actor.Restarting, error:
			if !in.quiet.Load() {
				in.got <- msg
			}
		}
	}, opts...))
	t.Cleanup(func() { in.stop(t) })
	return in
}

// stop stops the inbox's actor and waits until it has stopped.
func (in *inbox) stop(t testing.TB) {
	t.Helper()
	if err := in.system.Root.StopFuture(in.pid).Wait(); err != nil && !errors.Is(err, actor.ErrDeadLetter) {
		t.Errorf("inbox does not stop: %v", err)
	}
}

// ask sends msg to the guard in the inbox's name.
func (in *inbox) ask(to *actor.PID, msg any) { in.system.Root.RequestWithCustomSender(to, msg, in.pid) }

// next returns the next thing that the inbox got.
func (in *inbox) next(t testing.TB) any {
	t.Helper()
	select {
	case msg := <-in.got:
		return msg
	case <-time.After(24 * time.Hour): // in a bubble
		t.Fatal("nothing came")
		return nil
	}
}

func nextAs[M any](t testing.TB, in *inbox) M {
	t.Helper()
	msg := in.next(t)
	m, ok := msg.(M)
	if !ok {
		t.Fatalf("got a %T %v, want a %T", msg, msg, m)
	}
	return m
}
