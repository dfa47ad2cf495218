package exchange_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errSick = errors.New("sick")

// kit is an actor system in a bubble with an Exchanger, an asker, and what both have seen.
type kit struct {
	t      *testing.T
	guards *actors.Registry
	system *actor.ActorSystem
	x      *exchange.Exchanger
	pids   []*actor.PID
	asker  *actor.PID
	// Written in actors' turns, read when all is quiet.
	answers []exchange.Answered
	began   time.Time
}

// bubble runs f in a bubble with a kit.
//
//bulwark:bubble
func bubble(t *testing.T, cfg exchange.Config, f func(t *testing.T, k *kit)) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		k := &kit{t: t, guards: guards, system: guards.System(), began: time.Now()}
		x, err := exchange.New(k.system, cfg)
		if err != nil {
			t.Fatal(err)
		}
		k.x = x
		k.asker = k.spawn(func(c actor.Context) {
			switch m := c.Message().(type) {
			case turn:
				m(c)
			case exchange.Answered:
				k.answers = append(k.answers, m)
			}
		}, actor.WithReceiverMiddleware(x.EndOnRestart))
		f(t, k)
		if err := x.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		for _, pid := range k.pids {
			_ = k.system.Root.StopFuture(pid).Wait()
		}
		synctest.Wait()
	})
}

// turn runs in the turn of an actor.
type turn func(c actor.Context)

func (k *kit) spawn(f actor.ReceiveFunc, opts ...actor.PropsOption) *actor.PID {
	pid := k.system.Root.Spawn(actor.PropsFromFunc(f, opts...))
	k.pids = append(k.pids, pid)
	return pid
}

// in runs f in the turn of pid, and waits until all is quiet.
func (k *kit) in(pid *actor.PID, f func(c actor.Context)) {
	k.system.Root.Send(pid, turn(f))
	synctest.Wait()
}

// ask has the asker ask.
func (k *kit) ask(g patterns.Guard, to *actor.PID, msg any, opts ...exchange.Option) (id exchange.ID) {
	k.t.Helper()
	k.in(k.asker, func(c actor.Context) {
		var err error
		if id, err = k.x.Ask(c, g, to, msg, opts...); err != nil {
			k.t.Error(err)
		}
	})
	return id
}

// answer returns the one answer there is.
func (k *kit) answer() exchange.Answered {
	k.t.Helper()
	synctest.Wait()
	if len(k.answers) != 1 {
		k.t.Fatalf("%d answers: %+v", len(k.answers), k.answers)
	}
	return k.answers[0]
}

func (k *kit) snapshot() exchange.Snapshot {
	k.t.Helper()
	s, err := k.x.Snapshot(context.Background())
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// since is the time since the kit was made.
func (k *kit) since() time.Duration { return time.Since(k.began) }

func (k *kit) retry(cfg retry.Config) *retry.Retry {
	g, err := retry.Spawn(k.guards, "again", cfg)
	return must(k.t, g, err)
}

func (k *kit) timeout(d time.Duration) *timeout.Timeout {
	g, err := timeout.Spawn(k.guards, "soon", timeout.Config{PerAttempt: d})
	return must(k.t, g, err)
}

func (k *kit) breaker(cfg circuitbreaker.Config) *circuitbreaker.Breaker {
	g, err := circuitbreaker.Spawn(k.guards, "breaker", cfg)
	return must(k.t, g, err)
}

func (k *kit) rooms(cfg bulkhead.Config) *bulkhead.Bulkhead {
	g, err := bulkhead.Spawn(k.guards, "rooms", cfg)
	return must(k.t, g, err)
}

func must[G any](t *testing.T, g G, err error) G {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// callee is an actor that counts the attempts it gets and answers as it is told.
type callee struct {
	pid *actor.PID
	got []got
}

type got struct {
	at      time.Duration
	attempt exchange.Attempt
	ok      bool
	message any
	sender  *actor.PID
}

func (k *kit) callee(answer func(c actor.Context, n int), opts ...actor.PropsOption) *callee {
	s := &callee{}
	s.pid = k.spawn(func(c actor.Context) {
		if t, ok := c.Message().(turn); ok {
			t(c)
			return
		}
		if c.Sender() == nil {
			return
		}
		a, ok := exchange.Of(c)
		s.got = append(s.got, got{k.since(), a, ok, c.Message(), c.Sender()})
		if answer != nil {
			answer(c, len(s.got))
		}
	}, opts...)
	return s
}

func pipe(t *testing.T, guards ...patterns.Guard) patterns.Guard {
	t.Helper()
	p, err := pipeline.New("pipe", guards...)
	return must(t, p, err)
}
