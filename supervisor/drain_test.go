package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// ends notes in which order actors stop.
type ends struct {
	mu   sync.Mutex
	list []string
}

// slow is an actor that takes a second for each string, and notes it and its end.
func (k *kit) slow(e *ends, name string, children ...spawn) *actor.Props {
	opts := []actor.PropsOption{}
	if k.ours {
		opts = append(opts, k.mailbox())
	}
	return actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case *actor.Started:
			for _, s := range children {
				if _, err := c.SpawnNamed(s.props, s.name); err != nil {
					k.t.Error(err)
				}
			}
		case string:
			pause()
			k.note(name + " " + msg)
		case *actor.Stopped:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.list = append(e.list, fmt.Sprintf("%s@%d", name, time.Now().Unix()-start))
		case fail:
			panic(msg.reason)
		}
	}, opts...)
}

// pause takes a second.
//
//bulwark:bubble
func pause() { time.Sleep(time.Second) }

// start is when bubbles begin.
const start = 946684800

func TestTrap32ADrainServesWhatIsQueuedChildrenFirst(t *testing.T) {
	bubbles(t, func(k *kit) {
		var e ends
		leaf := []spawn{{k.slow(&e, "x"), "x"}, {k.slow(&e, "y"), "y"}}
		k.root(k.slow(&e, "top", spawn{k.slow(&e, "mid", leaf...), "mid"}), "top")
		for i := range 3 {
			k.system.Root.Send(k.pid("top"), fmt.Sprint(i))
			k.system.Root.Send(k.pid("top/mid"), fmt.Sprint(i))
			k.system.Root.Send(k.pid("top/mid/x"), fmt.Sprint(i))
		}
		for range 5 {
			k.system.Root.Send(k.pid("top/mid/y"), "y")
		}
		if err := Drain(k.t.Context(), k.system, k.pid("top")); err != nil {
			k.t.Error(err)
		}
		k.noted("mid 0, mid 1, mid 2, top 0, top 1, top 2, x 0, x 1, x 2, y y, y y, y y, y y, y y")
		if want := []string{"x@3", "y@5", "mid@5", "top@5"}; !slices.Equal(e.list, want) {
			k.t.Errorf("ended %v, want %v", e.list, want)
		}
		k.alone()
	})
}

func TestDrainOrders(t *testing.T) {
	lastFirst, together := []string{"c@5", "b@5", "a@5"}, []string{"a@1", "b@2", "c@5"}
	for _, tt := range []struct {
		name  string
		scope Scope
		order Order
		want  []string
	}{
		{"rest for one, the last first", Rest, ByScope, lastFirst},
		{"one for one, together", One, ByScope, together},
		{"one for all, together", All, ByScope, together},
		{"as the Spec says, one by one", One, LastFirst, lastFirst},
		{"as the Spec says, together", Rest, Together, together},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				var e ends
				spec := Spec{Name: "top", Config: Config{Scope: tt.scope}, Shutdown: tt.order}
				for _, name := range []string{"a", "b", "c"} {
					spec.Children = append(spec.Children, Child{Name: name, Props: k.slow(&e, name), Shutdown: time.Hour})
				}
				r := k.start(spec)
				for name, seconds := range map[string]int{"a": 1, "b": 2, "c": 5} {
					for range seconds {
						k.system.Root.Send(k.pid("top/"+name), "x")
					}
				}
				if err := r.Shutdown(k.t.Context()); err != nil {
					k.t.Error(err)
				}
				if !slices.Equal(e.list, tt.want) {
					k.t.Errorf("ended %v, want %v", e.list, tt.want)
				}
				k.alone()
			})
		})
	}
}

func TestWhoTakesTooLongIsStoppedAtOnceAndReported(t *testing.T) {
	bubbles(t, func(k *kit) {
		var e ends
		r := k.start(Spec{Name: "top", Children: []Child{
			{Name: "quick", Props: k.slow(&e, "quick"), Shutdown: 3 * time.Second},
			{Name: "slow", Props: k.slow(&e, "slow"), Shutdown: 3 * time.Second},
			{Name: "brutal", Props: k.slow(&e, "brutal"), Shutdown: AtOnce},
		}})
		for range 10 {
			k.system.Root.Send(k.pid("top/slow"), "x")
			k.system.Root.Send(k.pid("top/brutal"), "x")
		}
		k.system.Root.Send(k.pid("top/quick"), "x")
		err := r.Shutdown(k.t.Context())
		left, ok := errors.AsType[*DrainError](err)
		if !ok || left.Stopped != 2 || !slices.Equal(left.Forced, []string{"top/brutal", "top/slow"}) || left.Left != nil || left.Cause != nil {
			k.t.Errorf("got %+v", err)
		}
		slices.Sort(e.list)
		if want := []string{"brutal@1", "quick@1", "slow@4"}; !slices.Equal(e.list, want) && !slices.Equal(e.list, []string{"brutal@1", "quick@1", "slow@3"}) {
			k.t.Errorf("ended %v, want %v", e.list, want)
		}
		k.alone()
	})
}

func TestWhenTheContextEndsEverybodyLeftIsStoppedAtOnce(t *testing.T) {
	bubbles(t, func(k *kit) {
		var e ends
		k.root(k.slow(&e, "top", spawn{k.slow(&e, "a"), "a"}, spawn{k.slow(&e, "b"), "b"}), "top")
		for range 100 {
			k.system.Root.Send(k.pid("top/a"), "x")
		}
		ctx, cancel := context.WithTimeout(k.t.Context(), 2500*time.Millisecond)
		defer cancel()
		err := Drain(ctx, k.system, k.pid("top"))
		left, ok := errors.AsType[*DrainError](err)
		if !ok || left.Stopped != 1 || !slices.Equal(left.Forced, []string{"top", "top/a"}) || left.Left != nil || !errors.Is(err, context.DeadlineExceeded) {
			k.t.Errorf("got %+v", err)
		}
		if want := "drained 1 actors, forced 2 to stop: context deadline exceeded"; err.Error() != want {
			k.t.Errorf("says %q", err)
		}
		if want := []string{"b@0", "a@3", "top@3"}; !slices.Equal(e.list, want) {
			k.t.Errorf("ended %v, want %v", e.list, want)
		}
		k.alone()
	})
}

func TestWhoDoesNotStopIsLeftAndReported(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family()
		block := make(chan struct{})
		k.send("boss/a", wait{block})
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
		defer cancel()
		before := time.Now()
		err := Drain(ctx, k.system, k.pid("boss"))
		if took := time.Since(before); took != time.Second+DrainGrace {
			k.t.Errorf("took %v", took)
		}
		left, ok := errors.AsType[*DrainError](err)
		if !ok || !slices.Equal(left.Left, []string{"boss", "boss/a"}) || left.Stopped != 1 || left.Forced != nil ||
			!strings.Contains(err.Error(), "2 are left: boss, boss/a") {
			k.t.Errorf("got %+v", err)
		}
		close(block)
		synctest.Wait()
		k.alone()
	})
}

func TestSuspendedChildrenAreNotWaitedFor(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Quarantine: QuarantineConfig{Failures: 1}, Backoff: BackoffConfig{Base: time.Hour}}))
		k.send("boss/a", fail{"ouch"})
		k.send("boss/b", fail{"ouch"})
		k.sleep(2 * time.Hour)
		k.send("boss/b", fail{"ouch"})
		k.send("boss/a", fail{"ouch"})
		before := time.Now()
		err := Drain(k.t.Context(), k.system, k.pid("boss"))
		left, ok := errors.AsType[*DrainError](err)
		if !ok || left.Stopped != 2 || !slices.Equal(left.Forced, []string{"boss/a", "boss/b"}) || time.Since(before) != 0 {
			k.t.Errorf("after %v: %+v", time.Since(before), err)
		}
		k.alone()
	})
}

func TestNobodyIsRestartedDuringADrain(t *testing.T) {
	bubbles(t, func(k *kit) {
		var e ends
		k.start(Spec{Name: "top", Children: []Child{{Name: "a", Props: k.slow(&e, "a")}, {Name: "b", Props: k.slow(&e, "b")}}})
		k.system.Root.Send(k.pid("top/a"), "x")
		k.system.Root.Send(k.pid("top/a"), fail{"ouch"})
		k.system.Root.Send(k.pid("top/b"), "x")
		if err := Drain(k.t.Context(), k.system, k.pid("top")); err != nil {
			k.t.Error(err)
		}
		k.noted("a x, b x")
		if got := k.changes(); strings.Contains(got, "restarted") {
			k.t.Errorf("changes %q", got)
		}
		k.alone()
	})
}

func TestAPermanentChildThatIsDrainedStaysAway(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.start(k.tree())
		k.noted("log started, disk started, index started, scan started")
		if err := Drain(k.t.Context(), k.system, k.pid("shop/store")); err != nil {
			k.t.Error(err)
		}
		k.noted("scan stopped, index stopped, disk stopped")
		k.works("shop/log")
		b, _ := TreeOf(k.t.Context(), k.system, k.pid("shop"))
		if len(b.Children) != 1 {
			k.t.Errorf("tree\n%v", b)
		}
	})
}

func TestASuspendedChildThatIsDrainedIsForced(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Backoff: BackoffConfig{Base: time.Hour}}))
		k.send("boss/a", fail{"ouch"})
		err := Drain(k.t.Context(), k.system, k.pid("boss/a"))
		if left, ok := errors.AsType[*DrainError](err); !ok || !slices.Equal(left.Forced, []string{"boss/a"}) || left.Stopped != 0 {
			k.t.Errorf("got %+v", err)
		}
		k.sleep(3 * time.Hour)
		k.noted("a stopped")
	})
}

func TestDrainingNobodyIsDone(t *testing.T) {
	bubble(t, func(k *kit) {
		if err := Drain(k.t.Context(), k.system, k.pid("nobody")); err != nil {
			t.Error(err)
		}
	})
}

func TestADrainOfAThousandIsQuick(t *testing.T) {
	bubbles(t, func(k *kit) {
		spec := Spec{Name: "top", Config: Config{Scope: Rest}}
		for i := range 1000 {
			spec.Children = append(spec.Children, Child{Name: fmt.Sprint("c", i), Props: actor.PropsFromFunc(func(actor.Context) {})})
		}
		r := k.start(spec)
		before := time.Now()
		if err := r.Shutdown(k.t.Context()); err != nil || time.Since(before) != 0 {
			k.t.Errorf("after %v: %v", time.Since(before), err)
		}
		k.alone()
	})
}
