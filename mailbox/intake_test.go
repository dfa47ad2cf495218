package mailbox

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/asynkron/protoactor-go/actor"
)

// A poster that is preempted before it announces its message must not make the next one
// believe that it is announced: their next message, run on the spot, would overtake it.
func TestAPosterThatIsPreemptedLetsNobodyBeOvertaken(t *testing.T) {
	f := &fake{}
	m := MustNew(Inline())().(*Combining)
	m.RegisterHandlers(f, f)
	m.Start()
	q := &m.user.intake
	q.mu.Lock()
	q.push(slip{msg: "of the preempted one"}, 10, m.clock)
	q.mu.Unlock()
	m.word.Or(running) // so that the next is queued
	m.PostUserMessage("first")
	m.word.And(^running)
	m.PostUserMessage("second")
	f.want(t, "of the preempted one first second")
}

func TestWhoIsParkedBehindMessagesThatExpireIsServed(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, "a")
		w.parks(w.t.Context(), pid, "b")
		time.Sleep(time.Second / 2)
		w.parks(w.t.Context(), pid, "c")
		time.Sleep(time.Second / 2)
		release()
		w.seen("s:started", "b:<nil>:1s", "c:<nil>:500ms", "s:c")
	}, Capacity(1), OnFull(Block), TTL(time.Second))
}

func TestAnIntakeIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q intake
		var want []int
		capacity := rapid.IntRange(1, 150).Draw(t, "capacity")
		clock := int64(0)
		for n := range rapid.IntRange(1, 600).Draw(t, "steps") {
			clock++
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
			case op < 6:
				first, ok := q.push(slip{msg: n}, capacity, func() int64 { return clock })
				if ok != (len(want) < capacity) || ok && first != (q.first == q.last && q.first.n == 1) {
					t.Fatalf("push %v, %v; %d of %d are queued", first, ok, len(want), capacity)
				}
				if ok {
					want = append(want, n)
				}
			case op < 9:
				s, ok := q.pop()
				if ok != (len(want) > 0) || ok && s.msg != want[0] {
					t.Fatalf("popped %v, %v of %v", s.msg, ok, want)
				}
				if ok {
					want = want[1:]
				}
			default:
				keep := func(m int) bool { return m%3 != n%3 }
				var dropped []int
				q.filter(func(s slip) bool { return keep(s.msg.(int)) }, func(m any) { dropped = append(dropped, m.(int)) })
				if slices.ContainsFunc(dropped, keep) {
					t.Fatalf("dropped %v", dropped)
				}
				want = slices.DeleteFunc(want, func(m int) bool { return !keep(m) })
			}
			since, ok := q.oldest()
			if q.len() != len(want) || ok != (len(want) > 0) || ok && since > int64(want[0])+1 {
				t.Fatalf("%d are queued, since %d, %v; want %v", q.len(), since, ok, want)
			}
		}
	})
}

func TestStatsOfAPlainMailbox(t *testing.T) {
	f := &fake{}
	m := MustNew()().(*Combining)
	m.RegisterHandlers(f, f)
	m.Start()
	f.run()
	m.PostSystemMessage(&actor.SuspendMailbox{})
	f.run()
	for range 70 {
		m.PostUserMessage("x")
	}
	m.PostUserMessage(urgent("u"))
	if s := f.stats(m); s.Depth != 71 || s.MaxDepth != 71 || s.OldestAge <= 0 || m.UserMessageCount() != 71 {
		t.Errorf("%+v", s)
	}
	m.PostSystemMessage(&actor.ResumeMailbox{})
	f.run()
	if s := f.stats(m); s.Depth != 0 || s.MaxDepth < 70 || s.OldestAge != 0 || s.Queued != 71 || strings.Count(f.take(), "x") != 70 {
		t.Errorf("%+v", s)
	}
}
