package errands

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors/actorstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNumbersAreUsedAgainButNeverTwiceAtATimeAndNeverZero(t *testing.T) {
	d := &Desk{last: math.MaxUint32 - 1, open: map[uint32]*Errand{1: {}, math.MaxUint32: {}}}
	if first, second := d.next(), d.next(); first != 2 || second != 3 {
		t.Errorf("%d, %d", first, second)
	}
}

// The desk's actor does nothing but send errands and handle what comes of them.
type silentActor struct {
	desk *Desk
	ends []End
}

type send struct {
	to    *actor.PID
	after time.Duration
}

// look runs in the actor's turn.
type look func()

func (a *silentActor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		a.desk = New(c.ActorSystem(), c.Self())
	case Note:
		a.desk.Handle(m)
	case look:
		m()
	case send:
		e := &Errand{Target: m.to, By: time.Now().Add(m.after), Done: func(_ any, end End) { a.ends = append(a.ends, end) }}
		a.desk.Send(e, &actor.MessageEnvelope{Message: "hello"}, c.Send)
	case *actor.Stopped:
		a.desk.Close()
	}
}

func TestErrandsTimeOutInTheOrderOfTheirDeadlinesOnOneTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := actorstest.NewSystem(t)
		a := &silentActor{}
		pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return a }))
		mute := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		nobody := system.NewLocalPID("nobody")
		for _, after := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
			system.Root.Send(pid, send{mute, after})
		}
		system.Root.Send(pid, send{nobody, time.Hour})
		synctest.Wait()
		for i, want := range []int{1, 2, 3, 4} {
			system.Root.Send(pid, look(func() {
				if len(a.ends) != want || a.desk.Len() != 4-want {
					t.Errorf("after %d s: ends %v, %d out", i, a.ends, a.desk.Len())
				}
			}))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		system.Root.Send(pid, send{mute, time.Hour})
		synctest.Wait()
		for _, p := range []*actor.PID{mute, pid} {
			_ = system.Root.StopFuture(p).Wait()
			synctest.Wait()
		}
		if len(a.ends) != 5 || a.ends[0] != DeadLetter || a.ends[3] != TimedOut || a.ends[4] != Terminated || a.desk.Handle("not a note") || a.desk.Handle(&due{desk: nil}) {
			t.Errorf("%v", a.ends)
		}
	})
}
