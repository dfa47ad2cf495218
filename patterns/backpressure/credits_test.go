package backpressure

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

// producer is an actor with a standing order, which notes what it is allowed to produce.
type producer struct {
	pid      *actor.PID
	valve    *Valve
	credits  int // that it was given and has not given back
	most     int
	demands  []int
	rejected error
}

// do runs in the producer's own turn.
type do func(actor.Context)

//bulwark:bubble
func newProducer(t *testing.T, v *Valve, window int) *producer {
	t.Helper()
	p := &producer{valve: v}
	root := v.System().Root
	p.pid = root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Request(v.PID(), actors.Produce{Ref: 7, Window: window})
		case actors.Demand:
			if m.Ref != 7 {
				t.Errorf("ref %d", m.Ref)
			}
			p.credits += m.N
			p.most = max(p.most, p.credits)
			p.demands = append(p.demands, m.N)
		case actors.Rejected:
			p.rejected = m.Err
		case do:
			m(c)
		}
	}))
	synctest.Wait()
	return p
}

// done gives n credits back.
//
//bulwark:bubble
func (p *producer) done(n int) {
	p.valve.System().Root.Send(p.pid, do(func(c actor.Context) {
		p.credits -= n
		c.Request(p.valve.PID(), actors.Done{N: n})
	}))
	synctest.Wait()
}

//bulwark:bubble
func (p *producer) stop(t *testing.T) {
	t.Helper()
	if err := p.valve.System().Root.StopFuture(p.pid).Wait(); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

func TestAProducerGetsItsWindowAndMoreAsItIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := spawnValve(t, actorstest.NewRegistry(t), small)
		p := newProducer(t, v, 3)
		if s := handletest.Settled(t, v); p.credits != 3 || s.Pending != 3 || s.Hot || s.Waiting != 0 {
			t.Fatalf("%+v, %+v", p, s)
		}
		p.done(2)
		if s := handletest.Settled(t, v); p.credits != 3 || s.Pending != 3 || s.Success != 2 {
			t.Errorf("%+v, %+v", p, s)
		}
		p.stop(t)
		if s := handletest.Settled(t, v); s.Pending != 0 || s.Reclaimed != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAProducerIsLetGoOnWhenItIsCalmAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := spawnValve(t, actorstest.NewRegistry(t), small)
		p := newProducer(t, v, 100)
		if s := handletest.Settled(t, v); p.credits != 4 || !s.Hot || s.Waiting != 1 {
			t.Fatalf("%+v, %+v", p, s)
		}
		p.done(2)
		if s := handletest.Settled(t, v); p.credits != 2 || !s.Hot {
			t.Errorf("between the marks: %+v, %+v", p, s)
		}
		time.Sleep(time.Second)
		p.done(1)
		if s := handletest.Settled(t, v); p.credits != 4 || !s.Hot || s.Heats != 2 || s.Waits.Count() == 0 || s.Waits.Max < 999*time.Millisecond {
			t.Errorf("at the low mark: %+v, %+v", p, s)
		}
		p.stop(t)
		if s := handletest.Settled(t, v); s.Pending != 0 || s.Waiting != 0 || s.Hot {
			t.Errorf("%+v", s)
		}
	})
}

func TestProducersShareWhatThereIs(t *testing.T) {
	for name, c := range map[string]Config{
		"strict": {MaxPending: 20, HighWater: 16, LowWater: 4, MaxWaiting: 1},
		"leased": {MaxPending: 20, HighWater: 16, LowWater: 4, MaxWaiting: 1, Mode: patterns.Leased(0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := spawnValve(t, actorstest.NewRegistry(t), c)
				greedy := newProducer(t, v, 1000)
				others := []*producer{newProducer(t, v, 1000), newProducer(t, v, 1000), newProducer(t, v, 1000)}
				if s := handletest.Settled(t, v); greedy.credits != 16 || s.Pending != 16 || s.Waiting != 4 {
					t.Fatalf("%+v, %+v", greedy, s)
				}
				greedy.done(12)
				for i, p := range others {
					if p.credits != 3 {
						t.Errorf("producer %d has %d", i, p.credits)
					}
				}
				if s := handletest.Settled(t, v); greedy.credits != 4+3 || s.Pending != 16 || s.Peak != 16 {
					t.Errorf("%+v, %+v", greedy, s)
				}
				for _, p := range append(others, greedy) {
					p.stop(t)
				}
				if s := handletest.Settled(t, v); s.Pending != 0 || s.Waiting != 0 || s.Hot {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestAProducerIsRefusedWhereNobodyMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := spawnValve(t, actorstest.NewRegistry(t), with(small, func(c *Config) { c.MaxWaiting = NoQueue }))
		p := newProducer(t, v, 9)
		if !isCause(p.rejected, CauseHot) || p.credits != 4 {
			t.Errorf("%+v", p)
		}
		p.stop(t)
		if s := handletest.Settled(t, v); s.Pending != 0 || s.Rejected != 1 {
			t.Errorf("%+v", s)
		}
	})
}
