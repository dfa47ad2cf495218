package mailbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// slow is an actor that takes a while for each message, which it notes by its first word.
//
//bulwark:bubble
func (w *world) slow(takes time.Duration) *actor.PID {
	return w.spawn(actor.PropsFromFunc(func(c actor.Context) {
		if msg, ok := c.Message().(string); ok {
			time.Sleep(takes)
			w.add("%s", msg)
			c.Respond(msg)
		}
	}, w.props...), "slow")
}

func TestCoDelLeavesBurstsAlone(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.slow(time.Millisecond)
		for round := range 20 {
			for i := range 90 { // waiting is long, but over within an interval
				w.send(pid, fmt.Sprint(round, ".", i))
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if n := len(strings.Fields(w.take())); n != 20*90 {
			w.t.Errorf("%d were served", n)
		}
	}, CoDel(5*time.Millisecond, 100*time.Millisecond))
}

func TestCoDelShortensAStandingQueue(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.slow(time.Millisecond)
		for range 50 {
			w.send(pid, "backlog")
		}
		for range 5000 { // as many as it can serve, so that the backlog stays
			w.send(pid, "x")
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		s, err := StatsOf(t.Context(), w.system.Root, pid)
		w.must(err)
		if s.Depth > 7 || s.Drops.Overload < 40 || s.Drops.Overload > 60 || s.Drops.Total() != s.Drops.Overload {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		w.take()
	}, CoDel(5*time.Millisecond, 100*time.Millisecond))
}

func TestWhatCoDelDropsIsAnswered(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.slow(10 * time.Millisecond)
		var asked []*actor.Future
		for range 100 {
			asked = append(asked, w.ask(pid, "x"))
		}
		dropped := 0
		for i, f := range asked {
			res, err := f.Result()
			if u, ok := res.(Undelivered); ok && errors.Is(u, ErrOverload) {
				dropped++
			} else if err != nil || res != "x" {
				t.Errorf("%d: %v, %v", i, res, err)
			}
		}
		if dropped == 0 {
			t.Error("nothing was dropped")
		}
		time.Sleep(time.Minute)
		w.take()
	}, CoDel(5*time.Millisecond, 100*time.Millisecond))
}

// Under overload the newest are first; before and after, the oldest.
func TestTheNewestAreFirstOnlyUnderOverload(t *testing.T) {
	for name, c := range map[string]struct {
		opts  []Option
		order string
	}{
		"newest first": {[]Option{NewestFirst()}, "0 1 2 3 4 5 6 7 8 9 10 39 38 37"},
		"fifo":         {nil, "0 1 2 3 4 5 6 7 8 9 10 12 13 14"},
	} {
		t.Run(name, func(t *testing.T) {
			userWorld(t, func(t *testing.T, w *world) {
				pid := w.slow(10 * time.Millisecond)
				synctest.Wait()
				w.must(Pause(w.system.Root, pid))
				for i := range 40 {
					w.send(pid, fmt.Sprint(i))
				}
				w.must(Resume(w.system.Root, pid))
				time.Sleep(135 * time.Millisecond)
				synctest.Wait()
				got := w.take()
				time.Sleep(time.Minute)
				w.take()
				for _, msg := range []string{"a", "b", "c"} {
					w.send(pid, msg)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if later := w.take(); !strings.HasPrefix(c.order, got) || len(strings.Fields(got)) < 13 || later != "a b c" {
					t.Errorf("order %s, and later %s; want %s", got, later, c.order)
				}
			}, append(c.opts, CoDel(5*time.Millisecond, 100*time.Millisecond))...)
		})
	}
}

// CoDel judges each lane by itself: a high lane that is served at once does not hide that
// the low one waits.
func TestLanesAreJudgedOneByOne(t *testing.T) {
	userWorld(t, func(t *testing.T, w *world) {
		pid := w.slow(time.Millisecond)
		for range 2000 {
			w.send(pid, "0low")
			w.send(pid, "0low")
			w.send(pid, "1high")
			time.Sleep(2 * time.Millisecond)
		}
		synctest.Wait()
		high, s := 0, Stats{}
		for word := range strings.FieldsSeq(w.take()) {
			if word == "1high" {
				high++
			}
		}
		s, err := StatsOf(t.Context(), w.system.Root, pid)
		w.must(err)
		if high < 1998 || s.Drops.Overload < 200 {
			t.Errorf("%d of 2000 of the high lane were served; %+v", high, s)
		}
		time.Sleep(time.Minute)
	}, Lanes(byDigit, 1, 10), CoDel(5*time.Millisecond, 100*time.Millisecond))
}
