package backpressure

import (
	"slices"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
	"pgregory.net/rapid"
)

// twin is the valve as one would explain it: it keeps every change of what was pending,
// and reads the whole list from its beginning whenever it has to know whether it is hot.
type twin struct {
	cfg     Config
	changes []int
	holds   map[int]int
	waiting []waiter
}

func (w *twin) pending() (n int) {
	for _, c := range w.changes {
		n += c
	}
	return n
}

func (w *twin) hot() (hot bool) {
	n := 0
	for _, c := range w.changes {
		n += c
		switch {
		case n >= w.cfg.HighWater:
			hot = true
		case n <= w.cfg.low():
			hot = false
		}
	}
	return hot
}

func (w *twin) serve() (granted []int) {
	for len(w.waiting) > 0 {
		next := w.waiting[0]
		weight := max(1, next.r.Weight)
		if w.hot() || w.pending()+weight > w.cfg.MaxPending {
			return granted
		}
		w.waiting = w.waiting[1:]
		w.changes = append(w.changes, weight)
		w.holds[next.label] = weight
		granted = append(granted, next.label)
	}
	return granted
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxPending := rapid.IntRange(2, 12).Draw(t, "max")
		high := rapid.IntRange(2, maxPending).Draw(t, "high")
		cfg := Config{
			MaxPending: maxPending, HighWater: high, MaxWaiting: rapid.IntRange(1, 6).Draw(t, "waiting"),
			LowWater: rapid.SampledFrom([]int{Drained, 1, high - 1}).Draw(t, "low"),
		}
		h := newHost(t, cfg)
		w := &twin{cfg: cfg, holds: map[int]int{}}
		label := 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			h.now += patterns.Instant(rapid.IntRange(-3, 9).Draw(t, "pass"))
			w.step(t, h, &label)
			if h.m.pending != w.pending() || h.m.hot != w.hot() {
				t.Fatalf("pending %d, hot %v; want %d, %v", h.m.pending, h.m.hot, w.pending(), w.hot())
			}
			if h.m.pending > maxPending {
				t.Fatalf("%d pending of %d", h.m.pending, maxPending)
			}
		}
	})
}

func (w *twin) step(t *rapid.T, h *host, label *int) {
	op := rapid.IntRange(0, 5).Draw(t, "op")
	switch {
	case op <= 2:
		*label++
		r := patterns.Request{Weight: rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3}).Draw(t, "weight")}
		want := "rejected"
		var served []int
		if max(1, r.Weight) <= w.cfg.MaxPending || len(w.waiting) > 0 {
			if len(w.waiting) < w.cfg.queue() || len(w.waiting) == 0 {
				want = "queued"
				w.waiting = append(w.waiting, waiter{*label, r})
				served = w.serveOrRefuse()
			}
		}
		if slices.Contains(served, *label) {
			want = "granted"
		}
		if got, err := h.acquire(*label, r); got != want {
			t.Fatalf("acquire %d: %s, %v; want %s", *label, got, err, want)
		}
		w.same(t, h, served)
	case op <= 4 && len(h.out) > 0:
		which := rapid.SampledFrom(labels(h.out)).Draw(t, "which")
		h.release(which, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		w.changes = append(w.changes, -w.holds[which])
		w.same(t, h, w.serveOrRefuse())
	case op == 5 && len(w.waiting) > 0:
		i := rapid.IntRange(0, len(w.waiting)-1).Draw(t, "who")
		if h.cancel(w.waiting[i].label) != "cancelled" {
			t.Fatal("not cancelled")
		}
		w.waiting = slices.Delete(w.waiting, i, i+1)
		w.same(t, h, w.serveOrRefuse())
	}
}

// serveOrRefuse serves the queue, in which what is too heavy is refused in its turn.
func (w *twin) serveOrRefuse() (granted []int) {
	for {
		granted = append(granted, w.serve()...)
		if len(w.waiting) == 0 || w.waiting[0].r.Weight <= w.cfg.MaxPending {
			return granted
		}
		w.waiting = w.waiting[1:]
	}
}

func (w *twin) same(t *rapid.T, h *host, granted []int) {
	if got := h.taken(); !slices.Equal(got, granted) {
		t.Fatalf("granted %v, want %v", got, granted)
	}
}

func labels(out map[int]patterns.PermitID) (all []int) {
	for l := range out {
		all = append(all, l)
	}
	slices.Sort(all)
	return all
}
