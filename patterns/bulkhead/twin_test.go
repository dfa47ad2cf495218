package bulkhead

import (
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// twin is the bulkhead as one would explain it: a list of who is in, from which every
// number is counted anew, and a list of who waits.
type twin struct {
	cfg   Config
	in    []twinHolder
	queue []twinWaiter
}

type twinHolder struct {
	label, weight int
	key           string
}

type twinWaiter struct {
	twinHolder
	since patterns.Instant
}

func (w *twin) taken(key string) (n int) {
	for _, h := range w.in {
		if h.key == key {
			n += h.weight
		}
	}
	return n
}

func (w *twin) keys() int {
	seen := map[string]bool{}
	for _, h := range w.in {
		seen[h.key] = h.key != ""
	}
	n := 0
	for _, is := range seen {
		if is {
			n++
		}
	}
	return n
}

func (w *twin) decide(h twinHolder) string {
	switch {
	case h.weight > w.cfg.MaxConcurrent:
		return "rejected"
	case h.key != "" && w.taken(h.key) == 0 && w.keys() >= w.cfg.MaxPartitions:
		return "rejected"
	case w.taken(h.key)+h.weight <= w.cfg.MaxConcurrent:
		w.in = append(w.in, h)
		return "granted"
	case w.cfg.MaxWaiting == 0:
		return "rejected"
	}
	return "queued"
}

// serve returns who gets slots, and who is told to go, as of now.
func (w *twin) serve(now patterns.Instant) (granted, refused []int) {
	for len(w.queue) > 0 {
		next := w.queue[0]
		late := w.cfg.MaxWait > 0 && now >= next.since.Add(w.cfg.MaxWait)
		if !late {
			switch w.decide(next.twinHolder) {
			case "queued":
				return granted, refused
			case "granted":
				granted = append(granted, next.label)
			default:
				late = true
			}
		}
		if late {
			refused = append(refused, next.label)
		}
		w.queue = w.queue[1:]
	}
	return granted, refused
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{MaxConcurrent: rapid.IntRange(1, 5).Draw(t, "slots")}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			cfg.MaxPartitions = rapid.IntRange(1, 3).Draw(t, "partitions")
		case 1:
			cfg.MaxWaiting = rapid.IntRange(1, 4).Draw(t, "waiting")
			cfg.MaxWait = time.Duration(rapid.IntRange(0, 9).Draw(t, "wait")) * time.Second
		}
		h, w, label := newHost(t, cfg), &twin{cfg: cfg}, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step(t, h, &label)
			if h.m.taken != w.total() || len(h.m.partitions) != w.keys() || len(h.queue) != len(w.queue) {
				t.Fatalf("%d taken, %d partitions, %d wait; want %d, %d, %d",
					h.m.taken, len(h.m.partitions), len(h.queue), w.total(), w.keys(), len(w.queue))
			}
		}
	})
}

func (w *twin) total() (n int) {
	for _, h := range w.in {
		n += h.weight
	}
	return n
}

func (w *twin) step(t *rapid.T, h *host, label *int) {
	switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
	case op <= 4:
		*label++
		r := patterns.Request{Weight: rapid.SampledFrom([]int{0, 1, 1, 1, 2, 6}).Draw(t, "weight"), Key: rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key")}
		holder := twinHolder{*label, max(1, r.Weight), r.Key}
		if w.cfg.MaxPartitions == 0 {
			holder.key = ""
		}
		want := "queued"
		if len(w.queue) == 0 {
			want = w.decide(holder)
		}
		if want == "queued" {
			if len(w.queue) >= w.cfg.MaxWaiting {
				want = "rejected"
			} else {
				w.queue = append(w.queue, twinWaiter{holder, h.now})
			}
		}
		if got, err := h.acquire(*label, r); got != want {
			t.Fatalf("acquire %d: %s, %v; want %s", *label, got, err, want)
		}
		h.taken()
	case op <= 7 && len(h.out) > 0:
		which := rapid.SampledFrom(sorted(h.out)).Draw(t, "which")
		w.in = slices.DeleteFunc(w.in, func(h twinHolder) bool { return h.label == which })
		granted, refused := w.serve(h.now)
		h.release(which, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		w.same(t, h, granted, refused)
	case op == 8 && len(w.queue) > 0:
		i := rapid.IntRange(0, len(w.queue)-1).Draw(t, "who")
		who := w.queue[i].label
		w.queue = slices.Delete(w.queue, i, i+1)
		granted, refused := w.serve(h.now)
		h.cancel(who)
		w.same(t, h, granted, refused)
	case op == 9:
		d := time.Duration(rapid.IntRange(1, 6).Draw(t, "pass")) * time.Second
		var granted, refused []int
		for passed := time.Second; passed <= d; passed += time.Second { // whoever leaves, leaves on time
			g, r := w.serve(h.now.Add(passed))
			granted, refused = append(granted, g...), append(refused, r...)
		}
		h.pass(d)
		w.same(t, h, granted, refused)
	}
}

func (w *twin) same(t *rapid.T, h *host, granted, refused []int) {
	if got := h.taken(); !slices.Equal(got, granted) || !slices.Equal(h.refused, refused) {
		t.Fatalf("granted %v and refused %v, want %v and %v", got, h.refused, granted, refused)
	}
	h.refused = nil
}
