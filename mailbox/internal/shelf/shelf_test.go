package shelf

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// twin is a Shelf that is slow and obvious: one slice, in the order in which items came.
// It has no CoDel, and leaves the choice of the lane to the Shelf.
type twin struct {
	cfg   Config
	items []Item[int]
	last  map[int]bool // the messages that nothing may overtake
	held  int          // reserved
}

func (w *twin) bounded() (all []Item[int]) {
	for _, it := range w.items {
		if !w.last[it.Message] {
			all = append(all, it)
		}
	}
	return all
}

func (w *twin) fits(all []Item[int], now Instant, cost int64) bool {
	sum := cost
	for _, it := range all {
		sum += it.Cost
		if w.cfg.Age > 0 && now-it.Since > Instant(w.cfg.Age) {
			return false
		}
	}
	return len(all)+w.held < w.cfg.Count && (w.cfg.Cost == 0 || sum <= w.cfg.Cost)
}

func (w *twin) remove(message int) (it Item[int]) {
	for i := range w.items {
		if w.items[i].Message == message {
			it = w.items[i]
			w.items = slices.Delete(w.items, i, i+1)
			return it
		}
	}
	panic(fmt.Sprint("no message ", message))
}

// lane returns the items of one lane.
func (w *twin) lane(i int) (all []Item[int]) {
	for _, it := range w.bounded() {
		if it.Lane == i {
			all = append(all, it)
		}
	}
	return all
}

// expire drops the heads of lanes that are over.
func (w *twin) expire(now Instant) (gone []string) {
	for i := range max(1, len(w.cfg.Weights)) {
		for all := w.lane(i); len(all) > 0 && all[0].expired(now); all = all[1:] {
			w.remove(all[0].Message)
			gone = append(gone, fmt.Sprint(all[0].Message, Expired))
		}
	}
	return gone
}

// drop is DropOldest, or, if below is not negative, DropBelow.
func (w *twin) drop(now Instant, below int, cost int64) (ok bool, gone []string) {
	gone = w.expire(now)
	var victims, rest []Item[int]
	for _, it := range w.bounded() {
		if below < 0 || it.Lane < below {
			victims = append(victims, it)
		} else {
			rest = append(rest, it)
		}
	}
	if below >= 0 { // the lowest first
		slices.SortStableFunc(victims, func(a, b Item[int]) int { return a.Lane - b.Lane })
	}
	if !w.fits(rest, now, cost) {
		return w.fits(w.bounded(), now, cost), gone
	}
	for !w.fits(append(slices.Clone(victims), rest...), now, cost) {
		w.remove(victims[0].Message)
		gone = append(gone, fmt.Sprint(victims[0].Message, Evicted))
		victims = victims[1:]
	}
	return true, gone
}

func TestAShelfIsItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Weights: rapid.SampledFrom([][]int{nil, {1, 2}, {3, 1, 7, 2}}).Draw(t, "weights"),
			Count:   rapid.IntRange(1, 40).Draw(t, "count"),
			Cost:    rapid.SampledFrom([]int64{0, 5, 50}).Draw(t, "cost"),
			Age:     time.Duration(rapid.SampledFrom([]int{0, 10, 100}).Draw(t, "age")),
		}
		s, w := New[int](cfg, nil), &twin{cfg: cfg, last: map[int]bool{}}
		now := Instant(1)
		var gone []string
		drop := func(it Item[int], why Why) { gone = append(gone, fmt.Sprint(it.Message, why)) }
		same := func(what string, want []string) {
			// The lanes may be looked through in any order.
			slices.Sort(gone)
			slices.Sort(want)
			if !slices.Equal(gone, want) {
				t.Fatalf("%s dropped %v, want %v", what, gone, want)
			}
			gone = nil
		}
		for n := range rapid.IntRange(1, 300).Draw(t, "steps") {
			now += Instant(rapid.IntRange(0, 3).Draw(t, "time"))
			lane := rapid.IntRange(0, max(0, len(cfg.Weights)-1)).Draw(t, "lane")
			cost := int64(rapid.IntRange(0, 6).Draw(t, "cost"))
			switch op := rapid.IntRange(0, 9).Draw(t, "op"); op {
			case 0, 1, 2, 3:
				it := Item[int]{Message: n, Lane: lane, Cost: cost, Since: now}
				if rapid.Bool().Draw(t, "expires") {
					it.Deadline = now + Instant(rapid.IntRange(0, 20).Draw(t, "in"))
				}
				s.Push(it)
				w.items = append(w.items, it)
			case 4:
				it := Item[int]{Message: n, Since: now}
				s.PushLast(it)
				w.items = append(w.items, it)
				w.last[n] = true
			case 5:
				ok, want := w.drop(now, -1, cost)
				if got := s.DropOldest(now, cost, drop); got != ok {
					t.Fatalf("DropOldest %v, want %v", got, ok)
				}
				same("DropOldest", want)
			case 6:
				ok, want := w.drop(now, lane, cost)
				if got := s.DropBelow(now, lane, cost, drop); got != ok {
					t.Fatalf("DropBelow %v, want %v", got, ok)
				}
				same("DropBelow", want)
			case 7:
				keep := func(m int) bool { return m%3 == n%3 }
				s.Filter(func(it *Item[int]) bool { return keep(it.Message) }, func(it Item[int]) { drop(it, Evicted) })
				var want []string
				for _, it := range slices.Clone(w.items) {
					if !keep(it.Message) {
						want = append(want, fmt.Sprint(it.Message, Evicted))
						w.remove(it.Message)
					}
				}
				same("Filter", want)
			case 8:
				s.Reserved = rapid.IntRange(0, 5).Draw(t, "reserved")
				w.held = s.Reserved
			default:
				pop(t, s, w, now, drop)
				gone = nil
			}
			compare(t, s, w, now, cost)
		}
	})
}

// pop pops, and checks that what came was next in its lane, and may be.
func pop(t *rapid.T, s *Shelf[int], w *twin, now Instant, drop Drop[int]) {
	it, ok := s.Pop(now, func(it Item[int], why Why) {
		if all := w.lane(it.Lane); why != Expired || !it.expired(now) || all[0].Message != it.Message {
			t.Fatalf("dropped %v for %v", it, why)
		}
		w.remove(it.Message)
		drop(it, why)
	})
	if !ok {
		if len(w.items) > 0 {
			t.Fatalf("nothing to pop of %v", w.items)
		}
		return
	}
	if w.last[it.Message] {
		if w.items[0].Message != it.Message {
			t.Fatalf("%d overtook %d", it.Message, w.items[0].Message)
		}
	} else {
		if all := w.lane(it.Lane); all[0].Message != it.Message || it.expired(now) {
			t.Fatalf("popped %v, and in its lane are %v", it, all)
		}
		for _, before := range w.items {
			if before.Message == it.Message {
				break
			}
			if w.last[before.Message] {
				t.Fatalf("%d overtook %d, which must not be", it.Message, before.Message)
			}
		}
	}
	w.remove(it.Message)
}

func compare(t *rapid.T, s *Shelf[int], w *twin, now Instant, cost int64) {
	all := w.bounded()
	sum, depths := int64(0), make([]int, max(1, len(w.cfg.Weights)))
	for _, it := range all {
		sum += it.Cost
		depths[it.Lane]++
	}
	if s.Len() != len(w.items) || s.Count() != len(all) || s.Cost() != sum || !slices.Equal(s.Depths(), depths) {
		t.Fatalf("%d, %d, %d, %v; want %d, %d, %d, %v", s.Len(), s.Count(), s.Cost(), s.Depths(), len(w.items), len(all), sum, depths)
	}
	if got, want := s.Room(now, cost), w.fits(all, now, cost); got != want {
		t.Fatalf("room for %d: %v, want %v", cost, got, want)
	}
	since, ok := s.Oldest()
	if ok != (len(w.items) > 0) || ok && since != w.items[0].Since {
		t.Fatalf("the oldest came at %d, %v, of %v", since, ok, w.items)
	}
}

func TestAQueueIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := queue[int]{pool: new(sync.Pool)}
		var s []int
		for n := range rapid.IntRange(0, 400).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 4).Draw(t, "op"); {
			case op < 2 || len(s) == 0 || n < 100:
				q.pushBack(n)
				s = append(s, n)
			case op == 2:
				if got := q.popBack(); got != s[len(s)-1] {
					t.Fatalf("got %d of %v", got, s)
				}
				s = s[:len(s)-1]
			default:
				if got := q.popFront(); got != s[0] {
					t.Fatalf("got %d of %v", got, s)
				}
				s = s[1:]
			}
			chunks := 0
			for c := q.first; c != nil; c = c.next {
				chunks++
			}
			if q.len() != len(s) || len(s) > 0 && *q.front() != s[0] || chunks > len(s)/perChunk+2 || len(s) == 0 && chunks > 0 {
				t.Fatalf("%d in %d chunks, want %d", q.len(), chunks, len(s))
			}
		}
	})
}

// hoard is a pool that keeps everything.
type hoard struct{ all []any }

func (h *hoard) Put(x any) { h.all = append(h.all, x) }
func (h *hoard) Get() any {
	if len(h.all) == 0 {
		return nil
	}
	x := h.all[len(h.all)-1]
	h.all = h.all[:len(h.all)-1]
	return x
}

func TestTrap14ABurstLeavesNoMemoryBehind(t *testing.T) {
	pool := new(hoard)
	s := New[*[1024]byte](Config{}, pool)
	for range 1 << 14 {
		s.Push(Item[*[1024]byte]{Message: new([1024]byte)})
	}
	for range 1 << 14 {
		s.Pop(0, nil)
	}
	if l := &s.lanes[0]; l.first != nil || l.last != nil || len(pool.all) != 1<<14/perChunk {
		t.Errorf("%v and %v are left, and %d chunks are free", l.first, l.last, len(pool.all))
	}
	for _, c := range pool.all {
		for _, it := range c.(*chunk[Item[*[1024]byte]]).places {
			if it.Message != nil {
				t.Fatal("a message is left")
			}
		}
	}
}

func TestCoDelJudgesByTheOldestWhoeverIsServed(t *testing.T) {
	s := New[int](Config{Target: 5, Interval: 100, Newest: true}, nil)
	for n := range 10 {
		s.Push(Item[int]{Message: n})
	}
	shed := 0
	next := func(now Instant) int {
		it, _ := s.Pop(now, func(it Item[int], why Why) {
			if why != Shed || it.Message != 2+shed {
				t.Errorf("dropped %v for %v", it, why)
			}
			shed++
		})
		return it.Message
	}
	for _, c := range []struct {
		now       Instant
		want      int
		dropped   int
		overloads bool
	}{
		{0, 0, 0, false},
		{10, 1, 0, false}, // waiting is long from now on
		{110, 9, 1, true},
		{111, 8, 1, true},
		{210, 7, 2, true},
		{211, 6, 2, true},
	} {
		if got := next(c.now); got != c.want || shed != c.dropped || s.Overloaded() != c.overloads {
			t.Errorf("at %d: %d, %d dropped, overloaded %v; want %+v", c.now, got, shed, s.Overloaded(), c)
		}
	}
	s.PushLast(Item[int]{Message: 99})
	for _, want := range []int{4, 5, 99} { // who must not be overtaken waits for the oldest
		if got := next(212); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if next(212); s.Overloaded() {
		t.Error("overloaded, and empty")
	}
}
