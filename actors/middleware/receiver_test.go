package middleware_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestARefusedMessageIsAnsweredWithWhoRefusedItAndWhenToComeAgain(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{OpenFor: time.Minute})
		pid := k.spawn(k.receiver(b, middleware.ReceiveConfig{}))
		k.tell(pid, job{1})
		k.want(1)
		if err := b.ForceOpen(t.Context(), time.Minute, ""); err != nil {
			t.Fatal(err)
		}
		k.tell(pid, job{2})
		k.system.Root.Send(pid, job{3}) // nobody to answer
		got := k.want(patterns.ErrRejected)
		rejected, ok := got[0].(*middleware.RejectedError)
		if !ok || rejected.Guard != "breaker" || rejected.Message != (job{2}) || !rejected.Actor.Equal(pid) || !errors.Is(rejected, circuitbreaker.ErrOpen) {
			t.Errorf("%#v", got[0])
		}
		if after, ok := patterns.RetryAfter(rejected); !ok || after != time.Minute {
			t.Errorf("retry after %v, %v", after, ok)
		}
		if s := k.inspect(pid); s.Guard != "breaker" || s.Admitted != 1 || s.Rejected != 2 {
			t.Errorf("%+v", s)
		}
		for _, part := range []string{`"breaker"`, "middleware_test.job", pid.Id, "circuit breaker"} {
			if !strings.Contains(rejected.Error(), part) {
				t.Errorf("%q is not in %q", part, rejected)
			}
		}
	})
}

func TestTheOutcomeIsWhatTheActorReplied(t *testing.T) {
	tests := []struct {
		name string
		msg  any
		opts []middleware.Option
		want patterns.Outcome
	}{
		{"a Receive that returns is a success", "no reply", nil, patterns.Success},
		{"a reply is a success", job{1}, nil, patterns.Success},
		{"an error is a failure", fail{errSick}, nil, patterns.Failure},
		{"a refusal further in teaches nothing", fail{&middleware.RejectedError{Reason: errSick}}, nil, patterns.Ignored},
		{"an error that is sent to the sender is a failure too", sent{errSick}, nil, patterns.Failure},
		{"a panic is a failure", crash{"bug"}, nil, patterns.Failure},
		{
			"a judge decides about errors",
			fail{errSick},
			[]middleware.Option{middleware.Judge(patterns.IgnoreOn(errSick))},
			patterns.Ignored,
		},
		{
			"a judge decides about other replies",
			job{1},
			[]middleware.Option{middleware.Judge(patterns.JudgeResult(func(any) patterns.Outcome { return patterns.Dropped }))},
			patterns.Dropped,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				b := k.breaker(circuitbreaker.Config{CallTimeout: time.Second})
				pid := k.spawn(k.receiver(b, middleware.ReceiveConfig{}, tt.opts...))
				k.tell(pid, tt.msg)
				k.got()
				want := map[patterns.Outcome]uint64{tt.want: 1}
				c := counts(t, b)
				got := map[patterns.Outcome]uint64{}
				for o, n := range map[patterns.Outcome]uint64{
					patterns.Success: c.Success, patterns.Failure: c.Failure, patterns.Dropped: c.Dropped, patterns.Ignored: c.Ignored,
				} {
					if n > 0 {
						got[o] = n
					}
				}
				if c.InFlight != 0 || len(got) != 1 || got[tt.want] != 1 {
					t.Errorf("%v, want %v", got, want)
				}
			})
		})
	}
}

func TestARejectedMessageOfTheProtocolIsAnErrorToo(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		pid := k.spawnFunc(func(c actor.Context) {
			if _, ok := c.Message().(job); ok {
				c.Respond(actors.Rejected{Err: errSick})
			}
		}, k.receiver(b, middleware.ReceiveConfig{}))
		k.tell(pid, job{1})
		k.got()
		if c := counts(t, b); c.Failure != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// What is not work, or ends work, must get through whatever the guard says.
func TestWhatBeginsNoWorkIsNotGuarded(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms, p := k.oneRoom(bulkhead.Config{})
		defer p.Release()
		pid := k.spawn(k.receiver(rooms, middleware.ReceiveConfig{}))
		undelivered := mailbox.Undelivered{Message: job{1}, Reason: mailbox.ErrFull}
		k.tell(pid, actors.Granted{Ref: 1}, actors.Rejected{Ref: 2}, errSick, undelivered, actors.Report{}, actors.Ack{}, &actor.DeadLetterResponse{}, &actor.Touch{})
		if got := k.got(); len(got) != 1 {
			t.Errorf("answers %v, want a Touched", got)
		}
		if len(k.seen) != 8 || k.lives != 1 {
			t.Errorf("got through: %v", k.seen)
		}
		if s := k.inspect(pid); s.Asked != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheGuardIsToldOfKeyWeightAndPriority(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		g := &recording{}
		pid := k.spawn(k.receiver(g, middleware.ReceiveConfig{},
			middleware.Key(func(m any) string { return "key" }),
			middleware.Weight(func(m any) int { return m.(job).id }),
			middleware.Priority(func(any) patterns.Priority { return patterns.High }),
			middleware.Only(func(m any) bool { return m != "free" })))
		k.tell(pid, job{7}, "free")
		k.want(7)
		if r := g.asked; len(r) != 1 || r[0] != (patterns.Request{Key: "key", Weight: 7, Priority: patterns.High, NoWait: true}) {
			t.Errorf("%+v", r)
		}
	})
}

func TestAFunctionThatPanicsCountsAsNotGiven(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		g := &recording{}
		pid := k.spawn(k.receiver(g, middleware.ReceiveConfig{},
			middleware.Key(func(any) string { panic("key") }),
			middleware.Weight(func(any) int { panic("weight") }),
			middleware.Priority(func(any) patterns.Priority { panic("priority") }),
			middleware.Only(func(any) bool { panic("only") })))
		k.tell(pid, job{7})
		k.want(7)
		if r := g.asked; len(r) != 1 || r[0] != (patterns.Request{NoWait: true}) {
			t.Errorf("%+v", r)
		}
		if k.lives != 1 {
			t.Errorf("%d lives", k.lives)
		}
	})
}

// A guard that restarts, or hangs, does not hang the actor.
func TestAGuardThatDoesNotAnswerDoesNotBlockTheActor(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1})
		pid := k.spawn(k.receiver(stuck{rooms}, middleware.ReceiveConfig{}))
		began := time.Now()
		k.tell(pid, job{1})
		pass(time.Second)
		k.want(middleware.ErrBusy)
		k.tell(pid, errSick)
		if pass(0); len(k.seen) != 1 || time.Since(began) > time.Second {
			t.Errorf("the actor hangs")
		}
	})
}

func TestGuardsOneInsideTheOtherAreAskedInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		b := k.breaker(circuitbreaker.Config{})
		rooms, p := k.oneRoom(bulkhead.Config{})
		pid := k.spawn(k.receiver(b, middleware.ReceiveConfig{}), k.receiver(rooms, middleware.ReceiveConfig{Refused: middleware.Stash}))
		k.tell(pid, job{1}, job{2})
		k.want()
		p.Release()
		pass(time.Second)
		k.want(1, 2)
		if c := counts(t, b); c.Success != 2 || c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
		if c := counts(t, rooms); c.Success != 2 || c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
	})
}

func TestAReceiverIsRefusedWithEveryFaultNamed(t *testing.T) {
	rooms := &recording{}
	tests := []struct {
		name  string
		cfg   middleware.ReceiveConfig
		wants []string
	}{
		{"an unknown policy", middleware.ReceiveConfig{Refused: 7}, []string{"Refused policy(7)", "Stash or"}},
		{"a stash without the policy", middleware.ReceiveConfig{Stash: 1, TTL: 1, Recheck: 1}, []string{"Stash 1:", "TTL 1ns", "Recheck 1ns"}},
		{
			"numbers out of range",
			middleware.ReceiveConfig{Refused: middleware.Stash, Stash: -1, TTL: -1, Recheck: 1},
			[]string{"Stash -1", "TTL -1ns", "Recheck 1ns"},
		},
		{
			"numbers too large",
			middleware.ReceiveConfig{Refused: middleware.Stash, Stash: middleware.MaxStash + 1, TTL: math.MaxInt64},
			[]string{"Stash 1048577", "TTL 2562047h"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := middleware.NewReceiver(rooms, tt.cfg)
			if _, ok := errors.AsType[*patterns.ConfigError](err); !ok {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.wants {
				if !strings.Contains(err.Error(), want) && want != "Stash or" {
					t.Errorf("%q is not in %q", want, err)
				}
			}
		})
	}
	if _, err := middleware.NewReceiver(nil, middleware.ReceiveConfig{}); !errors.Is(err, patterns.ErrNilGuard) {
		t.Errorf("error %v", err)
	}
}

func TestAGuardThatStoppedIsSaidAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1})
		pid := k.spawn(k.receiver(rooms, middleware.ReceiveConfig{Refused: middleware.Stash}))
		if err := rooms.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.tell(pid, job{1})
		k.want(actors.ErrStopped)
	})
}

func TestACrashOfTheGuardIsAnsweredOrWaitedOut(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		rooms := k.rooms(bulkhead.Config{MaxConcurrent: 1})
		answers := k.spawn(k.receiver(rooms, middleware.ReceiveConfig{}))
		stashes := k.spawn(k.receiver(rooms, middleware.ReceiveConfig{Refused: middleware.Stash}))
		actorstest.Crash(t, rooms, actorstest.At(actors.Acquire{}))
		k.tell(answers, job{1})
		k.want(actors.ErrFailed)
		actorstest.Crash(t, rooms, actorstest.At(actors.Acquire{}))
		k.tell(stashes, job{2})
		pass(time.Second)
		k.want(2)
		if c := counts(t, rooms); c.InFlight != 0 {
			t.Errorf("%+v", c)
		}
	})
}
