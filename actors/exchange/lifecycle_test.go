package exchange_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// person is an actor whose instances differ, and that can be told to crash.
type person struct {
	k       *kit
	answers *[]exchange.Answered
}

func (p *person) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case turn:
		m(c)
	case exchange.Answered:
		*p.answers = append(*p.answers, m)
	}
}

func (k *kit) person(opts ...actor.PropsOption) *actor.PID {
	pid := k.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &person{k, &k.answers} }, opts...))
	k.pids = append(k.pids, pid)
	return pid
}

// held is a bulkhead around a retry around a callee that is silent: permits and waits.
func (k *kit) held() (*bulkhead.Bulkhead, patterns.Guard) {
	rooms := k.rooms(bulkhead.Config{MaxConcurrent: 2, MaxWaiting: 10, MaxWait: time.Hour})
	p, err := pipeline.New("held", rooms, k.retry(retry.Config{}))
	return rooms, must(k.t, p, err)
}

func TestWhatAnActorHasAskedForEndsWhenItStops(t *testing.T) {
	for name, then := range map[string][]exchange.Option{
		"by message":  nil,
		"by function": {exchange.Then(func(exchange.Answered) { panic("called") })},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
				rooms, guard := k.held()
				s := k.callee(nil)
				pid := k.person()
				k.in(pid, func(c actor.Context) {
					for i := range 5 {
						_, _ = k.x.Ask(c, guard, s.pid, i, then...)
					}
				})
				if seen, _ := rooms.Snapshot(t.Context()); seen.InFlight != 2 || seen.Waiting != 3 {
					t.Errorf("before: %+v", seen)
				}
				_ = k.system.Root.StopFuture(pid).Wait()
				synctest.Wait()
				if seen, _ := rooms.Snapshot(t.Context()); seen.InFlight != 0 || seen.Waiting != 0 {
					t.Errorf("after: %+v", seen)
				}
				if seen := k.snapshot(); seen != (exchange.Snapshot{Asked: 5, Abandoned: 5, Attempts: 2}) || k.since() != 0 {
					t.Errorf("%+v, after %v", seen, k.since())
				}
				for _, g := range s.got {
					k.in(s.pid, func(c actor.Context) { c.Send(g.sender, "late") })
				}
				if seen := k.snapshot(); seen.Late != 2 {
					t.Errorf("%+v", seen)
				}
			})
		})
	}
}

func TestAnActorThatAsksAsItStopsIsForgottenToo(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		_, guard := k.held()
		s := k.callee(nil)
		pid := k.spawn(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Stopped); ok {
				if _, err := k.x.Ask(c, guard, s.pid, "go"); err != nil {
					t.Error(err)
				}
			}
		})
		_ = k.system.Root.StopFuture(pid).Wait()
		synctest.Wait()
		if seen := k.snapshot(); seen.Abandoned != 1 || seen.InFlight != 0 {
			t.Errorf("%+v", seen)
		}
	})
}

func TestWhatAnActorHasAskedForEndsWhenItRestarts(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		rooms, guard := k.held()
		s := k.callee(nil)
		pid := k.person(actor.WithReceiverMiddleware(k.x.EndOnRestart))
		called := 0
		k.in(pid, func(c actor.Context) {
			_, _ = k.x.Ask(c, guard, s.pid, "by message")
			_, _ = k.x.Ask(c, guard, s.pid, "by function", exchange.Then(func(exchange.Answered) { called++ }))
			_, _ = k.x.Ask(c, guard, s.pid, "waiting")
		})
		k.in(pid, func(actor.Context) { panic("bug") })
		if seen := k.snapshot(); seen.Abandoned != 3 || seen.InFlight != 0 {
			t.Errorf("%+v", seen)
		}
		if seen, _ := rooms.Snapshot(t.Context()); seen.InFlight != 0 || seen.Waiting != 0 {
			t.Errorf("%+v", seen)
		}
		k.in(pid, func(c actor.Context) { _, _ = k.x.Ask(c, guard, s.pid, "anew") })
		k.in(s.pid, func(c actor.Context) { c.Send(s.got[2].sender, "well") })
		if a := k.answer(); a.Message != "anew" || a.Reply != "well" || called != 0 {
			t.Errorf("%+v, called %d", a, called)
		}
	})
}

func TestAnAnswerOnItsWayToAnInstanceThatIsGoneDoesNotReachTheNext(t *testing.T) {
	for name, row := range map[string]struct {
		end  bool
		want int
	}{"with EndOnRestart": {true, 0}, "without": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
				s := k.callee(func(c actor.Context, _ int) { c.Respond("well") })
				b := k.breaker(circuitbreaker.Config{})
				var opts []actor.PropsOption
				if row.end {
					opts = append(opts, actor.WithReceiverMiddleware(k.x.EndOnRestart))
				}
				pid := k.person(opts...)
				k.in(pid, func(c actor.Context) {
					_, _ = k.x.Ask(c, b, s.pid, "by message")
					time.Sleep(time.Second) // the answers are in the mailbox
					panic("bug")
				})
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if len(k.answers) != row.want {
					t.Errorf("%+v", k.answers)
				}
			})
		})
	}
}

func TestAFunctionOfAnInstanceThatIsGoneIsNotCalled(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		s := k.callee(nil)
		pid := k.person()
		k.in(pid, func(c actor.Context) {
			_, _ = k.x.Ask(c, k.breaker(circuitbreaker.Config{}), s.pid, "go", exchange.Then(func(exchange.Answered) { t.Error("called") }))
		})
		k.in(pid, func(actor.Context) { panic("bug") })
		k.in(s.pid, func(c actor.Context) { c.Send(s.got[0].sender, "well") })
		if seen := k.snapshot(); seen.Answered != 1 {
			t.Errorf("%+v", seen)
		}
	})
}

func TestStopAnswersEverybodyAndRefusesWhoComesLater(t *testing.T) {
	bubble(t, exchange.Config{MaxInFlight: 3}, func(t *testing.T, k *kit) {
		_, guard := k.held()
		s := k.callee(nil)
		for i := range 3 {
			k.ask(guard, s.pid, i)
		}
		if err := k.x.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(k.answers) != 3 || k.since() != 0 {
			t.Errorf("%d answers after %v", len(k.answers), k.since())
		}
		for _, a := range k.answers {
			if !errors.Is(a.Err, exchange.ErrStopped) {
				t.Errorf("%+v", a)
			}
		}
		k.in(k.asker, func(c actor.Context) {
			if _, err := k.x.Ask(c, guard, s.pid, "go"); !errors.Is(err, exchange.ErrStopped) || !errors.Is(err, patterns.ErrRejected) {
				t.Errorf("%v", err)
			}
		})
		if _, err := k.x.Snapshot(t.Context()); err == nil {
			t.Error("there is a snapshot")
		}
	})
}

// deaf is a policy that listens to no context.
type deaf struct {
	panics
	until chan struct{}
}

func (d deaf) Terms() *patterns.Terms { return &patterns.Terms{Policy: d} }

func (d deaf) Around(context.Context, patterns.Call) error {
	<-d.until
	return errSick
}

func TestStopSaysWhatIsLeftAndMayBeCalledAgain(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		guard := deaf{until: make(chan struct{})}
		k.ask(guard, k.callee(nil).pid, "go")
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			left, ok := errors.AsType[*exchange.StopError](k.x.Stop(ctx))
			cancel()
			if !ok || left.InFlight != 1 || !errors.Is(left, context.DeadlineExceeded) {
				t.Errorf("%+v", left)
			}
		}
		go func() { time.Sleep(time.Second); close(guard.until) }()
		if err := k.x.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if a := k.answer(); !errors.Is(a.Err, errSick) {
			t.Errorf("%+v", a)
		}
	})
}

func TestWhatACalleeAsksInTurnEndsWithTheRequest(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		last := k.callee(nil)
		again := k.retry(retry.Config{})
		var work context.Context
		middle := k.callee(func(c actor.Context, n int) {
			ctx, cancel := exchange.Context(c, context.Background())
			context.AfterFunc(ctx, cancel)
			work = ctx
			_, err := k.x.Ask(c, again, last.pid, n, exchange.Within(time.Hour), exchange.Then(func(a exchange.Answered) { c.Respond(a.Err) }))
			if err != nil {
				t.Error(err)
			}
		})
		k.ask(k.timeout(time.Second), middle.pid, "go", exchange.By(time.Now().Add(5*time.Second)))
		if d := last.got[0].attempt.Deadline; !d.Equal(k.began.Add(time.Second)) || last.got[0].attempt.ID == middle.got[0].attempt.ID {
			t.Errorf("%+v of %+v", last.got, middle.got)
		}
		time.Sleep(time.Minute)
		if s := k.snapshot(); s.Answered != 2 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		if !errors.Is(context.Cause(work), exchange.ErrTimeout) {
			t.Errorf("the work's context ended because of %v", context.Cause(work))
		}
	})
}

func TestTheContextOfAMessageThatIsNoRequestEndsWithItsParent(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		k.in(k.asker, func(c actor.Context) {
			if a, ok := exchange.Of(c); ok {
				t.Errorf("%+v", a)
			}
			ctx, cancel := exchange.Context(c, t.Context())
			defer cancel()
			if _, ok := ctx.Deadline(); ok || ctx.Err() != nil {
				t.Errorf("%v", ctx)
			}
		})
	})
}

func TestAnExchangeEndsWithTheContextThatItIsGiven(t *testing.T) {
	bubble(t, exchange.Config{}, func(t *testing.T, k *kit) {
		ctx, cancel := context.WithCancelCause(t.Context())
		k.ask(k.breaker(circuitbreaker.Config{}), k.callee(nil).pid, "go", exchange.WithContext(ctx))
		cancel(errSick)
		if a := k.answer(); !errors.Is(a.Err, errSick) || !errors.Is(a.Err, context.Canceled) {
			t.Errorf("%+v", a)
		}
	})
}
