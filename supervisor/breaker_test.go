package supervisor

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestTrap15BackoffGrowsExponentiallyIsCappedAndForgetsAfterAQuietTime(t *testing.T) {
	bubbles(t, func(k *kit) {
		s, err := Backoff(BackoffConfig{Base: 100 * time.Millisecond, Max: 350 * time.Millisecond, ResetAfter: time.Second, Jitter: -1})
		if err != nil {
			k.t.Fatal(err)
		}
		k.family(s.Supervise)
		for _, wait := range []time.Duration{100, 200, 350, 350} {
			k.send("boss/a", fail{"ouch"})
			k.sleep(wait*time.Millisecond - 1)
			k.changed("boss/a running>restarting backoff for " + (wait * time.Millisecond).String())
			k.sleep(1)
			k.noted("a restarting, a started")
			k.changes()
		}
		k.sleep(time.Second)
		k.send("boss/a", fail{"ouch"})
		k.changed("boss/a running>restarting backoff for 100ms")
		if e := k.events(); len(e) != 0 {
			k.t.Errorf("gave up: %+v", e)
		}
	})
}

func TestBackoffByDefault(t *testing.T) {
	bubble(t, func(k *kit) {
		s, err := Backoff(BackoffConfig{})
		if err != nil {
			t.Fatal(err)
		}
		k.family(s.Supervise)
		k.send("boss/a", fail{"ouch"})
		k.sleep(99 * time.Millisecond)
		k.noted("")
		k.sleep(21 * time.Millisecond) // with all the jitter there is
		k.noted("a restarting, a started")
	})
}

func TestChildrenThatFailTogetherAreSpread(t *testing.T) {
	bubble(t, func(k *kit) {
		var children []spawn
		const n = 50
		for i := range n {
			name := fmt.Sprint("c", i)
			children = append(children, spawn{k.actorOf(name, nil), name})
		}
		k.root(k.actorOf("boss", children, must(t, Config{Backoff: BackoffConfig{Base: time.Second, Jitter: 1}})), "boss")
		for i := range n {
			k.send(fmt.Sprint("boss/c", i), fail{"ouch"})
		}
		k.changes()
		half := 0
		k.sleep(1500 * time.Millisecond)
		synctest.Wait()
		k.mu.Lock()
		for _, e := range k.seen {
			if _, ok := e.(ChildRestarted); ok {
				half++
			}
		}
		k.mu.Unlock()
		if half < n/5 || half > n*4/5 {
			t.Errorf("%d of %d restarted in the first half of the jitter", half, n)
		}
		k.sleep(500 * time.Millisecond)
		synctest.Wait()
	})
}

func breaking(t *testing.T) actor.PropsOption {
	return must(t, Config{Breaker: BreakerConfig{Intensity: 1, Period: time.Minute, OpenFor: 10 * time.Second, ProbeFor: 5 * time.Second}})
}

func TestBreakerSupervision(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		k.family(breaking(t))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", "works")
		k.noted("a works")

		// Once too often: it is not restarted, and refuses what waits and what comes.
		block := make(chan struct{})
		k.system.Root.Send(k.pid("boss/a"), wait{block})
		failing, waiting := k.ask("boss/a", fail{"again"}), k.ask("boss/a", echo("waits"))
		k.waits(waiting)
		close(block)
		synctest.Wait()
		k.refused(failing, mailbox.ErrPanicked)
		k.refused(waiting, ErrAway)
		k.changed("boss/a restarted 1, boss/a running>open too-often for 10s")
		k.sleep(4 * time.Second)
		err := k.refusal(k.ask("boss/a", echo("comes")), patterns.ErrRejected)
		if after, ok := patterns.RetryAfter(err); !ok || after != 6*time.Second {
			t.Errorf("retry after %v", after)
		}
		away, ok := errors.AsType[*AwayError](err)
		want := AwayError{Child: "boss/a", State: Open, Cause: CauseTooOften, RetryAt: time.Now().Add(6 * time.Second)}
		if !ok || away.State != want.State || away.Child != want.Child || away.Cause != want.Cause || !away.RetryAt.Equal(want.RetryAt) {
			t.Errorf("got %+v", away)
		}
		k.works("boss/b")

		// Then one message decides. The others are refused until it has.
		k.sleep(6 * time.Second)
		k.noted("a restarting, a started")
		k.changed("boss/a open>half-open probe, boss/a restarted 2")
		block = make(chan struct{})
		k.system.Root.Send(k.pid("boss/a"), wait{block})
		k.refused(k.ask("boss/a", echo("too early")), ErrAway)
		close(block)
		synctest.Wait()
		k.changed("boss/a half-open>running probe-passed")
		k.works("boss/a")
	})
}

// wait makes the receiver wait.
type wait struct{ until chan struct{} }

func TestAProbeThatFailsOpensAgain(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		k.family(breaking(t))
		for range 2 {
			k.send("boss/a", fail{"ouch"})
		}
		k.sleep(10 * time.Second)
		k.changes()
		k.refused(k.ask("boss/a", fail{"still"}), mailbox.ErrPanicked)
		k.changed("boss/a half-open>open probe-failed for 10s")
		k.refused(k.ask("boss/a", echo("x")), ErrAway)
		k.sleep(10 * time.Second)
		k.works("boss/a")
		k.changed("boss/a open>half-open probe, boss/a restarted 3, boss/a half-open>running probe-passed")
	})
}

func TestTheMailboxOfAnOpenChildDoesNotGrow(t *testing.T) {
	bubble(t, func(k *kit) {
		var box *mailbox.Combining
		k.ours = true
		child := k.actorOf("a", nil, actor.WithMailbox(func() actor.Mailbox {
			box = mailbox.NewCombining(mailbox.Config{})
			return box
		}))
		k.root(k.actorOf("boss", []spawn{{child, "a"}}, breaking(t)), "boss")
		for range 2 {
			k.send("boss/a", fail{"ouch"})
		}
		for range 1000 {
			k.system.Root.Send(k.pid("boss/a"), "flood")
		}
		if n := box.UserMessageCount(); n != 0 {
			t.Errorf("%d messages wait", n)
		}
		if s := box.Stats(); s.Refused != 1000 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestWithProtoActorsMailboxAnOpenChildIsOnlySuspended(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(breaking(t))
		for range 2 {
			k.send("boss/a", fail{"ouch"})
		}
		k.changes()
		waits := k.ask("boss/a", echo("waits"))
		k.waits(waits)
		k.sleep(10 * time.Second)
		k.answered(waits)
		k.changed("boss/a open>half-open probe for 5s, boss/a restarted 2")
		k.sleep(5 * time.Second)
		k.changed("boss/a half-open>running quiet")
	})
}

func TestCircuitBreakingByDefault(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		s, err := CircuitBreaking(BreakerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		k.family(s.Supervise)
		for range 6 {
			k.send("boss/a", fail{"ouch"})
		}
		if got := k.changes(); got[len(got)-len("boss/a running>open too-often for 1m0s"):] != "boss/a running>open too-often for 1m0s" {
			t.Errorf("changes %q", got)
		}
	})
}

func TestALongWaitRefusesAndAShortOneHolds(t *testing.T) {
	bubble(t, func(k *kit) {
		k.ours = true
		k.family(must(t, Config{Backoff: BackoffConfig{Base: time.Second, Jitter: -1}}))
		k.send("boss/a", fail{"ouch"})
		held := k.ask("boss/a", echo("held"))
		k.waits(held)
		k.sleep(time.Second)
		k.answered(held)
		k.send("boss/a", fail{"ouch"})
		err := k.refusal(k.ask("boss/a", echo("refused")), ErrAway)
		if after, _ := patterns.RetryAfter(err); after != 2*time.Second {
			t.Errorf("retry after %v", after)
		}
		k.sleep(2 * time.Second)
		k.works("boss/a")
	})
}

func TestQuarantineKeepsAChildUntilItIsReleased(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{Quarantine: QuarantineConfig{Failures: 1}}))
		k.send("boss/a", fail{"first"})
		k.send("boss/a", fail{"second"})
		k.changed("boss/a restarted 1, boss/a running>quarantined too-often")
		f := k.ask("boss/a", echo("x"))
		if k.ours {
			k.refused(f, ErrAway)
		} else {
			k.waits(f)
		}
		k.sleep(24 * time.Hour)
		b, err := TreeOf(k.t.Context(), k.system, k.pid("boss"))
		if err != nil || len(b.Children) != 2 || b.Children[0].State != Quarantined {
			k.t.Fatalf("tree %+v, error %v", b, err)
		}
		h := b.Children[0].History
		if len(h) != 2 || h[0].Reason != "first" || h[1].Reason != "second" || h[1].Message != "supervisor.fail" {
			k.t.Errorf("history %+v", h)
		}
		if err := Release(k.t.Context(), k.system, k.pid("boss/a")); err != nil {
			k.t.Error(err)
		}
		k.noted("a restarting, a started, a restarting, a started")
		k.changed("boss/a quarantined>running released, boss/a restarted 2")
		k.works("boss/a")
		if err := Release(k.t.Context(), k.system, k.pid("boss/a")); !errors.Is(err, ErrNotWaiting) {
			k.t.Errorf("got %v", err)
		}
	})
}

func TestCorrelatedFailuresAreProbedWithOneChild(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Correlated: CorrelatedConfig{Share: 0.6, MinFailed: 2, OpenFor: time.Minute}}))
		k.send("boss/a", fail{"ouch"})
		k.send("boss/b", fail{"ouch"})
		k.changed("boss/a restarted 1, boss's children running>open correlated for 1m0s, boss/b running>open correlated for 1m0s")
		k.send("boss/c", fail{"ouch"})
		k.changed("boss/c running>open correlated for 1m0s")
		k.sleep(time.Minute)
		k.changed("boss's children open>half-open probe, boss/b open>half-open probe for 10s, boss/b restarted 1")
		k.works("boss/b")
		if k.ours {
			k.changed("boss/b half-open>running probe-passed, boss's children half-open>running probe-passed, boss/c open>running restarted, boss/c restarted 1")
			k.works("boss/c")
			return
		}
		k.sleep(10 * time.Second)
		k.changed("boss/b half-open>running quiet, boss's children half-open>running quiet, boss/c open>running restarted, boss/c restarted 1")
	})
}

func TestSiblingsShareABudgetAndAreAllRestartedInTheEnd(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Budget: BudgetConfig{Burst: 1, Every: time.Second}}))
		for _, id := range []string{"boss/c", "boss/a", "boss/b"} {
			k.send(id, fail{"ouch"})
		}
		k.changed("boss/c restarted 1, boss/a running>restarting budget for 1s, boss/b running>restarting budget for 2s")
		k.sleep(time.Second)
		k.changed("boss/a restarting>running restarted, boss/a restarted 1")
		k.sleep(time.Second)
		k.changed("boss/b restarting>running restarted, boss/b restarted 1")
	})
}
