package bulkhead

import (
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
	"pgregory.net/rapid"
)

// twin is the bulkhead as one would explain it: a list of who is in, from which every
// number is counted anew, and a list of who waits.
type twin struct {
	cfg   Config
	in    []twinCaller
	queue []twinCaller
	waits []time.Duration // of those who had to
	peak  int
}

type twinCaller struct {
	label, weight int
	key           string // "" if keys mean nothing
	priority      patterns.Priority
	since, until  patterns.Instant // of one who waits
}

func (w *twin) taken(key string) (n int) {
	for _, c := range w.in {
		if c.key == key {
			n += c.weight
		}
	}
	return n
}

func (w *twin) total() (n int) {
	for _, c := range w.in {
		n += c.weight
	}
	return n
}

func (w *twin) keys() int {
	seen := map[string]bool{}
	for _, c := range w.in {
		seen[c.key] = true
	}
	delete(seen, "")
	return len(seen)
}

func (w *twin) decide(c twinCaller) string {
	switch {
	case c.weight > w.cfg.MaxConcurrent:
		return machinetest.Rejected
	case c.key != "" && w.taken(c.key) == 0 && w.keys() >= w.cfg.MaxPartitions:
		return machinetest.Rejected
	case w.taken(c.key)+c.weight <= w.cfg.MaxConcurrent:
		w.in = append(w.in, c)
		w.peak = max(w.peak, w.total())
		return machinetest.Granted
	}
	return machinetest.Queued
}

// waiting returns who waits for the slots of key.
func (w *twin) waiting(key string) (all []twinCaller) {
	for _, c := range w.queue {
		if c.key == key {
			all = append(all, c)
		}
	}
	return all
}

// ask is what becomes of a newcomer.
func (w *twin) ask(c twinCaller, noWait bool) string {
	waiting := w.waiting(c.key)
	behind := slices.ContainsFunc(waiting, func(o twinCaller) bool { return o.priority >= c.priority })
	if !behind {
		if got := w.decide(c); got != machinetest.Queued {
			return got
		}
	}
	if c.weight > w.cfg.MaxConcurrent || noWait || len(waiting) >= w.cfg.MaxWaiting {
		return machinetest.Rejected
	}
	w.queue = append(w.queue, c)
	return machinetest.Queued
}

// serve returns who gets slots, in order, and who is told to go, as of now: one by one,
// and whoever stood behind may have a slot at the last moment.
func (w *twin) serve(now patterns.Instant) (granted, refused []int) {
	granted = w.grant(now)
	for {
		late := slices.IndexFunc(w.queue, func(c twinCaller) bool {
			return c.until <= now && !slices.ContainsFunc(w.queue, func(o twinCaller) bool { return o.until < c.until })
		})
		if late < 0 {
			return granted, refused
		}
		refused = append(refused, w.queue[late].label)
		w.queue = slices.Delete(w.queue, late, late+1)
		granted = append(granted, w.grant(now)...)
	}
}

func (w *twin) grant(now patterns.Instant) (granted []int) {
	for {
		next := slices.IndexFunc(w.queue, func(c twinCaller) bool {
			waiting := w.waiting(c.key)
			first := slices.MaxFunc(waiting, func(a, b twinCaller) int { return int(a.priority) - int(b.priority) }) // of equals the first
			return first.label == c.label && w.decide(c) == machinetest.Granted
		})
		if next < 0 {
			return granted
		}
		c := w.queue[next]
		granted = append(granted, c.label)
		w.waits = append(w.waits, now.Sub(c.since))
		w.queue = slices.Delete(w.queue, next, next+1)
	}
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{MaxConcurrent: rapid.IntRange(1, 5).Draw(t, "slots")}
		if rapid.Bool().Draw(t, "partitioned") {
			cfg.MaxPartitions = rapid.IntRange(1, 3).Draw(t, "partitions")
		}
		if rapid.Bool().Draw(t, "queued") {
			cfg.MaxWaiting = rapid.IntRange(1, 4).Draw(t, "waiting")
			cfg.MaxWait = time.Duration(rapid.IntRange(0, 9).Draw(t, "wait")) * time.Second
		}
		h, w, label := newHost(t, cfg), &twin{cfg: cfg}, 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.step(t, h, &label)
			s := h.M.Snapshot(h.Now, patterns.Counts{})
			if s.Active != w.total() || s.Partitions != w.keys() || s.Peak != w.peak || len(h.Queue) != len(w.queue) {
				t.Fatalf("%d taken, peak %d, %d partitions, %d wait; want %d, %d, %d, %d",
					s.Active, s.Peak, s.Partitions, len(h.Queue), w.total(), w.peak, w.keys(), len(w.queue))
			}
			var waits patterns.WaitTimes
			for _, d := range w.waits {
				waits.Add(d)
			}
			if s.Waits != waits {
				t.Fatalf("waits %+v, want %+v", s.Waits, waits)
			}
		}
	})
}

func (w *twin) step(t *rapid.T, h *host, label *int) {
	switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
	case op <= 4:
		*label++
		r := patterns.Request{
			Weight: rapid.SampledFrom([]int{0, 1, 1, 1, 2, 6}).Draw(t, "weight"), Key: rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key"),
			Priority: rapid.SampledFrom([]patterns.Priority{0, 0, 0, patterns.Low, patterns.Critical}).Draw(t, "priority"),
			NoWait:   rapid.IntRange(0, 3).Draw(t, "no wait") == 0,
		}
		c := twinCaller{label: *label, weight: max(1, r.Weight), key: r.Key, priority: r.Priority, since: h.Now, until: patterns.Never}
		if w.cfg.MaxPartitions == 0 {
			c.key = ""
		}
		if w.cfg.MaxWait > 0 {
			c.until = h.Now.Add(w.cfg.MaxWait)
		}
		want := w.ask(c, r.NoWait)
		if got, err := h.Acquire(*label, r); got != want {
			t.Fatalf("acquire %d: %s, %v; want %s", *label, got, err, want)
		}
		h.Taken()
	case op <= 7 && len(h.Out) > 0:
		which := rapid.SampledFrom(h.Labels()).Draw(t, "which")
		w.in = slices.DeleteFunc(w.in, func(h twinCaller) bool { return h.label == which })
		granted, refused := w.serve(h.Now)
		h.End(which, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		w.same(t, h, granted, refused)
	case op == 8 && len(w.queue) > 0:
		i := rapid.IntRange(0, len(w.queue)-1).Draw(t, "who")
		who := w.queue[i].label
		w.queue = slices.Delete(w.queue, i, i+1)
		granted, refused := w.serve(h.Now)
		h.Cancel(who)
		w.same(t, h, granted, refused)
	case op == 9:
		d := time.Duration(rapid.IntRange(1, 6).Draw(t, "pass")) * time.Second
		granted, refused := w.pass(h.Now.Add(d))
		h.Pass(d)
		w.same(t, h, granted, refused)
	}
}

// pass serves whenever somebody has to leave, until the end.
func (w *twin) pass(end patterns.Instant) (granted, refused []int) {
	for {
		next := end
		for _, c := range w.queue {
			next = min(next, c.until)
		}
		g, r := w.serve(next)
		granted, refused = append(granted, g...), append(refused, r...)
		if next == end {
			return granted, refused
		}
	}
}

// same compares as sets: between keys there is no order.
func (w *twin) same(t *rapid.T, h *host, granted, refused []int) {
	got := h.Taken()
	if w.cfg.MaxPartitions > 0 {
		slices.Sort(got)
		slices.Sort(granted)
	}
	var told []int
	for _, r := range h.Refused {
		told = append(told, r.Label)
	}
	slices.Sort(told)
	slices.Sort(refused)
	if h.Refused = nil; !slices.Equal(got, granted) || !slices.Equal(told, refused) {
		t.Fatalf("granted %v and refused %v, want %v and %v", got, told, granted, refused)
	}
}
