package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// mix is chaos at a desk, or at several: everything that a guard can be asked, at once.
type mix struct {
	*chaos
	desk deskHandle
	cfg  deskConfig
}

// deskHandle is a desk of one shard, or of several.
type deskHandle interface {
	commandable
	Spend(key string, weight int) error
	TryAcquireFor(patterns.Request) (patterns.Permit, error)
	Consult(ctx context.Context, question any) (any, error)
	Reconfigure(context.Context, deskConfig) error
	Stop(context.Context) error
	Snapshot(context.Context) (deskSnapshot, bool)
}

func randomKey(r *rand.Rand) string { return []string{"", "a", "b", "c", "d"}[r.IntN(5)] }

func randomPriority(r *rand.Rand) patterns.Priority { return patterns.Priority(r.IntN(5) - 2) }

// seek asks through the handle in every way.
func (m *mix) seek(r *rand.Rand) {
	m.each(func(int) {
		ctx, cancel := context.WithCancel(m.t.Context())
		defer cancel()
		if r.IntN(3) == 0 {
			go cancel()
		}
		request := patterns.Request{
			Key: randomKey(r), Weight: r.IntN(4), Priority: randomPriority(r), NoWait: r.IntN(3) == 0, Spend: r.IntN(3) == 0,
		}
		if r.IntN(4) == 0 {
			request.HoldFor = 1 + time.Duration(r.IntN(int(time.Millisecond)))
		}
		p, err := m.desk.AcquireFor(ctx, request)
		m.tolerable(err)
		if request.Spend && p.ID() != 0 {
			m.t.Error("a permit that was spent is out")
		}
		runtime.Gosched()
		if r.IntN(2) == 0 {
			p.Report(patterns.Outcome(r.IntN(5)))
		} else {
			p.Release()
		}
		m.tolerable(m.desk.Spend(randomKey(r), r.IntN(4)))
		p, err = m.desk.TryAcquireFor(patterns.Request{Key: randomKey(r)})
		m.tolerable(err)
		p.Release()
	})
}

// write asks by message in every way. Each request is answered once.
func (m *mix) write(r *rand.Rand) {
	in := newInbox(m.t, m.guards.System())
	open, dead := map[uint64]bool{}, false // a shard of it
	listen := func() {
		switch a := in.next(m.t).(type) {
		case actors.Granted:
			if !open[a.Ref] && !dead {
				m.t.Errorf("%d was answered twice", a.Ref)
			}
			delete(open, a.Ref)
			if a.Permit != (patterns.PermitID{}) {
				in.ask(m.desk.PID(), actors.Report{Permit: a.Permit, Outcome: patterns.Outcome(r.IntN(4))})
			}
		case actors.Rejected:
			m.tolerable(a.Err)
			if !open[a.Ref] && !dead {
				m.t.Errorf("%d was answered twice", a.Ref)
			}
			delete(open, a.Ref)
		case *actor.DeadLetterResponse: // it does not say of what
			dead = true
			clear(open)
		}
	}
	m.each(func(i int) {
		ref := uint64(i)
		a := actors.Acquire{
			Ref: ref, Key: randomKey(r), Weight: r.IntN(4), Priority: randomPriority(r), NoWait: r.IntN(3) == 0, Spend: r.IntN(3) == 0,
		}
		if r.IntN(2) == 0 {
			a.Holder = in.pid
		}
		if r.IntN(4) == 0 {
			a.Deadline = time.Now().Add(time.Duration(r.IntN(int(time.Millisecond))))
		}
		open[ref] = true
		in.ask(m.desk.PID(), a)
		if r.IntN(4) == 0 {
			in.ask(m.desk.PID(), actors.Cancel{Ref: ref})
		}
		for len(open) > 3 {
			listen()
		}
	})
	for len(open) > 0 {
		listen()
	}
	in.stop(m.t)
	if len(in.got) > 0 && !dead {
		m.t.Errorf("answered twice: %+v", <-in.got)
	}
}

// produce has an actor produce more or less, do some of it, lose count and stop.
func (m *mix) produce(r *rand.Rand) {
	in := newInbox(m.t, m.guards.System())
	owed := 0
	m.each(func(i int) {
		if i%4 == 0 {
			in.ask(m.desk.PID(), actors.Produce{Ref: uint64(i), Window: r.IntN(6), Key: randomKey(r), Priority: randomPriority(r)})
		}
		runtime.Gosched()
		for len(in.got) > 0 {
			switch a := (<-in.got).(type) {
			case actors.Demand:
				if owed += a.N; a.N < 1 {
					m.t.Errorf("%+v", a)
				}
			case actors.Rejected:
				m.tolerable(a.Err)
			}
		}
		n := r.IntN(owed + 1)
		if r.IntN(20) == 0 {
			n += 3
		}
		in.ask(m.desk.PID(), actors.Done{N: n, Outcome: patterns.Outcome(r.IntN(4))})
		owed = max(0, owed-n)
		if r.IntN(40) == 0 {
			in.stop(m.t)
			in, owed = newInbox(m.t, m.guards.System()), 0
		}
	})
	in.stop(m.t)
}

// question asks for permits in questions, and frees.
func (m *mix) question(r *rand.Rand) {
	m.each(func(int) {
		q := []any{deskPeek{randomKey(r)}, deskTake{randomKey(r), r.IntN(4)}, deskClear{randomKey(r), r.IntN(2) == 0}, 7}[r.IntN(4)]
		_, err := m.desk.Consult(m.t.Context(), q)
		m.tolerable(err)
		runtime.Gosched()
	})
}

// reorder changes the rules.
func (m *mix) reorder(r *rand.Rand) {
	m.each(func(int) {
		c := m.cfg
		c.Order = patterns.Order(r.IntN(4))
		c.Limit += r.IntN(3)
		c.Every = time.Duration(r.IntN(3)) * 2 * time.Microsecond
		c.FreesAll = r.IntN(2) == 0
		m.tolerable(m.desk.Reconfigure(m.t.Context(), c))
		runtime.Gosched()
	})
}

func newMix(t *testing.T, shards int) *mix {
	guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1 << 16, Period: time.Millisecond}))
	m := &mix{cfg: deskConfig{Limit: 4, Order: patterns.Fair, Waiting: 30, MaxWait: 2 * time.Millisecond, Spends: true}}
	if shards == 1 {
		g := spawnDesk(t, guards, m.cfg)
		g.machine.forgetful = true
		m.desk = g
	} else {
		g := spawnDesks(t, guards, shards, m.cfg)
		for _, machine := range g.machines {
			machine.forgetful = true
		}
		m.desk = g
	}
	rounds := 100
	if soak {
		rounds *= 100
	}
	m.chaos = newChaos(t, guards, m.desk, rounds)
	m.work = []func(*rand.Rand){m.call, m.seek, m.write, m.produce, m.question, m.reorder}
	m.points = []any{
		actors.Acquire{}, actors.Report{}, actors.Produce{}, actors.Done{}, actors.Cancel{}, actors.Consult{}, actors.Reconfigure{},
	}
	return m
}

func (m *mix) snapshot() deskSnapshot { return balanced(m.t)(m.desk.Snapshot(m.t.Context())) }

// rest waits until nothing is in flight and nobody waits.
func (m *mix) rest() (s deskSnapshot) {
	m.t.Helper()
	for start := time.Now(); time.Since(start) < time.Minute; runtime.Gosched() {
		if s = m.snapshot(); s.InFlight == 0 && s.Waiting == 0 {
			return s
		}
	}
	m.t.Fatalf("never at rest: %+v", s)
	return s
}

func TestWhateverIsAskedAtOnceEverythingComesBack(t *testing.T) {
	for _, shards := range []int{1, 3} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d shards, crashes %v", shards, crash), func(t *testing.T) {
				m := newMix(t, shards)
				m.run(func() patterns.Counts { return m.snapshot().Counts }, crash)
				s := m.rest()
				if len(s.Used) != 0 || s.Repairs != 0 || s.Stale != 0 {
					t.Errorf("%+v", s)
				}
				if s.Counts.Granted == 0 || s.Rejected == 0 || s.Cancelled == 0 || s.Reclaimed == 0 || s.Repeated == 0 {
					t.Errorf("not everything happened: %+v", s.Counts)
				}
				if crash == (s.Restarts == 0) {
					t.Errorf("%d restarts", s.Restarts)
				}
			})
		}
	}
}

func TestAGuardThatIsStoppedInTheMiddleOfEverythingAnswersEverybody(t *testing.T) {
	for _, shards := range []int{1, 3} {
		for _, patient := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d shards, patiently %v", shards, patient), func(t *testing.T) {
				m := newMix(t, shards)
				m.work = append(m.work, func(*rand.Rand) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if !patient {
						cancel()
					}
					for m.snapshot().Asked < 300 {
						runtime.Gosched()
					}
					var left *actors.ShutdownError
					if err := m.desk.Stop(ctx); err != nil && (patient || !errors.As(err, &left)) {
						t.Error(err)
					}
				})
				m.run(func() patterns.Counts { return m.snapshot().Counts }, false)
				s := m.snapshot()
				if s.Waiting != 0 || patient && (s.InFlight != 0 || len(s.Used) != 0) {
					t.Errorf("%+v", s)
				}
				if _, err := m.desk.AcquireFor(t.Context(), patterns.Request{}); !errors.Is(err, actors.ErrStopped) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}
