package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/middleware"
	"github.com/bulwark-go/bulwark/actors/pool"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/supervisor"
)

// sensitive is a breaker that opens at the first failure.
func sensitive(openFor time.Duration) circuitbreaker.Config {
	return circuitbreaker.Config{ConsecutiveFailures: 1, OpenFor: openFor, Probes: 1}
}

func TestRequestsGoToWhoHasTheFewestOut(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 3, Timeout: time.Hour})
		until := make(chan int)
		var asked []uint32
		for range 6 {
			asked = append(asked, k.ask(block{until}))
		}
		synctest.Wait()
		for _, m := range k.snapshot().Members {
			if m.InFlight != 2 || m.Sent != 2 {
				t.Errorf("%+v", m)
			}
		}
		close(until)
		by := map[any]int{}
		for _, n := range asked {
			by[k.answers(n)[0]]++
		}
		if len(by) != 3 || k.snapshot().InFlight != 0 {
			t.Errorf("%v", by)
		}
	})
}

func TestAmongEqualsAllHaveTheirShare(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 4})
		for range 400 {
			k.ask(job{})
			synctest.Wait()
		}
		for _, m := range k.snapshot().Members {
			if m.Sent < 40 {
				t.Errorf("%d of 400 went to %s", m.Sent, m.Breaker)
			}
		}
	})
}

func TestAMemberWhoseBreakerIsOpenIsSkippedAndProbedInTime(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Breaker: sensitive(time.Minute)})
		k.want(k.ask(fail{}), errSick)
		sick, well := "pool/1", "pool/2"
		if k.breaker(sick).State != circuitbreaker.Open {
			sick, well = well, sick
		}
		for range 20 {
			k.want(k.ask(job{}), well)
		}
		pass(time.Minute)
		for i := 0; k.breaker(sick).State != circuitbreaker.Closed; i++ {
			k.ask(job{})
			if synctest.Wait(); i > 100 {
				t.Fatalf("%s is never probed: %+v", sick, k.breaker(sick))
			}
		}
	})
}

func TestWhenAllAreOpenTheRequesterIsToldWhenTheFirstWillNotBe(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Breaker: sensitive(time.Minute)})
		k.want(k.ask(fail{1}), errSick)
		pass(20 * time.Second)
		k.want(k.ask(fail{2}), errSick)
		pass(5 * time.Second)
		got := k.want(k.ask(job{3}), circuitbreaker.ErrOpen)
		rejected, ok := got.(*middleware.RejectedError)
		if !ok || rejected.Guard != "pool" || rejected.Message != (job{3}) || !errors.Is(rejected, patterns.ErrRejected) || !errors.Is(rejected, pool.ErrNoMember) {
			t.Fatalf("%#v", got)
		}
		if after, ok := patterns.RetryAfter(rejected); !ok || after != 35*time.Second {
			t.Errorf("retry after %v", after)
		}
		if none, ok := errors.AsType[*pool.NoMemberError](rejected); !ok || none.Members != 2 || none.Pool != "pool" {
			t.Errorf("%#v", rejected.Reason)
		}
		pass(35 * time.Second)
		for i := range 3 {
			if a := k.answers(k.ask(job{i}))[0]; a != "pool/1" && a != "pool/2" {
				t.Errorf("%v", a)
			}
		}
	})
}

func TestWhatCountsAgainstAMember(t *testing.T) {
	tests := []struct {
		name  string
		msg   any
		opts  []pool.Option
		want  any
		count func(patterns.Counts) uint64
	}{
		{"a reply is a success", job{}, nil, "pool/1", func(c patterns.Counts) uint64 { return c.Success }},
		{"of two replies the first counts, and is passed on", twice{}, nil, "pool/1", func(c patterns.Counts) uint64 { return c.Success }},
		{"an error", fail{}, nil, errSick, func(c patterns.Counts) uint64 { return c.Failure }},
		{"a panic", crash{}, nil, mailbox.ErrPanicked, func(c patterns.Counts) uint64 { return c.Failure }},
		{"no reply in time", silent{}, nil, middleware.ErrTimeout, func(c patterns.Counts) uint64 { return c.Failure }},
		{"stopping", quit{}, nil, middleware.ErrTerminated, func(c patterns.Counts) uint64 { return c.Failure }},
		{
			"what a judge says",
			fail{},
			[]pool.Option{pool.WithJudge(patterns.IgnoreOn(errSick))},
			errSick, func(c patterns.Counts) uint64 { return c.Ignored },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				k.spawn(pool.Config{Size: 1, Timeout: time.Minute}, tt.opts...)
				n := k.ask(tt.msg)
				pass(time.Minute)
				k.want(n, tt.want)
				if s := k.breaker("pool/1"); tt.count(s.Counts) != 1 || s.Granted != 1 || s.InFlight != 0 {
					t.Errorf("%+v", s.Counts)
				}
				if s := k.snapshot(); s.InFlight != 0 || s.Members[0].InFlight != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestAMemberThatStopsIsReplacedAndKeepsItsBreaker(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 1, Respawn: 10 * time.Second, Breaker: sensitive(30 * time.Second)})
		k.want(k.ask(quit{}), middleware.ErrTerminated)
		got := k.want(k.ask(job{}), pool.ErrNoMember)
		if after, _ := patterns.RetryAfter(got.(error)); after != 10*time.Second {
			t.Errorf("retry after %v", after)
		}
		pass(10 * time.Second)
		k.want(k.ask(job{}), circuitbreaker.ErrOpen) // a stop is a failure
		pass(20 * time.Second)
		k.want(k.ask(job{}), "pool/1")
		if s := k.snapshot(); s.Replaced != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAMemberThatKeepsCrashingIsReplacedInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{
			Size: 1, Respawn: time.Second,
			Breaker:     circuitbreaker.Config{ConsecutiveFailures: 100},
			Supervision: supervisor.Config{Intensity: supervisor.IntensityConfig{Restarts: 2, Period: time.Minute}},
		})
		for range 3 {
			k.want(k.ask(crash{}), mailbox.ErrPanicked)
		}
		k.want(k.ask(job{}), pool.ErrNoMember)
		pass(time.Second)
		k.want(k.ask(job{}), "pool/1")
	})
}

func TestAFullMemberIsNotBlamedAndAnotherIsTriedOnce(t *testing.T) {
	for _, noRetry := range []bool{false, true} {
		t.Run(fmt.Sprint("no retry ", noRetry), func(t *testing.T) {
			bubble(t, func(t *testing.T, k *kit) {
				until := make(chan int)
				var pids []*actor.PID
				for i, capacity := range []int{1, 100} {
					pid, _ := k.system.Root.SpawnNamed(member(mailbox.Config{Capacity: capacity}), fmt.Sprint("m", i))
					pids = append(pids, pid)
				}
				// m0 runs one and has one queued; the pool knows nothing of them.
				k.system.Root.Send(pids[0], block{until})
				synctest.Wait()
				k.system.Root.Send(pids[0], block{until})
				p, err := pool.Group(k.guards, "pool", pids, pool.Config{Timeout: time.Hour, NoRetry: noRetry, Breaker: sensitive(time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				k.pool = p
				full := 0
				for range 50 {
					a := k.answers(k.ask(job{}))
					if err, ok := a[0].(error); ok && errors.Is(err, mailbox.ErrFull) {
						full++
					} else if a[0] != "m1" {
						t.Fatalf("%v", a)
					}
				}
				s := k.snapshot()
				if noRetry == (full == 0) || noRetry == (s.Retried != 0) {
					t.Errorf("%d told that it is full, %d retried", full, s.Retried)
				}
				if b := k.breaker("pool/m0"); b.State != circuitbreaker.Closed || b.Ignored == 0 || b.InFlight != 0 {
					t.Errorf("%+v", b)
				}
				close(until)
				for _, pid := range pids {
					_ = k.system.Root.StopFuture(pid).Wait()
				}
			})
		})
	}
}

func TestAGroupForgetsWhoStops(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		a, _ := k.system.Root.SpawnNamed(member(mailbox.Config{}), "a")
		b, _ := k.system.Root.SpawnNamed(member(mailbox.Config{}), "b")
		p, err := pool.Group(k.guards, "pool", []*actor.PID{a, b}, pool.Config{})
		if err != nil {
			t.Fatal(err)
		}
		k.pool = p
		_ = k.system.Root.StopFuture(a).Wait()
		synctest.Wait()
		for range 10 {
			k.want(k.ask(job{}), "b")
		}
		_ = k.system.Root.StopFuture(b).Wait()
		synctest.Wait()
		k.want(k.ask(job{}), pool.ErrNoMember)
		if s := k.snapshot(); len(s.Members) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestABroadcastReachesEveryMemberAndMessagesWithoutASenderTeachNothing(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 3, Breaker: sensitive(time.Hour)})
		if got := k.answers(k.ask(pool.Broadcast{Message: job{}})); len(got) != 3 {
			t.Errorf("%v", got)
		}
		k.system.Root.Send(k.pool.PID(), fail{})
		synctest.Wait()
		ignored := uint64(0)
		for i := range 3 {
			s := k.breaker(fmt.Sprint("pool/", i+1))
			ignored += s.Ignored
			if s.State != circuitbreaker.Closed {
				t.Errorf("%+v", s)
			}
		}
		if s := k.snapshot(); ignored != 1 || s.Told != 1 || s.InFlight != 0 {
			t.Errorf("%d ignored, %+v", ignored, s)
		}
	})
}

func TestNoMoreThanPendingAreOut(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Pending: 3, Timeout: time.Second})
		var last uint32
		for range 4 {
			last = k.ask(silent{})
		}
		k.want(last, middleware.ErrPending)
		pass(time.Second)
		k.want(k.ask(job{}), k.answers(k.n)[0])
		if s := k.snapshot(); s.Failed != 3 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestWhoWaitsWhenThePoolStopsOrRestartsIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Timeout: time.Hour})
		n := k.ask(silent{})
		synctest.Wait()
		p, _ := k.system.ProcessRegistry.Get(k.pool.PID())
		p.SendSystemMessage(k.pool.PID(), &actor.Restart{})
		k.want(n, middleware.ErrRestarting)
		if a := k.answers(k.ask(job{})); a[0] != "pool/1" && a[0] != "pool/2" {
			t.Errorf("after a restart: %v", a)
		}
		n = k.ask(silent{})
		synctest.Wait()
		if err := k.pool.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.want(n, middleware.ErrTerminated)
		if err := k.pool.Stop(t.Context()); err != nil {
			t.Errorf("the second time: %v", err)
		}
		if _, err := k.pool.Snapshot(t.Context()); !errors.Is(err, actors.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
		if _, left := circuitbreaker.Get(k.guards, "pool/1"); left {
			t.Error("its breaker is left")
		}
		again, err := pool.Spawn(k.guards, "pool", member(mailbox.Config{}), pool.Config{})
		if err != nil {
			t.Fatal("the name is not free:", err)
		}
		k.pool = again
	})
}

func TestAPoolIsRefusedWithEveryFaultNamed(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		a := k.system.NewLocalPID("a")
		_, spawnErr := pool.Spawn(k.guards, "a/b", nil, pool.Config{
			Size: -1, Timeout: -1, Pending: -1, Respawn: 1, Breaker: circuitbreaker.Config{FailureRatio: 2},
			Supervision: supervisor.Config{HoldFor: -77},
		})
		_, groupErr := pool.Group(k.guards, " ", []*actor.PID{a, a, nil}, pool.Config{Size: 1})
		_, noneErr := pool.Group(k.guards, "g", nil, pool.Config{})
		_, nilErr := pool.Spawn(nil, "p", member(mailbox.Config{}), pool.Config{})
		for _, tt := range []struct {
			err   error
			wants []string
		}{
			{spawnErr, []string{`"a/b"`, "without props", "Size -1", "Timeout -1ns", "Pending -1", "Respawn 1ns", "Breaker", "FailureRatio 2", "HoldFor"}},
			{groupErr, []string{`" "`, "members of a group", "Size 1"}},
			{noneErr, []string{"members of a group"}},
			{nilErr, []string{"nil registry"}},
		} {
			for _, want := range tt.wants {
				if !strings.Contains(fmt.Sprint(tt.err), want) {
					t.Errorf("%q is not in %v", want, tt.err)
				}
			}
		}
		k.spawn(pool.Config{Size: 1})
		if _, err := pool.Spawn(k.guards, "pool", member(mailbox.Config{}), pool.Config{}); !errors.Is(err, actors.ErrNameTaken) {
			t.Errorf("error %v", err)
		}
		if _, left := circuitbreaker.Get(k.guards, "pool/2"); left {
			t.Error("a breaker is left of the pool that could not be")
		}
	})
}

// due is a message that is of no use after some time.
type due struct{ at time.Time }

func (d due) Deadline() (time.Time, bool) {
	if d.at.IsZero() {
		panic("no deadline")
	}
	return d.at, true
}

func TestTrap33ARequestWhoseDeadlineHasPassedIsNotPassedOn(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 1})
		k.want(k.ask(due{time.Now()}), middleware.ErrExpired)
		if s := k.snapshot(); s.Refused != 1 || s.Members[0].Sent != 0 {
			t.Errorf("%+v", s)
		}
		k.ask(due{})
		synctest.Wait()
		if s := k.snapshot(); s.Refused != 1 || s.Members[0].Sent != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHeadersArePassedOn(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		m, _ := k.system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(job); ok {
				c.Respond(c.MessageHeader().Get("tenant"))
			}
		}), "m")
		p, err := pool.Group(k.guards, "pool", []*actor.PID{m}, pool.Config{})
		if err != nil {
			t.Fatal(err)
		}
		k.pool = p
		envelope := &actor.MessageEnvelope{Message: job{1}, Sender: k.me}
		envelope.SetHeader("tenant", "acme")
		k.system.Root.Send(p.PID(), envelope)
		if k.want(0, "acme"); p.Name() != "pool" {
			t.Error(p.Name())
		}
		// A group that restarts has the members that it had.
		process, _ := k.system.ProcessRegistry.Get(p.PID())
		process.SendSystemMessage(p.PID(), &actor.Restart{})
		k.want(k.ask(job{2}), "")
		_ = k.system.Root.StopFuture(m).Wait()
	})
}

func TestAMemberThatCannotBeMadeIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		var broken atomic.Bool
		broken.Store(true)
		props := actor.PropsFromProducer(func() actor.Actor {
			if broken.Load() {
				panic("cannot be made")
			}
			return actor.ReceiveFunc(func(c actor.Context) {
				if _, ok := c.Message().(job); ok {
					c.Respond("at last")
				}
			})
		})
		p, err := pool.Spawn(k.guards, "pool", props, pool.Config{Size: 1, Respawn: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		k.pool = p
		got := k.want(k.ask(job{}), pool.ErrNoMember).(error)
		if after, _ := patterns.RetryAfter(got); after != time.Minute || !strings.Contains(got.Error(), `"pool": none of 1 members may be asked`) {
			t.Errorf("%v, retry after %v", got, after)
		}
		broken.Store(false)
		pass(time.Minute)
		k.want(k.ask(job{}), "at last")
	})
}

func TestAPoolThatStopsServesWhatItHasAndTakesNothingMore(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Timeout: time.Hour, Respawn: time.Millisecond})
		var asked []uint32
		for range 6 {
			asked = append(asked, k.ask(slow{time.Minute}))
		}
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- k.pool.Stop(t.Context()) }()
		pass(time.Second)
		k.want(k.ask(job{}), middleware.ErrStopping)
		pass(time.Hour)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		for _, n := range asked {
			if got := k.answers(n); len(got) != 1 || got[0] != "pool/1" && got[0] != "pool/2" {
				t.Errorf("request %d: %v", n, got)
			}
		}
	})
}

// proto.actor's StopFuture waits for ten seconds, whatever its caller would like.
func TestTrap32AStopEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 1, Timeout: time.Hour})
		n := k.ask(slow{20 * time.Minute})
		synctest.Wait()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := k.pool.Stop(ctx)
		if left, ok := errors.AsType[*supervisor.DrainError](err); !ok || time.Since(began) > time.Minute+supervisor.DrainGrace+time.Second {
			t.Errorf("error %v after %v", left, time.Since(began))
		}
		pass(time.Hour)
		if got := k.answers(n); len(got) != 1 {
			t.Errorf("answers %v", got)
		}
		k.pool = nil
	})
}

func TestAPoolWhoseRouterIsStoppedAnswersWhoWaits(t *testing.T) {
	bubble(t, func(t *testing.T, k *kit) {
		k.spawn(pool.Config{Size: 2, Timeout: time.Hour, Respawn: time.Millisecond})
		n := k.ask(silent{})
		synctest.Wait()
		_ = k.system.Root.StopFuture(k.pool.PID()).Wait()
		k.want(n, middleware.ErrStopping)
		for i := range 2 {
			if b := k.breaker(fmt.Sprint("pool/", i+1)); b.InFlight != 0 {
				t.Errorf("%+v", b.Counts)
			}
		}
	})
}
