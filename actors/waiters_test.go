package actors

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// twinQueue is the obvious queue: everybody in the order of arrival, looked through for
// every question. turns are the keys in the order of their turns, by level.
type twinQueue struct {
	order patterns.Order
	all   []*call
	turns [levels][]string
}

func (q *twinQueue) add(c *call) {
	q.all = append(q.all, c)
	q.enrol(c)
}

func (q *twinQueue) enrol(c *call) {
	turns := &q.turns[level(c.request.Priority)]
	if !slices.Contains(*turns, c.request.Key) {
		*turns = append(*turns, c.request.Key)
	}
}

func (q *twinQueue) remove(c *call) {
	q.all = slices.DeleteFunc(q.all, func(x *call) bool { return x == c })
	i := level(c.request.Priority)
	if !slices.ContainsFunc(q.all, func(x *call) bool { return x.request.Key == c.request.Key && level(x.request.Priority) == i }) {
		q.turns[i] = slices.DeleteFunc(q.turns[i], func(key string) bool { return key == c.request.Key })
	}
}

// served makes it the next key's turn.
func (q *twinQueue) served(c *call) {
	turns := &q.turns[level(c.request.Priority)]
	if i := slices.Index(*turns, c.request.Key); i >= 0 {
		*turns = append(slices.Delete(*turns, i, i+1), c.request.Key)
	}
}

func (q *twinQueue) reorder(order patterns.Order) {
	inPlace := func(o patterns.Order) bool { return o == patterns.FIFO || o == patterns.LIFO }
	if q.order != order && !(inPlace(q.order) && inPlace(order)) {
		q.turns = [levels][]string{}
		for _, c := range q.all {
			q.enrol(c)
		}
	}
	q.order = order
}

// head is who is next of those that match.
func (q *twinQueue) head(match func(*call) bool) (head *call) {
	for _, c := range q.all {
		if !match(c) {
			continue
		}
		switch by := cmp.Compare(level(c.request.Priority), levelOf(head)); {
		case by > 0, by == 0 && q.order == patterns.LIFO:
			head = c
		case by == 0 && q.order == patterns.Fair:
			turns := q.turns[level(c.request.Priority)]
			if slices.Index(turns, c.request.Key) < slices.Index(turns, head.request.Key) {
				head = c
			}
		}
	}
	return head
}

func levelOf(c *call) int {
	if c == nil {
		return -1
	}
	return level(c.request.Priority)
}

func anybody(*call) bool { return true }

func ofKey(key string) func(*call) bool {
	return func(c *call) bool { return c.request.Key == key }
}

func (q *twinQueue) ahead(r *patterns.Request) bool {
	return slices.ContainsFunc(q.all, func(c *call) bool {
		by := cmp.Compare(c.request.Priority, r.Priority)
		return by > 0 && (q.order != patterns.Keyed || c.request.Key == r.Key) ||
			by == 0 && q.order != patterns.LIFO && (q.order != patterns.Keyed || c.request.Key == r.Key)
	})
}

func (q *twinQueue) view(r *patterns.Request) patterns.Queue {
	v := patterns.Queue{Oldest: patterns.Never}
	for _, c := range q.all {
		if c.credit == nil {
			v.Total++
		}
		if q.order == patterns.Keyed && c.request.Key != r.Key {
			continue
		}
		if c.credit == nil {
			v.Waiting++
		}
		if c.request.Priority >= r.Priority {
			v.Ahead += max(1, c.request.Weight)
		}
		v.Oldest = min(v.Oldest, c.request.Asked)
	}
	return v
}

func drawRequest(t *rapid.T) patterns.Request {
	return patterns.Request{
		Key:      rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key"),
		Priority: patterns.Priority(rapid.IntRange(-2, 2).Draw(t, "priority")),
		Weight:   rapid.IntRange(0, 3).Draw(t, "weight"),
	}
}

func TestWaitersStandAsInAnObviousQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			w    waiters
			twin twinQueue
			next uint64
		)
		of := func(what string) *call {
			if len(twin.all) == 0 {
				t.Skip("nobody waits")
			}
			return rapid.SampledFrom(twin.all).Draw(t, what)
		}
		serve := func(c *call) {
			l, i := c.line, level(c.request.Priority)
			w.remove(c)
			w.served(l, i)
			twin.remove(c)
			twin.served(c)
		}
		order := rapid.Map(rapid.IntRange(0, 3), func(i int) patterns.Order { return patterns.Order(i) })
		t.Repeat(map[string]func(*rapid.T){
			"somebody comes": func(t *rapid.T) {
				next++
				c := &call{ref: next, request: drawRequest(t)}
				c.request.Asked = patterns.Instant(next)
				if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
					c.credit = &credit{}
				}
				if len(twin.all) == 0 {
					twin.reorder(order.Draw(t, "order"))
				}
				l := w.add(c, twin.order)
				twin.add(c)
				if l != c.line || l.head() == nil {
					t.Fatalf("stands in %v, not in %v", c.line, l)
				}
			},
			"somebody leaves": func(t *rapid.T) {
				c := of("who")
				if !w.remove(c) || w.remove(c) {
					t.Fatal("left twice, or not at all")
				}
				twin.remove(c)
			},
			"the next is served": func(t *rapid.T) {
				of("somebody")
				c := w.head()
				if twin.order == patterns.Keyed {
					c = w.byKey[of("whose").request.Key].head()
				}
				serve(c)
			},
			"the order changes": func(t *rapid.T) {
				o := order.Draw(t, "to")
				if changed := w.reorder(o); changed != (w.lines != nil && twin.order != o) {
					t.Fatalf("from %v to %v: changed %v", twin.order, o, changed)
				}
				if w.lines != nil {
					twin.reorder(o)
				}
			},
			"": func(t *rapid.T) { sameQueue(t, &w, &twin) },
		})
	})
}

func sameQueue(t *rapid.T, w *waiters, twin *twinQueue) {
	if w.count != len(twin.all) {
		t.Fatalf("%d wait, want %d", w.count, len(twin.all))
	}
	r := drawRequest(t)
	if got, want := w.ahead(&r), twin.ahead(&r); got != want {
		t.Fatalf("in %v order somebody is ahead of %+v: %v", twin.order, r, got)
	}
	if got, want := w.view(&r), twin.view(&r); got != want {
		t.Fatalf("in %v order %+v sees %+v, want %+v", twin.order, r, got, want)
	}
	if w.lines == nil {
		return
	}
	i := 0
	for c := w.oldest; c != nil; c = c.newer {
		if i >= len(twin.all) || c != twin.all[i] || (c.newer == nil) != (c == w.newest) {
			t.Fatalf("the %dth by arrival is %d", i, c.ref)
		}
		i++
	}
	if i != len(twin.all) {
		t.Fatalf("%d by arrival, want %d", i, len(twin.all))
	}
	keys := map[string]int{}
	for _, c := range twin.all {
		keys[w.lineKey(c.request.Key)]++
		if w.byKey[w.lineKey(c.request.Key)] != c.line {
			t.Fatalf("%d does not stand in the line of its key", c.ref)
		}
	}
	if len(w.byKey) != len(keys) {
		t.Fatalf("%d lines, want %d", len(w.byKey), len(keys))
	}
	for key, n := range keys {
		if l := w.byKey[key]; l.count != n || l.key != key {
			t.Fatalf("%d stand in line %q, want %d in %q", l.count, l.key, n, key)
		}
	}
	seen := map[*line]bool{} // by turns, every line comes up once
	for range keys {
		seen[w.nextLine()] = true
	}
	if len(seen) != len(keys) || seen[nil] || len(keys) == 0 && w.nextLine() != nil {
		t.Fatalf("%d of %d lines come up", len(seen), len(keys))
	}
	if twin.order == patterns.Keyed {
		for key, l := range w.byKey {
			if got, want := l.head(), twin.head(ofKey(key)); got != want {
				t.Fatalf("the head of %q is %d, want %d", key, got.ref, want.ref)
			}
		}
		return
	}
	if got, want := w.head(), twin.head(anybody); got != want {
		t.Fatalf("in %v order the head is %+v, want %+v", twin.order, name(got), name(want))
	}
}

func name(c *call) string {
	if c == nil {
		return "nobody"
	}
	return fmt.Sprintf("%d (%+v)", c.ref, c.request)
}

// A line is used again, for another key; an alarm of its old life must not ring in the new.
func TestALineThatIsUsedAgainHasNoAlarm(t *testing.T) {
	var w waiters
	c := &call{request: patterns.Request{Key: "a"}}
	old := w.add(c, patterns.Keyed)
	old.alarm, old.alarmID = 7, 3
	rings := deadline{at: 7, line: old, sequence: 3}
	w.remove(c)
	if rings.names(nil) {
		t.Error("rings for a line that nobody stands in")
	}
	c.request.Key = "b"
	if again := w.add(c, patterns.Keyed); again != old || again.alarm != patterns.Never || rings.names(nil) {
		t.Errorf("line %p for %p, alarm %d, rings %v", again, old, again.alarm, rings.names(nil))
	}
}

func TestWeightsThatNoSumCouldHoldDoNotOverflow(t *testing.T) {
	var w waiters
	for range 4 {
		w.add(&call{request: patterns.Request{Weight: 1<<63 - 1}}, patterns.FIFO)
	}
	if q := w.view(&patterns.Request{}); q.Ahead < 1<<40 {
		t.Errorf("%d ahead", q.Ahead)
	}
}

func TestAllocsOfStandingInLine(t *testing.T) {
	for order := range patterns.Order(4) {
		var w waiters
		a, b := &call{request: patterns.Request{Key: "a"}}, &call{request: patterns.Request{Key: "b"}}
		if got := testing.AllocsPerRun(1000, func() {
			w.add(a, order)
			w.add(b, order)
			w.remove(a)
			w.add(a, order)
			w.remove(b)
			w.remove(a)
		}); got > 0 {
			t.Errorf("%v: %v allocations", order, got)
		}
	}
}
