package backpressure

import (
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
	"pgregory.net/rapid"
)

// twin is the valve as one would explain it: it keeps every change of what was pending,
// and reads the whole list from its beginning whenever it has to know whether it is hot.
type twin struct {
	cfg     Config
	changes []int
	holds   map[int]int
	queue   []machinetest.Waiter
	waits   []time.Duration
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

func (w *twin) fits(r patterns.Request) bool {
	return !w.hot() && w.pending()+max(1, r.Weight) <= w.cfg.MaxPending
}

func (w *twin) admit(label int, r patterns.Request) {
	w.changes = append(w.changes, max(1, r.Weight))
	w.holds[label] = max(1, r.Weight)
}

// ask is what becomes of a newcomer.
func (w *twin) ask(label int, r patterns.Request, now patterns.Instant) string {
	behind := slices.ContainsFunc(w.queue, func(o machinetest.Waiter) bool { return o.Request.Priority >= r.Priority })
	switch {
	case r.Weight > w.cfg.MaxPending:
		return machinetest.Rejected
	case !behind && w.fits(r):
		w.admit(label, r)
		return machinetest.Granted
	case r.NoWait || len(w.queue) >= w.cfg.MaxWaiting:
		return machinetest.Rejected
	}
	r.Asked = now
	w.queue = append(w.queue, machinetest.Waiter{Label: label, Request: r})
	return machinetest.Queued
}

// serve serves who is next, the most important first, as long as there is room.
func (w *twin) serve(now patterns.Instant) (granted []int) {
	for len(w.queue) > 0 {
		next := slices.MaxFunc(w.queue, func(a, b machinetest.Waiter) int { return int(a.Request.Priority) - int(b.Request.Priority) }) // of equals the first
		if !w.fits(next.Request) {
			return granted
		}
		w.queue = slices.DeleteFunc(w.queue, func(o machinetest.Waiter) bool { return o.Label == next.Label })
		w.admit(next.Label, next.Request)
		w.waits = append(w.waits, now.Sub(next.Request.Asked))
		granted = append(granted, next.Label)
	}
	return granted
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxPending := rapid.IntRange(2, 12).Draw(t, "max")
		high := rapid.IntRange(2, maxPending).Draw(t, "high")
		cfg := Config{
			MaxPending: maxPending, HighWater: high, MaxWaiting: rapid.SampledFrom([]int{NoQueue, 1, 2, 3, 6}).Draw(t, "waiting"),
			LowWater: rapid.SampledFrom([]int{Drained, 1, high - 1}).Draw(t, "low"),
		}
		h := newHost(t, cfg)
		w := &twin{cfg: cfg, holds: map[int]int{}}
		label := 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			h.Now += patterns.Instant(rapid.IntRange(1, 9).Draw(t, "pass"))
			w.step(t, h, &label)
			s := h.M.Snapshot(h.Now, patterns.Counts{})
			if s.Pending != w.pending() || s.Hot != w.hot() || len(h.Queue) != len(w.queue) {
				t.Fatalf("pending %d, hot %v, %d wait; want %d, %v, %d", s.Pending, s.Hot, len(h.Queue), w.pending(), w.hot(), len(w.queue))
			}
			if s.Pending > maxPending {
				t.Fatalf("%d pending of %d", s.Pending, maxPending)
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
	op := rapid.IntRange(0, 5).Draw(t, "op")
	now := h.Now
	switch {
	case op <= 2:
		*label++
		r := patterns.Request{
			Weight:   rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3, 13}).Draw(t, "weight"),
			Priority: rapid.SampledFrom([]patterns.Priority{0, 0, 0, patterns.Background, patterns.High}).Draw(t, "priority"),
			NoWait:   rapid.IntRange(0, 3).Draw(t, "no wait") == 0,
		}
		want := w.ask(*label, r, now)
		if got, err := h.Acquire(*label, r); got != want {
			t.Fatalf("acquire %d: %s, %v; want %s", *label, got, err, want)
		}
		h.Taken()
	case op <= 4 && len(h.Out) > 0:
		which := rapid.SampledFrom(h.Labels()).Draw(t, "which")
		h.End(which, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		w.changes = append(w.changes, -w.holds[which])
		w.same(t, h, w.serve(now))
	case op == 5 && len(w.queue) > 0:
		i := rapid.IntRange(0, len(w.queue)-1).Draw(t, "who")
		if !h.Cancel(w.queue[i].Label) {
			t.Fatal("not cancelled")
		}
		w.queue = slices.Delete(w.queue, i, i+1)
		w.same(t, h, w.serve(now))
	}
}

func (w *twin) same(t *rapid.T, h *host, granted []int) {
	if got := h.Taken(); !slices.Equal(got, granted) {
		t.Fatalf("granted %v, want %v", got, granted)
	}
}
