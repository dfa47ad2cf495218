package middleware_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// order has the asker ask the target for msg. It is answered with what comes of that.
type order struct{ msg any }

// silent is a target's message that is never answered, and twice one that is twice.
type (
	silent struct{}
	twice  struct{}
)

// target is an actor that can do more than the test actor.
func (k *kit) target(opts ...actor.PropsOption) *actor.PID {
	return k.spawnFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case silent:
		case twice:
			c.Respond(1)
			c.Respond(2)
		default:
			k.receive(c)
		}
	}, opts...)
}

// asker is an actor that asks to for what it is ordered.
func (k *kit) asker(to *middleware.Target, opts ...actor.PropsOption) *actor.PID {
	return k.spawnFunc(func(c actor.Context) {
		o, ok := c.Message().(order)
		if !ok {
			k.receive(c)
			return
		}
		to.Request(c, o.msg, func(reply any, err error) {
			if c.Message() != o {
				k.t.Errorf("the message is %v", c.Message())
			}
			if err != nil {
				c.Respond(err)
				return
			}
			c.Respond(fmt.Sprintf("got %v", reply))
		})
	}, append([]actor.PropsOption{middleware.Attach}, opts...)...)
}

func (k *kit) guarded(pid *actor.PID, g patterns.Guard, cfg middleware.RequestConfig, opts ...middleware.Option) *middleware.Target {
	return must[*middleware.Target](k.t)(middleware.Guarded(pid, g, cfg, opts...))
}

func TestARequestIsJudgedByItsReply(t *testing.T) {
	tests := []struct {
		name    string
		msg     any
		opts    []middleware.Option
		want    any
		outcome func(patterns.Counts) uint64
	}{
		{"a reply", job{7}, nil, "got 7", func(c patterns.Counts) uint64 { return c.Success }},
		{"two replies, of which the first counts", twice{}, nil, "got 1", func(c patterns.Counts) uint64 { return c.Success }},
		{"an error", fail{errSick}, nil, errSick, func(c patterns.Counts) uint64 { return c.Failure }},
		{"a panic", crash{"bug"}, nil, mailbox.ErrPanicked, func(c patterns.Counts) uint64 { return c.Failure }},
		{"no reply", silent{}, nil, middleware.ErrTimeout, func(c patterns.Counts) uint64 { return c.Failure }},
		{
			"an error that is none of the target's fault",
			fail{errSick},
			[]middleware.Option{middleware.Judge(patterns.IgnoreOn(errSick))},
			errSick, func(c patterns.Counts) uint64 { return c.Ignored },
		},
		{
			"a full mailbox",
			fail{mailbox.Undelivered{Message: 1, Reason: mailbox.ErrFull}},
			nil,
			mailbox.ErrFull, func(c patterns.Counts) uint64 { return c.Dropped },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				b := k.breaker(circuitbreaker.Config{CallTimeout: time.Second})
				pid := k.asker(k.guarded(k.target(), b, middleware.RequestConfig{Timeout: 10 * time.Second}, tt.opts...))
				k.tell(pid, order{tt.msg})
				pass(10*time.Second - 1)
				_, silence := tt.msg.(silent)
				if silence {
					k.want()
				} else {
					k.want(tt.want)
				}
				if pass(1); silence {
					got := k.want(tt.want)
					if e, ok := got[0].(*middleware.RequestError); !ok || e.Message != tt.msg || errors.Is(e, patterns.ErrRejected) {
						t.Errorf("%v", got[0])
					}
				}
				if c := counts(t, b); tt.outcome(c) != 1 || c.Granted != 1 || c.InFlight != 0 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// A second reply to a future overwrites the first, and races with it.
func TestTrap12ASecondOrALateReplyChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		until := make(chan int)
		target := k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(job); ok {
				<-until
				c.Respond(1)
				c.Respond(2)
			}
		})
		pid := k.asker(k.guarded(target, b, middleware.RequestConfig{Timeout: time.Second}))
		k.tell(pid, order{job{1}})
		pass(time.Second)
		k.want(middleware.ErrTimeout)
		close(until)
		k.want()
		if c := counts(t, b); c.Failure != 1 || c.Reported != 1 || c.Repeated != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestATargetThatIsNotThereOrStopsIsAFailure(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		nobody := k.asker(k.guarded(k.system.NewLocalPID("nobody"), b, middleware.RequestConfig{Timeout: time.Hour}))
		k.tell(nobody, order{job{1}})
		k.want(middleware.ErrDeadLetter)

		for _, mb := range []actor.MailboxProducer{mailbox.Producer(mailbox.Config{}), actor.Unbounded()} {
			target := k.target(actor.WithMailbox(mb))
			pid := k.asker(k.guarded(target, b, middleware.RequestConfig{Timeout: time.Hour}))
			k.tell(pid, order{silent{}}, order{silent{}}, order{job{1}})
			k.want("got 1")
			_ = k.system.Root.StopFuture(target).Wait()
			got := k.want(middleware.ErrTerminated, middleware.ErrTerminated)
			if !strings.Contains(fmt.Sprint(got[0]), target.Id) {
				t.Error(got[0])
			}
			k.tell(pid, order{job{1}})
			k.want(middleware.ErrDeadLetter)
		}
		if c := counts(t, b); c.Failure != 7 || c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestARequestThatIsRefusedIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		if err := b.ForceOpen(t.Context(), time.Minute, ""); err != nil {
			t.Fatal(err)
		}
		target := k.target()
		pid := k.asker(k.guarded(target, b, middleware.RequestConfig{}))
		k.tell(pid, order{job{1}})
		got := k.want(circuitbreaker.ErrOpen)
		if e, ok := got[0].(*middleware.RejectedError); !ok || e.Actor != target || e.Message != (job{1}) || e.Guard != "breaker" {
			t.Errorf("%#v", got[0])
		}
		if after, ok := patterns.RetryAfter(got[0].(error)); !ok || after != time.Minute {
			t.Errorf("retry after %v", after)
		}
	})
}

func TestARequestMayWaitForItsPermit(t *testing.T) {
	for name, cfg := range map[string]bulkhead.Config{"in a queue": {MaxWaiting: 10}, "without one": {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				rooms, p := k.oneRoom(cfg)
				pid := k.asker(k.guarded(k.target(), rooms, middleware.RequestConfig{Wait: time.Minute}))
				k.tell(pid, order{job{1}}, order{job{2}})
				pass(50 * time.Second)
				k.want()
				p.Release()
				pass(time.Second)
				if got := k.got(); len(got) != 2 {
					t.Errorf("%v", got)
				}
				p2 := must[patterns.Permit](t)(rooms.TryAcquire())
				k.tell(pid, order{job{3}})
				pass(time.Minute)
				k.want(middleware.ErrExpired)
				p2.Release()
				if c := counts(t, rooms); c.InFlight != 0 || c.Waiting != 0 || c.Success != 2 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

func TestAnActorHasABoundedNumberOfRequestsOut(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		pid := k.asker(k.guarded(k.target(), b, middleware.RequestConfig{Pending: 2, Timeout: time.Second}))
		for range 2 {
			k.tell(pid, order{silent{}}, order{silent{}}, order{silent{}})
			k.want(middleware.ErrPending)
			pass(time.Second)
			k.want(middleware.ErrTimeout, middleware.ErrTimeout)
		}
	})
}

// Holders and those who wait, on stop and on restart.
func TestWhenTheAskerEndsItsPermitsAndPlacesComeBackAndItsAskersAreAnswered(t *testing.T) {
	for name, end := range map[string]struct {
		how  func(*kit, *actor.PID)
		want error
	}{
		"restart": {restart, middleware.ErrRestarting},
		"stop":    {func(k *kit, pid *actor.PID) { _ = k.system.Root.StopFuture(pid).Wait() }, middleware.ErrStopping},
		"panic":   {func(k *kit, pid *actor.PID) { k.system.Root.Send(pid, crash{"bug"}); synctest.Wait() }, middleware.ErrRestarting},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				rooms := k.rooms(bulkhead.Config{MaxConcurrent: 2, MaxWaiting: 10})
				until := make(chan int)
				target := k.target()
				pid := k.asker(k.guarded(target, rooms, middleware.RequestConfig{Wait: time.Minute, Timeout: time.Minute}))
				k.tell(pid, order{block{until}}, order{job{2}}, order{job{3}}, order{job{4}})
				k.want()
				if c := counts(t, rooms); c.InFlight != 2 || c.Waiting != 2 {
					t.Errorf("before: %+v", c)
				}
				end.how(k, pid)
				k.want(end.want, end.want, end.want, end.want)
				if c := counts(t, rooms); c.InFlight != 0 || c.Waiting != 0 || c.Cancelled+c.Reclaimed != 4 {
					t.Errorf("after: %+v", c)
				}
				close(until) // replies come too late
				pass(2 * time.Minute)
				k.want()
				if name != "stop" {
					k.tell(pid, order{job{5}})
					k.want("got 5")
				}
			})
		})
	}
}

func TestAPanicWhenTheReplyComesIsAnsweredToWhoAsked(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		to := k.guarded(k.target(), b, middleware.RequestConfig{})
		pid := k.spawnFunc(func(c actor.Context) {
			if o, ok := c.Message().(order); ok {
				to.Request(c, o.msg, func(any, error) { panic("bug") })
			}
		}, middleware.Attach)
		k.tell(pid, order{job{1}})
		k.want(mailbox.ErrPanicked)
		if c := counts(t, b); c.Success != 1 || c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
		k.tell(pid, order{job{1}})
		k.want(mailbox.ErrPanicked)
	})
}

func TestWhoWasAnsweredIsNotAnsweredAgain(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		to := k.guarded(k.target(), b, middleware.RequestConfig{})
		var other *actor.PID
		pid := k.spawnFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case order:
				c.Respond("at once")
				to.Request(c, m.msg, nil)
			case headed:
				to.Request(c, silent{}, nil)
				c.Send(c.Sender(), "by Send")
			case job:
				to.Request(c, silent{}, nil)
				to.Request(c, silent{}, nil)
				c.Forward(other)
			}
		}, middleware.Attach)
		other = k.target()
		k.tell(pid, order{silent{}}, headed{}, job{1})
		k.want("at once", "by Send", 1)
		restart(k, pid)
		k.want()
	})
}

func TestInTheReplysTurnTheContextIsAsItWas(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		to := k.guarded(k.target(), b, middleware.RequestConfig{})
		other := k.target()
		pid := k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(headed); ok {
				to.Request(c, job{1}, func(any, error) {
					if c.MessageHeader().Get("tenant") != "acme" || !c.Sender().Equal(k.me) {
						t.Errorf("%v, %v", c.MessageHeader(), c.Sender())
					}
					to.Request(c, job{2}, func(any, error) { c.Forward(other) })
				})
			}
		}, k.receiver(b, middleware.ReceiveConfig{}), middleware.Attach)
		envelope := &actor.MessageEnvelope{Message: headed{"tenant"}, Sender: k.me}
		envelope.SetHeader("tenant", "acme")
		k.system.Root.Send(pid, envelope)
		k.want("acme")
	})
}

func TestAnActorThatWasNotAttachedIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		to := k.guarded(k.target(), b, middleware.RequestConfig{})
		pid := k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(order); ok {
				to.Request(c, job{1}, func(_ any, err error) { c.Respond(err) })
			}
		})
		k.tell(pid, order{})
		k.want(middleware.ErrNotAttached)
	})
}

func TestATargetIsRefusedWithEveryFaultNamed(t *testing.T) {
	_, err := middleware.Guarded(nil, nil, middleware.RequestConfig{Timeout: -1, Wait: -2, Pending: -3})
	for _, part := range []string{"pid", "nil guard", "Timeout -1ns", "Wait -2ns", "Pending -3"} {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	for _, ok := range []middleware.RequestConfig{{}, {Timeout: middleware.MaxTimeout, Wait: middleware.MaxTimeout, Pending: middleware.MaxPending}} {
		if err := ok.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// The watch goes through the target's mailbox, and costs more than a request.
func TestTrap34ATargetIsWatchedOnceHoweverManyRequestsThereAre(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		process := &watched{Process: mustProcess(k, k.target())}
		target, _ := k.system.ProcessRegistry.Add(process, "watched")
		pid := k.asker(k.guarded(target, b, middleware.RequestConfig{}))
		for i := range 100 {
			k.tell(pid, order{job{i}})
			synctest.Wait()
		}
		if got := k.got(); len(got) != 100 || process.watches != 1 || process.unwatches != 0 {
			t.Errorf("%d answers, %d watches, %d unwatches", len(got), process.watches, process.unwatches)
		}
		_ = k.system.Root.StopFuture(pid).Wait()
		if process.unwatches != 1 {
			t.Errorf("%d unwatches", process.unwatches)
		}
		k.system.ProcessRegistry.Remove(target)
	})
}

// watched counts watches. It is a process in front of an actor's.
type watched struct {
	actor.Process
	watches, unwatches int
}

func (w *watched) SendSystemMessage(pid *actor.PID, msg any) {
	switch msg.(type) {
	case *actor.Watch:
		w.watches++
	case *actor.Unwatch:
		w.unwatches++
	}
	w.Process.SendSystemMessage(pid, msg)
}

func mustProcess(k *kit, pid *actor.PID) actor.Process {
	p, ok := k.system.ProcessRegistry.Get(pid)
	if !ok {
		k.t.Fatal("no such process")
	}
	return p
}

// A future for each request costs 10 allocations and a place in the registry.
func TestTrap13RequestsNeedNoFutures(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		pid := k.asker(k.guarded(k.target(), b, middleware.RequestConfig{Timeout: time.Second}))
		k.tell(pid, order{job{1}})
		k.want("got 1")
		before := k.processes()
		for range 100 {
			k.tell(pid, order{silent{}})
		}
		synctest.Wait()
		if after := k.processes(); after != before {
			t.Errorf("%d processes, %d before", after, before)
		}
		pass(time.Second)
		if got := k.got(); len(got) != 100 {
			t.Errorf("%d answers", len(got))
		}
	})
}

func (k *kit) processes() (n int) {
	for _, m := range k.system.ProcessRegistry.LocalPIDs.LocalPIDs {
		n += m.Count()
	}
	return n
}

func TestManyTargetsAreNotWatchedForEver(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		process := &watched{Process: mustProcess(k, k.target())}
		pid := k.spawnFunc(func(c actor.Context) {
			if o, ok := c.Message().(order); ok {
				name := fmt.Sprint("watched", o.msg.(job).id)
				to, _ := c.ActorSystem().ProcessRegistry.Add(process, name)
				k.guarded(to, b, middleware.RequestConfig{}).Request(c, o.msg, func(reply any, _ error) { c.Respond(reply) })
			}
		}, middleware.Attach)
		for i := range 200 {
			k.tell(pid, order{job{i}})
			synctest.Wait()
		}
		if len(k.got()) != 200 || process.watches != 200 || process.watches-process.unwatches > 65 {
			t.Errorf("%d watches, %d unwatches", process.watches, process.unwatches)
		}
	})
}

// A continuation of proto.actor's ReenterAfter is a system message: it runs while the
// actor is suspended after a panic, and what an instance began runs in the next one.
func TestSection15AReplyComesNeitherWhileTheActorIsSuspendedNorToTheNextInstance(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		until := make(chan int)
		pid := k.asker(k.guarded(k.target(), b, middleware.RequestConfig{Timeout: time.Hour}))
		k.tell(pid, order{block{until}})
		synctest.Wait()
		process := mustProcess(k, pid)
		process.SendSystemMessage(pid, &actor.SuspendMailbox{})
		close(until)
		k.want() // the target has replied
		process.SendSystemMessage(pid, &actor.Restart{})
		k.want(middleware.ErrRestarting)
		if c := counts(t, b); c.InFlight != 0 || c.Reclaimed != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// An actor that waits for its children to stop still gets messages.
func TestAnActorThatIsStoppingAsksNobody(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		to := k.guarded(k.target(), b, middleware.RequestConfig{})
		until, child := make(chan int), make(chan *actor.PID, 1)
		pid := k.spawnFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				child <- c.Spawn(actor.PropsFromFunc(k.receive))
			case job:
				to.Request(c, job{1}, func(_ any, err error) { c.Respond(err) })
			}
		}, middleware.Attach)
		k.system.Root.Send(<-child, block{until})
		synctest.Wait()
		k.system.Root.Stop(pid)
		k.tell(pid, job{1})
		k.want(middleware.ErrStopping)
		close(until)
		synctest.Wait()
		if c := counts(t, b); c.Asked != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestAContinuationOfReenterAfterAnswersItsOwnMessage(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		target := k.target()
		to := k.guarded(target, b, middleware.RequestConfig{})
		pid := k.spawnFunc(func(c actor.Context) {
			answer := func(reply any, err error) { c.Respond(fmt.Sprint(c.Message(), " got ", reply, err)) }
			again := func(reply any, _ error) { to.Request(c, job{reply.(int) + 1}, answer) }
			switch m := c.Message().(type) {
			case job: // future, then request
				c.ReenterAfter(c.RequestFuture(target, m, time.Second), again)
			case order: // request, future, request
				to.Request(c, m.msg, func(reply any, _ error) {
					c.ReenterAfter(c.RequestFuture(target, job{reply.(int) + 10}, time.Second), again)
				})
			}
		}, middleware.Attach)
		for i, msg := range []any{job{1}, order{job{2}}, job{3}, order{job{4}}} {
			sender := &actor.PID{Address: k.me.Address, Id: k.me.Id, RequestId: uint32(i + 1)}
			k.system.Root.RequestWithCustomSender(pid, msg, sender)
		}
		got := map[string]bool{}
		for _, answer := range k.got() {
			got[answer.(string)] = true
		}
		for i, want := range []string{"{1} got 2 <nil>", "{{2}} got 13 <nil>", "{3} got 4 <nil>", "{{4}} got 15 <nil>"} {
			if !got[want] || k.answered[uint32(i+1)] != 1 {
				t.Errorf("%v, want %s; answered %v", got, want, k.answered)
			}
		}
	})
}
